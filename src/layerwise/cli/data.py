"""``layerwise data``: keep rows as versions of datasets, list them, look at one, compare two."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import RenderableType

from layerwise.cli import screen
from layerwise.cli.options import AsJson, Message, open_repository

if TYPE_CHECKING:
    from layerwise.data.dataset import Dataset
    from layerwise.repo import Repository
    from layerwise.store.rows import Entry

MOST_COLUMNS = 50
"""Columns shown of a wide dataset; ``--json`` has all."""

SAMPLE = 5
"""Rows shown of a dataset, …"""

SAMPLE_COLUMNS, SAMPLE_WIDTH = 8, 40
"""… with at most this many of their values, the longest wrapped at this many columns of the screen."""

NUMBERS, WRAPPING, LESS = ("missing", "distinct"), ("column", "examples"), ("mean ± spread", "distinct", "range")
"""How the table of columns is drawn: what is a number, what wraps, what goes first where the screen is narrow."""

SAID = ("number", "parent", "key", "created", "actor", "message")
"""What ``--json`` tells of a version beside its rows and columns."""

app = typer.Typer(help="Keep rows as versions of datasets, and look at them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The dataset's name.")]
Version = Annotated[str, typer.Argument(metavar="NAME[@N]", help="A version of a dataset; the newest without @N.")]


@app.command()
def add(
    context: typer.Context,
    name: Name,
    source: Annotated[Path, typer.Argument(help="A .csv, .parquet, .jsonl or .npz file, or a folder of images.")],
    key: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column whose value names a row for ever.")
    ] = None,
    message: Message = "",
    as_json: AsJson = False,
) -> None:
    """Keep the rows of a file or folder as the next version of a dataset.

    The same content again makes no version. Rows that did not change are kept once. In a folder of images, each
    subfolder is a class.
    """
    from layerwise.data.sources import open_source
    from layerwise.words import parse_name

    parse_name(name, "a dataset's name")
    # Before the repository is made: a file that cannot be read leaves nothing behind.
    opened = open_source(source)
    with open_repository(context, make=True) as repo, screen.waiting(f"reading {source}"):
        added = repo.add_dataset(name, opened, key=key, message=message)
    if as_json:
        counts = ("created", "new_rows", "removed_rows", "changed_rows", "new_blocks", "new_bytes", "notes")
        counted = {count: getattr(added, count) for count in counts}
        screen.print_json({"dataset": added.dataset.address, "rows": len(added.dataset), **counted})
        return
    for said in added.notes:
        screen.note(f"note: {said}")
    screen.show(_said(added), _next(added.dataset.address) if added else "")


def _said(added: Any) -> RenderableType:
    dataset = added.dataset
    if not added:
        return screen.line((dataset.address, screen.NAME), " has this content already; no new version was made")
    changes = f"{added.new_rows:,} new, {added.changed_rows:,} changed, {added.removed_rows:,} gone; "
    return screen.line(
        (dataset.address, screen.NAME),
        f": {screen.plural(len(dataset), 'row')}, {screen.plural(len(dataset.schema), 'column')} "
        f"({changes if dataset.number > 1 else ''}{screen.size(added.new_bytes)} written)",
    )


def _next(address: str) -> RenderableType:
    return screen.line((f"Look at it: layerwise data show {address}", screen.FAINT))


@app.command("list")
def list_datasets(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A dataset, to list its versions.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the datasets, or the versions of one, newest first."""
    with open_repository(context) as repo:
        entries = repo.datasets() if name is None else repo.dataset_versions(name)[::-1]
        found = [_listed(repo, entry) for entry in entries]
    if as_json:
        screen.print_json({"datasets" if name is None else "versions": found})
        return
    if not found:
        screen.show("No datasets yet. Add one: layerwise data add NAME FILE")
        return
    rows = [[screen.words(row["address"], screen.NAME), screen.number(row["rows"]), screen.number(row["columns"]),
             row["key"], screen.moment(row["created"]), row["actor"], row["message"]] for row in found]  # fmt: skip
    heads = ("dataset", "rows", "columns", "key", "when (UTC)", "who", "message")
    screen.show(
        screen.columns(*heads, rows=rows, right=("rows", "columns"), wide=["message"], spare=["columns", "who", "key"])
    )


def _listed(repo: Repository, entry: Entry) -> dict[str, Any]:
    dataset = repo.dataset(f"{entry.name}@{entry.number}")
    return {
        "address": dataset.address, "name": entry.name, "number": entry.number, "rows": len(dataset),
        "columns": len(dataset.schema), "key": dataset.key, "created": entry.created, "actor": entry.actor,
        "message": entry.message,
    }  # fmt: skip


