"""The rows that ``predict`` and ``trace`` are asked about: a file, a folder, stdin, ``--row``, or a dataset."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli.listing import data_address
from layerwise.errors import InvalidData, InvalidFile, NotFound
from layerwise.words import shorten

if TYPE_CHECKING:
    import pyarrow as pa

    from layerwise.data.dataset import Dataset
    from layerwise.repo import Repository
    from layerwise.versions.manifest import Manifest

STDIN = "-"

WHICH = "which rows? Give ROWS (a file, a folder, or -), --data NAME, or --row with a place, a key or JSON"

Rows = Annotated[
    Path | None,
    typer.Argument(
        metavar="[ROWS]", help="A .csv, .parquet, .jsonl or .npz file, a folder of images, or - for JSON lines."
    ),
]
OneRow = Annotated[
    str | None,
    typer.Option("--row", metavar="ROW", help="""The row: its place, from 0, its key, or JSON: '{"column": value}'."""),
]
SomeRows = Annotated[
    list[str] | None,
    typer.Option(
        "--row",
        metavar="ROW",
        help="""A row: its place, from 0, its key, or JSON: '{"column": value}'. Can be repeated.""",
    ),
]
FromData = Annotated[str | None, typer.Option("--data", metavar="NAME[@N]", help="The rows of a dataset.")]

PLACE = re.compile(r"-?[0-9]{1,18}")
"""What a row's place looks like; other texts are keys, or JSON where they begin like it."""

JSON = ("{", "[")


@dataclass(frozen=True)
class Asked:
    """The rows that a command is about.

    Attributes:
        table: the rows of the file, folder, standard input or dataset, with the columns' types of the training.
        places: which of them are meant; None for all.
        where: the dataset that they are of, ``flowers-data@1``; empty for other rows.
        keys: what names the rows at ``places``, where the dataset has a key.
    """

    table: pa.Table
    places: tuple[int, ...] | None = None
    where: str = ""
    keys: tuple[str, ...] = ()

    def up_to(self, place: int) -> pa.Table:
        """Return the rows up to this one, it included: what a window over time looks at."""
        return self.table.slice(0, place + 1)


def asked_rows(
    repo: Repository, manifest: Manifest, rows: Path | None, given: Sequence[str], data: str | None
) -> Asked:
    """Return the rows that the command line means.

    Args:
        repo: where datasets are.
        manifest: of the version that is asked: its training says the columns' types, and whose keys are meant.
        rows: a file, a folder, or ``-``.
        given: what ``--row`` says.
        data: a dataset.

    Raises:
        InvalidData: none are given, or in two ways.
        NotFound: no such row.
        InvalidFile: they cannot be read; with the line.
    """
    from layerwise.data.sources import as_table

    types = repo.column_types(manifest)
    written = [text for text in given if text.lstrip().startswith(JSON)]
    ways = [way for way in (rows, data, written or None) if way]
    if len(ways) > 1 or (written and len(written) < len(given)):
        raise InvalidData(f"{WHICH}; found more than one of these")
    if written:
        return Asked(as_table([_row(text, f"--row {number}") for number, text in enumerate(written, start=1)], types))
    if rows is not None:
        table = as_table(_lines() if str(rows) == STDIN else rows, types)
        return Asked(table, tuple(_place(text, table.num_rows, str(rows)) for text in given) or None)
    address = data or (data_address(manifest) if given else None)
    if address is None:
        raise InvalidData(f"{WHICH}; found none")
    return _of_dataset(repo.dataset(address), given)


def _of_dataset(dataset: Dataset, given: Sequence[str]) -> Asked:
    if not given:
        return Asked(dataset.table(), where=dataset.address)
    ids = dataset.ids
    places = tuple(_place(text, len(dataset), dataset.address, ids) for text in given)
    keys = tuple(ids[place].as_py() for place in places) if dataset.key else ()
    return Asked(dataset.table(), places, dataset.address, keys)


def _place(text: str, rows: int, where: str, ids: pa.ChunkedArray | None = None) -> int:
    """Return the place of the row that ``text`` means: a place, or a key among ``ids``; raise NotFound."""
    import pyarrow.compute as pc

    if PLACE.fullmatch(text):
        if 0 <= int(text) < rows:
            return int(text)
        raise NotFound(f"{where} has no row {text}; the rows are 0 to {rows - 1:,}")
    found = -1 if ids is None else pc.index(ids, text).as_py()
    if found < 0:
        keys = "" if ids is None else ", nor one of that key"
        raise NotFound(
            f"{where} has no row {shorten(text)}{keys}; the rows are 0 to {rows - 1:,}, "
            f"""and a row of your own is JSON: {{"column": value}}"""
        )
    return int(found)


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
