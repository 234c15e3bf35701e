"""One row of a dataset, read like a mapping."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from layerwise.data.arrays import open_arrays
from layerwise.data.plain import plain
from layerwise.data.schema import is_tensor
from layerwise.errors import NotFound, nearest
from layerwise.words import shorten


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a dataset, read like a mapping of column to value; tensors are NumPy arrays.

    >>> row = Row("people@1", "ada", {"age": 36})
    >>> row["age"], list(row), row.table().schema.names
    (36, ['age'], ['age'])
    """

    dataset: str
    id: str
    values: dict[str, Any]
    _table: pa.Table | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, column: str) -> Any:
        if column not in self.values:
            raise no_column(column, self.dataset, list(self.values))
        return self.values[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, column: object) -> bool:
        return column in self.values

    def keys(self) -> KeysView[str]:
        """Return the names of the columns."""
        return self.values.keys()

    def items(self) -> ItemsView[str, Any]:
        """Return the columns with their values."""
        return self.values.items()

    def get(self, column: str, default: Any = None) -> Any:
        """Return the value of a column, or ``default`` where there is no such column."""
        return self.values.get(column, default)

    def table(self) -> pa.Table:
        """Return the row as an Arrow table of one row, with the types of the dataset."""
        if self._table is not None:
            return self._table
        columns = {name: [value] for name, value in self.values.items()}
        return pa.Table.from_batches(open_arrays(columns, f"row {shorten(self.id)}").batches)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Offer the row to anything that reads Arrow."""
        return self.table().__arrow_c_stream__(requested_schema)


def row_values(table: pa.Table) -> dict[str, Any]:
    """Return the values of a table of one row, tensors as NumPy arrays of their own."""
    return {name: _value(table.column(name).combine_chunks()) for name in table.schema.names}


def _value(column: pa.Array | pa.ChunkedArray) -> Any:
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    if is_tensor(column.type):
        return None if column.null_count else column.to_numpy_ndarray()[0].copy()
    return plain(column[0])


def no_column(column: object, where: str, known: Sequence[str]) -> NotFound:
    """Return the error that says there is no such column, with the nearest there is."""
    return NotFound(f"{where} has no column {shorten(str(column))}.{nearest(str(column), known)}")
