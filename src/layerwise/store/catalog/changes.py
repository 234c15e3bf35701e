"""The changes that the catalog knows: each a name and JSON, applied the same way wherever and whenever.

A change looks before it writes and raises what speaks against it. Nothing here reads a clock or draws a number: the
same changes in the same order make the same catalog.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from layerwise.errors import Conflict, Expired, InvalidFile, Moved, NotFound, nearest
from layerwise.store.catalog import queries, records, rows, trash
from layerwise.store.catalog import tables as sql
from layerwise.store.rows import Entry, check_entry
from layerwise.words import shorten

Rows = Sequence[Sequence[Any]]
"""Packs as JSON: ``[digest, [[object, position, length, stored, coding], …]]`` each."""


def publish(
    connection: sa.Connection,
    entry: Mapping[str, Any],
    expected: int | None,
    packs: Rows = (),
    lease: int | None = None,
    run: Mapping[str, Any] | None = None,
) -> None:
    """Register packs, add a version, move its branch's head to it, end its run and the writer's lease."""
    _end_lease(connection, lease)
    _add_packs(connection, packs)
    said = Entry(**entry)
    check_entry(said)
    key = (said.sort, said.name)
    queries.check_head(connection, said, expected)
    last = queries.last_number(connection, key)
    if said.number != last + 1:
        raise Moved(f"the next version of {said.name} is {last + 1}, not {said.number}; look again")
    version = f"{said.name}@{said.number}"
    if queries.location(connection, said.digest) is None:
        raise NotFound(f"the manifest {said.digest} of {version} is not stored; put it first")
    if said.parent is not None and queries.entry_at(connection, key, said.parent) is None:
        raise NotFound(f"{version} names {said.name}@{said.parent} as its parent, which is not there")
    rows.insert(connection, sql.entry, [entry])
    queries.move_head(connection, said, expected)
    if run is not None:
        finish_run(connection, **run)


def publish_recording(
    connection: sa.Connection, recording: Mapping[str, Any], packs: Rows = (), lease: int | None = None
) -> None:
    """Register packs, add a set of records or a part of one, and end the writer's lease."""
    _end_lease(connection, lease)
    _add_packs(connection, packs)
    records.add(connection, recording)


def set_alias(
    connection: sa.Connection, sort: str, name: str, alias: str, number: int, expected: Sequence[int | None] = ()
) -> None:
    """Make an alias mean a version; ``expected`` is empty, or holds what it must mean now."""
    key = (sort, name)
    if queries.entry_at(connection, key, number) is None:
        raise NotFound(queries.absent(connection, key, str(number), "main"))
    queries.check_alias(connection, key, alias, *expected)
    connection.execute(sql.alias.delete().where(*queries.of(sql.alias, key, alias=alias)))
    rows.insert(connection, sql.alias, [{"sort": sort, "name": name, "alias": alias, "number": number}])


def drop_alias(
    connection: sa.Connection, sort: str, name: str, alias: str, expected: Sequence[int | None] = ()
) -> None:
    """Remove an alias; ``expected`` as in ``set_alias``."""
    key = (sort, name)
    queries.check_alias(connection, key, alias, *expected)
    found = queries.aliases(connection, key)
    if alias not in found:
        raise NotFound(f"{name} has no alias {alias!r}.{nearest(alias, found)}")
    connection.execute(sql.alias.delete().where(*queries.of(sql.alias, key, alias=alias)))


def start_run(connection: sa.Connection, **run: Any) -> None:
    """Add a run."""
    if connection.scalar(sa.select(sql.run.c.id).where(sql.run.c.id == run["id"])) is not None:
        raise Conflict(f"there is a run {run['id']!r} already; give the new one an id of its own")
    rows.insert(connection, sql.run, [run])


def log_steps(connection: sa.Connection, run: str, metrics: Rows) -> None:
    """Keep metrics of a run, each ``[key, step, value]``; one that is there is replaced."""
    queries.check_run_is_there(connection, run)
    for some in queries.batches(metrics):
        for step in {row[1] for row in some}:
            keys = [row[0] for row in some if row[1] == step]
            at = (sql.metric.c.run == run, sql.metric.c.step == step)
            connection.execute(sql.metric.delete().where(*at, sql.metric.c.key.in_(keys)))
    values = [{"run": run, "key": key, "step": step, "value": queries.from_json(value)} for key, step, value in metrics]
    rows.insert(connection, sql.metric, values)


def finish_run(connection: sa.Connection, id: str, status: str, version: int | None, finished: str) -> None:
    """Say how a run ended, when, and which version it made."""
    queries.check_run_is_there(connection, id)
    values = {"status": status, "version": version, "finished": finished}
    rows.update(connection, sql.run, [sql.run.c.id == id], **values)


