"""Row ids: what names a row for ever, its key or the digest of its content; no two are the same.

>>> ids = ContentIds()
>>> digests = np.zeros((2, 16), dtype=np.uint8)
>>> [name[-4:] for name in ids.name(None, digests).to_pylist()]
['0000', '00#2']
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from layerwise.data.rows import DIGEST_BYTES, Bytes, leading
from layerwise.errors import InvalidData, nearest
from layerwise.words import shorten

MAX_ID = 1000
"""Longest key of a row, in bytes."""

_IN_MEMORY = 2 << 20
"""Larger runs live in a temporary file: a table larger than memory may have more ids than memory holds."""

_AT_ONCE = 1 << 16

Numbers = np.ndarray[Any, np.dtype[Any]]
Scratch = Callable[[int], Any]
"""Gives that many writable bytes: a temporary file's, mapped (``store.disk.scratch``), or memory's."""


class Seen:
    """A multiset of numbers that streams by: counts how often each came before, in 8 to 16 bytes a number."""

    def __init__(self, scratch: Scratch = bytearray) -> None:
        self._scratch = scratch
        self._runs: list[Numbers] = []

    def count(self, numbers: Numbers) -> Numbers:
        """Return how often each of ``numbers`` came before, in earlier calls or in this; shape as given."""
        order = np.argsort(numbers, kind="stable")
        run = numbers[order]
        earlier = np.arange(len(run)) - np.searchsorted(run, run)
        for old in self._runs:
            earlier += np.searchsorted(old, run, side="right") - np.searchsorted(old, run)
        self._keep(run)
        counts = np.empty_like(earlier)
        counts[order] = earlier
        return counts

    def _keep(self, run: Numbers) -> None:
        # Runs double in length, so there are few to search and each number is merged few times.
        while self._runs and len(self._runs[-1]) <= len(run):
            run = self._merged(self._runs.pop(), run)
        self._runs.append(run)

    def _merged(self, one: Numbers, other: Numbers) -> Numbers:
        # Part by part, so that only a part is in memory.
        merged = self._room(len(one) + len(other), one.dtype)
        for run, against, side in (one, other, "left"), (other, one, "right"):
            for start in range(0, len(run), _AT_ONCE):
                part = run[start : start + _AT_ONCE]
                places = np.searchsorted(against, part, side=side)  # type: ignore[call-overload]
                merged[np.arange(start, start + len(part)) + places] = part
        return merged

    def _room(self, length: int, dtype: np.dtype[Any]) -> Numbers:
        size = length * dtype.itemsize
        return np.empty(length, dtype) if size <= _IN_MEMORY else np.frombuffer(self._scratch(size), dtype)


class ContentIds:
    """Ids of rows without a key: 32 hexadecimal digits of the content; equal rows get ``#2``, ``#3``, …."""

    def __init__(self, scratch: Scratch = bytearray) -> None:
        self._seen = Seen(scratch)

    def name(self, batch: pa.RecordBatch | None, digests: Bytes) -> pa.Array:
        """Return the ids of the next rows from their digests, shape [rows, 16]."""
        earlier = self._seen.count(leading(digests))
        text = digests.tobytes().hex()
        width = 2 * DIGEST_BYTES
        offsets = pa.py_buffer(np.arange(len(digests) + 1, dtype="<i4") * width)
        plain = pa.Array.from_buffers(pa.string(), len(digests), [None, offsets, pa.py_buffer(text.encode())])
        if not earlier.any():
            return plain
        names = plain.to_pylist()
        for place in np.flatnonzero(earlier).tolist():
            names[place] += f"#{earlier[place] + 1}"
        return pa.array(names, pa.string())


class KeyIds:
    """Ids of rows with a key: the key's value as text, unique and never missing."""

    def __init__(self, key: str, schema: pa.Schema, scratch: Scratch = bytearray) -> None:
        if key not in schema.names:
            raise InvalidData(f"there is no column {shorten(key)} to be the key.{nearest(str(key), schema.names)}")
        found = schema.field(key).type
        if not (pa.types.is_string(found) or pa.types.is_integer(found)):
            raise InvalidData(f"the key {shorten(key)} is of type {found}; a key is text or whole numbers")
        self._key = key
        self._seen = Seen(scratch)

    def name(self, batch: pa.RecordBatch, digests: Bytes) -> pa.Array:
        """Return the ids of the next rows, or raise InvalidData with keys that are missing or come twice."""
        values = batch.column(self._key)
        if values.null_count:
            raise InvalidData(f"the key {shorten(self._key)} is missing in {values.null_count:,} rows; fill it in")
        names = values.cast(pa.string())
        lengths = pc.min_max(pc.binary_length(names)).as_py()
        if lengths["min"] < 1 or lengths["max"] > MAX_ID:
            raise InvalidData(f"the key {shorten(self._key)} must be 1 to {MAX_ID:,} bytes of text in every row")
        self._refuse_twice(names, self._seen.count(_numbers(values)))
        return names

    def _refuse_twice(self, names: pa.Array, earlier: Numbers) -> None:
        if not earlier.any():
            return
        twice = list(dict.fromkeys(names[place].as_py() for place in np.flatnonzero(earlier).tolist()))
        shown = ", ".join(shorten(name) for name in twice[:3]) + (", …" if len(twice) > 3 else "")
        raise InvalidData(
            f"the key {shorten(self._key)} names more than one row: {shown}; "
            "drop the repeated rows, choose a column that differs in every row, or give no key"
        )


def _numbers(values: pa.Array) -> Numbers:
    # Whole numbers are compared as they are, text by 128 bits of its digest: no refusal by mistake.
    if pa.types.is_integer(values.type):
        numbers: Numbers = values.to_numpy(zero_copy_only=False)
        return numbers
    digests = [blake3(value.encode()).digest(length=DIGEST_BYTES) for value in values.to_pylist()]
    return np.array(digests, dtype=f"S{DIGEST_BYTES}")
