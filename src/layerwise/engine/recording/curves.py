"""The statistics of layers along a run, asked for: of one that is over, or of one that runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from layerwise.engine.recording.statistics import NAMES, PREFIX
from layerwise.errors import NotFound, nearest
from layerwise.repo import Repository
from layerwise.words import shorten

WARNING = "warning/"

Curve = Mapping[int, float]
"""A value by epoch; epochs that were not looked at are left out."""


@dataclass(frozen=True)
class Statistics:
    """The statistics of a run's layers.

    Attributes:
        run: the run's id.
        curves: by layer (``name:2`` for a later pass) and name (``recording.statistics.NAMES``), values by epoch.
        warnings: what went wrong: (epoch, layer, what).

    Example:
        >>> found = Statistics("r-0", {"edges": {"mean": {1: 0.25, 2: 0.5}}}, ())
        >>> found.layer("edges").last["mean"]
        0.5
    """

    run: str
    curves: Mapping[str, Mapping[str, Curve]]
    warnings: tuple[tuple[int, str, str], ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of which there is anything, sorted."""
        return tuple(sorted(self.curves))

    def layer(self, path: str) -> LayerCurves:
        """Return what there is of one layer, or raise NotFound with the nearest."""
        if path not in self.curves:
            raise NotFound(f"the run {self.run} has no statistics of {shorten(path)}.{nearest(path, self.curves)}")
        return LayerCurves(path, self.curves[path], tuple(one for one in self.warnings if one[1] == path))


@dataclass(frozen=True)
class LayerCurves:
    """The statistics of one layer by name and epoch, and what went wrong in it: (epoch, layer, what)."""

    layer: str
    curves: Mapping[str, Curve]
    warnings: tuple[tuple[int, str, str], ...]

    @property
    def last(self) -> dict[str, float]:
        """The last value of each, in the order of ``NAMES``."""
        return {name: self.curves[name][max(self.curves[name])] for name in NAMES if name in self.curves}

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that were looked at."""
        return tuple(sorted({epoch for curve in self.curves.values() for epoch in curve}))

    def __str__(self) -> str:
        said = "".join(f"\n{what} in epoch {epoch}" for epoch, _, what in self.warnings)
        return "\n".join(f"{name:<10} {value:.4g}" for name, value in self.last.items()) + said


def statistics_of(repo: Repository, run: str) -> Statistics:
    """Return the statistics of a run's layers; of one that runs, as far as it is.

    A run that went on where another was broken off has those of its own epochs.

    Raises:
        NotFound: there is no such run.
    """
    curves: dict[str, dict[str, dict[int, float]]] = {}
    warnings: list[tuple[int, str, str]] = []
    keys = list(_keys(repo, run))
    for epoch, key, value in repo.metrics(run, keys) if keys else ():
        layer, _, name = key.removeprefix(PREFIX).partition("/")
        if name.startswith(WARNING):
            warnings.append((epoch, layer, name.removeprefix(WARNING)))
        else:
            curves.setdefault(layer, {}).setdefault(name, {})[epoch] = value
    return Statistics(run, curves, tuple(sorted(warnings)))


def _keys(repo: Repository, run: str) -> Iterator[str]:
    after = ""
    while page := repo.metric_keys(run, PREFIX, after):
        yield from (found.key for found in page)
        after = page[-1].key
