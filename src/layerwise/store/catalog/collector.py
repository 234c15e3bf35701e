"""What a collector asks the catalog and tells it; `catalog_trash` has the changes and what they mean."""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from layerwise.store.catalog import queries, rows, trash
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.ledger import Ledger
from layerwise.store.catalog.packs import LEASE_SECONDS, Written
from layerwise.store.rows import Location
from layerwise.words import Digest


@dataclass(frozen=True, slots=True)
class PackRow:
    """What the catalog says of a pack.

    Attributes:
        objects: where each object lies in it.
        state: live, trash or damaged.
        fence: of one in the trash: whoever holds an older lease may rely on it; None while its file is on the way.
        dense: whether its objects need not be coded again.
    """

    objects: dict[Digest, Location]
    state: str
    fence: int | None
    dense: bool

    @property
    def bytes(self) -> int:
        """The length of its file: behind its last object there is nothing."""
        return max((at.position + at.stored for at in self.objects.values()), default=0)


class Collector:
    """The catalog as a collector needs it. Safe to use from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lease = 0
        self._until = 0.0

    def start(self, *, alone: bool, seconds: float = LEASE_SECONDS) -> None:
        """Take the collector's lease, and end the leases whose time is over.

        Args:
            alone: whether a lock proves that no other collector lives.
            seconds: how long the lease lives.

        Raises:
            Conflict: another collector is at work.
        """
        now = time.time()
        args = {"holder": f"{platform.node()}:{os.getpid()}", "now": now, "expires": now + seconds, "alone": alone}
        self._lease = int(self._ledger.change("start_collection", args, durable=False))
        self._until = now + seconds

    def hold(self) -> None:
        """Make sure, before something is moved or removed, that no other collection has begun.

        Raises:
            Conflict: the lease is gone.
        """
        now = time.time()
        if self._until - now < LEASE_SECONDS / 2:
            args = {"lease": self._lease, "expires": now + LEASE_SECONDS}
            self._ledger.change("prolong_collection", args, durable=False)
            self._until = now + LEASE_SECONDS

    def end(self) -> None:
        """Give the collector's lease back."""
        self.end_leases([self._lease])

    def writers(self) -> dict[int, str]:
        """Return the leases of writers with their holders, as ``host:process``."""
        with self._ledger.reading() as connection:
            found = connection.execute(sa.select(sql.lease.c.id, sql.lease.c.holder))
            return {lease: holder for lease, holder in found if not holder.startswith(trash.COLLECTOR)}

    def end_leases(self, leases: Sequence[int]) -> None:
        """Take leases back: what their holders publish is refused."""
        if leases:
            self._ledger.change("end_leases", {"leases": list(leases)}, durable=False)

    def states(self) -> dict[Digest, str]:
        """Return the state of every pack: live, trash or damaged."""
        with self._ledger.reading() as connection:
            found = connection.execute(sa.select(sql.pack.c.digest, sql.pack.c.state))
            return {Digest(pack): state for pack, state in found}

    def packs(self) -> dict[Digest, PackRow]:
        """Return all packs with their objects, by name. Raises Damaged for a row that was changed."""
        objects: dict[Digest, dict[Digest, Location]] = defaultdict(dict)
        with self._ledger.reading() as connection:
            for row in rows.select(connection, sql.object_):
                objects[Digest(row["pack"])][Digest(row["digest"])] = queries.to_location(row)
            found = connection.execute(sa.select(sql.pack).order_by(sql.pack.c.digest))
            return {
                Digest(row.digest): PackRow(objects[Digest(row.digest)], row.state, row.fence, bool(row.dense))
                for row in found
            }

    def switch(
        self,
        new: Iterable[Written] = (),
        *,
        dropped: Iterable[Digest] = (),
        strays: Iterable[Written] = (),
        dense: Iterable[Digest] = (),
    ) -> None:
        """Put new packs, which are durable, in the place of others, which go to the trash, in one step."""
        args = {
            "packs": [pack.to_json() for pack in new], "dropped": list(dropped),
            "strays": [pack.to_json() for pack in strays], "dense": list(dense),
        }  # fmt: skip
        if any(args.values()):
            self._ledger.change("switch_packs", args)

    def seal(self, packs: Sequence[Digest]) -> None:
        """Fence off packs whose files have arrived in the trash."""
        if packs:
            self._ledger.change("seal_trash", {"packs": list(packs)})

    def restore(self, packs: Sequence[Digest]) -> None:
        """Take packs back out of the trash."""
        if packs:
            self._ledger.change("restore_packs", {"packs": list(packs)})

    def forget(
        self, packs: Sequence[Digest], *, versions: int, needed: Collection[Digest], recordings: int = 0
    ) -> list[Digest]:
        """Forget packs in the trash that nobody can rely on, and return which: their files may go.

        Args:
            packs: which; one that was written anew meanwhile stays.
            versions: how many were looked at to find out what is needed.
            needed: the objects of these packs that versions name.
            recordings: the largest number of the sets of records that were looked at, 0 where there was none.

        Raises:
            Moved: what is needed has changed meanwhile; look again.
            Conflict: a writer may rely on one of them.
        """
        if not packs:
            return []
        args = {"packs": list(packs), "versions": versions, "needed": sorted(needed), "recordings": recordings}
        return [Digest(pack) for pack in self._ledger.change("forget_packs", args)]
