"""A collector beside a writer, in every order of their steps: nothing that the writer relies on is ever removed.

The real code runs, on a real folder; its steps are transactions, and effects on packs. A schedule is bad where a
version is published and one of its objects cannot be read, then or after more collections; or where a writer whose
lease is alive is refused, for what it relied on is gone.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Self

import pytest
import sqlalchemy as sa

from layerwise import canonical
from layerwise.errors import Conflict, Damaged, LayerwiseError, NotFound
from layerwise.store.catalog import changes, queries
from layerwise.store.catalog import trash as trash_rows
from layerwise.store.catalog.catalog import Entry
from layerwise.store.catalog.collector import Collector
from layerwise.store.fingerprints import Fingerprints
from layerwise.store.objects import Objects
from layerwise.store.packs import FOLDERS, pack_name, trash_name
from layerwise.store.rows import Location
from layerwise.store.store import Store
from layerwise.store.writer import PackWriter
from layerwise.upkeep import gc, trash
from layerwise.upkeep.gc import collect
from layerwise.upkeep.manifests import references
from layerwise.upkeep.marking import Marks
from layerwise.upkeep.strays import Strays, find_strays
from layerwise.versions.manifest import LayerEntry, Manifest
from layerwise.words import Digest
from tests.support.counts import report
from tests.upkeep.stepping import Turns, every
from tests.upkeep.worlds import SteppedPacks, World, no_gate

CREATED = "2026-01-31T09:30:00+00:00"
KEPT, GARBAGE, NEW = b"kept" * 500, b"garbage" * 500, b"new" * 50
SAMPLES = int(os.environ.get("LAYERWISE_SCHEDULES", "15"))
"""Schedules that are drawn of each scenario in the ordinary tests; the slow ones go through all."""

FINE = int(os.environ.get("LAYERWISE_FINE_SCHEDULES", "2000"))
"""Schedules that are drawn where each look into the catalog is a step; there are too many to go through."""

WRITER, COLLECTOR = 0, 1


def version(number: int, contents: Sequence[bytes]) -> tuple[Manifest, Entry, bytes]:
    """Return the version of ``net`` that has these layers."""
    states = [canonical.digest_bytes([memoryview(data)]) for data in contents]
    layers = {f"layer{at}": LayerEntry("Test.v1", state) for at, state in enumerate(states)}
    parent = number - 1 or None
    manifest = Manifest("net", number, {}, layers, parent=parent, created=CREATED)
    data = canonical.encode(manifest.to_json())
    digest = canonical.digest_bytes([memoryview(data)])
    return manifest, Entry("model", "net", number, digest, "main", parent, CREATED, "", ""), data


def publish(store: Store, number: int, contents: Sequence[bytes], sort: type[PackWriter] = PackWriter) -> None:
    """Publish a version as a commit does: put what it is made of, then name it."""
    manifest, entry, data = version(number, contents)
    with sort(store.blobs, store.catalog, Fingerprints()) as writer:
        writer.put_all([[content] for content in (*contents, data)])
        writer.publish(entry, expected=entry.parent, names=set(manifest.references().values()))


def put(store: Store, *contents: bytes) -> None:
    """Put objects that no version names."""
    with store.objects.writing() as writer:
        writer.put_all([[content] for content in contents])


def leave(store: Store, number: int, contents: Sequence[bytes]) -> None:
    """Write the pack of a version and die before it is registered."""

    class Dies(PackWriter):
        def publish(self, *_: object, **__: object) -> None:
            self._flush()
            self._unregistered.clear()

    publish(store, number, contents, Dies)


# What there is when both begin.


def relied(store: Store) -> None:
    """A pack of which nothing is needed, and the writer will need it."""
    publish(store, 1, [KEPT])
    put(store, GARBAGE)


def sparse(store: Store) -> None:
    """The same in one pack with what is needed."""
    with store.objects.writing() as writer:
        writer.put_all([[GARBAGE], [KEPT]])
        manifest, entry, data = version(1, [KEPT])
        writer.put([data])
        writer.publish(entry, expected=None, names=set(manifest.references().values()))


def twin(store: Store) -> None:
    """A pack that a killed writer left, and the writer will write the same."""
    publish(store, 1, [KEPT])
    leave(store, 2, [GARBAGE, NEW])


def thrown(store: Store) -> None:
    """The same pack in the trash, of an earlier collection that had to wait."""
    twin(store)
    lease = store.catalog.packs.take_lease()
    collect(store, yes=True, cold_after=None)
    store.catalog.packs.end_lease(lease)


def halfway(store: Store) -> None:
    """A pack on its way to the trash, of a collection that was killed."""
    relied(store)
    with pytest.MonkeyPatch.context() as patch, suppress(InterruptedError):
        patch.setattr(gc, "take_out", _interrupt)
        collect(store, yes=True, cold_after=None)


def _interrupt(store: Store) -> None:
    raise InterruptedError


def cold(store: Store) -> None:
    """The first, and what is needed is coded."""
    relied(store)


BEGINNINGS = (relied, sparse, twin, thrown, halfway, cold)


class LateWriter(PackWriter):
    """One that is so slow that its lease is over before it has done anything."""

    def __enter__(self) -> Self:
        self._lease = self._catalog.packs.take_lease(-1.0)
        return self


@dataclass
class Case:
    """One beginning, and how the two programs go on from it.

    Attributes:
        begin: makes what there is.
        sort: the writer.
        late: whether the writer's lease is over as soon as it has it: it may be refused then.
        kills: which programs may be killed.
        fine: whether each look into the catalog is a step.
        tried: how many schedules were run.
        bad: those in which something was removed that a writer relied on.
        left: those after which garbage was left.
    """

    begin: Callable[[Store], None]
    sort: type[PackWriter] = PackWriter
    late: bool = False
    kills: Sequence[int] = ()
    fine: bool = False
    tried: int = 0
    bad: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def run_all(self, *, until_bad: bool = False) -> None:
        """Go through all schedules, as far as the first bad one where that is enough."""
        with self._world() as world:
            for turns in every(lambda choices: self._run(world, choices, None)):
                self._look(world, turns)
                if until_bad and self.bad:
                    return

    def run_some(self, samples: int, seed: int, *, until_bad: bool = False) -> None:
        """Draw schedules, as far as the first bad one where that is enough."""
        draw = Random(seed)
        with self._world() as world:
            while self.tried < samples and not (until_bad and self.bad):
                self._look(world, self._run(world, (), draw))

    @contextmanager
    def _world(self) -> Iterator[World]:
        fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="layerwise-schedules-", dir=fast) as folder:
            world = World(Path(folder), fine=self.fine)
            try:
                self.begin(world.writer)
                world.keep()
                yield world
            finally:
                world.close()

    def _run(self, world: World, choices: Sequence[int], draw: Random | None) -> Turns:
        world.reset()
        self._refused: list[str] = []
        self._lost: list[str] = []
        turns = Turns([lambda: self._write(world), lambda: self._collect(world)], choices, self.kills, draw)
        world.gate = turns.gate
        try:
            turns.run()
        finally:
            world.gate = no_gate
        return turns

    def _write(self, world: World) -> None:
        try:
            publish(world.writer, 2, [GARBAGE, NEW], self.sort)
        except (NotFound, Conflict) as error:
            self._refused.append(f"the writer was refused: {error}")

    def _collect(self, world: World) -> None:
        try:
            collect(world.collector, yes=True, cold_after=timedelta(0) if self.begin is cold else None)
        except Damaged as error:
            self._lost.append(f"the collector found what it had removed: {error}")

    def _look(self, world: World, turns: Turns) -> None:
        self.tried += 1
        wrong = [*self._lost, *([] if self.late else self._refused), *_unreadable(world.collector)]
        # The next collection finishes; where a lease of the dead had to end first, or a file was written twice, one
        # after it does.
        for _ in range(3):
            if wrong or _is_tidy(world):
                break
            collect(world.collector, yes=True, cold_after=None)
            wrong += _unreadable(world.collector)
            world.expire()
        steps = " | ".join(" ".join(program.steps) for program in turns.programs)
        if wrong:
            self.bad.append(f"{wrong[0]} ({turns.taken}: {steps})")
        elif not _is_tidy(world):
            self.left.append(f"garbage is left ({turns.taken}: {steps})")


def _is_tidy(world: World) -> bool:
    """Tell whether there is nothing but what is needed."""
    packs = world.collector.catalog.collector.packs()
    marks = Marks(world.collector)
    marks.update()
    return (
        sorted(world.files()) == sorted(map(pack_name, packs))
        and all(row.state == "live" for row in packs.values())
        and {digest for row in packs.values() for digest in row.objects} == set(marks.newest)
    )


def _unreadable(store: Store) -> list[str]:
    wrong = []
    objects = Objects(store.blobs, store.catalog)
    store.disk.forget()
    for entry in store.catalog.every_entry():
        try:
            for digest in references(store, entry).values():
                objects.get(digest)
        except LayerwiseError as error:
            wrong.append(f"{entry.name}@{entry.number} is lost: {error}")
    return wrong


def _say(claim: str, cases: Sequence[Case], started: float, seed: int | None = None) -> None:
    tried, bad = sum(case.tried for case in cases), [line for case in cases for line in case.bad]
    report(claim, tried, len(bad), seed=seed, seconds=time.perf_counter() - started)
    assert not bad, bad[:3]
    assert not [line for case in cases for line in case.left]


def test_in_no_order_of_steps_is_anything_removed_that_a_writer_relies_on() -> None:
    started, cases = time.perf_counter(), [Case(relied), Case(twin)]
    for case in cases:
        case.run_all()
    assert sum(case.tried for case in cases) >= 350
    _say("schedules of a writer and a collector, all: objects wrongly removed", cases, started)


def test_nor_in_schedules_drawn_from_other_beginnings_with_kills_and_leases_that_end() -> None:
    started, seed = time.perf_counter(), 7
    cases = [
        Case(begin, sort, sort is LateWriter, (WRITER, COLLECTOR))
        for begin in BEGINNINGS
        for sort in (PackWriter, LateWriter)
    ]
    for case in cases:
        case.run_some(SAMPLES, seed)
    _say("schedules with a kill, drawn: objects wrongly removed", cases, started, seed)


# The same checker sees what goes wrong without each part of the protocol.


class LooksFirst(PackWriter):
    """Takes its lease after it has looked what is there."""

    def __enter__(self) -> Self:
        self._lease = -1
        return self

    def publish(self, *args: Any, **named: Any) -> None:
        self._lease = self._catalog.packs.take_lease()
        super().publish(*args, **named)


class Unfenced(LateWriter):
    """Publishes, whether or not its lease is still there."""

    def publish(self, entry: Entry, *, expected: int | None, names: Any, run: Any = None) -> None:
        self._flush()
        self._catalog.publish(entry, expected=expected, packs=self._unregistered, names=names, lease=None)
        self._unregistered, self._lease = [], None


def no_leases(patch: pytest.MonkeyPatch) -> None:
    """The collector looks at no leases."""
    patch.setattr(trash, "_is_free", lambda row, writers: row.fence is not None)
    patch.setattr(trash_rows, "oldest_lease", lambda connection: None)


class _Equal(int):
    """Equal to whatever it is compared with."""

    def __ne__(self, other: object) -> bool:
        return False


def no_second_look(patch: pytest.MonkeyPatch) -> None:
    """What was not needed when the collection began is taken not to be needed at its end."""
    update = Marks.update
    patch.setattr(Marks, "update", lambda marks: None if marks.versions else update(marks))
    patch.setattr(trash_rows, "count_versions", lambda connection: _Equal())


def fence_of_the_beginning(patch: pytest.MonkeyPatch) -> None:
    """The fence is the collector's own lease, taken before it looked what is needed."""

    def seal(collector: Collector, packs: Sequence[Digest]) -> None:
        with collector._ledger._database.writing() as connection:
            connection.exec_driver_sql(
                "UPDATE pack SET fence = (SELECT max(id) FROM lease WHERE holder LIKE 'collector %') "
                "WHERE state = 'trash' AND fence IS NULL"
            )

    patch.setattr(Collector, "seal", seal)


