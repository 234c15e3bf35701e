"""The rows that ``predict`` and ``trace`` are asked about: a file, a folder, stdin, ``--row``, or a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.errors import InvalidData, InvalidFile

if TYPE_CHECKING:
    import pyarrow as pa

    from layerwise.data.fitting import Types
    from layerwise.repo import Repository

STDIN = "-"

Rows = Annotated[
    Path | None,
    typer.Argument(
        metavar="[ROWS]", help="A .csv, .parquet, .jsonl or .npz file, a folder of images, or - for JSON lines."
    ),
]
OneRow = Annotated[
    list[str] | None, typer.Option("--row", metavar="JSON", help="""A row: '{"column": value}'. Can be repeated.""")
]
FromData = Annotated[str | None, typer.Option("--data", metavar="NAME[@N]", help="The rows of a dataset.")]


def asked_rows(
    repo: Repository, rows: Path | None, given: list[str] | None, data: str | None, types: Types
) -> pa.Table:
    """Return the rows that the command line means, as one table with the columns' types of the training.

    Raises:
        InvalidData: none are given, or in two ways.
        InvalidFile: they cannot be read; with the line.
    """
    from layerwise.data.sources import as_table

    ways = [way for way in (rows, given, data) if way]
    if len(ways) != 1:
        found = "none" if not ways else "more than one of these"
        raise InvalidData(f"which rows? Give ROWS (a file, a folder, or -), --row JSON or --data NAME; found {found}")
    if data:
        return repo.dataset(data).table()
    if given:
        return as_table([_row(text, f"--row {number}") for number, text in enumerate(given, start=1)], types)
    if str(rows) == STDIN:
        return as_table(_lines(), types)
    return as_table(rows, types)


def _lines() -> list[dict[str, Any]]:
    lines = enumerate(sys.stdin.buffer, start=1)
    rows = [_row(text, f"line {number:,} of the standard input") for number, text in lines if text.strip()]
    if not rows:
        raise InvalidData("the standard input has no rows; give one JSON object a line")
    return rows


def _row(text: str | bytes, what: str) -> dict[str, Any]:
    from layerwise.canonical import decode

    row = decode(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text, what)
    if not isinstance(row, dict):
        raise InvalidFile(f"""{what} is {type(row).__name__}, expected an object: {{"column": value}}""")
    return row
