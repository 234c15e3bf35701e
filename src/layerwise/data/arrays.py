"""A dict of arrays as rows: each array is a column, arrays of more dimensions are columns of tensors.

>>> source = open_arrays({"image": np.zeros((3, 8, 8), dtype=np.uint8)}, "an example")
>>> next(iter(source.batches)).schema.field("image").type.shape
[8, 8]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.data.schema import check_names, tensor_type
from layerwise.data.source import Source
from layerwise.errors import InvalidData
from layerwise.words import shorten

Array = np.ndarray[Any, np.dtype[Any]]

_PLACE = re.compile(r" at 0x[0-9a-fA-F]+")


def open_arrays(arrays: Mapping[Any, Any], what: str) -> Source:
    """Return a dict of arrays as a stream of rows.

    Args:
        arrays: by column name, each of shape [rows] or [rows, …]: NumPy, Arrow, lists, what NumPy can read.
        what: how a message names the dict.

    Raises:
        InvalidData: a name that cannot be one, arrays of different lengths, or of a type that is not kept.
    """
    check_names(arrays)
    columns = {name: _column(name, values) for name, values in arrays.items()}
    same_lengths({name: len(values) for name, values in columns.items()}, what)
    return Source(what, _batches(columns))


def same_lengths(lengths: Mapping[str, int], what: str) -> int:
    """Return the one length of all columns, or raise InvalidData with two that differ."""
    (first, length), *rest = lengths.items()
    for name, other in rest:
        if other != length:
            raise InvalidData(
                f"{what}: {shorten(first)} has {length:,} rows and {shorten(name)} has {other:,}; "
                "every column needs the same number"
            )
    return length


def _batches(columns: Mapping[str, pa.ChunkedArray | pa.Array | Array]) -> Iterator[pa.RecordBatch]:
    # A tensor column is wrapped, not copied; Table aligns the chunks of columns that have several.
    yield from pa.table(
        {name: to_arrow(values, name) if isinstance(values, np.ndarray) else values for name, values in columns.items()}
    ).to_batches()


def _column(name: str, values: Any) -> pa.ChunkedArray | pa.Array | Array:
    if isinstance(values, pa.Array | pa.ChunkedArray | np.ndarray):
        return values
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    if hasattr(values, "__arrow_c_array__"):
        return pa.array(values)
    if isinstance(values, list | tuple):
        return _from_list(name, values)
    return np.asarray(values)


def _from_list(name: str, values: list[Any] | tuple[Any, ...]) -> pa.Array | Array:
    if values and all(isinstance(value, np.ndarray) and value.ndim > 1 for value in values):
        try:
            return np.stack(values)
        except ValueError:
            raise InvalidData(f"column {shorten(name)}: the arrays differ in shape; give them one") from None
    return from_values(values, name)


def from_values(values: Any, name: str, data_type: pa.DataType | None = None) -> pa.Array:
    """Return Python values as one Arrow array, or raise InvalidData where they mix types."""
    try:
        found = pa.array(values, data_type)
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise InvalidData(f"column {shorten(name)} holds {half}, half of a character; write the whole one") from None
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        said = _PLACE.sub("", str(error))[:200]
        raise InvalidData(
            f"column {shorten(name)} mixes types, or holds one that is not kept: {said}; give the column one type"
        ) from None
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def to_arrow(array: Array, name: str) -> pa.Array:
    """Return an array of shape [rows] or [rows, …] as an Arrow column, without a copy where its bytes allow.

    An array of shape [rows, 1] is a plain column: it is how label files keep labels.
    """
    if array.ndim == 0:
        raise InvalidData(f"column {shorten(name)} is a single value, not an array of rows")
    missing = _gaps(array)
    array = np.ma.getdata(array)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "biufOUSMmT" or array.dtype.names:
        raise InvalidData(f"column {shorten(name)} is of NumPy type {shorten(str(array.dtype))}, which is not kept")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim > 1:
        return _tensors(array, name, missing)
    if array.dtype.kind in "OUST":
        return from_values([None if gap else value for value, gap in _marked(array, missing)], name)
    if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] in ("Y", "M", "W"):
        array = array.astype("datetime64[D]")
    if array.dtype.kind in "Mm" and np.datetime_data(array.dtype)[0] in ("h", "m"):
        array = array.astype(array.dtype.kind + "8[s]")
    return pa.array(array, mask=missing)


def _gaps(array: Array) -> Array | None:
    """Return which rows of a masked array are missing, shape [rows]; None for an array without a mask."""
    if not isinstance(array, np.ma.MaskedArray):
        return None
    masks: Array = np.stack([np.ma.getmaskarray(array)])
    gaps: Array = np.any(masks.reshape(len(array), -1), axis=1)
    return gaps


def _marked(array: Array, missing: Array | None) -> Iterator[tuple[Any, bool]]:
    gaps = [False] * len(array) if missing is None else missing.tolist()
    return zip(array.tolist(), gaps, strict=True)


def _tensors(array: Array, name: str, missing: Array | None) -> pa.Array:
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise InvalidData(f"column {shorten(name)}: tensors hold numbers, found {shorten(str(array.dtype))}")
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    item = pa.from_numpy_dtype(array.dtype)
    kept = tensor_type(item, array.shape[1:], name)
    items = pa.array(np.ascontiguousarray(array).reshape(-1), item)
    size = kept.storage_type.list_size
    mask = None if missing is None else pa.array(missing)
    storage = pa.FixedSizeListArray.from_arrays(items, size, mask=mask)
    return pa.ExtensionArray.from_storage(kept, storage.cast(kept.storage_type))
