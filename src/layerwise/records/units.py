"""Which rows excite a unit most: exact, from the largest and smallest value of each unit in every block of rows.

A *unit* is one number of a vector [units], one feature of a sequence [steps, units] (the last dimension), one channel
of maps [channels, height, width] or of attention [heads, steps, steps] (the first dimension). A row's value at a unit
is its largest over steps or places; steps behind a padded row's end do not count, nor does NaN. A row without
dimensions has one unit.

The rows that are wanted are in the blocks whose bounds are best, so those are looked through, best first, until no
block that is left can hold a better one (the threshold algorithm: R. Fagin, A. Lotem, M. Naor, "Optimal aggregation
algorithms for middleware", PODS 2001, section 4, for one list; blocks' bounds are known as zone maps: G. Moerkotte,
"Small Materialized Aggregates", VLDB 1998, section 2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerwise.errors import InvalidData
from layerwise.records.chunks import Array, to_raw, widened, words_of
from layerwise.records.parts import Tensors, made_of
from layerwise.records.ranked import Ranked, smallest
from layerwise.records.reading import LayerRecord
from layerwise.records.recordset import Track
from layerwise.store.store import Store

BLOCK = 64
"""Rows of a block; a chunk has a whole number of blocks."""

_FIRST = 3
"""From so many dimensions of a row on, its first one counts units."""

_MORE = 64
"""How many blocks are looked through together, at least."""

_BOUNDS = {"BF16": "F32", "BOOL": "U8"}


class UnitIndex:
    """The bounds of every unit in every block of a record.

    Args:
        record: of what.
        largest, smallest: [units, blocks].
    """

    def __init__(self, record: LayerRecord, largest: Array, smallest: Array) -> None:
        self._record = record
        self._largest, self._smallest = largest, smallest

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self._largest)

    @property
    def bytes(self) -> int:
        """Bytes of the index."""
        return self._largest.nbytes + self._smallest.nbytes

    def top(self, unit: int, k: int = 20, *, lowest: bool = False) -> Ranked:
        """Return the ``k`` rows whose values at a unit are largest, or lowest.

        Args:
            unit: from 0.
            k: how many; fewer are returned where fewer rows have a value that is not NaN.
            lowest: whether the lowest are wanted.

        Raises:
            InvalidData: there is no such unit; ``k`` is not 1 or more.
        """
        if not 0 <= unit < self.units:
            raise InvalidData(
                f"{self._record!r} has {self.units:,} units, counted from 0; there is no {unit}: "
                f"take one from 0 to {self.units - 1}"
            )
        if k < 1:
            raise InvalidData(f"{k} rows were asked for; expected 1 or more")
        bounds = self._smallest[unit] if lowest else self._largest[unit]
        turn = _as_they_are if lowest else _turned
        slots, keys = self._search(turn(bounds), unit, k, turn)
        best = smallest(keys, slots, k)
        return Ranked(slots[best], turn(keys[best]))

    def _search(self, bounds: Array, unit: int, k: int, turn: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Return rows, the ``k`` best among them, and their keys: the smaller, the better."""
        blocks = _candidates(bounds, k)
        slots, keys = np.empty(0, np.int64), np.empty(0, bounds.dtype)
        at = 0
        while at < len(blocks):
            if len(keys) >= k:
                worst = smallest(keys, slots, k)[-1]
                after = (bounds[blocks[at]], blocks[at] * BLOCK)
                if after >= (keys[worst], slots[worst]):
                    break  # Blocks come by bound, then by number: no row that is left is before the k-th.
            some = blocks[at : at + max(k, _MORE)]
            more, values = self._read(np.sort(some), unit)
            slots, keys = np.concatenate([slots, more]), np.concatenate([keys, turn(values)])
            at += len(some)
        return slots, keys

    def _read(self, blocks: Array, unit: int) -> tuple[Array, Array]:
        """Return the rows of blocks, but for those without a value, and their values at a unit."""
        record, slots, values = self._record, [], []
        numbers = blocks * BLOCK // record.track.rows_per_chunk
        for number in np.unique(numbers).tolist():
            rows, lengths = record.part(number)
            first = number * record.track.rows_per_chunk
            at = (blocks[numbers == number, None] * BLOCK - first + np.arange(BLOCK)).reshape(-1)
            at = at[at < len(rows)]
            slots.append(at + first)
            values.append(_of_unit(rows, None if lengths is None else lengths[at], at, unit, record.track))
        found, where = np.concatenate(values), np.concatenate(slots)
        there = found == found  # NaN is not itself.
        return where[there], found[there]


