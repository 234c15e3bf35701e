"""One layer's rows on their way into chunks: taken in any number at a time, given out in chunks of a fixed one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from layerwise.records.chunks import (
    MAX_ARROW_ROWS,
    Array,
    Raw,
    Sort,
    encode_arrow,
    rows_per_chunk,
    to_arrays,
)
from layerwise.records.recordset import MIN_ROWS
from layerwise.store.disk import Buffer
from layerwise.store.tensors import as_bytes


class Lane(Protocol):
    """The rows of one layer that wait for their chunk to be full."""

    rows: int
    """How many rows came in."""

    per_chunk: int
    """How many rows a chunk has; 0 while that is not known."""

    def take(self, raw: Raw) -> Iterator[list[Buffer]]:
        """Take the next rows and give the chunks that they fill; each must be used before the next is asked for."""

    def finish(self) -> Iterator[list[Buffer]]:
        """Give what is left, as chunks whose memory stays as it is."""


@dataclass(slots=True)
class TensorLane:
    """Rows of a tensor or a padded tensor.

    Args:
        layer: what a message calls it.
        sort: what its rows are.
        most: how many rows it will be at most: so much memory is never taken for less.
    """

    layer: str
    sort: Sort
    most: int
    rows: int = 0
    per_chunk: int = field(init=False)
    _values: Array | None = None
    _lengths: Array | None = None

    def __post_init__(self) -> None:
        self.per_chunk = rows_per_chunk(self.sort.row_bytes)

    def take(self, raw: Raw) -> Iterator[list[Buffer]]:
        """Take the next rows and give the chunks that they fill."""
        assert not isinstance(raw, pa.Array)
        values, lengths = to_arrays(raw, self.layer)
        at = 0
        while at < len(values):
            waiting = self.rows % self.per_chunk
            end = min(len(values), at + self.per_chunk - waiting)
            whole = end - at == self.per_chunk
            if not whole:
                self._fill(values[at:end], None if lengths is None else lengths[at:end], waiting)
            self.rows += end - at
            if whole:
                yield _chunk(values[at:end], None if lengths is None else lengths[at:end])
            elif self.rows % self.per_chunk == 0:
                yield self._waiting(self.per_chunk)
            at = end

    def finish(self) -> Iterator[list[Buffer]]:
        """Give what is left."""
        if self.rows % self.per_chunk:
            yield self._waiting(self.rows % self.per_chunk)

    def _fill(self, values: Array, lengths: Array | None, at: int) -> None:
        if self._values is None:
            room = min(self.per_chunk, max(self.most, at + len(values)))
            self._values = np.empty((room, *values.shape[1:]), values.dtype)
            self._lengths = None if lengths is None else np.empty(room, lengths.dtype)
        self._values[at : at + len(values)] = values
        if lengths is not None and self._lengths is not None:
            self._lengths[at : at + len(lengths)] = lengths

    def _waiting(self, rows: int) -> list[Buffer]:
        assert self._values is not None
        return _chunk(self._values[:rows], None if self._lengths is None else self._lengths[:rows])


def _chunk(values: Array, lengths: Array | None) -> list[Buffer]:
    parts = [values] if lengths is None else [lengths, values]
    flat = [np.ascontiguousarray(part).reshape(-1).view(np.uint8) for part in parts if part.nbytes]
    return [as_bytes(part.data) for part in flat]


@dataclass(slots=True)
class ArrowLane:
    """Rows of an Arrow array. How many a chunk has follows from the bytes of the first 64 rows alone."""

    rows: int = 0
    per_chunk: int = 0
    _waiting: list[pa.Array] = field(default_factory=list)

    def take(self, raw: Raw) -> Iterator[list[Buffer]]:
        """Take the next rows and give the chunks that they fill."""
        assert isinstance(raw, pa.Array)
        if len(raw):
            self._waiting.append(raw)
            self.rows += len(raw)
        if not self.per_chunk and self.rows >= MIN_ROWS:
            first = pa.concat_arrays(self._waiting).slice(0, MIN_ROWS)
            self.per_chunk = rows_per_chunk(len(encode_arrow(first)) / MIN_ROWS, MAX_ARROW_ROWS)
        while self.per_chunk and sum(map(len, self._waiting)) >= self.per_chunk:
            whole = pa.concat_arrays(self._waiting)
            self._waiting = [whole.slice(self.per_chunk)]
            yield [as_bytes(memoryview(encode_arrow(whole.slice(0, self.per_chunk))))]

    def finish(self) -> Iterator[list[Buffer]]:
        """Give what is left."""
        self.per_chunk = self.per_chunk or MIN_ROWS
        left = pa.concat_arrays(self._waiting) if self._waiting else None
        if left is not None and len(left):
            yield [as_bytes(memoryview(encode_arrow(left)))]
