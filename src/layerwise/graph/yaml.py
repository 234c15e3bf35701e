"""Models as files: YAML that is read strictly, with the line of everything, and written as people write it.

>>> description, marks = read("model: digits\\nlayers:\\n  edges: {kind: dense, units: 8}\\n", what="digits.yaml")
>>> description["layers"]["edges"]
{'kind': 'dense', 'units': 8}
>>> marks.line(("layers", "edges", "units"))
3
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from layerwise.errors import Invalid, InvalidFile, nearest
from layerwise.graph import kinds
from layerwise.graph.graph import KEYS, Graph
from layerwise.graph.scalars import read_plain, write_flow, write_key
from layerwise.words import shorten, visible

LOADER = yaml.SafeLoader
"""Only its parser is used: nothing is ever built by PyYAML."""

MAX_BYTES = 1 << 20
"""Largest file that is read: 1 MiB."""

MAX_VALUES = 100_000
"""Most values that are read: the parser takes some 20 microseconds for each."""

MAX_DEPTH = 64
"""Deepest nesting that is read."""

WIDEST_NAME = 24
"""Longer names do not push the braces of their neighbours to the right."""

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a value, from the top."""

# What an editor does not show as it is, or shows in another order than it is read in.
_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)

_CURES = {
    "mapping values are not allowed": 'a text with ": " in it needs quotes, and keys of one mapping the same indent',
    "cannot start any token": "put the text in quotes",
    "',' or '": "a comma or a closing bracket is missing",
    "could not find expected ':'": "write KEY: VALUE",
    "expected '<document start>'": "keys beside each other need the same indent, and a file holds one document",
    "expected <block end>": "keys beside each other need the same indent",
    "while scanning a quoted scalar": "a closing quote is missing",
}


