"""What the child processes of the crash tests do: each job is a function of its teller and of what it was asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import layerwise as lw
from layerwise.canonical import digest_bytes, digest_value
from layerwise.data.dataset import Dataset
from layerwise.errors import Conflict
from layerwise.repo import Repository
from layerwise.store.catalog.packs import LEASE_SECONDS
from layerwise.store.rows import Entry
from layerwise.upkeep.gc import collect
from tests.crash import contents
from tests.crash.looking import Place, look, objects_of
from tests.crash.telling import Teller

PATIENCE = 60.0
"""Seconds that a child waits for a signal of the tests before it gives up."""

ATTEMPTS = 500
"""How often a child tries again where others were first."""

Request = dict[str, Any]

T = TypeVar("T")


def commit(tell: Teller, request: Request) -> None:
    """Commit a few versions, and give the first an alias."""
    with Repository(request["path"]) as repo:
        for step, seed in zip(range(request.get("times", 3)), contents.seeds(request["seed"]), strict=False):
            tell.at("commit")
            entry = _insisting(tell, lambda: contents.commit(repo, seed))  # noqa: B023
            tell.acknowledge(entry)
            if step == 0:
                tell.at("alias")
                alias = f"of-{seed}"
                repo.set_alias(f"{contents.NET}@{entry.number}", alias)
                tell.say(alias=[alias, entry.number])


def train(tell: Teller, request: Request) -> None:
    """Train a tiny model; the run of a child that was killed goes on."""
    keep = Repository.commit

    def marked(repo: Repository, *given: Any, **named: Any) -> Entry:
        tell.at("commit")
        return keep(repo, *given, **named)

    Repository.commit = marked  # type: ignore[method-assign,assignment]
    seed = request["seed"]
    with Repository(request["path"]) as repo:
        tell.at("data")
        flowers = _flowers(tell, repo)
        tell.at("train")
        model = lw.Model.from_yaml(contents.MODEL)
        # A collector whose clock is fast ends its lease: it is to commit again then.
        run = _insisting(tell, lambda: lw.train(model, flowers, repo=repo, seed=seed, message=str(seed)))
        states = {path: layer.state for path, layer in run.version.manifest.layers.items()}
        weights = digest_value("weights", states)
        tell.acknowledge(run.version.entry, trained=seed, weights=weights, resumed=run.resumed, run=run.id)


def _flowers(tell: Teller, repo: Repository) -> Dataset:
    def added() -> Dataset:
        # The address of the first version: the key of a run, and so its checkpoint, depends on it.
        if contents.FLOWERS not in repo.store.catalog.names("dataset"):
            repo.add_dataset(contents.FLOWERS, contents.flowers())
        return repo.dataset(f"{contents.FLOWERS}@1")

    return _insisting(tell, added)


def add(tell: Teller, request: Request) -> None:
    """Add versions of a dataset."""
    with Repository(request["path"]) as repo:
        for _, seed in zip(range(request.get("times", 2)), contents.seeds(request["seed"]), strict=False):
            table = contents.rows(seed)
            tell.at("add")
            added = _insisting(tell, lambda: repo.add_dataset(contents.ROWS, table, key="id", message=str(seed)))  # noqa: B023
            tell.acknowledge(repo.store.catalog.find("dataset", contents.ROWS, str(added.dataset.number)))


def gc(tell: Teller, request: Request) -> None:
    """Collect what no version needs, and code what is cold; some collectors have a clock that is fast."""
    draw = Random(request["seed"])
    late = request.get("late", draw.random() < 0.3)
    if late:
        clock = time.time
        time.time = lambda: clock() + 2 * LEASE_SECONDS
    with Repository(request["path"]) as repo:
        for _ in range(request.get("times", 1)):
            share, cold = draw.choice((0.0, 0.2)), draw.choice((timedelta(0), None))
            tell.at("gc")
            # There is one collector at a time.
            with contextlib.suppress(Conflict):
                done = collect(repo.store, yes=True, dead_share=share, cold_after=cold)
                tell.say(removed=done.removed.packs, freed=done.freed)


def repair(tell: Teller, request: Request) -> None:
    """Make the catalog anew."""
    for _ in range(request.get("times", 1)):
        with Repository(request["path"]) as repo:
            tell.at("repair")
            tell.say(recovered=repo.repair().recovered)


def hold(tell: Teller, request: Request) -> None:
    """Keep views of all objects while others work; then look at them again, and read all anew."""
    with Repository(request["path"]) as repo:
        digests = [digest for entry in repo.store.catalog.every_entry() for digest in objects_of(repo, entry)]
        views = {digest: repo.store.objects.get(digest) for digest in digests}
        tell.say(ready=True)
        _await(Path(request["go"]))
        changed = sum(digest_bytes([view]) != digest for digest, view in views.items())
        seen = look(repo)
        tell.say(held={"views": len(views), "changed": changed, "read": seen.objects, "faults": seen.all[:3]})


def read(tell: Teller, request: Request) -> None:
    """List, load and verify until the tests say stop; say how much, and every sign of half a version."""
    stop, known, objects, passes = Path(request["stop"]), set[Place](), 0, 0
    with Repository(request["path"]) as kept:
        last = False
        while not last:
            # Once more after the stop: then all is there.
            last = stop.exists()
            # A repository that stays open, and one that is opened anew, must both see whole versions.
            with contextlib.nullcontext(kept) if passes % 2 else Repository(request["path"]) as repo:
                seen = look(repo, known)
            known.update(seen.entries)
            objects, passes = objects + seen.objects, passes + 1
            for fault in seen.all:
                tell.say(fault=fault[:1000])
    tell.say(read={"passes": passes, "versions": len(known), "objects": objects})


def make(tell: Teller, request: Request) -> None:
    """Wait for the start, make the repository, say which it is, and commit."""
    tell.say(ready=True)
    _await(Path(request["go"]))
    with Repository(request["path"]) as repo:
        tell.say(id=repo.store.id)
        tell.acknowledge(contents.commit(repo, request["seed"]))


def race(tell: Teller, request: Request) -> None:
    """Try once to make each move of an alias, by compare-and-set; say which moves were this child's, and which not."""
    with Repository(request["path"]) as repo:
        tell.say(ready=True)
        _await(Path(request["go"]))
        catalog = repo.store.catalog
        for move in range(1, request["last"] + 1):
            # The one before was made, by this child or by another.
            expected = move - 1 or None
            try:
                catalog.set_alias("model", contents.NET, "champion", move, expected=expected)
                tell.say(moved=move)
            except Conflict:
                tell.say(late=move)


def _insisting(tell: Teller, act: Callable[[], T]) -> T:
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except Conflict as error:
            tell.say(refused=str(error)[:300])
    return act()


def _await(file: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < end, f"nobody made {file}"
        time.sleep(0.0005)


JOBS: dict[str, Callable[[Teller, Request], None]] = {
    "commit": commit, "train": train, "add": add, "gc": gc, "repair": repair, "hold": hold, "read": read,
    "make": make, "race": race,
}  # fmt: skip
