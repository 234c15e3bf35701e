"""Metrics as a table: a line a metric, a column a split."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from layerwise.cli import screen

SPLITS = ("train", "validation", "test")


def by_split(metrics: Mapping[str, float]) -> Table:
    """Return metrics called ``split/name`` as a table, the loss first."""
    found: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        split, _, name = key.partition("/")
        found.setdefault(name or split, {})[split] = value
    splits = [split for split in SPLITS if any(split in values for values in found.values())]
    rows = [
        [screen.words(name, screen.NAME), *(screen.number(found[name].get(split)) for split in splits)]
        for name in sorted(found, key=lambda name: name != "loss")
    ]
    return screen.columns("", *splits, rows=rows, right=splits)
