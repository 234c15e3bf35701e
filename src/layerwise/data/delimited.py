"""CSV files, streamed. Types are decided over the whole file before the first row is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from layerwise.data.source import Source
from layerwise.errors import InvalidFile
from layerwise.words import shorten

_BLOCK_BYTES = 256 << 10

_LARGE_BLOCK_BYTES = 64 << 20
"""Blocks of a file with rows that do not fit in a small one; longer rows are refused."""

NOTHING = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
]  # fmt: skip
"""What stands for a missing value where it is not in quotes: pandas' list."""

_NARROW_FIRST = [
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.float64(),
]

_MISREAD = re.compile(
    r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error to [^:]*: invalid value '(.*)'", re.S
)

Types = dict[str, pa.DataType]


def open_csv(path: Path) -> Source:
    """Return a CSV file with a header as a stream of rows.

    Raises:
        InvalidFile: with the row where known: a row of another length, text that is not UTF-8, no header.
    """
    return Source(str(path), _batches(path))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        block_bytes, types = _types(path)
        with _open(path, types, block_bytes) as reader:
            yield from reader
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InvalidFile):
            raise
        raise InvalidFile(f"{path} cannot be read as CSV: {str(error)[:300]}") from None


def _open(path: Path, types: Types, block_bytes: int) -> pacsv.CSVStreamingReader:
    reader = pacsv.open_csv(
        path,
        # One thread: it says in which row a mistake is, and holds one block at a time.
        read_options=pacsv.ReadOptions(block_size=block_bytes, use_threads=False),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=types,
            null_values=NOTHING,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    _check_header(path, reader.schema)
    return reader


def _check_header(path: Path, schema: pa.Schema) -> None:
    twice = (
        [name for name in schema.names if schema.names.count(name) > 1]
        if len(set(schema.names)) < len(schema)
        else []
    )
    if twice:
        raise InvalidFile(
            f"{path}: the header names the column {shorten(twice[0])} twice; every column needs its own"
        )
    for field in schema:
        if pa.types.is_binary(field.type):
            raise InvalidFile(
                f"{path}: column {shorten(field.name)} is not UTF-8 text; save the file as UTF-8"
            )


def _types(path: Path) -> tuple[int, Types]:
    """Return the size of block that holds every row, and the narrowest type of each column that reads it."""
    types: Types = {}
    block_bytes = _BLOCK_BYTES
    while True:
        try:
            with _open(path, types, block_bytes) as reader:
                types = dict(zip(reader.schema.names, reader.schema.types, strict=True))
                for _ in reader:
                    pass
                return block_bytes, types
        except pa.ArrowInvalid as error:
            if "straddling" in str(error) and block_bytes == _BLOCK_BYTES:
                block_bytes = _LARGE_BLOCK_BYTES
            else:
                types = _widened(types, error)


def _widened(types: Types, error: pa.ArrowInvalid) -> Types:
    misread = _MISREAD.search(str(error))
    name = list(types)[int(misread[1])] if misread and types else None
    if misread is None or name is None or pa.types.is_string(types[name]):
        raise error
    return {**types, name: _wider(types[name], misread[2])}


def _wider(found: pa.DataType, value: str) -> pa.DataType:
    """Return the narrowest type after ``found`` that reads ``value``; the next pass tries it on the rest."""
    after = _NARROW_FIRST.index(found) + 1 if found in _NARROW_FIRST else len(_NARROW_FIRST)
    return next((wider for wider in _NARROW_FIRST[after:] if _reads(wider, value)), pa.string())


def _reads(data_type: pa.DataType, value: str) -> bool:
    try:
        pa.array([value]).cast(data_type)
    except pa.ArrowInvalid:
        return False
    return True
