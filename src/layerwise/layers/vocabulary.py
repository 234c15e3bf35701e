"""A vocabulary: tokens and items become indices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import torch

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import TEXT, Port
from layerwise.layers.base import DataKind, State, Value
from layerwise.layers.lists import is_list, relist, unlist
from layerwise.layers.lookup import codes, count, keep, kept, plain_array
from layerwise.layers.numeric import no_rows

PADDING, UNKNOWN, FIRST = 0, 1, 2
"""Indices: of padding, of what the vocabulary does not have (or is missing), and of its commonest value."""


@register("vocabulary")
@dataclass(frozen=True)
class Vocabulary(DataKind):
    """Tokens or items as indices, learned from the training rows: the commonest first, equally common ones by value.

    Lists of text or whole numbers become lists of int64; one text or whole number a row becomes [batch], int64. Index 0
    is padding and 1 is what the vocabulary does not have, so nothing new is ever an error.

    Args:
        size: the most indices, these two among them; all values where not given.
        fewest: how often a value must come in the training rows to be kept.

    State ``texts`` or ``numbers``, the values in the order of their indices.

    Example:
        >>> state = Vocabulary().fit([(pa.array([["to", "be"], ["be"]]),)])
        >>> Vocabulary().run(pa.array([["to", "be", "or"]]), state=state).to_pylist()
        [[3, 2, 1]]
    """

    size: int | None = None
    fewest: int = 1

    learns: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None and self.size <= FIRST:
            raise InvalidLayer(f"the option 'size' is {self.size}; expected 3 or more: two are padding and unknown")
        if self.fewest < 1:
            raise InvalidLayer(f"the option 'fewest' is {self.fewest}; expected 1 or more")

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return int64 scalars or lists, with the number of indices."""
        port = inputs[0]
        size = FIRST + len(kept(state)) if state else None
        if port.dtype == "unknown":
            return Port("list<int64>", size=size)
        if port.dtype in {"list<string>", "list<int64>"}:
            return Port("list<int64>", size=size)
        if port.dtype in {TEXT, "int64"} and not port.shape and not port.padded:
            return Port("int64", size=size)
        raise InvalidShape(f"its input is {port}, and it takes lists of text or whole numbers, or one a row")

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the values of the training rows, the commonest first."""
        rows = 0

        def arrays() -> Iterator[pa.Array]:
            nonlocal rows
            for (value,) in batches:
                rows += len(value)
                yield plain_array(unlist(value)[0] if is_list(value) else value)

        counts = count(arrays())
        if not rows:
            raise no_rows()
        often = [value for value, number in counts.items() if number >= self.fewest]
        often.sort(key=lambda value: (-counts[value], isinstance(value, str), value))
        return keep(often if self.size is None else often[: self.size - FIRST])

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the indices: lists of int64, or [batch] int64."""
        (value,) = inputs
        items, lengths = unlist(value) if is_list(value) else (value, None)
        # Unseen is -1 and missing -2: both are the index of what is unknown.
        found = (codes(plain_array(items), kept(state)) + FIRST).clip(UNKNOWN)
        return torch.from_numpy(found) if lengths is None else relist(pa.array(found), lengths)
