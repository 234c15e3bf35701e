"""What the processes of a simulation do, and the runs that are made of it.

A scenario is a function: it gets a `Session`, works on the repository as a user's program does, and says through it
what it was promised. To add one is to write the function and to name it in `PAIRS`.
"""

from __future__ import annotations

import functools
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from layerwise.data.dataset import add
from layerwise.errors import Conflict
from layerwise.repo import LayerState, Repository
from layerwise.store.disk import Disk
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor, frame
from layerwise.versions.manifest import Manifest
from tests.crash.processes import Process, Turns
from tests.crash.recorder import Recorder
from tests.crash.simdisk import (
    FOLDER,
    Acknowledged,
    Committed,
    FileSynced,
    FolderSynced,
    Operation,
    SimDisk,
    World,
)

CREATED = "2026-01-31T09:30:00+00:00"


def open_repository(path: Path, disk: Disk) -> Repository:
    """Return the repository at ``path``, every effect on files through ``disk``; make it where there is none."""
    repository = object.__new__(Repository)
    repository.path = path
    repository.store = Store.open(path, create=True, disk=disk)
    return repository


def layer(data: bytes) -> LayerState:
    """Return a layer whose one tensor holds ``data``."""
    return LayerState("Test.v1", {"weight": RawTensor("U8", (len(data),), data)}, {})


@dataclass
class Session:
    """One process at work: its repository, and what it was promised."""

    path: Path
    disk: Disk
    acknowledge: Callable[[tuple[str, str, int, str]], None]
    opened: list[Repository] = field(default_factory=list)

    @property
    def repo(self) -> Repository:
        """The repository, opened when it is first used."""
        if not self.opened:
            self.opened.append(open_repository(self.path, self.disk))
        return self.opened[0]

    def commit(self, model: str, layers: Mapping[str, bytes], branch: str = "main") -> None:
        """Commit a version of a model and note that it was acknowledged."""

        def make(number: int, parent: int | None) -> Manifest:
            return Manifest(model, number, {}, {}, parent=parent, branch=branch, created=CREATED)

        entry = self.repo.commit(make, {path: layer(data) for path, data in layers.items()}, {"environment": b"{}"})
        self.acknowledge(("model", model, entry.number, entry.digest))

    def add(self, name: str, rows: int) -> None:
        """Add a version of a dataset and note that it was acknowledged."""
        added = add(self.repo.store, name, {"id": list(range(rows)), "text": [f"row {n}" for n in range(rows)]})
        self.acknowledge(("dataset", name, added.dataset.number, added.dataset.digest))

    def alias(self, address: str, alias: str) -> None:
        """Set an alias and note that it was acknowledged."""
        entry = self.repo.set_alias(address, alias)
        self.acknowledge((f"alias {alias}", entry.name, entry.number, entry.digest))

    def close(self) -> None:
        """Close the repository, where it is open."""
        while self.opened:
            self.opened.pop().close()


Scenario = Callable[[Session], None]

SHARED = b"the layer that both have" * 8

TAIL = b"what no version names yet" * 8


def first(session: Session) -> None:
    """A version with a new layer and a shared one, and a dataset."""
    session.commit("net", {"head": b"first" * 20, "body": SHARED})
    session.add("rows-first", 8)
    session.close()


def second(session: Session) -> None:
    """A version of the same model whose one layer the other writer puts too, an alias, and a dataset of equal rows."""
    session.commit("net", {"body": SHARED, "tail": b"second" * 30})
    session.add("rows-second", 8)
    session.alias("net@1", "good")
    session.close()


def twin(session: Session) -> None:
    """A version that another process makes too, to the byte; then one that builds on it."""
    session.commit("twin", {"body": SHARED})
    session.commit("twin", {"body": SHARED, "more": b"more" * 16})
    session.close()


def branches(session: Session) -> None:
    """Versions on a branch of its own."""
    session.commit("net", {"body": SHARED}, branch="other")
    session.commit("net", {"body": b"another body"}, branch="other")
    session.close()


def litter(session: Session) -> None:
    """A repository with versions, and with objects that no version names: alone in their packs, and beside others."""
    prepare(session)
    for layers in ({"tail": TAIL}, {"tail": TAIL, "odd": b"odd" * 50}, {"rest": b"rest" * 60}):
        with session.repo.store.objects.writing() as writer:
            writer.put_all([frame(layer(data).tensors) for data in layers.values()])
    session.commit("net", {"body": b"third body" * 20, "head": b"third" * 20})
    session.close()


def collect(session: Session) -> None:
    """A collection that removes what it can, and codes all packs, as if they were old; then another one."""
    for _ in range(2):
        with suppress(Conflict):
            session.repo.gc(yes=True, cold_after=timedelta(0), dead_share=0.0)
    session.close()