def fence_before_the_move(patch: pytest.MonkeyPatch) -> None:
    """The fence is drawn while the files are still on their way."""

    def take_out(store: Store) -> None:
        rows = store.catalog.collector.packs().items()
        fresh = [pack for pack, row in rows if row.state == "trash" and row.fence is None]
        store.catalog.collector.seal(fresh)
        for pack in fresh:
            with suppress(FileNotFoundError):
                store.blobs.move(pack_name(pack), trash_name(pack))

    patch.setattr(gc, "take_out", take_out)


def no_trash(patch: pytest.MonkeyPatch) -> None:
    """Packs are forgotten at once, and their files removed."""

    def take_out(store: Store) -> None:
        known = store.catalog.collector.states()
        for name in (name for folder in FOLDERS[1:] for name in store.blobs.list(folder)):
            pack = Digest(name.removesuffix(".pack"))
            if pack not in known:
                store.blobs.discard(pack_name(pack))

    patch.setattr(trash_rows, "discard", trash_rows._remove)
    patch.setattr(gc, "take_out", take_out)


def strays_at_once(patch: pytest.MonkeyPatch) -> None:
    """Files that the catalog does not know are removed when they are found."""

    def find(store: Store) -> Strays:
        found = find_strays(store)
        for stray in found.packs:
            store.blobs.discard(pack_name(stray.pack))
        return Strays((), ())

    patch.setattr(gc, "find_strays", find)


