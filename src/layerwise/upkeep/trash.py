"""The trash: files are moved there, and removed or brought back once it is known that nobody relies on them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from layerwise.errors import Moved
from layerwise.store.catalog.collector import PackRow
from layerwise.store.catalog.tables import DAMAGED, LIVE, TRASH
from layerwise.store.objects import Objects
from layerwise.store.packs import pack_name, trash_name
from layerwise.store.store import Store
from layerwise.upkeep.marking import Marks, bases_in
from layerwise.words import Digest

ATTEMPTS = 20
"""How often the trash is looked through anew when versions are published meanwhile."""


@dataclass(slots=True)
class Emptied:
    """What became of the packs in the trash: removed, brought back, or left for a later collection."""

    removed: list[PackRow] = field(default_factory=list)
    restored: list[PackRow] = field(default_factory=list)
    waiting: list[PackRow] = field(default_factory=list)
    writers: int = 0


def take_out(store: Store) -> None:
    """Move the files of packs that are no longer in use to the trash, then fence those packs off."""
    collector = store.catalog.collector
    fresh = [pack for pack, row in collector.packs().items() if row.state == TRASH and row.fence is None]
    for pack in fresh:
        collector.hold()
        with contextlib.suppress(FileNotFoundError):
            store.blobs.move(pack_name(pack), trash_name(pack))
    # Only now: a writer who wrote such a file once more before it was moved has an older lease than the fence.
    collector.seal(fresh)


def empty(store: Store, marks: Marks) -> Emptied:
    """Remove what is in the trash and not needed, unless a writer may rely on it; restore what is needed.

    Raises:
        Damaged: what is needed of a pack is elsewhere too, but cannot be read there. Nothing more is removed.
    """
    found = Emptied()
    for _ in range(ATTEMPTS):
        marks.update()
        packs = store.catalog.collector.packs()
        needed = marks.reached(bases_in(row.objects for row in packs.values() if row.state != DAMAGED))
        back = _needed_back(packs, needed)
        store.catalog.collector.restore(back)
        found.restored += [packs[pack] for pack in back]
        rest = {pack: row for pack, row in packs.items() if row.state == TRASH and pack not in back}
        writers = store.catalog.collector.writers()
        free = [pack for pack, row in rest.items() if _is_free(row, writers)]
        found.waiting = [rest[pack] for pack in rest if pack not in free]
        found.writers = len(writers)
        try:
            gone = _forget(store, marks, rest, free, needed)
        except Moved:
            found.waiting = list(rest.values())
            continue
        for pack in gone:
            store.catalog.collector.hold()
            store.blobs.discard(trash_name(pack))
            store.blobs.forget(trash_name(pack))
        found.removed += [rest[pack] for pack in gone]
        break
    return found


def bring_back(store: Store) -> None:
    """Move files from the trash back whose packs are in use."""
    states = store.catalog.collector.states()
    for name in store.blobs.list("trash"):
        pack = Digest(name.removesuffix(".pack"))
        if states.get(pack) == LIVE:
            store.catalog.collector.hold()
            # Also where there is another one at its place: only this move makes sure that one of them is durable.
            store.blobs.move(trash_name(pack), pack_name(pack))


def _needed_back(packs: Mapping[Digest, PackRow], needed: set[Digest]) -> list[Digest]:
    live = {digest for row in packs.values() if row.state == LIVE for digest in row.objects}
    back = []
    for pack, row in packs.items():
        if row.state == TRASH and any(digest in needed and digest not in live for digest in row.objects):
            back.append(pack)
            live.update(row.objects)
    return back


def _is_free(row: PackRow, writers: Mapping[int, str]) -> bool:
    return row.fence is not None and all(lease > row.fence for lease in writers)


def _forget(
    store: Store, marks: Marks, rest: Mapping[Digest, PackRow], free: list[Digest], needed: set[Digest]
) -> list[Digest]:
    wanted = {digest for pack in free for digest in rest[pack].objects if digest in needed}
    # With nothing remembered: each is read where it is in use now, and compared with its digest.
    elsewhere = Objects(store.blobs, store.catalog)
    for digest in sorted(wanted):
        elsewhere.get(digest)
    store.catalog.collector.hold()
    return store.catalog.collector.forget(free, versions=marks.versions, needed=wanted, recordings=marks.recordings)