def unit_index(store: Store, record: LayerRecord) -> UnitIndex:
    """Return the index of a record's units, made and kept when it is first asked for.

    Raises:
        InvalidData: values of its type are not compared (Arrow arrays, complex numbers, floats of one byte).
    """
    track = record.track
    if track.type == "arrow" or track.dtype == "C64" or track.dtype.startswith("F8"):
        raise InvalidData(f"{record!r} holds {track.dtype}, which has no units; ask a layer that gives numbers")
    shape = (_units(track), -(-record.rows // BLOCK))
    dtype = _BOUNDS.get(track.dtype, track.dtype)
    shapes = dict.fromkeys(("largest", "smallest"), (dtype, shape))
    found = made_of(store, record, "units.v1", shapes, lambda: _make(record, shape, dtype))
    bounds = {name: np.frombuffer(found[name].data, words_of(dtype)).reshape(shape) for name in shapes}
    return UnitIndex(record, bounds["largest"], bounds["smallest"])


def _make(record: LayerRecord, shape: tuple[int, int], dtype: str) -> Tensors:
    largest, lowest = (np.empty(shape, words_of(dtype)) for _ in range(2))
    for first, values, lengths in record.parts():
        # A few blocks at a time: what is made on the way stays in the processor's cache.
        for begin in range(0, len(values), 16 * BLOCK):
            end = begin + 16 * BLOCK
            some = _by_unit(values[begin:end], None if lengths is None else lengths[begin:end], record.track)
            starts = np.arange(0, len(some), BLOCK)
            at = (first + begin) // BLOCK
            largest[:, at : at + len(starts)] = _larger(some).reduceat(some, starts, axis=0).T
            lowest[:, at : at + len(starts)] = _smaller(some).reduceat(some, starts, axis=0).T
    return {"largest": to_raw(largest, dtype)["values"], "smallest": to_raw(lowest, dtype)["values"]}


def _units(track: Track) -> int:
    shape = track.shape
    if _first(track):
        return shape[0]
    return shape[-1] if len(shape) > (track.type == "padded") else 1


def _first(track: Track) -> bool:
    return track.type == "tensor" and len(track.shape) >= _FIRST


def _by_unit(values: Array, lengths: Array | None, track: Track) -> Array:
    """Return the value of each row at each unit [rows, units]."""
    wide = _held(widened(values, track.dtype), lengths)
    if _first(track):
        wide = np.moveaxis(wide.reshape(len(wide), track.shape[0], -1), 1, 2)
    else:
        wide = wide.reshape(len(wide), -1, _units(track))
    found: Array = wide[:, 0] if wide.shape[1] == 1 else _larger(wide).reduce(wide, axis=1)
    return found


def _of_unit(values: Array, lengths: Array | None, at: Array, unit: int, track: Track) -> Array:
    """Return the value at a unit of the rows ``at`` [n] of a chunk."""
    if _first(track):
        chosen = values[at, unit]
    elif len(track.shape) > (track.type == "padded"):
        chosen = values[at, ..., unit]
    else:
        chosen = values[at]
    flat = _held(widened(chosen, track.dtype), lengths).reshape(len(at), -1)
    found: Array = flat[:, 0] if flat.shape[1] == 1 else _larger(flat).reduce(flat, axis=1)
    return found


def _held(values: Array, lengths: Array | None) -> Array:
    """Return values [rows, steps, ...] with nothing behind the ends of rows that could be the largest."""
    if lengths is None:
        return values
    behind = np.arange(values.shape[1]) >= lengths[:, None]
    least = np.nan if values.dtype.kind == "f" else np.iinfo(values.dtype).min
    return np.where(behind.reshape(*behind.shape, *[1] * (values.ndim - 2)), values.dtype.type(least), values)


def _candidates(bounds: Array, k: int) -> Array:
    """Return the blocks that may hold one of the ``k`` best, by bound, then by number."""
    there = np.flatnonzero(bounds == bounds)  # Not a block of nothing but NaN, which is not itself.
    if k < len(there):
        # A bound is the value of a row: k blocks have a row each that is at least as good as the k-th best bound.
        there = there[bounds[there] <= np.partition(bounds[there], k - 1)[k - 1]]
    found: Array = there[np.argsort(bounds[there], kind="stable")]
    return found


def _turned(values: Array) -> Array:
    # The order of whole numbers is turned round by their bits: a minus would overflow.
    found: Array = -values if values.dtype.kind == "f" else ~values
    return found


def _as_they_are(values: Array) -> Array:
    return values


def _larger(values: Array) -> np.ufunc:
    return np.fmax if values.dtype.kind == "f" else np.maximum


def _smaller(values: Array) -> np.ufunc:
    return np.fmin if values.dtype.kind == "f" else np.minimum