def take_lease(connection: sa.Connection, holder: str, expires: float) -> int:
    """Give a lease: while it lives, no object that its holder saw is removed. Numbers only grow."""
    inserted = connection.execute(sql.lease.insert().values(holder=holder, expires=expires))
    key = inserted.inserted_primary_key
    assert key is not None
    return int(key[0])


def end_lease(connection: sa.Connection, lease: int) -> None:
    """Take a lease back; one that is gone already is no fault."""
    connection.execute(sql.lease.delete().where(sql.lease.c.id == lease))


def add_packs(connection: sa.Connection, packs: Rows, lease: int | None = None, expires: float | None = None) -> None:
    """Register packs that are durable already, and prolong their writer's lease."""
    if lease is not None:
        hold_lease(connection, lease)
        connection.execute(sql.lease.update().where(sql.lease.c.id == lease).values(expires=expires))
    _add_packs(connection, packs)


def switch_packs(
    connection: sa.Connection, packs: Rows, dropped: Sequence[str], strays: Rows, dense: Sequence[str]
) -> None:
    """Put what a collector wrote in the place of what it read, in one step.

    Args:
        connection: to the catalog.
        packs: the new ones.
        dropped: the packs that are no longer needed; they go to the trash.
        strays: packs that were found and that nobody had registered; they go to the trash too.
        dense: those that need not be coded again.
    """
    _add_packs(connection, packs)
    trash.discard(connection, dropped)
    known = trash.known(connection, [pack for pack, _ in strays])
    fresh = [stray for stray in strays if stray[0] not in known]
    _add_packs(connection, fresh)
    trash.discard(connection, [pack for pack, _ in fresh])
    for some in queries.batches(dense):
        connection.execute(sql.pack.update().where(sql.pack.c.digest.in_(some)).values(dense=True))


def _add_packs(connection: sa.Connection, packs: Rows) -> None:
    for pack, objects in packs:
        state = connection.scalar(sa.select(sql.pack.c.state).where(sql.pack.c.digest == pack))
        if state == sql.LIVE:
            continue  # Equal name, equal bytes: a pack that is known needs nothing.
        # One from the trash or set aside was written anew, whole.
        connection.execute(sql.object_.delete().where(sql.object_.c.pack == pack))
        connection.execute(sql.pack.delete().where(sql.pack.c.digest == pack))
        connection.execute(sql.pack.insert().values(digest=pack, state=sql.LIVE))
        names = ("digest", "position", "length", "stored", "coding")
        rows.insert(
            connection, sql.object_, [{"pack": pack, **dict(zip(names, said, strict=True))} for said in objects]
        )


def hold_lease(connection: sa.Connection, lease: int) -> None:
    """Raise Conflict where a lease has ended: what its holder relied on may be gone."""
    if connection.scalar(sa.select(sql.lease.c.id).where(sql.lease.c.id == lease).with_for_update()) is None:
        raise Expired(
            "this writer was silent for so long that its lease ended, and what it relied on may have been removed; "
            "write again"
        )


def _end_lease(connection: sa.Connection, lease: int | None) -> None:
    if lease is not None:
        hold_lease(connection, lease)
        end_lease(connection, lease)


CHANGES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "publish": publish,
        "publish_recording": publish_recording,
        "forget_recordings": records.forget_recordings,
        "set_alias": set_alias,
        "drop_alias": drop_alias,
        "start_run": start_run,
        "log_steps": log_steps,
        "finish_run": finish_run,
        "take_lease": take_lease,
        "end_lease": end_lease,
        "add_packs": add_packs,
        "start_collection": trash.start_collection,
        "prolong_collection": trash.prolong_collection,
        "switch_packs": switch_packs,
        "seal_trash": trash.seal_trash,
        "restore_packs": trash.restore_packs,
        "forget_packs": trash.forget_packs,
        "set_aside": trash.set_aside,
        "end_leases": trash.end_leases,
    }
)
"""Every change by its name."""

MIRRORED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "publish": frozenset({"entry", "expected"}),
        "set_alias": frozenset({"sort", "name", "alias", "number"}),
        "drop_alias": frozenset({"sort", "name", "alias"}),
    }
)
"""Those that a catalog cannot be rebuilt without, and what of them it takes."""


def apply(connection: sa.Connection, do: object, args: object) -> Any:
    """Make one change and return what it gives.

    Raises:
        InvalidFile: it is none that this Layerwise knows.
        LayerwiseError: what speaks against it, as the change says.
    """
    if not isinstance(do, str) or do not in CHANGES or not isinstance(args, dict | MappingProxyType):
        raise InvalidFile(f"{shorten(str(do))} is not a change of a catalog; a newer Layerwise may have written it")
    try:
        inspect.signature(CHANGES[do]).bind(connection, **args)
    except TypeError as error:
        raise InvalidFile(f"the change {do!r} is not as this Layerwise knows it ({error}); use a newer one") from None
    return CHANGES[do](connection, **args)
