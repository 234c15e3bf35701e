"""What every test runs in: two threads, a repository of its own, no network."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The bits of a result depend on the number of threads, and processes that tests start inherit it.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    # Threads that wait by spinning take the processor from other processes.
    "OMP_WAIT_POLICY": "PASSIVE",
    # As the engine sets it: a test may compute with torch before it imports the engine.
    "MKL_CBWR": "AUTO",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}

_before = pytest.StashKey[dict[str, str | None]]()

# No deadline: the machine is shared. No database: a test leaves nothing in the checkout.
settings.register_profile("layerwise", deadline=None, database=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("layerwise")


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before a test module loads torch, which reads the threads once."""
    config.stash[_before] = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Put the environment back."""
    for name, value in config.stash[_before].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a repository of its own, below its ``tmp_path``."""
    repository = tmp_path / ".layerwise"
    monkeypatch.setenv("LAYERWISE_REPOSITORY", str(repository))
    return repository


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Run torch on two threads, and put back what a test changed; torch is not loaded for it."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(2)
    yield
    if torch:
        torch.set_num_threads(threads)