@app.command()
def show(context: typer.Context, version: Version, as_json: AsJson = False) -> None:
    """Show a dataset: its columns with counts, missing values, ranges and examples, and its first rows."""
    from layerwise.data.schema import to_json

    with open_repository(context) as repo:
        dataset = repo.dataset(version)
        sample = [{name: _value(value) for name, value in row.items()} for row in _first(dataset)]
        manifest = dataset.manifest
        if as_json:
            types = {column["name"]: column["type"] for column in to_json(dataset.schema)}
            columns = {name: {"type": types[name], **found.to_json()} for name, found in manifest.statistics.items()}
            about = {name: getattr(manifest, name) for name in SAID}
            said = {"dataset": dataset.address, "digest": dataset.digest, "rows": len(dataset), **about}
            screen.print_json({**said, "columns": columns, "sample": sample})
            return
        screen.show(*_shown(dataset, sample))


def _shown(dataset: Dataset, sample: list[dict[str, Any]]) -> list[RenderableType]:
    from layerwise.data import show as drawing

    manifest = dataset.manifest
    key = f"key {manifest.key}" if manifest.key else "rows named by their content"
    about = f"made {screen.moment(manifest.created)} UTC by {manifest.actor}"
    heads, cells = drawing.HEADINGS, drawing.table(manifest)[:MOST_COLUMNS]
    # The count is the rows without the missing ones; where none is missing, nothing is to be said.
    used = [at for at, head in enumerate(heads) if head != "count"]
    rows = [
        [screen.words(row[at] if row[at] != "0" else "", screen.NAME if at == 0 else "") for at in used]
        for row in cells
    ]
    names = _fitting(list(dataset.schema.names), sample, screen.paper().width)
    firsts = [[screen.words(at, screen.FAINT), *(_cell(row[name]) for name in names)] for at, row in enumerate(sample)]
    return [
        screen.line((dataset.address, screen.HEAD), f"  {screen.plural(len(dataset), 'row')}, {key}"),
        screen.line((f"{about}{f': {manifest.message}' if manifest.message else ''}", screen.FAINT)),
        "",
        screen.columns(*(heads[at] for at in used), rows=rows, right=NUMBERS, wide=WRAPPING, spare=LESS),
        *_more(len(manifest.schema) - len(rows), "column"),
        "",
        screen.columns("row", *names, rows=firsts, wide=names),
        *_more(len(dataset) - len(sample), "row", len(dataset.schema) - len(names)),
    ]


def _fitting(names: list[str], sample: list[dict[str, Any]], width: int) -> list[str]:
    """Return the first columns for whose values the screen has room: one at least."""
    sizes = [max(cell_len(name), *(cell_len(str(_cell(row[name]))) for row in sample)) for name in names]
    ends = itertools.accumulate((min(size, SAMPLE_WIDTH) + 2 for size in sizes), initial=len("row"))
    fitting = sum(end <= width for end in ends) - 1
    return names[: min(max(fitting, 1), SAMPLE_COLUMNS)]


def _more(rows: int, one: str, columns: int = 0) -> list[RenderableType]:
    counts = [screen.plural(rows, f"more {one}")] * (rows > 0) + [screen.plural(columns, "more column")] * (columns > 0)
    return [screen.line((f"… and {' and '.join(counts)}", screen.FAINT))] if counts else []


def _cell(value: Any) -> Any:
    return screen.words("missing", screen.FAINT) if value is None else value


def _first(dataset: Dataset) -> list[Any]:
    return [dataset[at] for at in range(min(SAMPLE, len(dataset)))]


def _value(value: Any) -> Any:
    # A tensor by its shape: its numbers would fill the screen.
    if getattr(value, "ndim", 0) > 0:
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, str):
        return value if len(value) <= 200 else f"{value[:199]}…"
    return value if isinstance(value, int | float | None) else str(value)[:200]


@app.command()
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="A version of a dataset: digits-data@1.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another one: digits-data@2.")],
    as_json: AsJson = False,
) -> None:
    """Say which rows and columns differ between two versions, with examples."""
    from layerwise.cli.changes import changes_json, changes_shown

    with open_repository(context) as repo:
        found = repo.diff_datasets(old, new)
        if as_json:
            screen.print_json(changes_json(found))
        else:
            screen.show(*changes_shown(repo, found))
