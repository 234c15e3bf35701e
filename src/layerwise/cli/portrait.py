"""A model for people's eyes: the table of its layers, and below it what a version can tell of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from layerwise.cli import screen
from layerwise.cli.anatomy import Anatomy
from layerwise.cli.metrics import SPLITS, by_split
from layerwise.engine.version import Version
from layerwise.graph.draw import LayerRow

COLOURS = {"data": "cyan", "neural": "magenta", "answer": "yellow"}
"""The colour of each role."""

WIDE = 80
"""On a screen of so many columns, shapes need not wrap."""

WRAPPING = ("options", "gives", "takes", "notes")

ALWAYS = ("epochs", "batch", "optimizer", "lr", "seed")
WHERE_SAID = ("schedule", "clip", "monitor", "patience", "sampling")
"""Training settings that are shown: always, and where they were said."""

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
    cells: dict[str, Any] = {
        "layer": lambda row: Text.assemble((tree(row), screen.FAINT), screen.words(row.name, COLOURS[row.role])),
        "kind": lambda row: screen.words(row.kind.removeprefix(TORCH)),
        "options": lambda row: screen.words(", ".join(row.options), screen.FAINT),
        "takes": lambda row: "" if row.straight else ", ".join(row.inputs),
        "gives": lambda row: row.output,
        "parameters": lambda row: screen.number(row.parameters),
        "state": lambda row: screen.size(found.state[row.path]) if row.path in found.state else "",
        "notes": lambda row: ", ".join(notes(row)),
    }
    rows = [[cell(row) for cell in cells.values()] for row in found.rows]
    wide = [head for head in WRAPPING if head != "gives" or width < WIDE]
    return screen.columns(*cells, rows=rows, right=("parameters", "state"), wide=wide, spare=("options", "notes"))


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
    split = {name: value for name, value in training.get("split", {}).items() if value is not None}
    said |= {"split": split} if split else {}
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
