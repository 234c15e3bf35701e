"""What the values of a column are like, gathered while rows stream by.

>>> gathered = Gathering(pa.int64())
>>> gathered.add(pa.array([1, 2, 2, None]))
>>> found = gathered.result()
>>> found.count, found.missing, found.distinct, found.min, found.max
(3, 1, 2, 1, 2)
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from layerwise.data.plain import plain
from layerwise.data.schema import is_tensor, type_text
from layerwise.errors import InvalidFile
from layerwise.store.tables import canonical, fixed_words
from layerwise.words import shorten

MAX_DISTINCT = 10_000
"""Different values are counted exactly up to this many."""

MAX_SHOWN = 60
"""Longest text of an example, in characters."""

_TOP = 5
_EXAMPLES = 3

Value = bool | int | float | str
Numbers = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """One column in numbers.

    ``count`` values are there and ``missing`` are not (missing or NaN). ``distinct`` is exact, unless
    ``distinct_exact`` is false: then there are more than it says; None where values are not told apart
    (bytes, lists, tensors). ``min``, ``max``, ``mean`` and ``spread`` (standard deviation) are of numbers,
    and of the items of tensors; dates and times have ``min`` and ``max`` as text. ``length`` is the least and
    the most of text, bytes and lists.
    """

    type: str
    count: int
    missing: int
    distinct: int | None = None
    distinct_exact: bool = True
    min: Value | None = None
    max: Value | None = None
    mean: float | None = None
    spread: float | None = None
    length: tuple[int, int] | None = None
    shape: tuple[int, ...] | None = None
    top: tuple[tuple[str, int], ...] = ()
    examples: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what stands in a manifest: fields that say something, infinities as text."""
        said = (field for field in dataclasses.fields(self) if getattr(self, field.name) != field.default)
        return {field.name: _to_json(getattr(self, field.name)) for field in said}

    @classmethod
    def from_json(cls, value: Any, what: str) -> ColumnStatistics:
        """Return the statistics of a manifest, or raise InvalidFile with ``what``."""
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(value, dict) or not {"type", "count", "missing"} <= set(value) <= known:
            raise InvalidFile(f"{what}: the statistics of a column have other fields than {', '.join(sorted(known))}")
        found = cls(**{name: _from_json(name, part) for name, part in value.items()})
        for name, good in _GOOD.items():
            if not good(getattr(found, name)):
                raise InvalidFile(f"{what}: {name} of a column's statistics is {shorten(value[name])}")
        if (found.mean is None) != (found.spread is None):
            raise InvalidFile(f"{what}: a column's statistics have a mean or a spread, and not the other")
        return found


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json("", part) for part in value)
    return float(value) if name in ("min", "max") and value in ("inf", "-inf") else value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_shown(value: Any) -> bool:
    # What is printed is what `show` makes, or a manifest could write to a terminal what it likes.
    return isinstance(value, str) and show(value) == value


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_list(good: Callable[[Any], bool], count: int | None = None) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple) and count in (None, len(value)) and all(map(good, value))


