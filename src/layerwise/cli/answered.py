"""Answers written as a file or drawn as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType

from layerwise.cli import screen
from layerwise.errors import InvalidFile
from layerwise.words import shorten

if TYPE_CHECKING:
    import pyarrow as pa

    from layerwise.engine.answers import Answers

Writer = Callable[["pa.Table"], list[bytes]]


def hold_out(out: Path) -> None:
    """Raise InvalidFile where answers cannot be written to ``out``, before anything is computed."""
    if out.suffix.lower() not in WRITERS:
        known = ", ".join(WRITERS)
        raise InvalidFile(f"--out {out}: the ending {shorten(out.suffix)} is not known; expected one of {known}")
    if not out.absolute().parent.is_dir():
        raise InvalidFile(f"--out {out}: there is no folder {str(out.absolute().parent)!r}; make it first")


def write(answers: Answers, out: Path) -> None:
    """Write all answers to a file, whole or not at all."""
    from layerwise.store.disk import write_file

    write_file(out, WRITERS[out.suffix.lower()](answers.table))


def _csv(table: pa.Table) -> list[bytes]:
    import pyarrow as pa
    from pyarrow import csv

    # CSV has no lists: they are written as JSON.
    for at, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [None if value is None else _json(value) for value in table.column(at).to_pylist()]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    sink = pa.BufferOutputStream()
    with csv.CSVWriter(sink, table.schema) as writer:
        writer.write_table(table)
    return [sink.getvalue().to_pybytes()]


def _parquet(table: pa.Table) -> list[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    with parquet.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table)
    return [sink.getvalue().to_pybytes()]


def _lines(table: pa.Table) -> list[bytes]:
    return [f"{_json(row)}\n".encode() for row in table.to_pylist()]


def _json(value: object) -> str:
    return json.dumps(screen.plain(value), ensure_ascii=False, allow_nan=False)


WRITERS: dict[str, Writer] = {".csv": _csv, ".parquet": _parquet, ".jsonl": _lines}
"""How answers are written, by the ending of the file."""


def drawn(answers: Answers, width: int, places: Sequence[int] | None = None) -> list[RenderableType]:
    """Return the first answers as a table, as many columns as the screen has room for.

    Args:
        answers: what was answered.
        width: columns of the screen.
        places: where the rows stand; from 0 on where not given.
    """
    import pyarrow as pa

    heads, *rows = answers.cells
    sizes = [max(len(row[at]) for row in (heads, *rows)) + 2 for at in range(len(heads))]
    room = [at for at in range(len(heads)) if len("row  ") + 4 + sum(sizes[: at + 1]) <= width] or [0]
    names = [heads[at] for at in room]
    right = [heads[at] for at in room if not pa.types.is_string(answers.table.schema.field(at).type)]
    numbers = range(len(rows)) if places is None else places[: len(rows)]
    body = [
        [screen.words(number, screen.FAINT), *(row[at] for at in room)]
        for number, row in zip(numbers, rows, strict=True)
    ]
    more = []
    if len(answers) > len(rows):
        more.append(f"{len(answers) - len(rows):,} more rows")
    if len(names) < len(answers.table.column_names):
        more.append(f"{len(answers.table.column_names) - len(names)} more columns")
    rest = [screen.line((f"… {' and '.join(more)}; --json or --out FILE.csv has all", screen.FAINT))] if more else []
    return [screen.columns("row", *names, rows=body, right=["row", *right]), *rest]
