"""Who a row is: its canonical bytes, its digest, and its id.

A row's bytes are its values in the order of the columns' names, each in its fixed width or with its length in
front, after a tag of the schema. They do not depend on the source, on batches, or on Arrow's encoding.

>>> batch = pa.record_batch({"age": pa.array([41, 41])})
>>> row_digests(batch).shape
(2, 16)
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from layerwise.canonical import encode
from layerwise.data.schema import to_json
from layerwise.store.tables import canonical, fixed_words, validity

DIGEST_BYTES = 16
"""Bytes of a row's digest: 32 hexadecimal digits."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Offsets = np.ndarray[Any, np.dtype[np.int64]]


def schema_tag(schema: pa.Schema) -> bytes:
    """Return 16 bytes that stand for the names and types of the columns, in any order."""
    columns = sorted(to_json(schema), key=lambda column: column["name"])
    return blake3(b"layerwise.row.v1" + encode(columns)).digest(length=DIGEST_BYTES)


def row_digests(batch: pa.RecordBatch) -> Bytes:
    """Return the digest of every row, shape [rows, 16]."""
    return row_digests_and_sizes(batch)[0]


def row_digests_and_sizes(batch: pa.RecordBatch) -> tuple[Bytes, Offsets]:
    """Return the digest of every row, shape [rows, 16], and its canonical bytes' count, shape [rows]."""
    data, offsets = row_bytes(batch)
    bounds = offsets.tolist()
    pairs = pairwise(bounds)
    digests = b"".join([blake3(data[start:end]).digest(length=DIGEST_BYTES) for start, end in pairs])
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES), np.diff(offsets)


def row_bytes(batch: pa.RecordBatch) -> tuple[memoryview, Offsets]:
    """Return the canonical bytes of all rows, one after another, and where each begins, shape [rows + 1]."""
    order = sorted(range(batch.num_columns), key=lambda place: batch.schema.names[place])
    columns = [canonical(batch.column(place)) for place in order]
    return _encode(columns, schema_tag(batch.schema), batch.num_rows)


def _encode(columns: list[pa.Array], tag: bytes, rows: int) -> tuple[memoryview, Offsets]:
    fixed: list[Bytes] = [np.broadcast_to(np.frombuffer(tag, dtype=np.uint8), (rows, len(tag)))]
    fixed.append(_flags(columns, rows))
    variable: list[pa.Array] = []
    for column in columns:
        part, rest = _parts(column)
        fixed.append(part)
        if rest is not None:
            variable.append(rest)
    matrix = np.concatenate(fixed, axis=1)
    width = matrix.shape[1]
    starts = np.arange(rows + 1, dtype=np.int64) * width
    if not variable:
        return memoryview(matrix.reshape(-1).data), starts
    front = _large_binary(pa.py_buffer(matrix), starts)
    joined = pc.binary_join_element_wise(front, *variable, pa.scalar(b"", pa.large_binary()))
    _, offsets, data = joined.buffers()
    return memoryview(data), np.frombuffer(offsets, dtype="<i8")[: rows + 1]


def _flags(columns: list[pa.Array], rows: int) -> Bytes:
    # One bit a column says that the value is there; columns without gaps need no look.
    there = np.ones((rows, len(columns)), dtype=np.bool_)
    if not any(column.null_count for column in columns):
        return np.broadcast_to(np.packbits(there[:1], axis=1), (rows, (len(columns) + 7) // 8))
    for place, column in enumerate(columns):
        valid = validity(column)
        if valid is not None:
            there[:, place] = valid
    return np.packbits(there, axis=1)


def _parts(column: pa.Array) -> tuple[Bytes, pa.Array | None]:
    """Return the part of fixed width, shape [rows, width], and what follows it, if its length varies."""
    rows, data_type = len(column), column.type
    if isinstance(data_type, pa.BaseExtensionType):
        items = column.storage.values
        return fixed_words(items).view(np.uint8).reshape(rows, -1), None
    if pa.types.is_boolean(data_type):
        return column.fill_null(False).to_numpy(zero_copy_only=False).view(np.uint8).reshape(rows, 1), None
    if pa.types.is_string(data_type) or pa.types.is_binary(data_type):
        _, starts, data = column.buffers()
        offsets = np.frombuffer(starts, dtype="<i4")[: rows + 1].astype(np.int64)
        return _lengths(offsets), _large_binary(data, offsets)
    if pa.types.is_list(data_type):
        items = column.values
        inner, bounds = _encode([items], b"", len(items))
        offsets = bounds[column.offsets.to_numpy()]
        return _lengths(offsets), _large_binary(pa.py_buffer(inner), offsets)
    words = fixed_words(column)
    return words.view(np.uint8).reshape(rows, words.dtype.itemsize), None


def _lengths(offsets: Offsets) -> Bytes:
    return np.diff(offsets).view(np.uint8).reshape(-1, 8)


def _large_binary(data: pa.Buffer, offsets: Offsets) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), data]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def leading(digests: Bytes) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return the first 8 bytes of each digest as a number, shape [rows]."""
    return np.ascontiguousarray(digests[:, :8]).view("<u8").reshape(-1)
