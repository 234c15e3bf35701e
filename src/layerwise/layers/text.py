"""Text: words, characters or byte pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import TEXT, Port
from layerwise.layers.base import DataKind, State, Value, texts_to_tensor
from layerwise.layers.bytepairs import FEWEST, build_tokenizer, learn_merges
from layerwise.layers.lists import relist, unlist
from layerwise.layers.lookup import built
from layerwise.layers.numeric import learned, no_rows
from layerwise.words import shorten

WORD = r"[\pL\pM\pN_]+(?:['’][\pL\pM\pN_]+)*|[^\s]"
"""What a word is unless ``pattern`` says otherwise: letters, digits and what stands between; or one other sign."""

CHARACTER = r"(?s:.)"

# They stand round tokens while Arrow cuts a text. In a text itself they become spaces: in ASCII they separate too.
_OPEN, _CLOSE = "\x1f", "\x1e"


@register("tokens")
@dataclass(frozen=True)
class Tokens(DataKind):
    """Cut text into words, characters or byte pairs.

    Args:
        by: ``words`` and ``characters`` give lists of text, for a vocabulary; ``bytepairs`` gives lists of indices from
            a tokenizer learned on the training rows, and needs no vocabulary. Index 0 is padding.
        lower: whether capitals become small letters first.
        pattern: for words, what one is: a regular expression in RE2's syntax, which takes linear time on any text.
            A word is a run of letters, marks, digits and ``_`` with ``'`` inside, or one other sign, where not given.
        size: for bytepairs, the most tokens: 258 (padding, unknown, the bytes) or more.

    State ``merges``, for bytepairs.

    Raises:
        InvalidData: missing texts.

    Example:
        >>> Tokens().run(pa.array(["Don't panic!"]), state={}).to_pylist()
        [["Don't", 'panic', '!']]
    """

    by: Literal["words", "characters", "bytepairs"] = "words"
    lower: bool = False
    pattern: str | None = None
    size: int = 8_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pattern is not None and self.by != "words":
            raise InvalidLayer(f"the option 'pattern' is for words, and 'by' is {self.by!r}; take it away")
        if self.size < FEWEST:
            raise InvalidLayer(f"the option 'size' is {self.size}; expected {FEWEST} or more: every byte is a token")
        try:
            _cut(pa.array(["a"]), self._pattern)
        except pa.ArrowInvalid as error:
            raise InvalidLayer(
                f"the option 'pattern' is {shorten(self._pattern)}, no regular expression of RE2's syntax: {error}"
            ) from None

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether the training rows are read: for byte pairs."""
        return self.by == "bytepairs"

    @property
    def _pattern(self) -> str:
        return CHARACTER if self.by == "characters" else self.pattern or WORD

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return lists of text, or of indices with the number of tokens."""
        port = inputs[0]
        if port.dtype not in {TEXT, "unknown"}:
            raise InvalidShape(f"its input is {port}, and it takes text; put a column of text before it")
        if self.by != "bytepairs":
            return Port("list<string>")
        return Port("list<int64>", size=self._tokenizer(state).get_vocab_size() if state else None)

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the merges learned from the training texts."""
        if not self.learns:
            return {}
        rows = 0

        def texts() -> Iterator[str]:
            nonlocal rows
            for (value,) in batches:
                rows += len(value)
                yield from self._texts(value).to_pylist()

        merges = learn_merges(texts(), self.size)
        if not rows:
            raise no_rows()
        return {"merges": texts_to_tensor(merges)}

    def run(self, *inputs: Value, state: State) -> Value:
        """Return a list of tokens a row; of an empty text an empty one."""
        texts = self._texts(inputs[0])
        if self.by != "bytepairs":
            return _cut(texts, self._pattern)
        found = self._tokenizer(state).encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        ids = [token for encoding in found for token in encoding.ids]
        lengths = np.array([len(encoding.ids) for encoding in found], dtype=np.int64)
        return relist(pa.array(ids, pa.int64()), lengths)

    def _tokenizer(self, state: State) -> Tokenizer:
        return built(learned(state, "merges"), build_tokenizer)

    def _texts(self, value: Value) -> pa.Array:
        if not isinstance(value, pa.Array) or not (
            pa.types.is_string(value.type) or pa.types.is_large_string(value.type)
        ):
            raise InvalidShape(
                f"expected text, found {value.type if isinstance(value, pa.Array) else type(value).__name__}"
            )
        if value.null_count:
            raise InvalidData(
                f"{value.null_count:,} texts of {len(value):,} are missing; put a `fill` layer with value: '' before"
            )
        return pc.utf8_lower(value) if self.lower else value


def _cut(texts: pa.Array, pattern: str) -> pa.Array:
    # Arrow has no findall: each match is put between an opening and a closing sign, and the texts are cut there.
    for sign in (_OPEN, _CLOSE):
        texts = pc.replace_substring(texts, pattern=sign, replacement=" ")
    marked = pc.replace_substring_regex(texts, pattern=pattern, replacement=f"{_OPEN}\\0{_CLOSE}")
    pieces, lengths = unlist(pc.split_pattern(marked, pattern=_OPEN))
    # What stands before the first opening sign of a row, or behind a closing one, is between tokens.
    opened = np.ones(len(pieces), dtype=bool)
    opened[np.cumsum(lengths) - lengths] = False
    tokens = pc.split_pattern(pieces.filter(pa.array(opened)), pattern=_CLOSE).flatten()[::2]
    filled = pc.not_equal(tokens, "").to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(texts)), lengths - 1)[filled]
    return relist(tokens.filter(pa.array(filled)).cast(pa.string()), np.bincount(rows, minlength=len(texts)))
