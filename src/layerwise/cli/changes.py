"""What changed between two versions of a dataset, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from layerwise.cli import screen

if TYPE_CHECKING:
    from layerwise.data.diff import ChangedRow, DataDiff
    from layerwise.repo import Repository

EXAMPLES = 5
"""Rows of each kind that are shown."""

COLUMNS = 6
"""Values of a row that are shown."""

ID = 12
"""Characters of a content id that are shown."""


def changes_json(found: DataDiff) -> dict[str, Any]:
    """Return a diff as JSON: the ids of all rows that differ, old and new values of the first changed ones."""
    return {
        "old": found.old,
        "new": found.new,
        "same": not found,
        "unchanged": found.unchanged,
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": [
            {
                "id": row.id,
                "columns": list(row.columns),
                "values": {name: {"old": was, "new": now} for name, (was, now) in row.values.items()},
            }
            for row in found.changed
        ],
        "columns": {
            "added": list(found.added_columns),
            "removed": list(found.removed_columns),
            "retyped": {name: {"old": was, "new": now} for name, (was, now) in found.retyped_columns.items()},
        },
        "keys": {"old": found.keys[0], "new": found.keys[1]},
    }


def changes_shown(repo: Repository, found: DataDiff) -> Iterator[RenderableType]:
    """Yield a diff for people: the counts, then examples of each kind."""
    yield screen.line((found.old, screen.NAME), " → ", (found.new, screen.NAME))
    if not found:
        yield f"the same {screen.plural(found.unchanged, 'row')}"
        return
    yield screen.line(
        (f"{len(found.added):,} added", "green"), ", ",
        (f"{len(found.removed):,} removed", "red"), ", ",
        (f"{len(found.changed):,} changed", "yellow"), f", {found.unchanged:,} as before",
    )  # fmt: skip
    yield from _columns(found)
    yield from _rows(repo, found.new, found.added, "+", "green")
    yield from _rows(repo, found.old, found.removed, "-", "red")
    for row in found.changed[:EXAMPLES]:
        yield _changed(row)
    yield from _more(len(found.changed), "changed")


def _columns(found: DataDiff) -> Iterator[Text]:
    if found.keys[0] != found.keys[1]:
        was, now = (key or "the content" for key in found.keys)
        yield screen.line(("~ ", "yellow"), f"rows are named by {now}, before by {was}")
    for name in found.added_columns:
        yield screen.line(("+ ", "green"), f"column {name}")
    for name in found.removed_columns:
        yield screen.line(("- ", "red"), f"column {name}")
    for name, (was, now) in found.retyped_columns.items():
        yield screen.line(("~ ", "yellow"), f"column {name}: {was} → {now}")


def _rows(repo: Repository, address: str, ids: list[str], sign: str, style: str) -> Iterator[Text]:
    dataset = repo.dataset(address)
    for id in ids[:EXAMPLES]:
        row = dataset.row(id)
        shown = [(name, value) for name, value in row.items() if name != dataset.key][:COLUMNS]
        values = "  ".join(f"{name}: {_cell(value)}" for name, value in shown)
        yield screen.line((f"{sign} ", style), (_id(id, dataset.key), screen.NAME), f"  {values}")
    yield from _more(len(ids), "added" if sign == "+" else "removed")


def _changed(row: ChangedRow) -> Text:
    parts = [f"{name}: {_cell(was)} → {_cell(now)}" for name, (was, now) in list(row.values.items())[:COLUMNS]]
    return screen.line(("~ ", "yellow"), (row.id, screen.NAME), f"  {'  '.join(parts)}")


def _more(count: int, kind: str) -> Iterator[Text]:
    if count > EXAMPLES:
        yield screen.line((f"  … and {count - EXAMPLES:,} more {kind}", screen.FAINT))


def _id(id: str, key: str | None) -> str:
    return id if key else id[:ID]


def _cell(value: Any) -> str:
    from layerwise.data.statistics import show

    if getattr(value, "ndim", 0) > 0:
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    return show(value)
