"""Versions to look at: the flowers' and one of every network that knows nothing of Layerwise, each trained once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from torch import nn

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.engine.recording.asked import Recording
from layerwise.engine.recording.keeping import record_rows
from layerwise.engine.version import Version
from layerwise.repo import Repository
from tests.support.any_modules import KINDS
from tests.support.flowers import flowers, small

ROWS = 150
"""Rows of each: two whole canonical batches, and one that is filled up."""


@pytest.fixture(scope="session")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    with Repository(tmp_path_factory.mktemp("looking") / "repo") as repository:
        yield repository


@pytest.fixture(scope="session")
def data(repo: Repository) -> Dataset:
    return repo.add_dataset("flowers", flowers(ROWS)).dataset


@pytest.fixture(scope="session")
def trained(repo: Repository, data: Dataset) -> Version:
    """Return a version of which nothing is kept."""
    return lw.train(small(epochs=1), data, repo=repo, record="off").version


@pytest.fixture
def version(trained: Version) -> Version:
    """Return that version, opened anew."""
    return lw.load(trained.address, repo=trained.repo)


@pytest.fixture(scope="session")
def blocks(repo: Repository, data: Dataset) -> Version:
    """Return a version with blocks in it, of which every third row is kept."""
    inner = [lw.Layer("one", nn.Linear, out_features=6, activation="relu"), lw.Layer("two", nn.Linear, out_features=5)]
    layers = [
        *small().layers[:7],
        lw.Layer("first", nn.Linear, out_features=5),
        lw.Layer("added", lw.Residual(activation="tanh"), layers=inner),
        lw.Layer("plain", lw.Block(), layers=[lw.Layer("in", nn.Linear, out_features=4), lw.Layer("act", nn.ReLU)]),
        lw.Layer("both", lw.Concatenate(), inputs=["plain", "row"]),
        lw.Layer("scores", nn.Linear, out_features=2),
        lw.Layer("kind", lw.Classes(target="kind")),
    ]
    version = lw.train(lw.Model("blocks", layers), data, repo=repo, epochs=1, record="off").version
    record_rows(version, data, np.arange(0, ROWS, 3), Recording(keep="all"))
    return version


@pytest.fixture(scope="session")
def wrapped(repo: Repository) -> Callable[[str], Version]:
    """Return a function that gives the version of a network of ``any_modules``, of which nothing is kept."""
    found: dict[str, Version] = {}

    def get(name: str) -> Version:
        if name not in found:
            kind = KINDS[name]
            data = repo.add_dataset(f"{name}-data", kind.table(ROWS), key="name").dataset
            found[name] = lw.train(kind.model(kind.module(), name), data, repo=repo, record="off").version
        return found[name]

    return get
