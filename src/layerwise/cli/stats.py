"""``layerwise stats``: what the layers looked like along a run, epoch by epoch, and what went wrong in which first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from layerwise.cli import screen
from layerwise.cli.kept import paths_of
from layerwise.cli.options import AsJson, open_repository
from layerwise.cli.runs import curve
from layerwise.cli.sheets import Csv, Sheets
from layerwise.errors import NotFound, nearest
from layerwise.words import parse_version, shorten

if TYPE_CHECKING:
    from layerwise.repo import Repository

Of = Annotated[
    str, typer.Argument(metavar="NAME[@REF] | RUN", help="A version, or a run: also one that is still running.")
]
Epoch = Annotated[int | None, typer.Option("--epoch", metavar="N", min=1, help="This epoch; the newest if not given.")]
Layer = Annotated[
    str | None, typer.Option("--layer", metavar="PATTERN", help="Only these layers; of a single one, every curve.")
]

PREFIX = "layers/"
"""What the keys of these metrics begin with (``engine.recording.statistics``)."""

SHOWN = (
    "mean",
    "spread",
    "least",
    "most",
    "zeros",
    "dead",
    "saturated",
    "weights",
    "updates",
    "gradients",
    "nonfinite",
)
"""The columns, in their order."""

SHARES = frozenset({"zeros", "dead", "saturated"})
"""What is a share of numbers or units."""

SAYS = {"nonfinite": "not finite", "gradients": "gradient", "updates": "update"}
"""How a column is called where it is not called as the metric is."""

CURVES = {"spread, epochs": "spread", "gradient, epochs": "gradients"}
"""The columns with a small curve over the epochs, by what stands above them."""

WARNING = "warning/"
"""What the name of a warning begins with, among a layer's statistics."""

SENTENCES = {
    "nan": "some of its numbers are NaN or infinite; use a smaller lr, or clip the gradients",
    "vanishing": "its gradient is next to nothing beside other layers'",
}
"""What is said of a warning whose numbers are not known any more."""

_RUN = re.compile(r"r-[0-9a-f]{12}\Z")

Series = dict[int, float]


@dataclass(frozen=True)
class Course:
    """What the layers of one run looked like: values by layer, statistic and epoch."""

    run: str
    title: str
    layers: Mapping[str, Mapping[str, Series]]

    @property
    def epochs(self) -> list[int]:
        """The epochs of which anything is known."""
        return sorted({epoch for names in self.layers.values() for series in names.values() for epoch in series})

    def only(self, pattern: str | None) -> Course:
        """Return the layers that a pattern means, or raise NotFound with the nearest."""
        if pattern is None:
            return self
        found = {name: one for name, one in self.layers.items() if fnmatchcase(name, pattern)}
        if not found:
            raise NotFound(
                f"{self.title} has no statistics of a layer {shorten(pattern)}.{nearest(pattern, self.layers)}"
            )
        return Course(self.run, self.title, found)

    def at(self, layer: str, name: str, epoch: int) -> float | None:
        """Return a statistic of an epoch; None where there is none."""
        return self.layers[layer].get(name, {}).get(epoch)


@dataclass(frozen=True)
class Warned:
    """What went wrong: since when, in which layer first, and what to do."""

    epoch: int
    layer: str
    what: str
    text: str


def stats(
    context: typer.Context,
    what: Of,
    epoch: Epoch = None,
    layer: Layer = None,
    csv: Csv = None,
    as_json: AsJson = False,
) -> None:
    """Show what each layer looked like in training: mean, spread, zeros, dead units, norms; and warn of what is wrong.

    The values are of a few steps of the epoch, with dropout and all that learning has. A warning names the layer in
    which something went wrong first, in the order of the model: dead, saturated, exploding, vanishing, not a number.
    """
    files = Sheets.of(csv=csv)
    with open_repository(context) as repo:
        course = _course(repo, what)
    warned = warnings(course)
    course = course.only(layer)
    chosen = _epoch(course, epoch)
    files.write_table([_line(course, name, at) for at in course.epochs for name in course.layers])
    if as_json:
        screen.print_json({**_json(course, chosen, warned), **files.to_json()})
    elif files:
        files.say(f"the statistics of {course.title}")
    else:
        screen.show(*_shown(course, chosen, warned, alone=layer is not None and len(course.layers) == 1))


