"""Many processes at once in one repository: none is lost, no number is skipped or given twice, no version is half."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

import pytest

from layerwise.repo import Repository
from tests.crash import contents
from tests.crash.ledger import Ledger
from tests.crash.nursery import Child, Nursery
from tests.support.counts import report

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

SEED = int(os.environ.get("LAYERWISE_SEED", "7"))
PROCESSES = int(os.environ.get("LAYERWISE_PROCESSES", "64"))
"""How many processes the long tier starts."""

COMMITS = int(os.environ.get("LAYERWISE_COMMITS", "20"))
"""How many versions each of them commits there."""


def together(nursery: Nursery, path: Path, work: dict[str, int], times: int) -> tuple[Ledger, Child]:
    """Let children do ``work`` side by side and one read all the time; return what was acknowledged, and the reader."""
    draw, stop = Random(SEED), path.with_suffix(".stop")
    reader = nursery.start("read", path, stop=str(stop))
    workers = [
        # Two trainings share a seed: they write and clear one checkpoint.
        nursery.start(what, path, number // 2 if what == "train" else draw.getrandbits(40), times=times)
        for what, count in work.items()
        for number in range(count)
    ]
    nursery.ended(workers)
    stop.touch()
    nursery.ended([reader])
    ledger = Ledger(path)
    ledger.hear(workers)
    return ledger, reader


def hold(claim: str, ledger: Ledger, reader: Child, *, versions: int, started: float) -> None:
    """Say what was tried and what came of it, and hold the promise."""
    faults, half = ledger.check(whole=True), reader.all("fault")
    seconds = time.monotonic() - started
    (read,) = reader.all("read")
    report(f"{claim}: versions lost, skipped or given twice", versions, len(faults.all), seed=SEED, seconds=seconds)
    claim = f"{claim}: a reader in {read['passes']:,} passes, {read['objects']:,} objects, half versions"
    report(claim, read["versions"], len(half), seed=SEED, seconds=seconds)
    assert not faults.all
    assert not half
    assert len(ledger.versions) == versions
    assert ledger.versions.keys() <= ledger.shown.keys()
    assert read["versions"] == len(ledger.shown)


def test_sixteen_processes_train_and_commit_and_none_is_lost(nursery: Nursery, tmp_path: Path) -> None:
    started = time.monotonic()
    ledger, reader = together(nursery, tmp_path / "r", {"commit": 12, "train": 4}, times=5)
    hold("16 processes on one head", ledger, reader, versions=12 * 5 + 4, started=started)
    numbers = sorted(number for sort, _, number in ledger.versions if sort == "model")
    assert numbers == list(range(1, 65))


@pytest.mark.parametrize("beside", ["gc", "repair"])
def test_writers_beside_collectors_and_repairs_lose_nothing(nursery: Nursery, tmp_path: Path, beside: str) -> None:
    """A repair, and a collector whose clock is fast, end the writers' leases: those are refused, and write again."""
    started = time.monotonic()
    work = {"commit": 6, "train": 1, "add": 1, beside: 2}
    ledger, reader = together(nursery, tmp_path / "r", work, times=4)
    hold(f"8 writers beside 2 × {beside}", ledger, reader, versions=7 * 4 + 1, started=started)
    assert not ledger.verify()


def test_sixteen_processes_add_rows_to_one_dataset_and_none_is_lost(nursery: Nursery, tmp_path: Path) -> None:
    started = time.monotonic()
    ledger, reader = together(nursery, tmp_path / "r", {"add": 16}, times=1)
    hold("16 processes on one dataset", ledger, reader, versions=16, started=started)
    assert sorted(number for _, _, number in ledger.versions) == list(range(1, 17))


def test_a_reader_beside_a_store_that_names_before_it_writes_sees_half_versions(
    spoilt: Nursery, tmp_path: Path
) -> None:
    _, reader = together(spoilt, tmp_path / "r", {"commit": 4}, times=8)
    assert reader.all("fault")


@pytest.mark.slow
def test_many_more_processes_work_beside_collectors_and_repairs(nursery: Nursery, tmp_path: Path) -> None:
    started = time.monotonic()
    work = {"commit": PROCESSES - PROCESSES // 4, "train": PROCESSES // 8, "add": PROCESSES // 8, "gc": 2, "repair": 1}
    ledger, reader = together(nursery, tmp_path / "r", work, times=COMMITS)
    versions = (work["commit"] + work["add"]) * COMMITS + work["train"]
    hold(f"{PROCESSES} processes, 2 × gc, repair", ledger, reader, versions=versions, started=started)
    assert not ledger.verify()


def test_processes_that_make_the_repository_at_once_make_one(nursery: Nursery, tmp_path: Path) -> None:
    """Two processes, five times: the same repository for both, and the version of each in it."""
    started = time.monotonic()
    bad = 0
    for turn in range(5):
        path, go = tmp_path / f"r{turn}", tmp_path / f"go{turn}"
        pair = [nursery.start("make", path, seed, go=str(go)) for seed in range(2)]
        nursery.said(pair, "ready")
        go.touch()
        nursery.ended(pair)
        ledger = Ledger(path)
        ledger.hear(pair)
        made = {child.all("id")[0] for child in pair}
        bad += len(made) != 1 or len(ledger.versions) != 2 or bool(ledger.check(whole=True).all)
    seconds = time.monotonic() - started
    report("two processes make a repository at once: two repositories, or a version lost", 5, bad, seconds=seconds)
    assert not bad


def test_an_alias_moves_for_one_process_at_a_time(nursery: Nursery, tmp_path: Path) -> None:
    """Eight processes each try every move of one alias, by compare-and-set: a move is made once, by one of them."""
    started = time.monotonic()
    last, go = 40, tmp_path / "go"
    with Repository(tmp_path / "r") as repo:
        for seed in range(last):
            contents.commit(repo, seed)
    racers = [nursery.start("race", tmp_path / "r", last=last, go=str(go)) for _ in range(8)]
    nursery.said(racers, "ready")
    go.touch()
    nursery.ended(racers)
    moves = sorted(number for racer in racers for number in racer.all("moved"))
    wrong = abs(len(moves) - last) + len(set(range(1, last + 1)) ^ set(moves))
    report(
        "8 processes race to move an alias: moves lost or made twice", last, wrong, seconds=time.monotonic() - started
    )
    assert moves == list(range(1, last + 1))
    assert sorted(number for racer in racers for number in racer.all("late")) == sorted([*moves] * 7)
    with Repository(tmp_path / "r") as repo:
        assert repo.aliases(contents.NET) == {"champion": last}
