"""Which row of a record is meant: rows' positions in their dataset, and rows' ids, each looked up in microseconds.

>>> places = Positions.of(np.array([7, 3, 9]))
>>> places.slots(np.array([3, 4, 9])).tolist(), places.slot(7)
([1, -1, 2], 0)
>>> names = Ids.read(memoryview(b"".join(Ids.encode(["ann", "bob"]))), 2, "an example")
>>> names.slot("bob"), names[0], names.slot("carl")
(1, 'ann', -1)
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash

from layerwise.errors import Damaged, InvalidData
from layerwise.store.disk import Buffer
from layerwise.store.tensors import RawTensor, frame, unframe
from layerwise.words import shorten

Places = np.ndarray[Any, np.dtype[np.int64]]

_ROOM, _SMALL = 16, 1 << 16
"""Where positions are at most so many times the rows, or at most so large, each has a place in an array."""

MAX_ID = 10_000
"""Longest id of a row, in bytes of UTF-8."""


class Positions:
    """Where each position is in a record: -1 where it is not kept.

    Args:
        kept: positions [rows] int64, in the order of the record's rows; None: they are 0 to ``rows`` - 1.
        rows: how many there are.
    """

    def __init__(self, kept: Places | None, rows: int) -> None:
        self.kept = kept
        self.rows = rows
        self._map: Places | None = None
        self._ranked = self._order = np.empty(0, np.int64)
        if kept is not None and rows:
            size = int(kept.max()) + 1
            if size <= max(_ROOM * rows, _SMALL):
                self._map = np.full(size, -1, np.int32 if rows < 1 << 31 else np.int64)
                self._map[kept] = np.arange(rows)
            else:
                self._order = np.argsort(kept, kind="stable")
                self._ranked = kept[self._order]
        # One number is read faster from a memoryview, as Python's own, than from an array.
        self._one = (self._ranked if self._map is None else self._map).data

    @classmethod
    def of(cls, kept: Places) -> Positions:
        """Return those of an array [rows]."""
        return cls(check_positions(kept, len(kept)), len(kept))

    def slot(self, position: int) -> int:
        """Return the row of the record that has one position, or -1."""
        if self.kept is None:
            return position if 0 <= position < self.rows else -1
        if self._map is not None:
            return self._one[position] if 0 <= position < len(self._one) else -1
        at = bisect_left(self._one, position)
        return int(self._order[at]) if at < self.rows and self._one[at] == position else -1

    def slots(self, positions: Places) -> Places:
        """Return the rows of the record that have these positions [n], as [n] int64; -1 where one is not kept."""
        wanted = np.asarray(positions, dtype=np.int64)
        size = self.rows if self._map is None else len(self._map)
        if self.kept is None or self._map is not None:
            # As unsigned numbers those below 0 are larger than any other.
            inside = wanted.view(np.uint64) < size
            if not inside.all():
                found = np.full(len(wanted), -1, np.int64)
                found[inside] = wanted[inside] if self._map is None else self._map[wanted[inside]]
                return found
            return wanted if self._map is None else self._map[wanted].astype(np.int64)
        if not self.rows:
            return np.full(len(wanted), -1, np.int64)
        at = np.minimum(np.searchsorted(self._ranked, wanted), self.rows - 1)
        return np.where(self._ranked[at] == wanted, self._order[at], -1)


def check_positions(positions: Any, rows: int) -> Places:
    """Return positions as int64 [rows], or raise InvalidData: a number below 0, one twice, or not so many."""
    found = np.asarray(positions)
    if found.dtype.kind not in "iu" or found.shape != (rows,):
        raise InvalidData(f"positions are {found.dtype} {list(found.shape)}; expected whole numbers [{rows}]")
    found = np.ascontiguousarray(found, dtype="<i8")
    if rows and int(found.min()) < 0:
        raise InvalidData(f"a row's position counts from 0, found {int(found.min())}")
    ranked = np.sort(found)
    twice = ranked[1:][ranked[1:] == ranked[:-1]]
    if len(twice):
        raise InvalidData(f"the position {int(twice[0])} is there twice; a record has each row once")
    return found


def read_positions(data: memoryview, rows: int, what: str) -> Places:
    """Return the positions that an object holds, or raise Damaged."""
    if len(data) != 8 * rows:
        raise Damaged(f"{what} have {len(data):,} bytes; {rows:,} rows take {8 * rows:,}")
    try:
        return check_positions(np.frombuffer(data, "<i8"), rows)
    except InvalidData as error:
        raise Damaged(f"{what}: {error}") from None


class Ids:
    """The ids of a record's rows, in their order, and which row has an id; all on the bytes of one object.

    The object is a safetensors file: ``text``, the ids' UTF-8 end to end; ``offsets``, where each begins, and the end;
    ``hashes``, the XXH3 of 64 bits of each id, rising; ``slots``, which row each is of.
    """

    def __init__(self, text: memoryview, offsets: memoryview, hashes: memoryview, slots: memoryview) -> None:
        self._text, self._offsets, self._hashes, self._slots = text, offsets, hashes, slots
        self._spread = 8 * math.isqrt(len(slots)) + 16

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, slot: int) -> str:
        return str(self._bytes(slot), "utf-8")

    def slot(self, row: str) -> int:
        """Return the first row of the record that has an id, or -1."""
        wanted = row.encode("utf-8", "surrogatepass")
        key = _hash(wanted)
        hashes, count, found = self._hashes, len(self._slots), -1
        # Hashes are spread evenly: the place of one is known to a few times the root of how many there are.
        guess = key * count >> 64
        low, high = max(guess - self._spread, 0), min(guess + self._spread, count)
        if (low and hashes[low] >= key) or (high < count and hashes[high] <= key):
            low, high = 0, count
        at = bisect_left(hashes, key, low, high)
        while at < count and hashes[at] == key:
            slot = self._slots[at]
            if self._bytes(slot) == wanted and (found < 0 or slot < found):
                found = slot
            at += 1
        return found

    def all(self) -> list[str]:
        """Return every id, in the order of rows."""
        return [self[slot] for slot in range(len(self))]

    def _bytes(self, slot: int) -> memoryview:
        return self._text[self._offsets[slot] : self._offsets[slot + 1]]

    @staticmethod
    def encode(ids: Sequence[str]) -> list[Buffer]:
        """Return the bytes of the object for some ids; raises InvalidData for one that is no text, or too long."""
        texts = [_encoded(row) for row in ids]
        hashes = np.array([_hash(text) for text in texts], dtype="<u8")
        order = np.argsort(hashes, kind="stable").astype("<i8")
        offsets = np.zeros(len(texts) + 1, dtype="<i8")
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        text = b"".join(texts)
        return frame(
            {
                "hashes": RawTensor("U64", hashes.shape, hashes[order].tobytes()),
                "offsets": RawTensor("I64", offsets.shape, offsets.tobytes()),
                "slots": RawTensor("I64", order.shape, order.tobytes()),
                "text": RawTensor("U8", (len(text),), text),
            }
        )

    @classmethod
    def read(cls, data: memoryview, rows: int, what: str) -> Ids:
        """Return the ids that an object holds, or raise Damaged or InvalidFile."""
        found = unframe(data, what)
        shapes = {name: (tensor.dtype, tensor.shape) for name, tensor in found.items()}
        length = len(found["text"].data) if "text" in found else 0
        expected = {
            "hashes": ("U64", (rows,)), "offsets": ("I64", (rows + 1,)), "slots": ("I64", (rows,)),
            "text": ("U8", (length,)),
        }  # fmt: skip
        if shapes != expected:
            raise Damaged(f"{what} are {shorten(str(shapes))}; expected {expected}")
        offsets, slots = (np.frombuffer(found[name].data, "<i8") for name in ("offsets", "slots"))
        rising = offsets[0] == 0 and offsets[-1] == length and bool((offsets[1:] >= offsets[:-1]).all())
        if not rising or (rows and (int(slots.min()) < 0 or int(slots.max()) >= rows)):
            raise Damaged(f"{what} say that a row's id is where none is")
        hashes = np.frombuffer(found["hashes"].data, "<u8")
        return cls(memoryview(found["text"].data), offsets.data, hashes.data, slots.data)


def _hash(text: bytes) -> int:
    # It finds a place and names nothing; BLAKE3 takes ten times as long for so few bytes.
    return xxhash.xxh3_64_intdigest(text)


def _encoded(row: object) -> bytes:
    if not isinstance(row, str):
        raise InvalidData(f"a row's id is text, found {shorten(row)}")
    try:
        text = row.encode()
    except UnicodeEncodeError:
        raise InvalidData(f"the id {row[:60]!a} holds half of a character; UTF-8 cannot keep it") from None
    if len(text) > MAX_ID:
        raise InvalidData(f"the id {shorten(row)} has {len(text):,} bytes; at most {MAX_ID:,}")
    return text
