"""A version of a dataset as people see it: a table of its columns, as text and as HTML."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from layerwise.data.statistics import ColumnStatistics, Value

if TYPE_CHECKING:
    from layerwise.data.manifest import Manifest

MAX_COLUMNS_SHOWN = 50
"""Most columns that are shown; the rest are counted."""

HEADINGS = ("column", "type", "count", "missing", "distinct", "range", "mean ± spread", "examples")


def title(manifest: Manifest) -> str:
    """Return one line that says what the version is."""
    key = f"key {manifest.key}" if manifest.key else "rows named by their content"
    columns = len(manifest.schema)
    return f"{manifest.dataset}@{manifest.number}: {manifest.rows:,} rows, {columns:,} columns, {key}"


def table(manifest: Manifest) -> list[tuple[str, ...]]:
    """Return one line of text cells for each column, under ``HEADINGS``."""
    return [(_one_line(name), *_cells(column)) for name, column in manifest.statistics.items()]


def _one_line(name: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in name)


def _cells(column: ColumnStatistics) -> tuple[str, ...]:
    distinct = "" if column.distinct is None else f"{column.distinct:,}"
    if not column.distinct_exact:
        distinct = f"more than {distinct}"
    return (
        column.type,
        f"{column.count:,}",
        f"{column.missing:,}",
        distinct,
        _range(column),
        "" if column.mean is None else f"{column.mean:.4g} ± {column.spread:.4g}",
        _examples(column),
    )


def _range(column: ColumnStatistics) -> str:
    if column.min is not None:
        return f"{_number(column.min)} … {_number(column.max)}"
    return "" if column.length is None else f"length {column.length[0]:,} … {column.length[1]:,}"


def _number(value: Value | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _examples(column: ColumnStatistics) -> str:
    if column.top:
        return ", ".join(f"{value} ({count:,})" for value, count in column.top)
    return ", ".join(column.examples)


def as_text(manifest: Manifest) -> str:
    """Return the version as lines of text, columns aligned."""
    rows = [HEADINGS, *table(manifest)[:MAX_COLUMNS_SHOWN]]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([title(manifest), *(f"  {line}" for line in lines), *_more(manifest)])


def _more(manifest: Manifest) -> list[str]:
    more = len(manifest.schema) - MAX_COLUMNS_SHOWN
    return [f"  … and {more:,} more columns"] if more > 0 else []


def as_html(manifest: Manifest) -> str:
    """Return the version as an HTML table; all that comes from data is escaped."""
    head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table(manifest)[:MAX_COLUMNS_SHOWN]
    )
    more = "".join(f"<p>{html.escape(line.strip())}</p>" for line in _more(manifest))
    caption = html.escape(title(manifest))
    rows = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f"<table><caption>{caption}</caption>{rows}</table>{more}"
