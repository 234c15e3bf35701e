"""A model for people's eyes: the table of its layers, and below it what a version can tell of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from layerwise.cli import screen
from layerwise.cli.anatomy import Anatomy
from layerwise.cli.metrics import SPLITS, by_split
from layerwise.engine.version import Version
from layerwise.graph.draw import LayerRow
from layerwise.graph.ports import Port

Cells: TypeAlias = dict[str, Callable[[LayerRow], str | Text]]
"""The columns of a table: what each says of a layer."""

COLOURS = {"data": "cyan", "neural": "magenta", "answer": "yellow"}
"""The colour of each role."""

LEAST = 24
"""Columns of the screen that options need to be read; with less, the columns of numbers make room for them."""

ALWAYS = ("epochs", "batch", "optimizer", "lr", "seed")
WHERE_SAID = ("schedule", "clip", "monitor", "patience", "sampling")
"""Training settings that are shown: always, and where they were said; which epoch is kept and the split come last."""

SPLIT = {"row": ("train", "validation", "test", "seed"), "group": ("column", "train", "validation", "test", "seed"),
         "time": ("column", "train", "validation", "test"), "column": ("column", "values")}  # fmt: skip
"""What a split goes by, in each of its ways."""

NUMBERS = ("parameters", "state")

TORCH = "torch.nn."


def portrait(found: Anatomy, width: int) -> Iterator[RenderableType]:
    """Yield a model, part by part.

    Args:
        found: what there is to show.
        width: columns of the screen.
    """
    yield _title(found)
    if found.version is not None:
        yield from _origin(found.version)
    yield ""
    yield _layers(found, width)
    yield _total(found)
    if found.unknown:
        yield screen.line(("not known yet: ", "yellow"), (found.unknown, screen.FAINT))
    if found.version is None:
        return
    yield ""
    yield by_split(found.version.metrics)
    yield ""
    yield screen.facts(_facts(found, found.version))


def _title(found: Anatomy) -> Text:
    names = [f"  @{name}" for name in found.aliases]
    about = "" if found.version else f"  {found.model.name}, not trained"
    return screen.line((found.title, screen.HEAD), *((name, screen.GOOD) for name in names), (about, screen.FAINT))


def _origin(version: Version) -> Iterator[Text]:
    entry = version.entry
    if entry.message:
        yield screen.line(entry.message)
    before = f", after {entry.name}@{entry.parent}" if entry.parent else ""
    yield screen.line((f"made {screen.moment(entry.created)} UTC by {entry.actor}{before}", screen.FAINT))


def _layers(found: Anatomy, width: int) -> RenderableType:
    cells: Cells = {
        "layer": lambda row: Text.assemble((tree(row), screen.FAINT), screen.words(row.name, COLOURS[row.role])),
        "kind": lambda row: screen.words(row.kind.removeprefix(TORCH)),
        "options": lambda row: screen.words(", ".join(row.options), screen.FAINT),
        "takes": lambda row: "" if row.straight else ", ".join(row.inputs),
        "gives": lambda row: row.output,
        "parameters": lambda row: screen.number(row.parameters),
        "state": lambda row: screen.size(found.state[row.path]) if row.path in found.state else "",
        "notes": lambda row: ", ".join(notes(row)),
    }
    if _room(found.rows, cells, width) < 0:
        cells = _fitted(found, cells, width)
    rows = [[cell(row) for cell in cells.values()] for row in found.rows]
    return screen.columns(*cells, rows=rows, right=NUMBERS, wide=["options", "gives"])


def _fitted(found: Anatomy, cells: Cells, width: int) -> Cells:
    """Return the columns for a narrow screen: all that a file says of a layer in one, which goes on below.

    Bytes go first, then shapes become short, then the numbers of parameters go.
    """
    short = {**cells, "gives": lambda row: shape(found.ports[row.path]) if row.path in found.ports else ""}
    ways = [
        {head: given[head] for head in ("layer", "kind", "gives", *numbers)}
        for given, numbers in ((cells, NUMBERS), (cells, NUMBERS[:1]), (short, NUMBERS[:1]), (short, ()))
    ]
    for way in ways:
        room = _room(found.rows, way, width) - 2
        if room >= LEAST:
            layer, kind, *rest = way.items()
            # Bound here: the next way has another room.
            options = ("options", lambda row, room=room: Text(screen.folded(_said(row), room), screen.FAINT))
            return dict([layer, kind, options, *rest])
    return next((way for way in ways if _room(found.rows, way, width) >= 0), ways[-1])


def _room(rows: list[LayerRow], cells: Cells, width: int) -> int:
    """Return how many columns of the screen the longest cells leave free; a column without any takes none."""
    longest = {head: max((cell_len(str(cell(row))) for row in rows), default=0) for head, cell in cells.items()}
    sizes = [max(size, len(head)) for head, size in longest.items() if size]
    return width - sum(sizes) - 2 * (len(sizes) - 1)


def _said(row: LayerRow) -> list[str]:
    takes = [] if row.straight else [f"takes {', '.join(row.inputs)}"]
    return [*takes, *row.options, *notes(row)]


def shape(port: Port) -> str:
    """Return a port in short: a row's sizes, as a trace has them, and the type where it is not float32.

    >>> shape(Port("float32", (16, 8, 8))), shape(Port("int64", (100,), padded=True)), shape(Port("string"))
    ('16×8×8', 'int64 100 padded', 'string')
    """
    sizes = "×".join("?" if size is None else str(size) for size in port.shape)
    dtype = port.dtype if port.dtype != "float32" or not sizes else ""
    return " ".join(part for part in (dtype, sizes, "padded" * port.padded) if part)


def tree(row: LayerRow) -> str:
    """Return the branches in front of a layer that is inside a block."""
    if len(row.last) == 1:
        return ""
    return "".join("   " if last else "│  " for last in row.last[1:-1]) + ("└─ " if row.last[-1] else "├─ ")


def notes(row: LayerRow) -> list[str]:
    """Return what else was said of a layer: frozen, whose it is, how guarded."""
    said = {"owner": row.owner, "sensitivity": row.sensitivity}
    return ["frozen"] * row.frozen + [f"{what} {name}" for what, name in said.items() if name]


def _total(found: Anatomy) -> Text:
    layers = screen.plural(len(found.rows), "layer")
    parameters = f", {screen.plural(sum(found.parameters.values()), 'parameter')}" if found.parameters else ""
    state = f", {screen.size(sum(found.state.values()))} kept" if found.state else ""
    return screen.line((f"{layers}{parameters}{state}", screen.FAINT))


def _facts(found: Anatomy, version: Version) -> Iterator[tuple[str, object]]:
    manifest = version.manifest
    counts = manifest.data.get("rows", {})
    rows = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS if split in counts)
    yield "data", f"{version.data_address}: {rows} rows" if rows else version.data_address
    yield "training", _training(manifest.training)
    yield "run", f"{manifest.run}: {manifest.outcome}, the weights are those of epoch {manifest.epoch}"
    yield "environment", _environment(found.environment)
    yield "digest", version.entry.digest


def _training(training: Mapping[str, Any]) -> str:
    from layerwise.graph.scalars import write_flow

    said = {name: training[name] for name in ALWAYS if name in training}
    said |= {name: training[name] for name in WHERE_SAID if training.get(name)}
    said |= {"keep": training["keep"]} if "keep" in training else {}
    split = training.get("split", {})
    used = {name: split[name] for name in ("by", *SPLIT.get(split.get("by"), ())) if split.get(name) is not None}
    said |= {"split": used} if used else {}
    return ", ".join(f"{name} {write_flow(value)}" for name, value in said.items())


def _environment(environment: Mapping[str, Any]) -> str:
    if not environment:
        return ""
    torch = environment.get("packages", {}).get("torch", "?")
    commit = environment.get("commit")
    changed = " with changes" if environment.get("diff") else ""
    code = f", commit {str(commit)[:10]}{changed}" if commit else ""
    where = f"{environment.get('device')} ({environment.get('processor')})"
    return f"Python {environment.get('python')}, PyTorch {torch}, {where}{code}"
