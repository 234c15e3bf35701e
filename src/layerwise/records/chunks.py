"""The bytes of a chunk: some rows of what left one layer, and nothing that says whose; equal rows are equal bytes.

A chunk of tensors is its values, little-endian, row after row. One of padded tensors has the lengths of its rows in
front, int64. One of an Arrow array is an Arrow stream of one column. What type and shape they are stands in the set.

>>> raw = {"values": RawTensor("F32", (2, 1), np.float32([1.5, 2.5]).tobytes())}
>>> sort_of(raw, "edges")
Sort(type='tensor', dtype='F32', shape=(1,))
>>> to_arrays(raw, "edges")[0].tolist()
[[1.5], [2.5]]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from layerwise.errors import Damaged, InvalidData
from layerwise.records.recordset import MIN_ROWS, Track
from layerwise.store.cold.streams import hold_plain
from layerwise.store.tables import canonical, check_values
from layerwise.store.tensors import SIZES, RawTensor, as_bytes
from layerwise.words import shorten

Raw: TypeAlias = Mapping[str, RawTensor] | pa.Array
"""What left a layer: ``{"values"}``, a tensor [rows, ...]; ``{"values", "lengths"}``, padded; or an Arrow array."""

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK_BYTES = 4 << 20
"""About how long a chunk is: long enough that its digest and its place cost nothing, short enough to be shared."""

MAX_CHUNK_ROWS = 1 << 17
"""Most rows of a chunk."""

MAX_ARROW_ROWS = 1 << 13
"""Most rows of a chunk of an Arrow array, whose rows may be short first and long later."""

WORDS: Mapping[str, np.dtype[Any]] = MappingProxyType[str, np.dtype[Any]](
    {
        "F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I64": np.dtype("<i8"),
        "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1"), "U64": np.dtype("<u8"),
        "U32": np.dtype("<u4"), "U16": np.dtype("<u2"), "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
        "C64": np.dtype("<c8"), "BF16": np.dtype("<u2"),
    }
)  # fmt: skip
"""NumPy's types by safetensors' words. NumPy has no bfloat16: its bits are kept and given as uint16."""

_BITS: Mapping[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4"), 8: np.dtype("<u8")}
_LENGTHS = np.dtype("<i8")
_COLUMN = "value"


@dataclass(frozen=True)
class Sort:
    """What the rows of one layer are: as in `Track`."""

    type: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row; 0 where rows differ (Arrow)."""
        if self.type == "arrow":
            return 0
        return math.prod(self.shape) * SIZES[self.dtype] + (_LENGTHS.itemsize if self.type == "padded" else 0)


def words_of(dtype: str) -> np.dtype[Any]:
    """Return the NumPy type that values of a type are given as; of those that NumPy has not, of the same width."""
    found: np.dtype[Any] = WORDS[dtype] if dtype in WORDS else _BITS[SIZES[dtype]]
    return found


def rows_per_chunk(row_bytes: float, most: int = MAX_CHUNK_ROWS) -> int:
    """Return how many rows a chunk has: a power of two, so that chunks of other record sets have the same rows.

    >>> rows_per_chunk(512), rows_per_chunk(10_000_000)
    (8192, 64)
    """
    fits = int(CHUNK_BYTES / max(row_bytes, 1))
    return min(most, max(MIN_ROWS, 1 << max(fits, 1).bit_length() - 1))


def sort_of(raw: Raw, layer: str) -> Sort:
    """Return what the rows of a value are.

    Raises:
        InvalidData: it is none of the three that can be kept; names the layer.
    """
    if isinstance(raw, pa.Array):
        return Sort("arrow", str(raw.type), ())
    names = set(raw) if isinstance(raw, Mapping) else set()
    if names not in ({"values"}, {"values", "lengths"}):
        found = sorted(names) or type(raw).__name__
        raise InvalidData(
            f"layer {layer}: {shorten(str(found))} cannot be kept; expected values, and lengths if padded"
        )
    values = raw["values"]
    if not values.shape:
        raise InvalidData(f"layer {layer}: a tensor without dimensions has no rows; expected [rows, ...]")
    if values.dtype not in SIZES:
        raise InvalidData(f"layer {layer}: the type {shorten(values.dtype)} cannot be kept")
    return Sort("tensor" if names == {"values"} else "padded", values.dtype, tuple(values.shape[1:]))


def to_arrays(raw: Mapping[str, RawTensor], layer: str) -> tuple[Array, Array | None]:
    """Return values [rows, ...] and, of a padded value, lengths [rows] int64: views of its bytes."""
    values = _to_array(raw["values"], layer)
    if "lengths" not in raw:
        return values, None
    lengths = _to_array(raw["lengths"], layer)
    if lengths.ndim != 1 or len(lengths) != len(values) or lengths.dtype.kind not in "iu":
        raise InvalidData(
            f"layer {layer}: lengths are {lengths.dtype} {list(lengths.shape)}; expected whole numbers [{len(values)}]"
        )
    return values, lengths.astype(_LENGTHS, copy=False)