def _is_told(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and _is_shown(value[0]) and _is_count(value[1])


_GOOD: dict[str, Callable[[Any], bool]] = {
    "type": _is_shown,
    "count": _is_count,
    "missing": _is_count,
    "distinct": lambda value: value is None or _is_count(value),
    "distinct_exact": lambda value: isinstance(value, bool),
    "min": lambda value: _is_number(value) or _is_shown(value),
    "max": lambda value: _is_number(value) or _is_shown(value),
    "mean": _is_number,
    "spread": _is_number,
    "length": lambda value: value is None or _is_list(_is_count, 2)(value),
    "shape": lambda value: value is None or _is_list(_is_count)(value),
    "top": _is_list(_is_told),
    "examples": _is_list(_is_shown),
}


class Gathering:
    """Gathers the statistics of one column from its arrays as they come."""

    def __init__(self, data_type: pa.DataType) -> None:
        self._type = data_type
        self._count = self._missing = 0
        self._moments = _Moments() if _is_measured(data_type) else None
        self._tally = _tally(data_type)
        self._range: tuple[Any, Any] | None = None
        self._length: tuple[int, int] | None = None
        self._examples: list[str] = []

    def add(self, array: pa.Array) -> None:
        """Take the next values of the column."""
        there = _there(array)
        self._count += len(there)
        self._missing += len(array) - len(there)
        if not len(there):
            return
        if self._moments is not None:
            self._moments.add(_numbers(there))
        elif pa.types.is_temporal(self._type):
            self._range = _wider(self._range, pc.min_max(there.view(_number_of(self._type))))
        elif not pa.types.is_boolean(self._type):
            self._length = _wider(self._length, pc.min_max(_lengths(there)))
        if self._tally is not None:
            self._tally.add(there)
        if len(self._examples) < _EXAMPLES and not is_tensor(self._type):
            fresh = dict.fromkeys([*self._examples, *(show(plain(value)) for value in there.slice(0, 20))])
            self._examples = list(fresh)[:_EXAMPLES]

    def result(self) -> ColumnStatistics:
        """Return what has been gathered."""
        found = ColumnStatistics(
            type_text(self._type),
            self._count,
            self._missing,
            length=self._length,
            shape=tuple(self._type.shape) if is_tensor(self._type) else None,
            examples=tuple(self._examples),
        )
        if self._range is not None:
            low, high = (_as_time(number, self._type) for number in self._range)
            found = dataclasses.replace(found, min=low, max=high)
        if self._moments is not None:
            found = dataclasses.replace(found, **self._moments.result())
        return found if self._tally is None else dataclasses.replace(found, **self._tally.result())


def _is_measured(data_type: pa.DataType) -> bool:
    return bool(is_tensor(data_type) or pa.types.is_integer(data_type) or pa.types.is_floating(data_type))


def _tally(data_type: pa.DataType) -> _Tally | _Distinct | None:
    if is_tensor(data_type) or pa.types.is_binary(data_type) or pa.types.is_nested(data_type):
        return None
    named = pa.types.is_string(data_type) or pa.types.is_boolean(data_type)
    return _Tally() if named else _Distinct()


def _there(array: pa.Array) -> pa.Array:
    if pa.types.is_floating(array.type):
        array = array.filter(pc.invert(pc.is_nan(array))) if pc.any(pc.is_nan(array)).as_py() else array
    return array.drop_null() if array.null_count else array


def _numbers(array: pa.Array) -> Numbers:
    if is_tensor(array.type):
        array = array.storage.flatten()
    numbers: Numbers = array.to_numpy(zero_copy_only=False)
    return numbers[~np.isnan(numbers)] if numbers.dtype.kind == "f" else numbers


def _lengths(array: pa.Array) -> pa.Array:
    if pa.types.is_list(array.type):
        return pc.list_value_length(array)
    return pc.utf8_length(array) if pa.types.is_string(array.type) else pc.binary_length(array)


def _number_of(data_type: pa.DataType) -> pa.DataType:
    # Arrow does not order durations, and Python does not reach all times; the whole numbers that they are do well.
    return pa.int64() if data_type.bit_width == 64 else pa.int32()


def _as_time(number: int, data_type: pa.DataType) -> str:
    return str(plain(pa.array([number], _number_of(data_type)).view(data_type)[0]))


def _wider(before: tuple[Any, Any] | None, found: pa.StructScalar) -> tuple[Any, Any]:
    low, high = found["min"].as_py(), found["max"].as_py()
    return (low, high) if before is None else (min(low, before[0]), max(high, before[1]))


def show(value: Any) -> str:
    """Return a value fit to stand in a table: short, on one line."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    text = " ".join((value if isinstance(value, str) else str(value))[: 4 * MAX_SHOWN].split())
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


class _Moments:
    """Count, least, most, mean and spread of numbers, merged part by part (Chan, Golub and LeVeque)."""

    def __init__(self) -> None:
        self._count = 0
        self._min: Any = None
        self._max: Any = None
        self._mean = self._squares = 0.0

    def add(self, numbers: Numbers) -> None:
        if not numbers.size:
            return
        low, high = numbers.min().item(), numbers.max().item()
        self._min = low if self._min is None else min(low, self._min)
        self._max = high if self._max is None else max(high, self._max)
        with np.errstate(all="ignore"):  # infinite or huge numbers have no mean to speak of; result() leaves it out
            mean = float(np.mean(numbers, dtype=np.float64))
            squares = float(np.sum(np.square(numbers - mean, dtype=np.float64)))
            total = self._count + numbers.size
            apart = np.float64(mean) - self._mean
            self._squares = float(self._squares + squares + apart * apart * self._count * numbers.size / total)
            self._mean = float(self._mean + apart * numbers.size / total)
        self._count = total

    def result(self) -> dict[str, Any]:
        spread = math.sqrt(self._squares / self._count) if self._count and self._squares >= 0 else math.nan
        finite = math.isfinite(self._mean) and math.isfinite(spread) and self._count > 0
        return {
            "min": self._min,
            "max": self._max,
            "mean": self._mean if finite else None,
            "spread": spread if finite else None,
        }


class _Distinct:
    """How many different numbers, dates or times come, until there are too many."""

    def __init__(self) -> None:
        # None once there are too many. Sorted: a Python object for each number would fill the memory.
        self._values: Numbers | None = np.empty(0)

    def add(self, array: pa.Array) -> None:
        if self._values is None:
            return
        words = fixed_words(canonical(array))
        # Sorted by hand: NumPy's unique() goes through a hash table of many small pieces.
        known = np.sort(np.concatenate([self._values.astype(words.dtype), words]))
        known = known[np.concatenate([[True], known[1:] != known[:-1]])]
        self._values = None if len(known) > MAX_DISTINCT else known

    def result(self) -> dict[str, Any]:
        if self._values is None:
            return {"distinct": MAX_DISTINCT, "distinct_exact": False}
        return {"distinct": len(self._values)}


class _Tally:
    """How often each text comes, or true and false, until there are too many different ones."""

    def __init__(self) -> None:
        self._counts: Counter[Any] | None = Counter()

    def add(self, array: pa.Array) -> None:
        if self._counts is None:
            return
        found = pc.value_counts(array)
        for value, count in zip(found.field("values"), found.field("counts").to_pylist(), strict=True):
            self._counts[_short(value.as_py())] += count
            if len(self._counts) > MAX_DISTINCT:
                self._counts = None
                return

    def result(self) -> dict[str, Any]:
        if self._counts is None:
            return {"distinct": MAX_DISTINCT, "distinct_exact": False}
        ordered = sorted(self._counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
        top = tuple((show(value), count) for value, count in ordered if not isinstance(value, bytes))
        return {"distinct": len(self._counts), "top": top[:_TOP]}


def _short(value: Any) -> Any:
    # Long texts are told apart by digest, so that ten thousand of them do not fill the memory.
    if isinstance(value, str) and len(value) > MAX_SHOWN:
        return blake3(value.encode()).digest(length=16)
    return value