def _course(repo: Repository, what: str) -> Course:
    if _RUN.match(what):
        run, title, order = what, what, []
    else:
        entry = repo.find(parse_version(what))
        manifest = repo.manifest(entry)
        run, title, order = manifest.run, f"{entry.name}@{entry.number}", paths_of(manifest)
    layers: dict[str, dict[str, Series]] = {}
    for epoch, key, value in repo.metrics(run) if run else ():
        if key.startswith(PREFIX):
            path, _, name = key.removeprefix(PREFIX).partition("/")
            layers.setdefault(path, {}).setdefault(name, {})[epoch] = value
    if not layers:
        raise NotFound(
            f"there are no statistics of {title}: its run kept none; `layerwise train FILE.yaml --record stats` does"
        )
    places = {path: place for place, path in enumerate(order)}
    ordered = sorted(layers, key=lambda path: places.get(path.partition(":")[0], len(places)))
    return Course(run, title, {path: layers[path] for path in ordered})


def _epoch(course: Course, epoch: int | None) -> int:
    epochs = course.epochs
    if epoch is not None and epoch not in epochs:
        raise NotFound(f"{course.title} has no statistics of epoch {epoch}; there are {epochs[0]} to {epochs[-1]}")
    return epochs[-1] if epoch is None else epoch


def warnings(course: Course) -> list[Warned]:
    """Return what went wrong along the run, each with the first layer and epoch in which it did."""
    found = [
        Warned(epoch, layer, name.removeprefix(WARNING), _text(course, layer, name.removeprefix(WARNING), epoch))
        for layer, names in course.layers.items()
        for name, series in names.items()
        if name.startswith(WARNING)
        for epoch in series
    ]
    return sorted(found, key=lambda warned: warned.epoch)


def _text(course: Course, layer: str, what: str, epoch: int) -> str:
    from layerwise.engine.recording.warnings import troubles

    found = {path: {name: series[epoch] for name, series in names.items() if epoch in series}
             for path, names in course.layers.items()}  # fmt: skip
    said = [one.text for one in (*troubles({layer: found[layer]}), *troubles(found)) if one.what == what]
    return said[0] if said else SENTENCES.get(what, "")


def _line(course: Course, layer: str, epoch: int) -> dict[str, Any]:
    return {"layer": layer, "epoch": epoch, **{name: course.at(layer, name, epoch) for name in SHOWN}}


def _json(course: Course, epoch: int, warned: Sequence[Warned]) -> dict[str, Any]:
    layers = {
        layer: {name: sorted(series.items()) for name, series in names.items() if not name.startswith(WARNING)}
        for layer, names in course.layers.items()
    }
    return {
        "of": course.title, "run": course.run, "epoch": epoch, "layers": layers,
        "warnings": [{"epoch": one.epoch, "layer": one.layer, "what": one.what, "text": one.text} for one in warned],
    }  # fmt: skip


def _shown(course: Course, epoch: int, warned: Sequence[Warned], *, alone: bool) -> Iterator[RenderableType]:
    epochs = course.epochs
    yield screen.line(
        (course.title, screen.HEAD), f", epoch {epoch} of {epochs[-1]}", (f"; run {course.run}", screen.FAINT)
    )
    yield ""
    yield _curves(course, epoch) if alone else _table(course, epoch)
    for one in warned:
        yield ""
        yield screen.line((f"{one.layer}: {one.what}", "yellow"), f" since epoch {one.epoch}: {one.text}")


def _table(course: Course, epoch: int) -> RenderableType:
    wrong = any(course.at(layer, "nonfinite", epoch) for layer in course.layers)
    names = [name for name in SHOWN if name != "nonfinite" or wrong]
    heads = ("layer", *(SAYS.get(name, name) for name in names), *CURVES)
    rows = [
        [screen.words(layer, screen.NAME), *(_cell(name, course.at(layer, name, epoch)) for name in names),
         *(_curve(course, layer, name) for name in CURVES.values())]
        for layer in course.layers
    ]  # fmt: skip
    spare = ("saturated", "not finite", "least", "most", *reversed(CURVES), "update", "weights")
    return screen.columns(*heads, rows=rows, right=heads[1 : len(names) + 1], spare=spare)


def _curves(course: Course, epoch: int) -> RenderableType:
    (layer,) = course.layers
    rows = [
        [screen.words(SAYS.get(name, name), screen.NAME), _cell(name, course.at(layer, name, epoch)),
         _cell(name, min(series.values())), _cell(name, max(series.values())), _curve(course, layer, name)]
        for name in SHOWN if (series := course.layers[layer].get(name))
    ]  # fmt: skip
    heads = ("of what left it", "value", "least", "most", "epochs")
    return screen.columns(*heads, rows=rows, right=heads[1:4])


def _curve(course: Course, layer: str, name: str) -> str:
    series = course.layers[layer].get(name, {})
    return curve([series[epoch] for epoch in sorted(series)])


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name == "nonfinite":
        return f"{value:,.0f}"
    return f"{value:.0%}" if name in SHARES and math.isfinite(value) else screen.number(value)
