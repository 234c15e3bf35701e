"""Collecting what no version needs, beside writers and without ever taking away what one of them relies on.

What is not needed goes to the trash first. It is removed when no writer is left that began before it went there, and
when no version that was published since needs it; docs/upkeep.md says why that is safe, and a test goes through the
schedules. A collection can end at any point: the next one finishes what it left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from layerwise.errors import LayerwiseError
from layerwise.records.forgetting import expired, forget_expired
from layerwise.records.live import forget_live
from layerwise.store.catalog.collector import PackRow
from layerwise.store.catalog.tables import DAMAGED, TRASH
from layerwise.store.packs import pack_name
from layerwise.store.store import Store
from layerwise.upkeep.collected import Collected, Part
from layerwise.upkeep.marking import Marks, bases_in
from layerwise.upkeep.plan import dead_bytes, is_dense, plan
from layerwise.upkeep.recode import Recoded, recode
from layerwise.upkeep.repack import Repacking
from layerwise.upkeep.strays import find_strays
from layerwise.upkeep.trash import bring_back, empty, take_out
from layerwise.upkeep.writers import end_dead_writers
from layerwise.words import Digest

DEAD_SHARE = 0.2
"""The share of a pack's bytes that nothing needs from which on the rest is written anew."""

COLD_AFTER = timedelta(days=30)
"""How old the newest version is that names an object of a pack whose objects are coded."""


def collect(
    store: Store,
    *,
    yes: bool = False,
    dead_share: float = DEAD_SHARE,
    cold_after: timedelta | None = COLD_AFTER,
) -> Collected:
    """Find what no version needs and, where ``yes`` says so, remove it and code what is cold.

    Args:
        store: the repository.
        yes: whether to do it; nothing is changed otherwise.
        dead_share: from 0 to 1: the share of a pack's bytes that nothing needs from which on it is written anew.
        cold_after: packs are coded that no version names that was made in this time; None: no pack is.

    Raises:
        Conflict: another collection is under way.
        NotFound, Damaged, InvalidFile, Unsupported: a manifest, or an object that was to be moved, cannot be read.
            What is needed is not known then, and nothing is removed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        ...     collect(store).freed
        0
    """
    cold_before = None if cold_after is None else datetime.now(UTC) - cold_after
    if not yes:
        found = _Collection(store, dead_share, cold_before).look()
        return replace(found, expired=len(expired(store)))
    with store.disk.lock("gc.lock", wait=0), _lease(store):
        # First: what records alone needed that are forgotten now goes with this collection.
        dropped = forget_expired(store)
        return replace(_Collection(store, dead_share, cold_before).do(), expired=dropped)


@contextlib.contextmanager
def _lease(store: Store) -> Iterator[None]:
    # On a folder the lock tells that no other collector lives; on an object store the lease does.
    store.catalog.collector.start(alone=store.blobs is store.disk)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, LayerwiseError):
            store.catalog.collector.end()


class _Collection:
    """One collection: what there is at its beginning, and what becomes of it."""

    def __init__(self, store: Store, dead_share: float, cold_before: datetime | None) -> None:
        self._store = store
        self._collector = store.catalog.collector
        # Files first: one that is registered in between is then no stray.
        self._strays = find_strays(store)
        self._packs = self._collector.packs()
        self._marks = Marks(store)
        self._marks.update()
        self._bases = bases_in(row.objects for row in self._packs.values() if row.state != DAMAGED)
        needed = self._marks.reached(self._bases)
        self._plan = plan(self._packs, needed, self._marks.newest, dead_share=dead_share, cold_before=cold_before)

    def look(self) -> Collected:
        """Return what would be done."""
        found = self._found()
        before = self._bytes(*self._strays.rows())
        free = sum(found[sort].bytes for sort in ("unneeded", "sparse", "stray", "trash"))
        return Collected(
            done=False, before=before, after=before - free, found=found, removed=Part(), waiting=Part(),
            restored=Part(), writers=len(self._collector.writers()), unreadable=self._strays.unreadable,
        )  # fmt: skip

    def do(self) -> Collected:
        """Do it, and return what was done."""
        before, found = self._bytes(*self._strays.rows()), self._found()
        end_dead_writers(self._collector)
        recoded = self._switch()
        found["cold"] = Part(len(recoded.done), recoded.objects, recoded.before, recoded.after)
        # Not packs, and nobody's bytes but their run's: those whose time is over.
        forget_live(self._store.disk, expired=True)
        take_out(self._store)
        emptied = empty(self._store, self._marks)
        bring_back(self._store)
        self._packs = self._collector.packs()
        return Collected(
            done=True, before=before, after=self._bytes(), found=found, removed=Part.of(emptied.removed),
            waiting=Part.of(emptied.waiting), restored=Part.of(emptied.restored), writers=emptied.writers,
            unreadable=self._strays.unreadable,
        )  # fmt: skip

    def _bytes(self, *more: PackRow) -> int:
        return sum(row.bytes for row in (*self._packs.values(), *more) if row.state != DAMAGED)

    def _found(self) -> dict[str, Part]:
        def rows(packs: Iterable[Digest]) -> list[PackRow]:
            return [self._packs[pack] for pack in packs]

        packs, todo = self._packs, self._plan
        sparse = [(packs[pack], todo.kept[pack]) for pack in todo.sparse]
        dead = sum(len(row.objects) - len(kept) for row, kept in sparse)
        cold = [packs[pack].objects[digest].stored for pack in todo.cold for digest in todo.kept[pack]]
        return {
            "unneeded": Part.of(rows(todo.unneeded)),
            "sparse": Part(len(sparse), dead, sum(dead_bytes(row, kept) for row, kept in sparse)),
            "stray": Part.of(self._strays.rows()),
            "trash": Part.of(row for row in packs.values() if row.state == TRASH),
            "cold": Part(len(todo.cold), len(cold), sum(cold)),
        }

    def _make_strays_durable(self) -> None:
        # A row says that a pack survives a loss of power; whoever wrote these may have died before their fsync.
        if self._store.blobs is self._store.disk:
            for folder in sorted({pack_name(stray.pack).rpartition("/")[0] for stray in self._strays.packs}):
                self._store.disk.sync_folder(folder)

    def _switch(self) -> Recoded:
        """Write what is to be written, then let it stand for what was read, in one transaction."""
        todo = self._plan
        recoded = recode(self._store, self._packs, todo.kept, todo.cold, self._bases)
        loose, dense = Repacking(self._store), Repacking(self._store)
        for pack in sorted(set(todo.sparse) - set(recoded.done)):
            row = self._packs[pack]
            for digest in todo.kept[pack]:
                (dense if is_dense(row) or pack in recoded.tight else loose).copy(digest, row.objects[digest])
        for target in (loose, dense):
            target.flush()
        new = [*recoded.written, *loose.written, *dense.written]
        names = {pack.pack for pack in new}
        self._collector.hold()
        self._make_strays_durable()
        self._collector.switch(
            new,
            # What was written may be what was there.
            dropped=[pack for pack in (*todo.unneeded, *todo.sparse, *recoded.done) if pack not in names],
            strays=[stray for stray in self._strays.packs if stray.pack not in names],
            dense=[*recoded.tight, *(pack.pack for pack in (*recoded.written, *dense.written))],
        )
        return recoded
