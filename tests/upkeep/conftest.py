"""A repository with versions of a model and a dataset, made once a file of tests and copied for each."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.repositories import fill


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that tests copy."""
    path = tmp_path_factory.mktemp("filled") / "r"
    fill(path)
    return path


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(filled, tmp_path / "r")
    return tmp_path / "r"
