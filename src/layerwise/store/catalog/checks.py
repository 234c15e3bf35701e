"""Does the catalog agree with itself: SQLite's own checks, every row's checksum, every number and head."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from layerwise.errors import Damaged
from layerwise.store.catalog import rows
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.ledger import Ledger
from layerwise.store.catalog.queries import to_location
from layerwise.store.rows import Entry, Location, Recording
from layerwise.words import Digest

_STATES = (sql.LIVE, sql.TRASH, sql.DAMAGED)


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a catalog says of versions and places, as far as it can be read; and what is wrong with it.

    Attributes:
        entries: every version, by sort, name and number.
        aliases: every alias: (sort, name, alias) → number.
        packs: the objects of every pack.
        states: the state of every pack: live, trash or damaged.
        recordings: every set of records, and what was made of them.
        last: the number of the last change that the log of names must have, or 0.
        wrong: sentences, one a fault.
    """

    entries: list[Entry] = field(default_factory=list)
    aliases: dict[tuple[str, str, str], int] = field(default_factory=dict)
    packs: dict[Digest, dict[Digest, Location]] = field(default_factory=dict)
    states: dict[Digest, str] = field(default_factory=dict)
    recordings: list[Recording] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    last: int = 0


def check(ledger: Ledger) -> Contents:
    """Read all of the catalog and return it, with what is wrong."""
    found = Contents()
    last = 0
    try:
        with ledger.reading() as connection:
            last = connection.scalar(sa.select(sa.func.max(sql.change.c.number))) or 0
            found.wrong.extend(_of_sqlite(connection))
            for table in sql.SEALED:
                found.wrong.extend(_take(connection, sql.tables.tables[table], found))
            for row in connection.execute(sa.select(sql.pack)):
                found.states[Digest(row.digest)] = row.state
                if row.state not in _STATES:
                    found.wrong.append(f"the pack {row.digest} has the state {row.state!r}; expected {_STATES}")
            found.wrong.extend(_heads(connection, found.entries))
    except Damaged as error:
        found.wrong.append(str(error))
    found.wrong.extend(_numbers(found.entries))
    return replace(found, last=last)


def _of_sqlite(connection: sa.Connection) -> Iterator[str]:
    if connection.dialect.name != "sqlite":
        return
    for (said,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if said != "ok":
            yield f"SQLite finds: {said}"
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"SQLite finds: a row of {row[0]!r} names one of {row[2]!r} that is not there"


def _take(connection: sa.Connection, table: sa.Table, into: Contents) -> Iterator[str]:
    try:
        for raw in connection.execute(sa.select(table)).mappings():
            try:
                _keep(table, rows.opened(table, raw), into)
            except (Damaged, ValueError, TypeError) as error:
                yield str(error)
    except DatabaseError as error:
        yield f"the table {table.name!r} cannot be read to its end: {error.orig}"


def _keep(table: sa.Table, row: dict[str, Any], into: Contents) -> None:
    if table is sql.entry:
        into.entries.append(Entry(**row))
    elif table is sql.alias:
        into.aliases[row["sort"], row["name"], row["alias"]] = row["number"]
    elif table is sql.recording:
        into.recordings.append(Recording(**row))
    elif table is sql.object_:
        into.packs.setdefault(Digest(row["pack"]), {})[Digest(row["digest"])] = to_location(row)


def _numbers(entries: list[Entry]) -> Iterator[str]:
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for entry in entries:
        found[entry.sort, entry.name].append(entry.number)
    for (sort, name), numbers in found.items():
        absent = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
        if absent:
            yield f"{sort} {name!r} has no version {absent[0]}, and has {max(numbers)}"


def _heads(connection: sa.Connection, entries: list[Entry]) -> Iterator[str]:
    newest: dict[tuple[str, str, str], int] = {}
    for entry in entries:
        key = (entry.sort, entry.name, entry.branch)
        newest[key] = max(entry.number, newest.get(key, 0))
    heads = {
        (row["sort"], row["name"], row["branch"]): row["head"]
        for row in connection.execute(sa.select(sql.branch)).mappings()
    }
    for key in sorted(newest.keys() | heads.keys()):
        if newest.get(key) != heads.get(key):
            yield (
                f"the head of branch {key[2]!r} of {key[0]} {key[1]!r} is {heads.get(key)}; "
                f"its newest version is {newest.get(key)}"
            )
