"""Rows given as dicts, one a row: lists of rows, and the lines of a JSON file.

>>> source = open_rows([{"a": 1}, {"a": 2.5, "b": "x"}], "an example")
>>> next(iter(source.batches)).to_pydict()
{'a': [1.0, 2.5], 'b': [None, 'x']}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from layerwise.canonical import decode
from layerwise.data.arrays import from_values, open_arrays
from layerwise.data.source import Source
from layerwise.errors import InvalidData, InvalidFile
from layerwise.words import shorten

MAX_LINE = 64 << 20
"""Longest line of a JSON file, in bytes."""

_BLOCK_BYTES = 1 << 20
_BLOCK_ROWS = 4096

Record = Mapping[str, Any]


def open_rows(rows: Sequence[Any], what: str) -> Source:
    """Return a list of dicts as a stream; a key that a row does not have is a missing value there."""
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidData(f"{what}: row {place:,} is {type(row).__name__}, expected a dict of column: value")
    if not rows:
        raise InvalidData(f"{what} has no rows; a dataset needs at least one")
    return open_arrays({name: [row.get(name) for row in rows] for name in _names(rows)}, what)


def _names(rows: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


@dataclass(frozen=True, slots=True)
class _Lines:
    """Some consecutive lines of a file, read."""

    path: Path
    first: int
    rows: list[dict[str, Any]]

    def column(self, name: str, data_type: pa.DataType | None = None) -> pa.Array:
        try:
            return from_values([row.get(name) for row in self.rows], name, data_type)
        except InvalidData as error:
            raise InvalidFile(f"{self.path}, {self.place}: {error}") from None

    @property
    def place(self) -> str:
        return f"lines {self.first:,} to {self.first + len(self.rows) - 1:,}"


def open_lines(path: Path) -> Source:
    """Return a file of one JSON object a line as a stream. It is read twice: for the types, for the rows.

    Raises:
        InvalidFile: with the line, where it is not strict JSON or not an object.
    """
    return Source(str(path), _line_batches(path))


def _line_batches(path: Path) -> Iterator[pa.RecordBatch]:
    types = _line_types(path)
    if not types:
        return
    schema = pa.schema(list(types.items()))
    for lines in _read_lines(path):
        columns = [lines.column(name, data_type) for name, data_type in types.items()]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _line_types(path: Path) -> dict[str, pa.DataType]:
    types: dict[str, pa.DataType] = {}
    for lines in _read_lines(path):
        for name in _names(lines.rows):
            found = lines.column(name).type
            both = _either(types.get(name, pa.null()), found)
            if both is None:
                raise InvalidFile(
                    f"{path}, {lines.place}: column {shorten(name)} is {found} here and "
                    f"{types[name]} before; give the column one type"
                )
            types[name] = both
    return types


def _either(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds values of both types, or None where none does."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(one) and pa.types.is_list(other):
        item = _either(one.value_type, other.value_type)
        return None if item is None else pa.list_(item)
    return None


def _read_lines(path: Path) -> Iterator[_Lines]:
    rows: list[dict[str, Any]] = []
    size, first = 0, 1
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
            rows.append(_row(line, path, number))
            size += len(line)
            if size >= _BLOCK_BYTES or len(rows) == _BLOCK_ROWS:
                yield _Lines(path, first, rows)
                rows, size, first = [], 0, number + 1
    if rows:
        yield _Lines(path, first, rows)


def _row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    what = f"{path}, line {number:,}"
    if len(line) > MAX_LINE:
        raise InvalidFile(f"{what} is longer than {MAX_LINE:,} bytes")
    row = decode(line.rstrip(b"\r\n"), what)
    if not isinstance(row, dict):
        raise InvalidFile(f"{what} is {type(row).__name__}, expected an object of column: value")
    return row
