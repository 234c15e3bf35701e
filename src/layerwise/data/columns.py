"""Bring a column to the type it is kept as: dictionaries decoded, large types small, nested lists tensors.

>>> keep(pa.array(["a", "b"]).dictionary_encode(), pa.string(), "letter").type
DataType(string)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from layerwise.data.schema import NUMBERS, check_names, is_tensor, list_type, tensor_type, type_text
from layerwise.errors import InvalidData
from layerwise.words import shorten

_KEPT = (
    "numbers, true/false, text, bytes, dates and times, lists of numbers or text, tensors of one shape; "
    "turn the column into one of these or leave it out"
)


def kept_schema(batch: pa.RecordBatch) -> pa.Schema:
    """Return the schema that rows like these are kept under.

    Args:
        batch: the first rows of a source: the shape of nested lists is taken from its first value.

    Raises:
        InvalidData: a name or a type that cannot be kept, naming the column.
    """
    check_names(batch.schema.names)
    fields = zip(batch.schema, batch.columns, strict=True)
    return pa.schema([(field.name, _kept_type(field, column)) for field, column in fields])


def _kept_type(field: pa.Field, column: pa.Array) -> pa.DataType:
    metadata = field.metadata or {}
    if b"ARROW:extension:name" in metadata:
        raise _refused(field.name, metadata[b"ARROW:extension:name"].decode("ascii", "replace"))
    found = kept_type(field.type, field.name, lambda: column)
    if found is None:
        raise _refused(field.name, str(field.type))
    return found


def _refused(column: str, found: str) -> InvalidData:
    return InvalidData(f"column {shorten(column)} is of type {shorten(found)}, which is not kept; kept are {_KEPT}")


def kept_type(data_type: pa.DataType, column: str, values: Callable[[], pa.Array]) -> pa.DataType | None:
    """Return the type that a column of ``data_type`` is kept as, or None where it cannot be."""
    for matches, kept in _RULES:
        if matches(data_type):
            return kept(data_type, column, values)
    return data_type if type_text(data_type) in _AS_THEY_ARE else None


_AS_THEY_ARE = {
    *NUMBERS,
    "bool",
    "string",
    "binary",
    "date32",
    "time32[s]",
    "time32[ms]",
    "time64[us]",
    "time64[ns]",
}


def _item_type(data_type: pa.DataType, column: str, values: Callable[[], pa.Array]) -> pa.DataType | None:
    return kept_type(data_type.value_type, column, values)


def _kept_timestamp(data_type: pa.DataType, column: str, values: Callable[[], pa.Array]) -> pa.DataType:
    # Seconds and milliseconds are microseconds too, so a CSV and a frame of the same days are the same rows.
    return pa.timestamp("ns" if data_type.unit == "ns" else "us", tz=data_type.tz)


def _kept_tensor(data_type: pa.DataType, column: str, values: Callable[[], pa.Array]) -> pa.DataType | None:
    permutation = data_type.permutation
    if permutation is not None and list(permutation) != sorted(permutation):
        raise InvalidData(f"column {shorten(column)}: a tensor with permuted dimensions is not kept; transpose it")
    return _tensor_of(data_type.value_type, list(data_type.shape), column)


def _tensor_of(item: pa.DataType, shape: list[int], column: str) -> pa.DataType | None:
    item = pa.uint8() if pa.types.is_boolean(item) else item
    return tensor_type(item, shape, column) if item in NUMBERS.values() else None


def _kept_fixed_list(data_type: pa.DataType, column: str, values: Callable[[], pa.Array]) -> pa.DataType | None:
    shape: list[int] = []
    while pa.types.is_fixed_size_list(data_type):
        shape.append(data_type.list_size)
        data_type = data_type.value_type
    return _tensor_of(data_type, shape, column)


def _kept_list(data_type: pa.DataType, column: str, values: Callable[[], pa.Array]) -> pa.DataType | None:
    if _is_any_list(data_type.value_type):
        return _nested(data_type, column, values())
    if pa.types.is_null(data_type.value_type):
        return pa.list_(pa.float64())
    item = kept_type(data_type.value_type, column, values)
    return None if item is None else list_type(item)


def _nested(data_type: pa.DataType, column: str, values: pa.Array) -> pa.DataType | None:
    # Lists of lists are kept only as tensors; the first value gives the shape.
    while _is_any_list(data_type):
        data_type = data_type.value_type
    first = next((value for value in values if value.is_valid), None)
    if first is None:
        raise InvalidData(f"column {shorten(column)}: the first rows hold no value to take a tensor's shape from")
    try:
        shape = np.asarray(first.as_py()).shape
    except ValueError:
        raise InvalidData(f"column {shorten(column)}: the lists of the first value differ in length") from None
    return _tensor_of(pa.float64() if pa.types.is_null(data_type) else data_type, list(shape), column)


def _is_any_list(data_type: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_list(data_type)
        or types.is_large_list(data_type)
        or types.is_list_view(data_type)
        or types.is_large_list_view(data_type)
        or types.is_fixed_size_list(data_type)
    )


def _is_image(data_type: pa.DataType) -> bool:
    """Say whether this is how Hugging Face keeps an image or a sound: its bytes and a path."""
    return bool(pa.types.is_struct(data_type)) and {field.name for field in data_type} == {"bytes", "path"}


def _is_nd(data_type: pa.DataType) -> bool:
    # Hugging Face's Array2D … Array5D: an extension of nested lists that says its shape.
    return isinstance(data_type, pa.ExtensionType) and type(data_type).__module__.startswith("datasets.")


def _kept_nd(data_type: pa.DataType, column: str, values: Callable[[], pa.Array]) -> pa.DataType | None:
    item = data_type.storage_type
    while _is_any_list(item):
        item = item.value_type
    shape = getattr(data_type, "shape", ())
    return _tensor_of(item, list(shape), column) if all(isinstance(size, int) for size in shape) else None


def _always(kept: pa.DataType) -> Callable[..., pa.DataType]:
    return lambda *_: kept


_Rule = tuple[Callable[[pa.DataType], bool], Callable[..., Any]]

_RULES: list[_Rule] = [
    (is_tensor, _kept_tensor),
    (_is_nd, _kept_nd),
    (lambda found: isinstance(found, pa.BaseExtensionType), _always(None)),
    (pa.types.is_dictionary, _item_type),
    (pa.types.is_run_end_encoded, _item_type),
    (pa.types.is_null, _always(pa.float64())),
    (pa.types.is_decimal, _always(pa.float64())),
    (pa.types.is_date64, _always(pa.date32())),
    (pa.types.is_timestamp, _kept_timestamp),
    (pa.types.is_duration, lambda found, *_: found),
    (lambda found: pa.types.is_large_string(found) or pa.types.is_string_view(found), _always(pa.string())),
    (lambda found: pa.types.is_large_binary(found) or pa.types.is_binary_view(found), _always(pa.binary())),
    (pa.types.is_fixed_size_binary, _always(pa.binary())),
    (_is_image, _always(pa.binary())),
    (pa.types.is_fixed_size_list, _kept_fixed_list),
    (_is_any_list, _kept_list),
]


def keep(array: pa.Array, kept: pa.DataType, column: str) -> pa.Array:
    """Return ``array`` as the type it is kept as, or raise InvalidData with the column and the obstacle."""
    if array.type == kept:
        return array
    try:
        return _converted(array, kept, column)
    except (pa.ArrowException, NotImplementedError, OverflowError) as error:
        raise InvalidData(
            f"column {shorten(column)}: {array.type} does not become {type_text(kept)}: {str(error)[:200]}"
        ) from None


def _converted(array: pa.Array, kept: pa.DataType, column: str) -> pa.Array:
    if is_tensor(kept):
        return _as_tensor(array, kept, column)
    if pa.types.is_dictionary(array.type):
        # The few values are converted before they are spread: Arrow cannot spread every type of them.
        return keep(array.dictionary, kept, column).take(array.indices)
    if pa.types.is_run_end_encoded(array.type):
        return keep(pc.run_end_decode(array), kept, column)
    if _is_image(array.type):
        return _as_bytes(array, column)
    return array.cast(kept)


def _as_bytes(array: pa.Array, column: str) -> pa.Array:
    stored = array.field("bytes") if array.offset == 0 else pc.struct_field(array, "bytes")
    stored = pc.if_else(array.is_valid(), stored, pa.scalar(None, stored.type))
    lost = pc.sum(pc.and_(array.is_valid(), stored.is_null())).as_py()
    if lost:
        raise InvalidData(
            f"column {shorten(column)}: {lost:,} values name a file and hold no bytes; "
            "embed them first (datasets.table.embed_table_storage)"
        )
    return stored.cast(pa.binary())


def _as_tensor(array: pa.Array, kept: pa.DataType, column: str) -> pa.Array:
    size, sizes = kept.storage_type.list_size, list(kept.shape)
    if is_tensor(array.type) and list(array.type.shape) == sizes:
        sizes = [size]
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    missing = array.null_count
    whole = array.drop_null() if missing else array
    items = whole
    for level in sizes:
        lengths = items.value_lengths() if not pa.types.is_fixed_size_list(items.type) else None
        wrong = items.type.list_size != level if lengths is None else pc.any(pc.not_equal(lengths, level)).as_py()
        if wrong or items.null_count:
            raise InvalidData(f"column {shorten(column)}: a value is not of shape {sizes}, the shape of the first")
        items = items.flatten()
    if items.null_count or len(items) != size * len(whole):
        raise InvalidData(f"column {shorten(column)}: a tensor of shape {sizes} holds missing values; fill them")
    items = items.cast(kept.value_type)
    if missing:
        items = _spread(items, array, size)
    storage = pa.FixedSizeListArray.from_arrays(items, size, mask=array.is_null() if missing else None)
    return pa.ExtensionArray.from_storage(kept, storage.cast(kept.storage_type))


def _spread(items: pa.Array, array: pa.Array, size: int) -> pa.Array:
    # Missing tensors get zeros to stand on, as Arrow wants the same room for every row.
    filled = np.zeros((len(array), size), dtype=items.type.to_pandas_dtype())
    filled[array.is_valid().to_numpy(zero_copy_only=False)] = items.to_numpy(zero_copy_only=False).reshape(-1, size)
    return pa.array(filled.reshape(-1), items.type)
