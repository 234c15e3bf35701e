"""What a collection will do, as plain data: which packs go, which are written anew, which are coded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from layerwise.store.catalog.collector import PackRow
from layerwise.store.catalog.tables import LIVE
from layerwise.words import Digest

_OLDEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of packs that are in use. A pack that is not named stays as it is.

    Attributes:
        kept: the objects that a pack is to keep, by pack; each object that is needed is kept in one pack.
        unneeded: packs of which nothing is needed.
        sparse: packs with so much in them that is not needed that the rest is written anew.
        cold: packs that no new version names, whose objects are to be coded; one may be sparse too.
    """

    kept: Mapping[Digest, tuple[Digest, ...]]
    unneeded: tuple[Digest, ...]
    sparse: tuple[Digest, ...]
    cold: tuple[Digest, ...]

    def __bool__(self) -> bool:
        return bool(self.unneeded or self.sparse or self.cold)


def plan(
    packs: Mapping[Digest, PackRow],
    needed: Collection[Digest],
    newest: Mapping[Digest, datetime],
    *,
    dead_share: float,
    cold_before: datetime | None,
) -> Plan:
    """Return what to do.

    Args:
        packs: all packs.
        needed: the objects that are needed.
        newest: when the newest version that names an object was made.
        dead_share: the share of a pack's bytes from which on what is needed of it is written anew.
        cold_before: packs are coded that no version names that was made at this time or later; None: no pack is.
    """
    live = {pack: row for pack, row in packs.items() if row.state == LIVE}
    homes = _homes(live, needed)
    kept = {pack: tuple(digest for digest in row.objects if homes.get(digest) == pack) for pack, row in live.items()}
    unneeded, sparse, cold = [], [], []
    for pack, row in live.items():
        if not kept[pack]:
            unneeded.append(pack)
            continue
        if cold_before is not None and not is_dense(row) and _last(kept[pack], newest) < cold_before:
            cold.append(pack)
        if dead_bytes(row, kept[pack]) > 0 and dead_bytes(row, kept[pack]) >= dead_share * _stored(row):
            sparse.append(pack)
    return Plan(kept, tuple(unneeded), tuple(sparse), tuple(cold))


def dead_bytes(row: PackRow, kept: Collection[Digest]) -> int:
    """Return how many bytes of a pack's objects are not to be kept there."""
    return _stored(row) - sum(row.objects[digest].stored for digest in kept)


def is_dense(row: PackRow) -> bool:
    """Tell whether a pack's objects need not be coded again."""
    return row.dense or any(at.coding is not None for at in row.objects.values())


def _homes(live: Mapping[Digest, PackRow], needed: Collection[Digest]) -> dict[Digest, Digest]:
    # Of several packs that hold an object, one keeps it: a dense one first. The same one each time, or two
    # collections could each throw away what the other one kept.
    homes: dict[Digest, Digest] = {}
    for pack in sorted(live, key=lambda pack: (not is_dense(live[pack]), pack)):
        for digest in live[pack].objects:
            if digest in needed:
                homes.setdefault(digest, pack)
    return homes


def _stored(row: PackRow) -> int:
    return sum(at.stored for at in row.objects.values())


def _last(kept: Collection[Digest], newest: Mapping[Digest, datetime]) -> datetime:
    # What no version names by itself is there for others to be coded against, and is as old as can be.
    return max(newest.get(digest, _OLDEST) for digest in kept)