def collect_once(session: Session) -> None:
    """A collection of what no version names."""
    session.repo.gc(yes=True, cold_after=None)
    session.close()


def reuse(session: Session) -> None:
    """One version that names what no version named."""
    session.commit("net", {"tail": TAIL, "odd": b"odd" * 50})
    session.close()


def revive(session: Session) -> None:
    """Versions that name what no version named: the collector was about to remove it."""
    session.commit("net", {"tail": TAIL, "odd": b"odd" * 50})
    session.commit("net", {"rest": b"rest" * 60, "new": b"new" * 30})
    session.add("rows-again", 4)
    session.close()


PAIRS: Sequence[tuple[Scenario, Scenario]] = ((first, second), (twin, twin), (second, branches))
"""Who works beside whom."""

COLLECTORS: Sequence[tuple[Scenario, Scenario]] = ((collect, revive), (collect, first), (collect, collect))
"""Who works beside a collector, in a repository where there is something to collect."""


MEMORY = "/dev/shm"


@contextmanager
def on_disk() -> Iterator[Path]:
    """Give a real folder for the one thing that is not simulated, SQLite's file: in memory where Linux has that."""
    fast = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="layerwise-crash-", dir=fast) as folder:
        yield Path(folder)


@dataclass
class Recording:
    """A run.

    Attributes:
        log: what was done, from an empty disk on.
        start: the first operation of the run itself; those before it made the repository, and are durable.
        steps: how many effects each process had.
        turns: how many turns each had: effects, and looks at what others may change.
        world: the file system at the end.
    """

    log: list[Operation]
    start: int
    steps: list[int]
    turns: list[int]
    world: World

    def settled(self) -> World:
        """Return a copy of the file system in which all is durable, its log that of this run and no crash in it."""
        world = World()
        for operation in self.log:
            world.do(operation)
        for folder in ("", *world.folders()):
            world.do(FolderSynced(folder))
        for inode in set(world.entries.values()) - {FOLDER}:
            world.do(FileSynced(inode))
        return world


def record(
    scenarios: Sequence[Scenario],
    seed: int,
    *,
    base: Recording | None = None,
    dies: Mapping[int, int] | None = None,
    switch_at: int | None = None,
) -> Recording:
    """Run scenarios beside each other, one a process, and return what was done.

    Args:
        scenarios: what the processes do.
        seed: of who is next at each effect.
        base: what made the repository that they work on; without it they begin with nothing.
        dies: by the place of a process, the effect before which it is killed.
        switch_at: after how many turns the first process is held up until the others are over (`Turns`).
    """
    world = base.settled() if base is not None else World()
    start = len(world.log)
    with on_disk() as path:
        if (database := _last_database(world)) is not None:
            (path / "catalog.sqlite").write_bytes(database)
        recorder = Recorder(world, path / "catalog.sqlite")
        sessions: list[Session] = []

        def begin(scenario: Scenario) -> Callable[[Process], None]:
            def body(process: Process) -> None:
                acknowledge = lambda promise: world.do(Acknowledged(promise))  # noqa: E731
                disk = SimDisk(path, world, process.gate)
                disk.mirror()
                sessions.append(Session(path, disk, acknowledge))
                scenario(sessions[-1])

            return body

        processes = [Process(begin(scenario), (dies or {}).get(place)) for place, scenario in enumerate(scenarios)]
        with recorder.watching():
            try:
                Turns(seed, recorder.poll, switch_at).run(processes)
                log = list(world.log)
            finally:
                # What died left connections open; the end of a real process closes them.
                for session in sessions:
                    session.close()
    return Recording(
        log, start, [process.steps for process in processes], [process.turns_taken for process in processes], world
    )


def _last_database(world: World) -> bytes | None:
    found = [operation.database for operation in world.log if isinstance(operation, Committed)]
    return found[-1] if found else None


def prepare(session: Session) -> None:
    """A repository with a model and a dataset in it."""
    session.commit("net", {"body": SHARED, "head": b"before" * 20})
    session.add("rows-before", 4)
    session.close()


@functools.cache
def littered() -> Recording:
    """Return the recording of `litter`: what collectors begin with."""
    return record([litter], 0)


@functools.cache
def prepared() -> Recording:
    """Return the recording of `prepare`: what most runs begin with."""
    return record([prepare], 0)


def held_up(scenarios: Sequence[Scenario], base: Recording) -> Iterator[Recording]:
    """Give a run for each turn of the first process: held up there until the others are over. All there are."""
    for turn in itertools.count(1):
        recording = record(scenarios, turn, base=base, switch_at=turn)
        yield recording
        if recording.turns[0] < turn:
            break
