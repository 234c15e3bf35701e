"""Rows gathered from many chunks as fast as from one array.

A chunk's rows lie together, chunks lie anywhere: in several packs, with other layers' chunks between. To sort the rows
by chunk and copy them chunk by chunk takes three to seven times as long as NumPy takes for rows of one array. So where
all chunks are mapped, and stay mapped, memory itself is taken for the array, from the lowest chunk to the highest, and
a row is where its address says; nothing is read but rows of chunks.

>>> parts = [np.arange(128, dtype="<f4").reshape(64, 2), np.arange(128, 192, dtype="<f4").reshape(32, 2)]
>>> spread = Spread(count=2, per_chunk=64)
>>> spread.gather(np.array([95, 0]), lambda number: parts[number]).tolist()
[[190.0, 191.0], [0.0, 1.0]]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from math import gcd
from typing import Any

import numpy as np

from layerwise.records.chunks import Array
from layerwise.records.keys import Places

_UNIT = 8
"""Chunks begin at multiples of so many bytes: objects at multiples of 64; lengths in front of values take 8 each."""


class Spread:
    """The rows of chunks that stay where they are.

    Args:
        count: how many chunks there are.
        per_chunk: rows of each but the last; a power of two.
    """

    def __init__(self, count: int, per_chunk: int) -> None:
        self._shift = per_chunk.bit_length() - 1
        self._mask = per_chunk - 1
        self._starts = np.full(count, -1, np.int64)
        # What the addresses are of: it must not go away while they are known.
        self._kept: list[Array | None] = [None] * count

    def gather(self, slots: Places, load: Callable[[int], Array]) -> Array:
        """Return the rows [n, ...] of slots [n], each of which is there, as a copy.

        Args:
            slots: at least one, counted over all chunks.
            load: gives the rows of a chunk, the first time that it is needed; they must stay where they are.
        """
        numbers = slots >> self._shift
        starts = self._starts[numbers]
        if int(starts.min()) < 0:
            for number in np.unique(numbers[starts < 0]).tolist():
                self._place(number, load(number))
            starts = self._starts[numbers]
        like = self._kept[int(numbers[0])]
        assert like is not None
        row = int(np.prod(like.shape[1:])) * like.itemsize
        if row == 0:
            return np.empty((len(slots), *like.shape[1:]), like.dtype)
        low, high, unit = int(starts.min()), int(starts.max()), gcd(row, _UNIT)
        places = (starts - low + (slots & self._mask) * row) // unit
        memory = np.asarray(_Memory(low, (high - low + (self._mask + 1) * row) // unit, unit, row))
        found: Array = memory[places].view(like.dtype).reshape(len(slots), *like.shape[1:])
        return found

    def _place(self, number: int, values: Array) -> None:
        if values.__array_interface__["data"][0] % _UNIT or not values.flags.c_contiguous:
            values = values.copy()
        # First: an address is good as long as what lies there is held.
        self._kept[number] = values
        self._starts[number] = values.__array_interface__["data"][0]


class _Memory:
    """Memory from an address on, as NumPy sees it: ``count`` items of ``row`` bytes, each ``unit`` behind the last."""

    def __init__(self, low: int, count: int, unit: int, row: int) -> None:
        self.__array_interface__ = {
            "version": 3, "data": (low, True), "shape": (count,), "strides": (unit,), "typestr": f"|V{row}",
        }  # fmt: skip


def by_chunk(slots: Places, per_chunk: int) -> Iterator[tuple[int, Any]]:
    """Give, for each chunk that has some of ``slots``, its number and where in ``slots`` they are.

    >>> slots = np.array([70, 1, 65])
    >>> [(number, slots[at].tolist()) for number, at in by_chunk(slots, 64)]
    [(0, [1]), (1, [70, 65])]
    """
    if not len(slots):
        return
    numbers = slots // per_chunk
    if bool((numbers[1:] >= numbers[:-1]).all()):
        order: Any = None
    else:
        # A narrow type is sorted by counting, several times as fast.
        narrow = numbers.astype(np.uint16) if int(numbers.max()) < 1 << 16 else numbers
        order = np.argsort(narrow, kind="stable")
        numbers = numbers[order]
    starts = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), len(slots)]
    for begin, end in pairwise(starts):
        yield int(numbers[begin]), slice(begin, end) if order is None else order[begin:end]
