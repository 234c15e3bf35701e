"""Which rows are nearest to a point: exact, over all rows, one product with each row.

The squared distance is ``|x|² - 2 x·q + |q|²``. The squares of the rows are kept, so a question reads each row once.
What rounding may have added is bounded (N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section
3.1: a dot product of n terms is wrong by at most ``n u / (1 - n u)`` of the sum of the terms' sizes); each row that is
among the nearest within that bound is computed again from the differences, in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from layerwise.errors import InvalidData
from layerwise.records.chunks import Array, to_raw, widened, words_of
from layerwise.records.parts import Tensors, made_of
from layerwise.records.ranked import Ranked, smallest
from layerwise.records.reading import LayerRecord
from layerwise.store.store import Store

_SLACK = 16
"""Roundings of a distance besides those of its dot product, generously."""

_BLOCK = 64

_AT_ONCE = 1024
"""Rows that are turned into floats, or computed again, at a time."""


class Neighbours:
    """The rows of a record as points.

    Args:
        record: of what.
        squares: the square of each row's length [rows], in the type that distances are computed in.
    """

    def __init__(self, record: LayerRecord, squares: Array) -> None:
        self._record = record
        self._squares = squares

    def nearest(self, query: Array, k: int = 10) -> Ranked:
        """Return the ``k`` rows nearest to a point, with their distances, float64; rows with a NaN are left out.

        Args:
            query: the point [...], of the shape of a row, in numbers (bfloat16's as float32).
            k: how many.

        Raises:
            InvalidData: the point is of another shape, or not finite; ``k`` is not 1 or more.
        """
        shape = self._record.track.shape
        if tuple(query.shape) != shape:
            raise InvalidData(f"the point is {list(query.shape)}, and the rows of {self._record!r} are {list(shape)}")
        if k < 1:
            raise InvalidData(f"{k} rows were asked for; expected 1 or more")
        point = np.ascontiguousarray(query, dtype=self._squares.dtype).reshape(-1)
        exact = np.asarray(query, dtype=np.float64).reshape(-1)
        if not np.isfinite(exact).all():
            raise InvalidData("the point has a value that is not finite; distances to it mean nothing")
        slots = self._candidates(point, k)
        squares = self._again(slots, exact)
        there = ~np.isnan(squares)
        slots, squares = slots[there], squares[there]
        best = smallest(squares, slots, k)
        return Ranked(slots[best], np.sqrt(squares[best]))

    def _candidates(self, point: Array, k: int) -> Array:
        """Return the rows that may be among the ``k`` nearest."""
        record, squares = self._record, self._squares
        with np.errstate(over="ignore", invalid="ignore"):
            near = np.empty_like(squares)
            for first, values, lengths in record.parts():
                for begin, rows in _floats(values, lengths, record.track.dtype, squares.dtype):
                    # One product a row: a matrix's would wake threads, which wait for memory and for each other.
                    np.vecdot(rows, point, out=near[first + begin : first + begin + len(rows)])
            kind = np.finfo(squares.dtype)
            terms, size = len(point) + _SLACK, float(np.dot(point, point))
            # |x| |q| is at most (|x|² + |q|²) / 2: the bound is a share of what is there already.
            share = 2 * terms * float(kind.eps)
            near *= -2
            near += squares * kind.dtype.type(1 - share)
            near -= kind.dtype.type(share * size)
            far = near + (squares + kind.dtype.type(size)) * kind.dtype.type(2 * share)
            last = _bound(far, k) + terms * float(kind.tiny)
            # What overflowed is computed again; NaN is not more than anything.
            found: Array = np.flatnonzero(~(near > last) | np.isposinf(near))
        return found

    def _again(self, slots: Array, exact: Array) -> Array:
        found = np.empty(len(slots), np.float64)
        for begin in range(0, len(slots), _AT_ONCE):
            some = slots[begin : begin + _AT_ONCE]
            lengths = self._record.lengths(some)
            values = _ended(widened(self._record.gather(some), self._record.track.dtype), lengths)
            rows = values.reshape(len(some), -1).astype(np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                found[begin : begin + len(some)] = np.square(rows - exact).sum(axis=1)
        return found


def neighbours(store: Store, record: LayerRecord) -> Neighbours:
    """Return a record's rows as points; what is needed for it is made and kept when it is first asked for.

    Raises:
        InvalidData: they are no numbers (Arrow arrays, complex numbers, floats of one byte).
    """
    track = record.track
    if track.type == "arrow" or track.dtype == "C64" or track.dtype.startswith("F8"):
        raise InvalidData(f"{record!r} holds {track.dtype}, which has no distances; ask a layer that gives numbers")
    dtype = "F32" if track.dtype in ("F32", "F16", "BF16") else "F64"
    shapes = {"squares": (dtype, (record.rows,))}
    found = made_of(store, record, "squares.v1", shapes, lambda: _make(record, dtype))
    return Neighbours(record, np.frombuffer(found["squares"].data, words_of(dtype)))


def _bound(far: Array, k: int) -> Any:
    """Return a number that at least ``k`` of ``far`` do not pass, or infinity; blocks' smallest are enough."""
    blocks = len(far) // _BLOCK
    lowest = np.fmin.reduce(far[: blocks * _BLOCK].reshape(blocks, _BLOCK), axis=1) if blocks else far[:0]
    some = lowest if k <= blocks else far
    some = some[~np.isnan(some)]
    return np.partition(some, k - 1)[k - 1] if k <= len(some) else np.inf


def _make(record: LayerRecord, dtype: str) -> Tensors:
    squares = np.empty(record.rows, words_of(dtype))
    with np.errstate(over="ignore", invalid="ignore"):
        for first, values, lengths in record.parts():
            for begin, rows in _floats(values, lengths, record.track.dtype, np.dtype("f8")):
                squares[first + begin : first + begin + len(rows)] = np.einsum("ij,ij->i", rows, rows)
    return {"squares": to_raw(squares, dtype)["values"]}


def _floats(values: Array, lengths: Array | None, word: str, dtype: np.dtype[Any]) -> Iterator[tuple[int, Array]]:
    """Give the rows of a chunk as floats [n, numbers], with where they begin: all at once where they are floats."""
    if lengths is None and values.dtype == dtype:
        yield 0, values.reshape(len(values), -1)
        return
    for begin in range(0, len(values), _AT_ONCE):
        end = begin + _AT_ONCE
        some = _ended(widened(values[begin:end], word), None if lengths is None else lengths[begin:end])
        yield begin, some.reshape(len(some), -1).astype(dtype)


def _ended(values: Array, lengths: Array | None) -> Array:
    """Return values [rows, steps, ...] with zeros behind the ends of rows."""
    if lengths is None:
        return values
    behind = np.arange(values.shape[1]) >= lengths[:, None]
    return np.where(behind.reshape(*behind.shape, *[1] * (values.ndim - 2)), values.dtype.type(0), values)
