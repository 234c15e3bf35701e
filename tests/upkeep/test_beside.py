"""A collector beside real writers, each its own process: what was acknowledged is there, and nobody was refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from layerwise.repo import Repository
from layerwise.upkeep.collected import Collected
from layerwise.upkeep.verify import verify
from tests.support.counts import report

ROOT = Path(__file__).parents[2]
COMMITS = int(os.environ.get("LAYERWISE_BESIDE_COMMITS", "2000"))
WRITERS = int(os.environ.get("LAYERWISE_BESIDE_WRITERS", "4"))
PATIENCE = 600.0


def start(folder: Path, seed: int, commits: int) -> subprocess.Popen[str]:
    """Start a writer."""
    words = [sys.executable, "-m", "tests.upkeep.beside", str(folder), str(seed), str(commits)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_beside(folder: Path, writers: int, commits: int) -> None:
    """Collect as long as writers commit; then compare what they said with what is there."""
    started = time.perf_counter()
    with Repository(folder) as repo:
        processes = [start(folder, seed, commits) for seed in range(writers)]
        found: list[Collected] = []
        while any(process.poll() is None for process in processes) or not found:
            # Cold from the first moment on: what is coded is read by writers, too.
            found.append(repo.gc(yes=True, cold_after=timedelta(0) if len(found) % 3 == 2 else None))
        outputs = [process.communicate(timeout=PATIENCE) for process in processes]
        assert [error for _, error in outputs if error] == []
        said = dict(line.split(" ", 1) for output, _ in outputs for line in output.splitlines())
        kept = {str(entry.number): entry.message for entry in repo.versions("net")}
        lost = [number for number, message in said.items() if kept.get(number) != message]
        assert verify(repo.store).findings == ()
        freed = sum(each.removed.bytes for each in found)
        waited = sum(each.waiting.packs for each in found)
        assert freed > 0
    seconds = time.perf_counter() - started
    print(f"\n{len(found)} collections beside {writers} writers freed {freed:,} bytes; {waited} packs had to wait")
    report("versions acknowledged beside a collector and lost", writers * commits, len(lost), seconds=seconds)
    assert len(said) == writers * commits
    assert not lost


def test_beside_a_collector_every_version_that_was_acknowledged_is_kept(tmp_path: Path) -> None:
    run_beside(tmp_path / "r", 2, 25)


@pytest.mark.slow
def test_beside_a_collector_many_versions_are_kept(tmp_path: Path) -> None:
    run_beside(tmp_path / "r", WRITERS, COMMITS)