def trash_counts_as_there(patch: pytest.MonkeyPatch) -> None:
    """Writers rely on what lies in the trash."""

    def present(packs: SteppedPacks, digests: Any) -> dict[Digest, Location]:
        packs.world.gate("look", True)
        with packs._ledger.reading() as connection:
            return queries.locations(connection, digests, ("live", "trash"))

    patch.setattr(SteppedPacks, "present", present)


def live_is_forgotten_too(patch: pytest.MonkeyPatch) -> None:
    """A pack is forgotten without looking whether it is in use again."""

    def forget(connection: sa.Connection, packs: list[str], **_: object) -> list[str]:
        trash_rows._remove(connection, packs)
        return packs

    patch.setattr(changes, "CHANGES", {**changes.CHANGES, "forget_packs": forget})


def nothing(patch: pytest.MonkeyPatch) -> None:
    """All as it is."""


MUTANTS = (
    (no_leases, relied, PackWriter),
    (no_second_look, relied, PackWriter),
    (no_trash, relied, PackWriter),
    (fence_of_the_beginning, relied, PackWriter),
    (fence_before_the_move, twin, PackWriter),
    (trash_counts_as_there, relied, PackWriter),
    (strays_at_once, twin, PackWriter),
    (live_is_forgotten_too, thrown, PackWriter),
    (nothing, relied, LooksFirst),
    (nothing, twin, Unfenced),
)