def _to_array(tensor: RawTensor, layer: str) -> Array:
    words, data = words_of(tensor.dtype), as_bytes(tensor.data)
    if len(data) != math.prod(tensor.shape) * words.itemsize:
        raise InvalidData(f"layer {layer}: {len(data):,} bytes are not {tensor.dtype} {list(tensor.shape)}")
    return np.frombuffer(data, words).reshape(tensor.shape)


def to_raw(values: Array, dtype: str, lengths: Array | None = None) -> dict[str, RawTensor]:
    """Return values [rows, ...], and lengths [rows] of padded ones, as the store has tensors; nothing is copied."""
    found = {"values": _raw(values, dtype)}
    return found if lengths is None else found | {"lengths": _raw(lengths, "I64")}


def _raw(values: Array, dtype: str) -> RawTensor:
    flat = np.ascontiguousarray(values)
    return RawTensor(dtype, tuple(values.shape), flat.reshape(-1).view(np.uint8).data if flat.nbytes else b"")


def read_chunk(data: memoryview, track: Track, rows: int, what: str) -> tuple[Array, Array | None]:
    """Return the values and lengths of a chunk of tensors, as views of its bytes.

    Args:
        data: the chunk's bytes.
        track: what it is of.
        rows: how many it must have.
        what: how a message names it.

    Raises:
        Damaged: it has other bytes than so many rows take.
    """
    if len(data) != rows * track.row_bytes:
        raise Damaged(
            f"{what} has {len(data):,} bytes; {rows:,} rows of {track.dtype} {list(track.shape)} take "
            f"{rows * track.row_bytes:,}: it is cut short, or of something else"
        )
    head = rows * _LENGTHS.itemsize if track.type == "padded" else 0
    values = np.frombuffer(data[head:], words_of(track.dtype)).reshape(rows, *track.shape)
    return values, np.frombuffer(data[:head], _LENGTHS) if track.type == "padded" else None


def can_be_kept(kind: pa.DataType) -> bool:
    """Tell whether an Arrow array of a type can be kept: not those that need more than one message in a stream."""
    if isinstance(kind, pa.FixedShapeTensorType):
        return can_be_kept(kind.value_type)
    if pa.types.is_nested(kind):
        plain = pa.types.is_struct(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind)
        return (plain or pa.types.is_large_list(kind)) and all(
            can_be_kept(kind.field(at).type) for at in range(kind.num_fields)
        )
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    data = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind) or text or data)


def encode_arrow(array: pa.Array) -> pa.Buffer:
    """Return the bytes of a chunk of an Arrow array: the same for the same rows, however they lay in memory."""
    array = _compact(array)
    sink = pa.BufferOutputStream()
    schema = pa.schema([pa.field(_COLUMN, array.type)])
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([array], schema=schema))
    return sink.getvalue()


def _compact(array: pa.Array) -> pa.Array:
    if isinstance(array.type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(array.type, _compact(array.storage))
    # Blocks of datasets make every NaN one and -0.0 0.0; what left a layer is kept to the bit.
    if _is_plain(array.type):
        return canonical(array)
    return array.take(pa.array(np.arange(len(array))))


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return _is_plain(kind.value_type)
    fixed = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind)
    return bool(fixed or pa.types.is_string(kind) or pa.types.is_binary(kind))


def decode_arrow(data: memoryview, track: Track, rows: int, what: str) -> pa.Array:
    """Return the Arrow array of a chunk, as views of its bytes; raises Damaged where it is another, or no array."""
    hold_plain(data, what)
    try:
        with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
            batch = reader.read_next_batch()
    except MemoryError:
        raise  # Arrow's is an ArrowException too, and says nothing about the chunk.
    except (pa.ArrowException, StopIteration, OSError, ValueError) as error:
        raise Damaged(f"{what} is not an Arrow array: {str(error)[:200]}") from None
    kinds = [str(kind) for kind in batch.schema.types]
    if kinds != [track.dtype] or batch.num_rows != rows:
        raise Damaged(
            f"{what} has {batch.num_rows:,} rows of {shorten(', '.join(kinds))}; expected {rows:,} of {track.dtype}"
        )
    return check_values(batch, what).column(0)


def widened(values: Array, dtype: str) -> Array:
    """Return values as numbers that NumPy can compare: bfloat16 as float32, truth values as uint8, others as they are.

    Raises:
        InvalidData: complex numbers, and the floats of one byte.
    """
    if dtype == "BF16":
        wide = np.empty(values.shape, "<u4")
        np.left_shift(values, 16, out=wide, dtype="<u4", casting="unsafe")
        return wide.view("<f4")
    if dtype == "BOOL":
        return values.view("u1")
    if dtype not in WORDS or dtype == "C64":
        raise InvalidData(f"values of the type {dtype} are not compared; keep them as float16 or float32")
    return values
