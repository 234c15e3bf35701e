"""What is to be recorded: ``sample:256``, ``all``, ``stats`` or ``off``, of which layers, as what, how much, how long.

>>> Recording.parse("sample:64", layers="edges,stage1.*").rows
64
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from layerwise.errors import InvalidConfig, nearest
from layerwise.graph.graph import Graph
from layerwise.words import shorten

ROWS = 256
"""How many rows are kept where nothing else is said."""

MAX_ROWS = 10**9
MAX_PATTERNS = 1000
MAX_PATTERN = 500

OPEN = frozenset({"none", "open", "public"})
"""The sensitivities, in small letters, that leave a layer free to be recorded. Whoever says anything else of a layer
guards what is there, in words that only they know: then nothing but statistics is kept of it."""

_KEEP = ("sample:256", "all", "stats", "off")
_SAMPLE = re.compile(r"sample:([1-9][0-9]{0,9})\Z")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(B|[kKMGT]i?B)?\Z")
_UNITS = {"": 1, "B": 1} | {
    f"{letter}{middle}B": base**power
    for middle, base in (("", 1000), ("i", 1024))
    for power, letters in enumerate(("kK", "M", "G", "T"), start=1)
    for letter in letters
}
_AGE = re.compile(r"([1-9][0-9]{0,5})([smhdw])\Z")
_SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Recording:
    """What is to be kept of a run or an evaluation, apart from metrics. It changes no bit of what is computed.

    Attributes:
        keep: ``sample`` (some rows as the version answers them), ``all`` (and while a model trains what left each
            layer for every training row), ``stats`` (statistics alone) or ``off``.
        rows: how many rows a sample has.
        layers: patterns of layers' paths (``stage1.*``); every layer where there is none.
        dtype: ``float16``, or None: as the layer made it. What is larger than 65,504 is infinite in float16.
        cap: how many bytes a set of records has at most, and a live recording; None: as many as come.
        age: when it is forgotten; None: never.
        gradients: whether the gradient of each row's loss with respect to what left a layer is kept too.
        attention: whether attention weights are kept too.

    Example:
        >>> Recording.parse("all", dtype="float16", cap="2GiB", age="90d").cap
        2147483648
    """

    keep: str = "sample"
    rows: int = ROWS
    layers: tuple[str, ...] = ()
    dtype: str | None = None
    cap: int | None = 8 << 30
    age: timedelta | None = timedelta(days=90)
    gradients: bool = False
    attention: bool = False

    @classmethod
    def parse(cls, said: object = "sample:256", **more: Any) -> Recording:
        """Return what is asked for, or raise InvalidConfig that says what is wrong and what may be said.

        Args:
            said: ``sample:N``, ``all``, ``stats``, ``off``; a mapping with the key ``keep`` and those of ``more``;
                or a Recording, which stays as it is.
            **more: ``layers`` (patterns, or text with commas between), ``dtype``, ``cap`` (``2GiB``, or bytes),
                ``age`` (``90d``), ``gradients``, ``attention``.
        """
        if isinstance(said, cls) and not more:
            return said
        if isinstance(said, cls):
            return dataclasses.replace(said, **_read(more))
        # YAML reads a bare `off` as a truth value.
        said = "off" if said is False else said
        if isinstance(said, Mapping):
            more = {**{str(key): value for key, value in said.items() if key != "keep"}, **more}
            said = said.get("keep", "sample:256")
            said = "off" if said is False else said
        keep, rows = _keep(said)
        return cls(keep=keep, rows=rows, **_read(more))

    @property
    def live(self) -> bool:
        """Whether what leaves layers is kept while a model trains."""
        return self.keep == "all"

    @property
    def keeps_rows(self) -> bool:
        """Whether records of rows are kept."""
        return self.keep in ("sample", "all")

    @property
    def watches(self) -> bool:
        """Whether statistics are taken while a model trains."""
        return self.keep != "off"

    def chosen(self, graph: Graph) -> frozenset[str]:
        """Return the paths of the layers that are asked for and may be recorded.

        Raises:
            InvalidConfig: a pattern that no layer's path fits, with the nearest path.
        """
        paths = [path for path, layer in graph.walk() if layer.action.role != "answer"]
        for pattern in self.layers:
            if not any(fnmatchcase(path, pattern) for path in paths):
                raise InvalidConfig(f"record: layers: no layer is called {shorten(pattern)}.{nearest(pattern, paths)}")
        wanted = {path for path in paths if not self.layers or any(fnmatchcase(path, p) for p in self.layers)}
        return frozenset(wanted - guarded(graph))


def guarded(graph: Graph) -> frozenset[str]:
    """Return the paths of the layers of which nothing but statistics may be kept.

    They are those with a ``sensitivity`` other than ``public``, ``open`` or ``none``, and all layers inside them.
    """
    found = {path for path, layer in graph.walk() if (layer.sensitivity or "none").strip().lower() not in OPEN}
    inside = tuple(f"{path}." for path in found)
    return frozenset(found | {path for path, _ in graph.walk() if path.startswith(inside)}) if found else frozenset()


def plain_path(path: str) -> str:
    """Return a layer's path without the number of its pass.

    >>> plain_path("cell:2")
    'cell'
    """
    return path.partition(":")[0]


def _keep(said: object) -> tuple[str, int]:
    text = said if isinstance(said, str) else shorten(said)
    match = _SAMPLE.match(text)
    if match and int(match[1]) <= MAX_ROWS:
        return "sample", int(match[1])
    if text not in _KEEP[1:]:
        raise InvalidConfig(f"record: {shorten(said)} cannot be recorded.{nearest(text, _KEEP)}")
    return text, ROWS


def _read(more: Mapping[str, Any]) -> dict[str, Any]:
    for key in more:
        if key not in _READERS:
            raise InvalidConfig(f"record: there is no setting {shorten(key)}.{nearest(key, ['keep', *_READERS])}")
    return {key: _READERS[key](key, value) for key, value in more.items()}


def _layers(key: str, value: Any) -> tuple[str, ...]:
    parts: Iterable[Any] = value.split(",") if isinstance(value, str) else value if _is_list(value) else [value]
    found = tuple(part.strip() if isinstance(part, str) else part for part in parts)
    if not found or len(found) > MAX_PATTERNS:
        raise InvalidConfig(f"record: {key}: expected 1 to {MAX_PATTERNS:,} patterns, found {len(found):,}")
    for part in found:
        if not isinstance(part, str) or not 0 < len(part) <= MAX_PATTERN:
            raise InvalidConfig(f"record: {key}: expected layers such as 'edges' or 'stage1.*', found {shorten(part)}")
    return found


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview)


def _dtype(key: str, value: Any) -> str | None:
    if value in (None, "float16"):
        return "float16" if value else None
    raise InvalidConfig(f"record: {key} is {shorten(value)}; expected float16, or nothing: as the layer made it")


def _cap(key: str, value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63):
        return value
    match = _SIZE.match(value) if isinstance(value, str) else None
    size = int(float(match[1]) * _UNITS[match[2] or ""]) if match else 0
    if not 0 < size < 2**63:
        raise InvalidConfig(f"record: {key} is {shorten(value)}; expected bytes, such as 500MB or 2GiB")
    return size


def _age(key: str, value: Any) -> timedelta | None:
    if value is None:
        return None
    if isinstance(value, timedelta) and value > timedelta():
        return value
    match = _AGE.match(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidConfig(f"record: {key} is {shorten(value)}; expected a time such as 90d, 12h or 2w")
    return timedelta(**{_SPANS[match[2]]: int(match[1])})


def _truth(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidConfig(f"record: {key} is {shorten(value)}; expected true or false")
    return value


_READERS = {
    "layers": _layers, "dtype": _dtype, "cap": _cap, "age": _age, "gradients": _truth, "attention": _truth,
}  # fmt: skip