@dataclass(frozen=True, slots=True)
class Marks:
    """Where things stand in a file.

    Attributes:
        what: how messages name the file.
        lines: the line of each key and each item of a list, from 1.
    """

    what: str
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """Return the line of what is at ``path``, or of the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def line_of(self, error: Invalid) -> int:
        """Return the line an error is about: of the option or key that it quotes, else of its layer, else 1."""
        text = str(error)
        if error.layer is not None:
            around: KeyPath = tuple(part for name in error.layer.split(".") for part in ("layers", name))
            if ("layers", error.layer) in self.lines:  # a name with a dot in it, which is what is wrong with it
                around = ("layers", error.layer)
            quoted = [path for path in self._below(around) if f"option {str(path[-1])!r}" in text]
            return self.line(quoted[0] if quoted else around)
        settings = [path for path in self._below(("train",)) if text.startswith(f"train: {path[-1]}: ")]
        quoted = [path for path in (*self._below(()), *self._below(("train",))) if f" {str(path[-1])!r}" in text]
        named = [(key,) for key in ("data", "train", "layers", "model") if re.search(rf"\b{key}\b", text)]
        return self.line([*settings, *quoted, *named, ()][0])

    def _below(self, path: KeyPath) -> list[KeyPath]:
        depth = len(path)
        return [inner for inner in self.lines if len(inner) == depth + 1 and inner[:depth] == path]


def read(source: PathLike[str] | str | bytes, *, what: str | None = None) -> tuple[dict[str, Any], Marks]:
    """Return the mapping that a YAML file holds, as plain values, and the lines of its keys.

    One mapping of text keys, JSON's types, the core schema of YAML 1.2. Tags, anchors, merge keys, a key that is
    there twice, a second document and characters that an editor hides are refused.

    Args:
        source: a path, or the text itself (``str`` or UTF-8 ``bytes``).
        what: how messages name the file; the path where not given.

    Raises:
        InvalidFile: as ``digits.yaml:7: …``, with what was found and the cure.
    """
    name, data = _open(source, what)
    reader = _Reader(_decode(data, name), name)
    return reader.document(), Marks(name, reader.lines)


def load_model(path: PathLike[str]) -> tuple[dict[str, Any], Marks]:
    """Return the description of the model in a file, and the lines of its keys, ready for ``in_file``.

    Raises:
        InvalidFile: the file cannot be read, or is not strict YAML.
    """
    return read(path)


@contextmanager
def in_file(marks: Marks) -> Iterator[None]:
    """Name the file and the line in front of an error of ours that is raised inside, once.

    >>> description, marks = read("model: digits\\nlayers:\\n  a: {kind: nothing}", what="digits.yaml")
    >>> with in_file(marks):
    ...     Graph.from_description(description)
    Traceback (most recent call last):
    layerwise.errors.InvalidLayer: digits.yaml:3: layer 'a': there is no kind 'nothing'...
    """
    try:
        yield
    except Invalid as error:
        if error.file is not None:
            raise
        told = type(error)(f"{marks.what}:{marks.line_of(error)}: {error}")
        told.layer, told.file = error.layer, marks.what
        raise told from None


def _open(source: PathLike[str] | str | bytes, what: str | None) -> tuple[str, bytes]:
    if isinstance(source, str | bytes):
        name = what or "the text"
        return name, source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    name = what or visible(str(source))
    try:
        with Path(source).open("rb") as file:
            return name, file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _told(name, None, f"the file cannot be read: {reason}.{_beside(Path(source))}") from None


def _beside(path: Path) -> str:
    # Looked for only where nothing is there: a folder's names say nothing about a file that may not be read.
    try:
        if path.exists() or not path.parent.is_dir():
            return ""
        return nearest(path.name, [other.name for other in path.parent.iterdir() if other.suffix in (".yaml", ".yml")])
    except (OSError, ValueError):
        return ""


def _decode(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise _told(name, None, f"the file is larger than {MAX_BYTES:,} bytes, and a model's file is not")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"0x{data[error.start]:02x}"
        raise _told(name, line, f"the byte {byte} is not UTF-8; save the file as UTF-8") from None
    if unseen := _UNSEEN.search(text):
        raise _told(name, text.count("\n", 0, unseen.start()) + 1, _say_unseen(unseen[0]))
    return text


def _say_unseen(character: str) -> str:
    if character == "\t":
        return 'found a tab; indent with spaces, and write "\\t" where a text needs it'
    code = f"{ord(character):04x}"
    return f'found U+{code.upper()}, which editors do not show; take it out, or write "\\u{code}" where a text needs it'


def _told(what: str, line: int | None, reason: str) -> InvalidFile:
    error = InvalidFile(f"{what}: {reason}" if line is None else f"{what}:{line}: {reason}")
    error.file = what
    return error


class _Reader:
    """One pass over the parser's events: what is refused is refused before anything is built from it."""

    def __init__(self, text: str, what: str) -> None:
        self.what = what
        self.lines: dict[KeyPath, int] = {}
        self.events = yaml.parse(text, Loader=LOADER)

    def document(self) -> dict[str, Any]:
        self._next()
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            raise _told(self.what, None, "the file is empty; a model's file begins with model: NAME")
        top = self._next()
        if not isinstance(top, yaml.MappingStartEvent):
            found = "a list" if isinstance(top, yaml.SequenceStartEvent) else "a single value"
            self._refuse(top, f"found {found}; expected KEY: VALUE at the top")
        value = self._value(top, ())
        self._next()
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "a second document begins; keep one in a file")
        return value  # type: ignore[no-any-return]

    def _next(self) -> Any:
        try:
            return next(self.events)
        except yaml.MarkedYAMLError as error:
            told = f"{error.context or ''} {error.problem or ''}"
            cure = next((f"; {cure}" for sign, cure in _CURES.items() if sign in told), "")
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else None
            raise _told(self.what, line, f"not YAML: {visible(told.strip())[:200]}{cure}") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise _told(self.what, None, f"not YAML: {visible(str(error))[:200]}") from None

    def _refuse(self, event: Any, reason: str) -> NoReturn:
        raise _told(self.what, event.start_mark.line + 1, reason)

    def _value(self, event: Any, path: KeyPath) -> Any:
        self._hold(event)
        if len(self.lines) > MAX_VALUES:
            self._refuse(event, f"found more than {MAX_VALUES:,} values; keep data out of a model's file")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if len(path) >= MAX_DEPTH:
            self._refuse(event, f"it nests deeper than {MAX_DEPTH} levels; keep data out of a model's file")
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._list(path)

    def _hold(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            said = shorten(f"*{event.anchor}")
            self._refuse(event, f"found the alias {said}; write the value out, or put a text in quotes")
        if event.anchor is not None:
            said = shorten(f"&{event.anchor}")
            self._refuse(event, f"found the anchor {said}; write the value out where it is used")
        if event.tag is not None:
            said = shorten(event.tag.replace("tag:yaml.org,2002:", "!!", 1))
            self._refuse(event, f"found the tag {said}; values have no tags here, take it away")

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if not event.implicit[0]:
            if any("\ud800" <= character <= "\udfff" for character in event.value):
                self._refuse(event, "found half of a character (\\ud800 to \\udfff); write the whole one")
            return event.value
        try:
            return read_plain(event.value)
        except InvalidFile as error:
            self._refuse(event, str(error))

    def _list(self, path: KeyPath) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            inner = (*path, len(found))
            self.lines[inner] = event.start_mark.line + 1
            found.append(self._value(event, inner))
        return found

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            inner = (*path, key)
            if key in found:
                first = self.lines[inner]
                self._refuse(event, f"the key {shorten(key)} is there twice, first on line {first}; keep one")
            self.lines[inner] = event.start_mark.line + 1
            found[key] = self._value(self._next(), inner)
        return found

    def _key(self, event: Any) -> str:
        self._hold(event)
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, "a key is a text; found a list or a mapping as a key")
        key = self._scalar(event)
        if not isinstance(key, str):
            said = visible(event.value)[:60]
            self._refuse(event, f'a key is a text; found {said or "nothing"}: write it as "{said}"')
        if event.implicit[0] and key == "<<":
            self._refuse(event, "found the merge key <<; write the options out")
        return key


def write(graph: Graph) -> str:
    """Return the model as the text of a file: one line a layer, blocks indented. ``read`` takes it back, all of it.

    A kind stands without its version where it is the newest that there is.

    Raises:
        InvalidFile: an option that JSON cannot hold.
    """
    said = graph.describe()
    lines = [f"{key}: {write_flow(said[key])}" for key in KEYS[:2] if key in said]
    lines += ["layers:", *_write_layers(said["layers"], "  ")]
    lines += [f"train: {write_flow(said['train'])}"] if "train" in said else []
    return "\n".join(lines) + "\n"


def _write_layers(layers: Mapping[str, Any], indent: str) -> Iterator[str]:
    widths = [len(write_key(name)) for name, said in layers.items() if "layers" not in said]
    widest = max((width for width in widths if width <= WIDEST_NAME), default=0)
    for name, layer in layers.items():
        said = {**layer, "kind": kinds.shortest(layer["kind"])}
        key = f"{write_key(name)}:"
        if "layers" not in said:
            yield f"{indent}{key:<{widest + 1}} {write_flow(said)}"
            continue
        inner = said.pop("layers")
        yield f"{indent}{key}"
        yield from (f"{indent}  {write_key(option)}: {write_flow(value)}" for option, value in said.items())
        yield f"{indent}  layers:"
        yield from _write_layers(inner, f"{indent}    ")
