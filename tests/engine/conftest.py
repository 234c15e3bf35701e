"""A repository with the flowers in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from layerwise.data.dataset import Dataset
from layerwise.repo import Repository
from tests.support.flowers import flowers


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repository]:
    with Repository(tmp_path / "repo") as repository:
        yield repository


@pytest.fixture
def data(repo: Repository) -> Dataset:
    return repo.add_dataset("flowers", flowers()).dataset
