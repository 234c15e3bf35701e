"""Answers for rows: an Arrow table that prints itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from layerwise.engine.cells import as_html
from layerwise.words import visible

SHOWN = 20
COLUMNS = 12

MISSING = "—"
"""What stands where a value is missing."""


@dataclass(frozen=True)
class Answers:
    """One answer a row, in the order of the rows given.

    Attributes:
        version: the version that answered, e.g. ``digits@1``.
        table: the answers, one column for the answer itself and more for what stands behind it (probabilities …).
    """

    version: str
    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.table.to_pylist())

    def __getitem__(self, row: int) -> dict[str, Any]:
        found: dict[str, Any] = self.table.slice(range(len(self))[row], 1).to_pylist()[0]
        return found

    def to_pandas(self) -> Any:
        """Return the answers as a pandas frame."""
        return self.table.to_pandas()

    @property
    def cells(self) -> list[list[str]]:
        """The head, with units, and the first rows as text, numbers rounded: what is printed."""
        fields = list(self.table.schema)[:COLUMNS]
        names = [field.name for field in fields]
        rows = self.table.select(names).slice(0, SHOWN).to_pylist()
        return [[_head(field) for field in fields], *([cell(row[name]) for name in names] for row in rows)]

    def __str__(self) -> str:
        cells = self.cells
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
        more = len(self) - SHOWN
        return "\n".join([*lines, *([f"… and {more:,} more"] if more > 0 else [])])

    def _repr_html_(self) -> str:
        return as_html(self.cells)


def _head(field: pa.Field) -> str:
    unit = (field.metadata or {}).get(b"unit", b"").decode()
    # A column may be called by a class, and classes are data.
    return f"{visible(field.name)} ({visible(unit)})" if unit else visible(field.name)


def cell(value: Any) -> str:
    """Return a value as a person reads it; control characters are shown, never sent to the terminal.

    >>> cell(1 / 3), cell(None), cell([1.0, float("nan")])
    ('0.3333', '—', '[1, —]')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"[{', '.join(cell(inner) for inner in value[:5])}{', …' if len(value) > 5 else ''}]"
    if isinstance(value, dict):
        said = [f"{visible(name)}: {cell(inner)}" for name, inner in value.items()]
        return ", ".join(said[:5]) + (f" and {len(said) - 5} more" if len(said) > 5 else "")
    text = str(value)
    return text[:60] if text.isprintable() else ascii(text)[:60]