def test_a_protocol_that_lacks_a_part_is_caught() -> None:
    started, caught = time.perf_counter(), []
    for mutate, begin, sort in MUTANTS:
        case = Case(begin, sort, late=sort is Unfenced)
        with pytest.MonkeyPatch.context() as patch:
            mutate(patch)
            # From the writer's file on, few orders are bad: they are gone through, not drawn.
            case.run_all(until_bad=True) if begin is twin else case.run_some(200, 5, until_bad=True)
        caught.append((mutate.__name__, sort.__name__, len(case.bad), case.tried))
    missed = [found for found in caught if not found[2]]
    report(
        "mutants of the collection that were missed", len(caught), len(missed), seconds=time.perf_counter() - started
    )
    assert not missed


@pytest.mark.slow
def test_in_all_schedules_with_a_kill_nothing_is_removed_that_a_writer_relies_on() -> None:
    started = time.perf_counter()
    cases = [
        Case(begin, sort, sort is LateWriter, (WRITER, COLLECTOR))
        for begin in BEGINNINGS
        for sort in (PackWriter, LateWriter)
    ]
    for case in cases:
        case.run_all()
    _say("schedules with a kill, all: objects wrongly removed", cases, started)


@pytest.mark.slow
def test_nor_where_each_look_into_the_catalog_is_a_step() -> None:
    started = time.perf_counter()
    cases = [Case(begin, fine=True) for begin in (relied, twin)]
    for case in cases:
        case.run_some(FINE, 3)
    _say("schedules of every transaction, drawn: objects wrongly removed", cases, started, 3)
