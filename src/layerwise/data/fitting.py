"""Rows given later, held to the types that the dataset had: what training read as text is text again.

>>> fitted(pa.table({"zip": ["01"], "age": [7]}), {"zip": pa.string(), "age": pa.float64()}).schema.types
[DataType(string), DataType(double)]
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from layerwise.data.schema import is_tensor, type_text
from layerwise.errors import InvalidData
from layerwise.words import shorten

Types = Mapping[str, pa.DataType]
"""The type of each column, by name."""


def fitted(table: pa.Table, types: Types) -> pa.Table:
    """Return ``table`` with the columns that ``types`` names in these types; other columns stay as they are.

    Numbers become other numbers where none changes its value; a column without a single value becomes anything. A
    number never becomes text, nor text a number: ``1`` and ``01`` are one number and two texts.

    Raises:
        InvalidData: a column of another type, naming both.
    """
    for place, field in enumerate(table.schema):
        wanted = types.get(field.name)
        if wanted is not None and wanted != field.type and not (is_tensor(wanted) or is_tensor(field.type)):
            column = _cast(table.column(place), wanted, field.name)
            table = table.set_column(place, pa.field(field.name, wanted), column)
    return table


def _cast(column: pa.ChunkedArray, wanted: pa.DataType, name: str) -> pa.ChunkedArray:
    found = column.type
    text = {pa.types.is_string(found), pa.types.is_string(wanted)}
    reason = ""
    if column.null_count == len(column) or len(text) == 1:
        try:
            return column.cast(wanted)
        except pa.ArrowException as error:
            reason = f" ({str(error)[:200]})"
    raise InvalidData(
        f"the column {shorten(name)} is {type_text(found)} and was {type_text(wanted)} in training{reason}; "
        f"give it in that type"
    )
