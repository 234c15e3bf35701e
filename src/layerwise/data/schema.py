"""The schema of a dataset: which types a column may have, how they are named, and how names are held.

Every type has one spelling, used in manifests and in messages: ``int64``, ``string``, ``list<float64>``,
``timestamp[us,UTC]``, ``tensor<uint8>[8,8]``.

>>> type_text(pa.fixed_shape_tensor(pa.uint8(), [8, 8]))
'tensor<uint8>[8,8]'
>>> parse_type("list<float64>", "an example")
ListType(list<item: double>)
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from layerwise.errors import InvalidData, InvalidFile, nearest
from layerwise.store.tables import ROW
from layerwise.words import shorten

MAX_COLUMNS = 10_000
"""Most columns of a dataset."""

MAX_COLUMN_NAME = 200
"""Longest name of a column, in characters."""

NUMBERS: dict[str, pa.DataType] = {
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}
"""The numbers a column, a list or a tensor can hold, by name."""

_TIMES: dict[str, pa.DataType] = {
    "date32": pa.date32(),
    **{f"timestamp[{unit}]": pa.timestamp(unit) for unit in ("us", "ns")},
    **{f"duration[{unit}]": pa.duration(unit) for unit in ("s", "ms", "us", "ns")},
    **{f"time32[{unit}]": pa.time32(unit) for unit in ("s", "ms")},
    **{f"time64[{unit}]": pa.time64(unit) for unit in ("us", "ns")},
}
_PLAIN: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    **NUMBERS,
    **_TIMES,
}
_NAMES = {data_type: name for name, data_type in _PLAIN.items()}
_ITEMS: dict[str, pa.DataType] = {"bool": pa.bool_(), "string": pa.string(), **NUMBERS}

_LIST = re.compile(r"list<([a-z0-9]{1,10})>\Z")
_TENSOR = re.compile(r"tensor<([a-z0-9]{1,10})>\[(\d{1,12}(?:,\d{1,12}){0,15})\]\Z")
_ZONED = re.compile(r"timestamp\[(us|ns),([A-Za-z0-9_+:/-]{1,64})\]\Z")

MAX_TENSOR_BYTES = 1 << 30
"""Largest tensor of one row: 1 GiB."""


def is_tensor(data_type: pa.DataType) -> bool:
    """Say whether a column holds tensors of one shape."""
    return isinstance(data_type, pa.FixedShapeTensorType)


def tensor_type(item: pa.DataType, shape: Sequence[int], column: str) -> pa.DataType:
    """Return the type of a column of tensors, or raise InvalidData where one would be empty or too large."""
    size = math.prod(shape)
    if size < 1 or size * (item.bit_width // 8) > MAX_TENSOR_BYTES:
        raise InvalidData(
            f"column {shorten(column)}: a tensor of shape {list(shape)} holds {size:,} values; "
            f"expected at least one, and at most {MAX_TENSOR_BYTES:,} bytes"
        )
    return pa.fixed_shape_tensor(item, list(shape))


def type_text(data_type: pa.DataType) -> str:
    """Return the one spelling of a kept type."""
    if data_type in _NAMES:
        return _NAMES[data_type]
    if is_tensor(data_type):
        return f"tensor<{type_text(data_type.value_type)}>[{','.join(map(str, data_type.shape))}]"
    if pa.types.is_list(data_type):
        return f"list<{type_text(data_type.value_type)}>"
    if pa.types.is_timestamp(data_type) and data_type.tz is not None:
        return f"timestamp[{data_type.unit},{data_type.tz}]"
    return str(data_type)[:100]


def parse_type(text: object, what: str) -> pa.DataType:
    """Return the type that ``text`` spells, or raise InvalidFile with ``what`` and the nearest type."""
    if not isinstance(text, str):
        raise InvalidFile(f"{what}: a type must be text, found {type(text).__name__}")
    if text in _PLAIN:
        return _PLAIN[text]
    if (match := _LIST.match(text)) and match[1] in _ITEMS:
        return pa.list_(_ITEMS[match[1]])
    if (match := _TENSOR.match(text)) and match[1] in NUMBERS:
        return tensor_type(NUMBERS[match[1]], [int(size) for size in match[2].split(",")], what)
    if match := _ZONED.match(text):
        return pa.timestamp(match[1], tz=match[2])
    raise InvalidFile(f"{what}: {shorten(text)} is not a type of column.{nearest(text, _PLAIN)}")


def list_type(item: pa.DataType) -> pa.DataType | None:
    """Return the type of lists of ``item``, or None where lists of it are not kept."""
    return pa.list_(item) if item in _ITEMS.values() else None


def check_names(names: Iterable[str]) -> None:
    """Raise InvalidData unless every name can name a column: some text, no control characters, none twice."""
    names = list(names)
    if not names:
        raise InvalidData("the table has no columns; give it at least one")
    if len(names) > MAX_COLUMNS:
        raise InvalidData(f"the table has {len(names):,} columns; at most {MAX_COLUMNS:,} are kept")
    for name in names:
        _check_name(name)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidData(f"two columns have the name {shorten(twice[0])}; every column needs its own")


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise InvalidData(f"the name of a column must be text, found {type(name).__name__}; rename the column")
    if not 0 < len(name) <= MAX_COLUMN_NAME or not all(map(_printable, name)):
        raise InvalidData(
            f"{shorten(name)} cannot name a column: expected 1 to {MAX_COLUMN_NAME} characters, no control characters"
        )
    if name == ROW:
        raise InvalidData(f"{ROW!r} is where row ids are kept; give the column another name")


def _printable(character: str) -> bool:
    # Surrogates have no UTF-8; C0, DEL and C1 would act on a terminal.
    code = ord(character)
    return code >= 0x20 and not 0x7F <= code <= 0x9F and not 0xD800 <= code <= 0xDFFF


def to_json(schema: pa.Schema) -> list[dict[str, str]]:
    """Return the schema as it stands in a manifest.

    >>> to_json(pa.schema([("age", pa.int64())]))
    [{'name': 'age', 'type': 'int64'}]
    """
    return [{"name": field.name, "type": type_text(field.type)} for field in schema]


def from_json(value: Any, what: str) -> pa.Schema:
    """Return the schema that a manifest describes, or raise InvalidFile with ``what``."""
    if not isinstance(value, list):
        raise InvalidFile(f"{what}: the schema must be a list of columns, found {type(value).__name__}")
    for column in value:
        if not isinstance(column, dict) or set(column) != {"name", "type"}:
            raise InvalidFile(f"{what}: a column of the schema must have exactly a name and a type")
    try:
        check_names(column["name"] for column in value)
        return pa.schema([(column["name"], parse_type(column["type"], what)) for column in value])
    except InvalidData as error:
        raise InvalidFile(f"{what}: {error}") from None
