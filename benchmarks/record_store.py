"""What the questions of ``benchmarks.record`` are asked of: versions of one small model, and records of many rows.

The rows are one dataset of random numbers. The first version is trained for one epoch of few, large steps; in every
later one the last layers are changed. Records come through ``version.evaluate(record=…)``, as a user's do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import layerwise as lw
from benchmarks.store_work import folder, used

LAYERS, CHANGED = 8, 2
ENTERING, SEED = 16, 11


@dataclass(frozen=True)
class Kept:
    """Versions and what is kept of them.

    Attributes:
        repo: the repository.
        versions: the oldest first.
        rows, units: how many rows, and units of every layer.
        bytes: what the records added to the repository's files, the catalog among them.
    """

    repo: lw.Repository
    versions: Sequence[Any]
    rows: int
    units: int
    bytes: int

    @property
    def naive(self) -> int:
        """The bytes of a file of float32 for each layer of each version."""
        return len(self.versions) * LAYERS * self.rows * self.units * 4


def names() -> list[str]:
    """Return the names of the layers that are kept."""
    return [f"dense{at}" for at in range(LAYERS)]


@contextmanager
def kept(rows: int, units: int, versions: int, layers: Sequence[str] | None = None) -> Iterator[Kept]:
    """Give a repository of versions with the records of all rows.

    Args:
        rows: how many.
        units: of every layer.
        versions: how many; the last two of eight layers differ in each.
        layers: which layers are kept; all eight where not given.
    """
    with folder() as path, lw.Repository(path / "r") as repo:
        made = list(versions_of(repo, rows, units, versions))
        before = used(repo.path)
        for version in made:
            record = {"keep": "all", "layers": list(layers or names()), "cap": None, "age": None}
            version.evaluate(split="all", record=record)
        yield Kept(repo, made, rows, units, used(repo.path) - before)


def versions_of(repo: lw.Repository, rows: int, units: int, count: int) -> Iterator[Any]:
    """Give the versions, made one after the other."""
    draw = np.random.default_rng(SEED)
    values = draw.standard_normal((rows, ENTERING), dtype=np.float32)
    data = repo.add_dataset("rows", {"row": values, "label": np.arange(rows) % 4}).dataset
    dense = [lw.Layer(name, nn.Linear, out_features=units, activation="relu") for name in names()]
    model = lw.Model("bench", [
        lw.Layer("row", lw.Column("row", shape=(ENTERING,))), *dense,
        lw.Layer("scores", nn.Linear, out_features=4), lw.Layer("label", lw.Classes(target="label")),
    ])  # fmt: skip
    run = lw.train(model, data, repo=repo, epochs=1, batch=max(64, rows // 16), seed=SEED, threads=1, record="off")
    yield run.version
    for _ in range(count - 1):
        version = lw.load("bench", repo=repo)
        change(version.module())
        yield lw.keep(version)


@torch.no_grad()
def change(module: nn.Module) -> None:
    """Change the last layers of a network in place."""
    for name in names()[-CHANGED:]:
        for parameter in module.get_submodule(name).parameters():
            parameter.add_(0.01)


def size(path: Path) -> int:
    """Return the bytes of a folder's files."""
    return used(path)
