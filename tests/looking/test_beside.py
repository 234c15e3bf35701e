"""Several processes at one repository: they keep records of one version at once, and collect beside that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from layerwise.repo import Repository
from tests.support.keeping_beside import ADDRESS, LAYERS, ROWS, collect, keep, rows_of
from tests.support.repositories import fill

ROOT = Path(__file__).parents[2]
SECONDS = 240.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a repository with some versions in it."""
    fill(tmp_path / "repo", versions=2)
    return tmp_path / "repo"


def start(what: str, folder: Path, seed: int, times: int) -> subprocess.Popen[str]:
    """Start a process that keeps or collects."""
    words = [sys.executable, "-m", "tests.support.keeping_beside", what, str(folder), str(seed), str(times)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(processes: list[subprocess.Popen[str]]) -> list[list[str]]:
    """Wait for processes, which must succeed, and return the lines that each printed."""
    try:
        said = [process.communicate(timeout=SECONDS) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
    assert [error for _, error in said if error] == []
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [out.splitlines() for out, _ in said]


def hold_whole(repo: Repository, seeds: list[int]) -> None:
    """Assert that what was acknowledged is there, whole, each row with its own numbers."""
    records = repo.records(repo.find(ADDRESS).digest)
    for layer in LAYERS:
        found = {record.kept.about.run: record for record in records.find(layer)}
        assert sorted(found) == sorted(f"seed-{seed}" for seed in seeds)
        for seed in seeds:
            slots = np.array([ROWS - 1, 0, 71, 71, 140])
            assert np.array_equal(found[f"seed-{seed}"].gather(slots), rows_of(layer, seed)[slots])


def test_two_processes_keep_records_of_one_version_at_once(folder: Path) -> None:
    said = finish([start("keep", folder, 10, 4), start("keep", folder, 12, 4)])
    assert said == [["10", "11", "12", "13"], ["12", "13", "14", "15"]]
    with Repository(folder) as repo:
        records = repo.records(repo.find(ADDRESS).digest)
        found = records.find("scores")
        # Two of the seeds were kept by both, as sets of the same chunks: two, or one if it was in the same second.
        assert 6 <= len(found) <= 8
        hold_whole(repo, list(range(10, 16)))
        assert len({record.track.chunks for record in records.find("edges")}) == 1
        assert len({record.track.chunks for record in found}) == 6
        for record in found:
            seed = int(record.kept.about.run.removeprefix("seed-"))
            assert np.array_equal(record.gather(np.arange(ROWS)), rows_of("scores", seed))
        assert repo.verify().sound


def test_collecting_beside_those_who_keep_takes_nothing(folder: Path) -> None:
    said = finish([start("keep", folder, 20, 6), start("keep", folder, 40, 6), start("collect", folder, 0, 6)])
    with Repository(folder) as repo:
        hold_whole(repo, [int(line) for lines in said[:2] for line in lines])
        assert repo.verify().sound
        collect(repo)
        hold_whole(repo, [int(line) for lines in said[:2] for line in lines])


def test_forgetting_and_collecting_leave_what_others_need(folder: Path) -> None:
    """What is forgotten is gone, its chunks where nobody else has them; what is left can be read whole."""
    with Repository(folder) as repo:
        for seed in range(5):
            keep(repo, seed)
    finish([start("keep", folder, 50, 5), start("forget", folder, 0, 4), start("collect", folder, 0, 4)])
    with Repository(folder) as repo:
        left = [int(record.kept.about.run.removeprefix("seed-"))
                for record in repo.records(repo.find(ADDRESS).digest).find("edges")]  # fmt: skip
        assert left
        collect(repo)
        hold_whole(repo, left)
        assert repo.verify().sound


def test_what_was_forgotten_is_not_answered_from_memory(folder: Path) -> None:
    with Repository(folder) as repo:
        keep(repo, 1)
        records = repo.records(repo.find(ADDRESS).digest)
        assert len(records.find("edges")) == 1
        with Repository(folder) as other:
            other.forget_records(other.find(ADDRESS).digest)
        assert records.find("edges") == []
        assert records.layers() == []
