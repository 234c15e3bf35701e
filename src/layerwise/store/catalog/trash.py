"""The changes of a collection: packs go to the trash, are fenced off, come back, are forgotten; damaged ones go aside.

A pack in the trash is open while its file is on the way there, and sealed, with a fence, once it has arrived. The fence
is a lease's number drawn at that moment: whoever holds an older lease may have seen the pack in use, or may have
written its file once more before it was moved; whoever took a newer one sees that it is not in use.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from layerwise.errors import Conflict, Moved
from layerwise.store.catalog import queries
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.records import last_number
from layerwise.words import Digest

COLLECTOR = "collector "
"""What the holder of a collector's lease begins with. No other lease waits for it, and there is one at a time."""


def start_collection(connection: sa.Connection, holder: str, now: float, expires: float, *, alone: bool) -> int:
    """Give a collector its lease, and remove leases whose time is over.

    Args:
        connection: to the catalog.
        holder: who, after ``COLLECTOR``.
        now: the time; what the holders of older leases publish is refused.
        expires: when this one ends.
        alone: whether it is known that every other collector is dead.

    Raises:
        Conflict: another collector is at work.
    """
    connection.execute(sql.lease.delete().where(sql.lease.c.expires < now))
    others = sql.lease.c.holder.startswith(COLLECTOR)
    if alone:
        connection.execute(sql.lease.delete().where(others))
    elif (other := connection.scalar(sa.select(sql.lease.c.holder).where(others))) is not None:
        raise Conflict(f"another collection is under way ({other}); wait until it has ended")
    return _draw(connection, f"{COLLECTOR}{holder}", expires)


def prolong_collection(connection: sa.Connection, lease: int, expires: float) -> None:
    """Let a collector's lease end later; raise Conflict where it is gone: another collection may be under way."""
    if connection.execute(sql.lease.update().where(sql.lease.c.id == lease).values(expires=expires)).rowcount != 1:
        raise Conflict("this collection was silent for so long that another one may have begun; run gc again")


def discard(connection: sa.Connection, packs: Sequence[str]) -> None:
    """Move live packs to the trash, open; others stay what they are."""
    for some in queries.batches(packs):
        where = (sql.pack.c.digest.in_(some), sql.pack.c.state == sql.LIVE)
        connection.execute(sql.pack.update().where(*where).values(state=sql.TRASH, fence=None))


def seal_trash(connection: sa.Connection, packs: Sequence[str]) -> int:
    """Fence off packs in the trash whose files have arrived there; return the fence."""
    # A number of its own, drawn now: the files of these packs are not moved from here on.
    fence = _draw(connection, COLLECTOR, 0.0)
    connection.execute(sql.lease.delete().where(sql.lease.c.id == fence))
    for some in queries.batches(packs):
        where = (sql.pack.c.digest.in_(some), sql.pack.c.state == sql.TRASH, sql.pack.c.fence.is_(None))
        connection.execute(sql.pack.update().where(*where).values(fence=fence))
    return fence


def restore_packs(connection: sa.Connection, packs: Sequence[str]) -> None:
    """Take packs back out of the trash; others stay what they are."""
    for some in queries.batches(packs):
        where = (sql.pack.c.digest.in_(some), sql.pack.c.state == sql.TRASH)
        connection.execute(sql.pack.update().where(*where).values(state=sql.LIVE, fence=None))


def forget_packs(
    connection: sa.Connection,
    packs: Sequence[str],
    versions: int,
    needed: Sequence[str],
    recordings: int | None = None,
) -> list[str]:
    """Forget packs that are sealed in the trash and that nobody can rely on; return which: their files may go.

    Args:
        connection: to the catalog.
        packs: which; one that was written anew meanwhile, or restored, stays.
        versions: how many there were when it was found out what is needed.
        needed: the objects of these packs that versions name: each must be in use elsewhere.
        recordings: the largest number of a set of records then; None where an older Layerwise wrote this down.

    Raises:
        Moved: a version or a set of records was published since, or an object that is needed is nowhere else.
        Conflict: a lease is alive that is older than a pack's fence.
    """
    if count_versions(connection) != versions:
        raise Moved("a version was published while what is needed was being found out; look again")
    if recordings is not None and last_number(connection) != recordings:
        raise Moved("records were kept while what is needed was being found out; look again")
    digests = [Digest(digest) for digest in needed]
    if set(digests) - queries.locations(connection, digests).keys():
        raise Moved("an object that is needed is no longer where it was; look again")
    oldest = oldest_lease(connection)
    gone = []
    for some in queries.batches(packs):
        where = (sql.pack.c.digest.in_(some), sql.pack.c.state == sql.TRASH, sql.pack.c.fence.is_not(None))
        for row in connection.execute(sa.select(sql.pack).where(*where)):
            if oldest is not None and oldest < row.fence:
                raise Conflict(f"a writer may rely on pack {row.digest}; it is removed when that writer has ended")
            gone.append(str(row.digest))
    _remove(connection, gone)
    return gone


def set_aside(connection: sa.Connection, pack: str) -> None:
    """Mark a pack as damaged: nothing is read from it any more."""
    connection.execute(sql.pack.update().where(sql.pack.c.digest == pack).values(state=sql.DAMAGED, fence=None))


def end_leases(connection: sa.Connection, leases: Sequence[int]) -> None:
    """Take leases back whose holders are dead."""
    connection.execute(sql.lease.delete().where(sql.lease.c.id.in_(list(leases))))


def oldest_lease(connection: sa.Connection) -> int | None:
    """Return the number of the oldest lease that a writer holds, or None where there is none."""
    writers = sql.lease.c.holder.not_like(f"{COLLECTOR}%")
    oldest: int | None = connection.scalar(sa.select(sa.func.min(sql.lease.c.id)).where(writers))
    return oldest


def count_versions(connection: sa.Connection) -> int:
    """Return how many versions there are, of everything. No version is ever taken away."""
    return connection.scalar(sa.select(sa.func.count()).select_from(sql.entry)) or 0


def known(connection: sa.Connection, packs: Collection[str]) -> set[str]:
    """Return those of ``packs`` that the catalog knows, in whatever state."""
    found: set[str] = set()
    for some in queries.batches(list(packs)):
        found.update(connection.scalars(sa.select(sql.pack.c.digest).where(sql.pack.c.digest.in_(some))))
    return found


def _draw(connection: sa.Connection, holder: str, expires: float) -> int:
    key: Any = connection.execute(sql.lease.insert().values(holder=holder, expires=expires)).inserted_primary_key
    return int(key[0])


def _remove(connection: sa.Connection, packs: Sequence[str]) -> None:
    for some in queries.batches(packs):
        connection.execute(sql.object_.delete().where(sql.object_.c.pack.in_(some)))
        connection.execute(sql.pack.delete().where(sql.pack.c.digest.in_(some)))
