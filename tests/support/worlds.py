"""A repository with one of the small examples, or one of the networks that know nothing of Layerwise, trained in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.engine.model import Model
from layerwise.engine.run import Run
from layerwise.engine.version import Version
from layerwise.repo import Repository
from tests.support import small_examples
from tests.support.any_modules import KINDS

NAMES = (*small_examples.MAKERS, *KINDS)
"""The five examples, then the networks."""

ROWS = 150
"""Rows that the networks learn from."""

GUARDED = {"spam": {"text"}, "credit": {"tails", "money"}, "xrays": {"pixels"}}
"""Layers whose sensitivity lets nothing of theirs be kept but statistics."""


def tiers(*ordinary: str) -> list[Any]:
    """Return all worlds' names as parameters of a test: those that are not ``ordinary`` are of the longer tier."""
    return [name if name in ordinary else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


@dataclass(frozen=True)
class World:
    """One model, trained once.

    Attributes:
        module: the instance that was wrapped; None for an example.
    """

    name: str
    repo: Repository
    dataset: Dataset
    run: Run
    module: nn.Module | None

    @property
    def version(self) -> Version:
        """The version, opened anew: nothing of the run is in memory."""
        return lw.load(self.run.version.address, repo=self.repo, module=self.module)

    @property
    def guarded(self) -> set[str]:
        """The layers of which nothing but statistics may be kept."""
        return GUARDED.get(self.name, set())

    @property
    def layers(self) -> list[str]:
        """The paths of all layers but the answer."""
        return [path for path, layer in self.run.version.model.walk() if layer.action.role != "answer"]


def described(name: str, **train: Any) -> tuple[Model, nn.Module | None]:
    """Return the model of a world, and the instance that it wraps."""
    if name in KINDS:
        module = KINDS[name].module()
        return KINDS[name].model(module, name, **train), module
    return small_examples.model(name, **train), None


def table(name: str, rows: int | None = None, seed: int = 3) -> dict[str, Any]:
    """Return a world's rows, by column."""
    return KINDS[name].table(rows or ROWS, seed) if name in KINDS else small_examples.columns(name, rows, seed)


def key(name: str) -> str | None:
    """Return the column that names a world's rows; None where their content does."""
    return "name" if name in KINDS else {"sunspots": "year"}.get(name)


def train(repo: Repository, name: str, *, record: Any = "off", observers: Any = (), **settings: Any) -> World:
    """Train a world's model in a repository; ``record`` is left out where it is None."""
    model, module = described(name, **settings)
    assert model.data is not None
    dataset = repo.add_dataset(model.data, table(name), key=key(name)).dataset
    asked = {} if record is None else {"record": record}
    run = lw.train(model, dataset, repo=repo, observers=observers, **asked)
    return World(name, repo, dataset, run, module)


@contextmanager
def world(folder: Path, name: str, **settings: Any) -> Iterator[World]:
    """Train a world's model in a new repository in ``folder``, which is closed in the end."""
    with Repository(folder) as repo:
        yield train(repo, name, **settings)


def plain_outputs(found: World, positions: list[int]) -> torch.Tensor:
    """Return what the plain module answers for rows, called by hand in batches of 64."""
    assert found.module is not None
    kind = KINDS[found.name]
    values = torch.from_numpy(kind.table(ROWS, 3)[kind.column])[positions]
    module = found.version.module().eval()
    pieces = []
    with torch.inference_mode():
        for part in (values[at : at + 64] for at in range(0, len(values), 64)):
            filled = torch.cat([part, part[-1:].expand(64 - len(part), *part.shape[1:])])
            answer = module(filled)
            pieces.append((answer if kind.output is None else answer[kind.output])[: len(part)])
    return torch.cat(pieces)
