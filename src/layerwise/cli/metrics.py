"""Metrics as a table: a line a metric, a column a split."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from layerwise.cli import screen

SPLITS = ("train", "validation", "test")


def by_split(metrics: Mapping[str, float], before: tuple[str, Mapping[str, float]] | None = None) -> Table:
    """Return metrics called ``split/name`` as a table, the loss first.

    Args:
        metrics: of a version.
        before: another version's address and metrics: its test column stands beside.
    """
    found: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        split, _, name = key.partition("/")
        found.setdefault(name or split, {})[split] = value
    heads = [split for split in SPLITS if any(split in values for values in found.values())]
    if before is not None and "test" in heads:
        address, old = before
        heads.append(address)
        for name, values in found.items():
            values |= {address: old[f"test/{name}"]} if f"test/{name}" in old else {}
    rows = [
        [screen.words(name, screen.NAME), *(screen.number(found[name].get(head)) for head in heads)]
        for name in sorted(found, key=lambda name: name != "loss")
    ]
    return screen.columns("metric", *heads, rows=rows, right=heads)
