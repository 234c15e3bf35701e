"""Collections and repairs beside readers and writers that are real processes: nothing is taken that somebody uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from layerwise.canonical import encode
from layerwise.repo import Repository
from tests.crash import contents
from tests.crash.ledger import Ledger
from tests.crash.nursery import Child, Nursery

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

SLEEPER = 3
"""The seed of the writer that falls asleep."""


def make(path: Path, versions: int = 4, sleeper: int = SLEEPER) -> None:
    """Make a repository with some versions, and with objects that none of them needs, in packs of both sorts."""
    with Repository(path) as repo:
        for seed in range(100, 100 + versions):
            with repo.store.objects.writing() as writer:
                for family, weights in contents.families(seed).items():
                    writer.put([contents.framed(weights)])
                    writer.put([contents.framed(contents.variation(family, seed + 1000))])
            contents.commit(repo, seed)
        # What the sleeper will find there, and rely on.
        with repo.store.objects.writing() as writer:
            for weights in contents.layers(next(contents.seeds(sleeper))).values():
                writer.put([contents.framed(weights)])


def collected(nursery: Nursery, path: Path, *, late: bool) -> int:
    """Collect twice, from processes of their own, and return how many packs were removed."""
    removed = 0
    for seed in range(2):
        child = nursery.start("gc", path, seed, late=late)
        nursery.ended([child])
        removed += sum(child.all("removed"))
    return removed


def checked(path: Path, writers: list[Child]) -> Ledger:
    """Hold that all is there, and return what was acknowledged."""
    ledger = Ledger(path)
    ledger.hear(writers)
    assert not ledger.check(whole=True).all
    assert not ledger.verify()
    return ledger


def test_a_reader_keeps_good_bytes_while_what_it_maps_is_collected(nursery: Nursery, tmp_path: Path) -> None:
    path, go = tmp_path / "r", tmp_path / "go"
    make(path)
    reader = nursery.start("hold", path, go=str(go))
    nursery.said([reader], "ready")
    removed = collected(nursery, path, late=True)
    go.touch()
    nursery.ended([reader])
    (held,) = reader.all("held")
    print(f"{held['views']} views held while {removed} packs were removed: {held['changed']} changed")
    assert removed > 0
    assert held["views"] > 10
    assert (held["changed"], held["faults"]) == (0, [])
    checked(path, [])


@pytest.mark.parametrize("effect", ["rename", "sync_folder done"])
@pytest.mark.parametrize("beside", ["gc", "gc, its lease over", "repair"])
def test_a_writer_that_sleeps_in_its_commit_wakes_and_keeps_its_version(
    nursery: Nursery, tmp_path: Path, effect: str, beside: str
) -> None:
    """While its lease lives nothing that it relies on is removed; when it is over, the commit writes it all again."""
    path = tmp_path / "r"
    make(path)
    sleeper = nursery.start("commit", path, SLEEPER, times=1, pause=f"commit: {effect}")
    nursery.said([sleeper], "paused")
    assert sleeper.ended is None
    if beside == "repair":
        nursery.ended([nursery.start("repair", path)])
    removed = collected(nursery, path, late=beside != "gc")
    nursery.wake(sleeper)
    nursery.ended([sleeper])
    assert not sleeper.all("refused")
    assert len(checked(path, [sleeper]).versions) == 1
    assert removed > 0 or beside == "gc"


def died_between(nursery: Nursery, path: Path, seed: int) -> bool:
    """Let a writer die before its version has a name, and a collector when it has removed what that relied on.

    Return False where the collector, which goes by digests, removed the writer's own pack first: of two seeds one.
    """
    make(path, versions=0, sleeper=seed)
    relied_on = {file.name for file in path.glob("packs/*/*.pack")}
    writer = nursery.start("commit", path, seed, times=1, pause="commit: sync_folder done")
    nursery.said([writer], "paused")
    nursery.kill(writer)
    nursery.ended([writer])
    (its,) = {file.name for file in path.glob("packs/*/*.pack")} - relied_on
    collector = nursery.start("gc", path, late=False, pause="gc: unlink done", stops=100)
    for stop in range(1, 100):
        nursery.said([collector], "paused", stop)
        there = {file.name for file in path.glob("trash/*.pack")}
        if its not in there or collector.ended is not None:
            break
        if len(there) == 1:
            nursery.kill(collector)
            nursery.ended([collector])
            return True
        nursery.wake(collector)
    nursery.kill(collector)
    nursery.ended([collector])
    return False


def test_a_repair_after_a_collector_that_died_between_two_packs_brings_back_no_half_version(
    nursery: Nursery, tmp_path: Path
) -> None:
    """A repair names what it finds no name for, and that must be whole."""
    path = next(path for seed in range(30) if died_between(nursery, path := tmp_path / f"r{seed}", seed))
    nursery.ended([nursery.start("repair", path)])
    checked(path, [])


def test_a_repair_brings_back_no_manifest_that_was_refused(tmp_path: Path) -> None:
    """Its writer had looked at the head before another published, and at the last number after that."""
    with Repository(tmp_path / "r") as repo:
        contents.commit(repo, 1)
        refused = contents.manifest(seed=1, number=2, parent=None)
        with repo.store.objects.writing() as writer:
            writer.put([encode(refused.to_json())])
        repo.repair()
        assert [(entry.number, entry.parent) for entry in repo.versions(contents.NET)] == [(1, None)]
