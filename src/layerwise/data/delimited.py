"""CSV files, streamed. Types are decided over the whole file before the first row is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
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

_MISREAD = re.compile(r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error to [^:]*: invalid value '(.*)'", re.S)

_OPENED = re.compile(rb'[,\r\n]"[^"]*\Z')
_LONGEST_NUMBER = 100

Types = dict[str, pa.DataType]


def open_csv(path: Path, known: Mapping[str, pa.DataType] | None = None) -> Source:
    """Return a CSV file with a header as a stream of rows.

    Args:
        path: the file.
        known: types of columns that are known before: text that looks like numbers stays text.

    Raises:
        InvalidFile: with the row where known: a row of another length, text that is not UTF-8, no header.
    """
    plain = {name: found for name, found in (known or {}).items() if found in _NARROW_FIRST or found == pa.string()}
    return Source(str(path), _batches(path, plain))


def _batches(path: Path, known: Types) -> Iterator[pa.RecordBatch]:
    try:
        block_bytes, types = _types(path, known)
        with _open(path, types, block_bytes) as reader:
            yield from reader
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InvalidFile):
            raise
        if isinstance(error, UnicodeDecodeError):
            raise InvalidFile(f"{path}: the header is not UTF-8 text; save the file as UTF-8") from None
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
        [name for name in schema.names if schema.names.count(name) > 1] if len(set(schema.names)) < len(schema) else []
    )
    if twice:
        raise InvalidFile(f"{path}: the header names the column {shorten(twice[0])} twice; every column needs its own")
    for field in schema:
        if pa.types.is_binary(field.type):
            raise InvalidFile(f"{path}: column {shorten(field.name)} is not UTF-8 text; save the file as UTF-8")


def _types(path: Path, known: Types) -> tuple[int, Types]:
    """Return the size of block that holds every row, and the narrowest type of each column that reads it."""
    types: Types = {}
    block_bytes = _BLOCK_BYTES
    while True:
        try:
            with _open(path, types, block_bytes) as reader:
                found = dict(zip(reader.schema.names, reader.schema.types, strict=True))
                first, types = not types, {name: known.get(name, guess) for name, guess in found.items()}
                if first and types != found:
                    continue
                last = None
                for batch in reader:
                    last = batch if batch.num_rows else last
            if last is not None:
                _hold_closed(path, last.column(last.num_columns - 1)[-1].as_py())
            return block_bytes, types
        except pa.ArrowInvalid as error:
            if "straddling" in str(error) and block_bytes == _BLOCK_BYTES:
                block_bytes = _LARGE_BLOCK_BYTES
            else:
                types = _widened(path, types, error, known)


def _hold_closed(path: Path, value: object) -> None:
    """Raise InvalidFile where the file's last value, ``value``, begins with a quote and has none at its end."""
    # Arrow takes all that is left for the text where a quote stays open: a file cut short would lose its end unseen.
    text = value.encode() if isinstance(value, str) else b""
    opened = b'"' + text.replace(b'"', b'""')
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - max(len(opened), _LONGEST_NUMBER) - 1))
        tail = b"\n" + file.read()
    if isinstance(value, str):
        cut = tail.endswith(opened) and tail[-len(opened) - 1 : -len(opened)] in (b",", b"\n", b"\r")
    else:
        cut = _OPENED.search(tail) is not None
    if cut:
        raise InvalidFile(
            f'{path}: the last row begins a text with " and does not end it: the file is cut short, or a quote is '
            f"missing; write it anew"
        )


def _widened(path: Path, types: Types, error: pa.ArrowInvalid, known: Types) -> Types:
    misread = _MISREAD.search(str(error))
    name = list(types)[int(misread[1])] if misread and types else None
    if misread is None or name is None or pa.types.is_string(types[name]):
        raise error
    if name in known:
        raise InvalidFile(
            f"{path}: the column {shorten(name)} holds {shorten(misread[2])} and was {known[name]} in training; "
            f"mend the value"
        )
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
