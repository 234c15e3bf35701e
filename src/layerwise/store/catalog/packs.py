"""Where objects lie, and who relies on them: packs and leases in the catalog."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from layerwise.store.catalog import queries
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.ledger import Ledger
from layerwise.store.rows import Location
from layerwise.words import Digest, parse_digest

LEASE_SECONDS = 900.0
"""How long a lease lives after its holder last wrote; what a holder publishes later is refused."""


@dataclass(frozen=True, slots=True)
class Written:
    """A pack that is durable, and where its objects lie in it."""

    pack: Digest
    objects: tuple[tuple[Digest, Location], ...]

    def to_json(self) -> list[object]:
        """Return it as the catalog's changes take it."""
        names = ("digest", "position", "length", "stored", "coding")
        return [parse_digest(self.pack), [[row[name] for name in names] for row in self.to_rows()]]

    def to_rows(self) -> list[dict[str, Any]]:
        """Return its objects as rows of the catalog's table."""
        return [
            {
                "digest": digest, "pack": self.pack, "position": at.position, "length": at.length,
                "stored": None if at.coding is None else at.stored, "coding": at.coding,
            }
            for digest, at in self.objects
        ]  # fmt: skip


class Packs:
    """The index of objects. Safe to use from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def locate(self, digest: Digest, *, fresh: bool = False) -> Location | None:
        """Return where an object lies, or None; the trash is looked through last.

        Args:
            digest: the object.
            fresh: whether it was not where it was said to be, so that what other machines changed must be seen.
        """
        for anew in (True,) if fresh else (False, True):
            with self._ledger.reading(fresh=anew) as connection:
                found = queries.location(connection, digest)
            if found is not None:
                return found
        return None

    def locate_all(self, digests: Collection[Digest]) -> dict[Digest, Location]:
        """Return where those of ``digests`` lie that this machine's catalog has, the trash looked through last."""
        with self._ledger.reading(fresh=False) as connection:
            return queries.locations(connection, digests, (sql.LIVE, sql.TRASH))

    def present(self, digests: Collection[Digest]) -> dict[Digest, Location]:
        """Return where those of ``digests`` lie that a writer may rely on: not what is in the trash."""
        with self._ledger.reading() as connection:
            return queries.locations(connection, digests)

    def damaged(self, digest: Digest) -> Digest | None:
        """Return a pack that was set aside and has an object, or None."""
        with self._ledger.reading() as connection:
            found = queries.locations(connection, [digest], (sql.DAMAGED,)).get(digest)
        return None if found is None else found.pack

    def has(self, pack: Digest) -> bool:
        """Tell whether the catalog knows a pack, in whatever state."""
        with self._ledger.reading() as connection:
            return connection.scalar(sa.select(sql.pack.c.digest).where(sql.pack.c.digest == pack)) is not None

    def is_live(self, pack: Digest) -> bool:
        """Tell whether a pack is in use."""
        with self._ledger.reading() as connection:
            return connection.scalar(sa.select(sql.pack.c.state).where(sql.pack.c.digest == pack)) == sql.LIVE

    def add(self, packs: Sequence[Written], lease: int | None = None) -> None:
        """Register packs that are durable, and prolong their writer's lease. Raises Conflict where it is gone."""
        rows = [pack.to_json() for pack in packs]
        expires = None if lease is None else time.time() + LEASE_SECONDS
        self._ledger.change("add_packs", {"packs": rows, "lease": lease, "expires": expires})

    def take_lease(self, seconds: float = LEASE_SECONDS) -> int:
        """Return a new lease: while it lives, nothing that its holder sees is removed.

        It is not made durable by itself: who holds it does not survive a loss of power either.
        """
        holder = f"{platform.node()}:{os.getpid()}"
        args = {"holder": holder, "expires": time.time() + seconds}
        return int(self._ledger.change("take_lease", args, durable=False))

    def end_lease(self, lease: int) -> None:
        """Take a lease back."""
        self._ledger.change("end_lease", {"lease": lease}, durable=False)

    def set_aside(self, pack: Digest) -> None:
        """Mark a pack as damaged: nothing is read from it any more."""
        self._ledger.change("set_aside", {"pack": pack})
