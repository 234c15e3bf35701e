"""Blocks of rows as bytes: Arrow IPC, the same bytes for the same rows, read back without a copy.

A block is one Arrow IPC stream of one record batch, uncompressed. ``canonical`` first makes equal values
equal bytes: nothing hides under a missing value, every NaN is one NaN, and -0.0 is 0.0.

>>> block = encode_block(pa.record_batch({"age": pa.array([41, None])}))
>>> decode_block(memoryview(block), pa.schema([("age", pa.int64())]), "an example").to_pydict()
{'age': [41, None]}
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from layerwise.errors import Damaged
from layerwise.store.cold.streams import hold_plain

ROW = "__row__"
"""The column of a block that keeps the row ids."""

Words = np.ndarray[tuple[int], np.dtype[np.unsignedinteger]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


def validity(array: pa.Array) -> Flags | None:
    """Return which values are there, or None where none is missing."""
    if array.null_count == 0:
        return None
    flags: Flags = array.is_valid().to_numpy(zero_copy_only=False)
    return flags


def fixed_words(array: pa.Array) -> Words:
    """Return the values of a fixed-width array as unsigned integers of the same width, without a copy.

    Args:
        array: numbers, dates or times, of ``n`` values; not booleans.
    """
    width = array.type.bit_width // 8
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype=f"<u{width}")
    # A buffer may be longer than its values, by no whole number of them.
    return np.frombuffer(data, dtype=f"<u{width}", count=array.offset + len(array))[array.offset :]


def canonical(array: pa.Array) -> pa.Array:
    """Return equal values in equal bytes: fresh offsets, zeros under missing values, one NaN, no -0.0.

    Args:
        array: any kept type: fixed width, text, bytes, lists, tensors of fixed shape.
    """
    data_type = array.type
    if isinstance(data_type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(data_type, canonical(array.storage))
    if len(array) == 0:
        return pa.array([], data_type)
    if pa.types.is_boolean(data_type):
        return _canonical_bool(array)
    if pa.types.is_fixed_size_list(data_type):
        return _canonical_tensor(array)
    if pa.types.is_list(data_type):
        return _canonical_list(array)
    if pa.types.is_string(data_type) or pa.types.is_binary(data_type):
        return _canonical_text(array)
    return _canonical_fixed(array)


def _bitmap(valid: Flags | None) -> pa.Buffer | None:
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _canonical_bool(array: pa.Array) -> pa.Array:
    values = array.fill_null(False).to_numpy(zero_copy_only=False)
    return pa.Array.from_buffers(array.type, len(array), [_bitmap(validity(array)), _bitmap(values)])


def _canonical_fixed(array: pa.Array) -> pa.Array:
    valid, words = validity(array), fixed_words(array)
    if valid is not None:
        words = np.where(valid, words, words.dtype.type(0))
    if pa.types.is_floating(array.type):
        words = _canonical_floats(words)
    return pa.Array.from_buffers(array.type, len(array), [_bitmap(valid), pa.py_buffer(np.ascontiguousarray(words))])


_NAN = {2: 0x7E00, 4: 0x7FC00000, 8: 0x7FF8000000000000}
_INFINITY = {2: 0x7C00, 4: 0x7F800000, 8: 0x7FF0000000000000}


def _canonical_floats(words: Words) -> Words:
    width = words.dtype.itemsize
    sign = words.dtype.type(1 << (8 * width - 1))
    zeros = words == sign
    magnitudes = words & ~sign
    nans = magnitudes > words.dtype.type(_INFINITY[width])
    if not zeros.any() and not nans.any():
        return words
    cleaned: Words = np.where(nans, words.dtype.type(_NAN[width]), words)
    cleaned[zeros] = 0
    return cleaned


def _compact(array: pa.Array) -> pa.Array:
    # take() gives a missing value no bytes of its own, whatever the array hid under it.
    return array.take(pa.array(np.arange(len(array)))) if array.null_count else array


def _canonical_text(array: pa.Array) -> pa.Array:
    array = _compact(array)
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, dtype="<i4", count=array.offset + len(array) + 1)[array.offset :]
    first, last = int(starts[0]), int(starts[-1])
    used = pa.py_buffer(b"") if data is None else data.slice(first, last - first)
    buffers = [_bitmap(validity(array)), pa.py_buffer(starts - starts[0]), used]
    return pa.Array.from_buffers(array.type, len(array), buffers)


def _canonical_list(array: pa.Array) -> pa.Array:
    array = _compact(array)
    starts = array.offsets.to_numpy(zero_copy_only=False)
    items = canonical(array.values.slice(int(starts[0]), int(starts[-1] - starts[0])))
    buffers = [_bitmap(validity(array)), pa.py_buffer(np.ascontiguousarray(starts - starts[0], dtype="<i4"))]
    return pa.Array.from_buffers(array.type, len(array), buffers, children=[items])


def _canonical_tensor(array: pa.Array) -> pa.Array:
    valid, size = validity(array), array.type.list_size
    items = array.values.slice(array.offset * size, len(array) * size)
    if valid is not None:
        words = np.where(np.repeat(valid, size), fixed_words(items), 0).astype(f"<u{items.type.bit_width // 8}")
        items = pa.Array.from_buffers(items.type, len(items), [None, pa.py_buffer(words)])
    return pa.Array.from_buffers(array.type, len(array), [_bitmap(valid)], children=[canonical(items)])


def encode_block(batch: pa.RecordBatch) -> pa.Buffer:
    """Return the bytes of one block. Equal rows under an equal schema are equal bytes."""
    arrays = [canonical(column) for column in batch.columns]
    # Metadata of the source (pandas' index, Polars' categories) must not reach the bytes.
    schema = pa.schema([pa.field(field.name, array.type) for field, array in zip(batch.schema, arrays, strict=True)])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return sink.getvalue()


def decode_block(data: memoryview, schema: pa.Schema, what: str) -> pa.RecordBatch:
    """Return the rows of a block as views on ``data``.

    Args:
        data: the bytes of one block, usually memory-mapped.
        schema: the columns the block must have, in their order.
        what: how a message names the block, e.g. ``"block 3 of digits-data@2"``.

    Raises:
        Damaged: the bytes are not one batch of rows of that schema, or hold more than they show.
    """
    hold_plain(data, what)
    try:
        with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
            same = reader.schema.equals(schema, check_metadata=True)
            batch = reader.read_next_batch() if same else None
    except MemoryError:
        raise  # Arrow's is an ArrowException too, and says nothing about the block.
    except (pa.ArrowException, StopIteration, OSError, ValueError) as error:
        raise Damaged(f"{what} is not an Arrow block: {str(error)[:200]}") from None
    if batch is None:
        raise Damaged(f"{what} has other columns than its manifest says")
    return batch


def check_values(batch: pa.RecordBatch, what: str) -> pa.RecordBatch:
    """Return ``batch`` once its offsets and text are known to stay inside it, else raise Damaged.

    Arrow trusts offsets; a block that came from elsewhere must not make a reader touch other memory.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowException as error:
        raise Damaged(f"{what} has offsets or text that cannot be: {str(error)[:200]}") from None
    return batch
