"""The catalog's queries, each on a connection that its caller opened."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from types import EllipsisType
from typing import Any

import sqlalchemy as sa

from layerwise.errors import Conflict, InvalidName, Moved, NotFound, nearest
from layerwise.store.catalog import rows
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.prepared import Prepared
from layerwise.store.rows import Entry, Location
from layerwise.words import Digest, shorten

MIN_PREFIX = 6
"""Fewest digits of a digest that may stand for it."""

MAX_NUMBER = 2**63 - 1
"""Largest number that a database holds."""

BATCH = 500
"""Most values in one statement: databases bound its parameters."""

_HEX = re.compile(r"[0-9a-f]+\Z")

Key = tuple[str, str]


def _bound(table: sa.Table, *columns: str) -> list[sa.ColumnElement[bool]]:
    return [table.c[column] == sa.bindparam(column) for column in columns]


_ENTRY = Prepared(sa.select(sql.entry).where(*_bound(sql.entry, "sort", "name", "number")))
_BRANCH = Prepared(sa.select(sql.branch).where(*_bound(sql.branch, "sort", "name", "branch")))
_LAST = Prepared(sa.select(sa.func.max(sql.entry.c.number)).where(*_bound(sql.entry, "sort", "name")))


def of(table: sa.Table, key: Key, **columns: Any) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that pick a name's rows in ``table``, and those columns."""
    wanted = {"sort": key[0], "name": key[1], **columns}
    return [table.c[column] == value for column, value in wanted.items()]


def select(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Entry]:
    """Return the entries that meet every condition, by sort, name and number."""
    columns = sql.entry.c
    order = (columns.sort, columns.name, columns.number)
    return [Entry(**row) for row in rows.select(connection, sql.entry, where, *order)]


def entry_at(connection: sa.Connection, key: Key, number: int) -> Entry | None:
    """Return the entry of a number, or None."""
    if not is_number(number):
        return None
    found = _ENTRY.rows(connection, sort=key[0], name=key[1], number=number)
    return Entry(*rows.opened_tuple(sql.entry, found[0])) if found else None


def last_number(connection: sa.Connection, key: Key) -> int:
    """Return the largest number of a name, over all its branches; 0 where there is none."""
    return _LAST.rows(connection, sort=key[0], name=key[1])[0][0] or 0


def names(connection: sa.Connection, sort: str) -> list[str]:
    """Return the names of a sort, sorted."""
    column = sql.entry.c.name
    return sorted(connection.scalars(sa.select(column).where(sql.entry.c.sort == sort).distinct()))


def aliases(connection: sa.Connection, key: Key) -> dict[str, int]:
    """Return a name's aliases, sorted, with their numbers."""
    found = rows.select(connection, sql.alias, of(sql.alias, key))
    return dict(sorted((row["alias"], row["number"]) for row in found))


def head(connection: sa.Connection, key: Key, branch: str) -> Entry | None:
    """Return the entry at a branch's head, or None."""
    found = _BRANCH.rows(connection, sort=key[0], name=key[1], branch=branch)
    return entry_at(connection, key, rows.opened_tuple(sql.branch, found[0])[3]) if found else None


def location(connection: sa.Connection, digest: Digest) -> Location | None:
    """Return where an object lies, or None; best where it is live and as it is, never where it is damaged."""
    return locations(connection, [digest], (sql.LIVE, sql.TRASH)).get(digest)


def locations(
    connection: sa.Connection, digests: Collection[Digest], states: Sequence[str] = (sql.LIVE,)
) -> dict[Digest, Location]:
    """Return where those of ``digests`` lie that are in packs of such states."""
    found: dict[Digest, tuple[tuple[int, bool, str], Location]] = {}
    for some in batches(list(digests)):
        # Few lengths of a statement, each compiled once: what is asked for is said again to fill one up.
        length = min(1 << (len(some) - 1).bit_length(), BATCH)
        asked = {f"at{place}": some[min(place, len(some) - 1)] for place in range(length)}
        said = {f"state{place}": state for place, state in enumerate(states)}
        for *row, state in _located(length, len(states)).rows(connection, **asked, **said):
            digest, pack, position, size, stored, coding = rows.opened_tuple(sql.object_, row)
            rank = (states.index(state), coding is not None, pack)
            if digest not in found or rank < found[digest][0]:
                found[digest] = rank, Location(pack, position, size, size if stored is None else stored, coding)
    return {digest: place for digest, (_, place) in found.items()}


@lru_cache(maxsize=64)
def _located(digests: int, states: int) -> Prepared:
    query = sa.select(sql.object_, sql.pack.c.state).join(sql.pack, sql.pack.c.digest == sql.object_.c.pack)
    asked = sql.object_.c.digest.in_([sa.bindparam(f"at{place}") for place in range(digests)])
    return Prepared(query.where(asked, sql.pack.c.state.in_([sa.bindparam(f"state{n}") for n in range(states)])))


def to_location(row: Mapping[str, Any]) -> Location:
    """Return where the object of a row of ``object`` lies."""
    stored = row["length"] if row["stored"] is None else row["stored"]
    return Location(Digest(row["pack"]), row["position"], row["length"], stored, row["coding"])


def resolve(connection: sa.Connection, key: Key, reference: str | None, branch: str) -> Entry | None:
    """Return the entry that a reference means: None the head; a number, an alias, a digest's first digits."""
    if reference is None:
        return head(connection, key, branch)
    if not isinstance(reference, str) or len(reference) > 100:
        return None
    if reference.isascii() and reference.isdigit():
        number: int | None = int(reference)
    else:
        number = aliases(connection, key).get(reference)
    found = None if number is None else entry_at(connection, key, number)
    return found or _resolve_prefix(connection, key, reference)


def _resolve_prefix(connection: sa.Connection, key: Key, prefix: str) -> Entry | None:
    if len(prefix) < MIN_PREFIX or not _HEX.match(prefix):
        return None
    found = select(connection, *of(sql.entry, key), sql.entry.c.digest.startswith(prefix))
    if len({entry.digest for entry in found}) > 1:
        numbers = ", ".join(f"{key[1]}@{entry.number} ({entry.digest[:12]}…)" for entry in found[:5])
        raise InvalidName(f"{prefix!r} may mean {numbers}; write more digits, or the number")
    # Versions with one manifest are equal: the newest stands for them.
    return found[-1] if found else None


def absent(connection: sa.Connection, key: Key, reference: str | None, branch: str) -> str:
    """Return the sentence for a version that is not there, with the nearest that is."""
    sort, name = key
    known = names(connection, sort)
    if name not in known:
        return f"there is no {sort} {name!r}.{nearest(name, known)}"
    if reference is None:
        branches = connection.scalars(sa.select(sql.branch.c.branch).where(*of(sql.branch, key)))
        return f"{sort} {name!r} has no branch {branch!r}.{nearest(branch, branches)}"
    close = "" if reference.isdigit() else nearest(reference, aliases(connection, key))
    newest = last_number(connection, key)
    return f"{sort} {name!r} has no version {shorten(reference)}; its newest is {newest}.{close}"


def check_head(connection: sa.Connection, entry: Entry, expected: int | None) -> None:
    """Raise Conflict unless the branch's head is ``expected``; hold its row where the database locks rows."""
    where = of(sql.branch, (entry.sort, entry.name), branch=entry.branch)
    found = connection.scalar(sa.select(sql.branch.c.head).where(*where).with_for_update())
    if found != expected:
        raise Moved(
            f"{entry.name}, branch {entry.branch}, is at {_version(found)} and you started from "
            f"{_version(expected)}: somebody else published first. Look at what is new, "
            "then publish on top of it"
        )


def _version(number: int | None) -> str:
    return "no version yet" if number is None else f"version {number}"


def move_head(connection: sa.Connection, entry: Entry, expected: int | None) -> None:
    """Move a branch's head to ``entry``, or make the branch."""
    if expected is None:
        row = {"sort": entry.sort, "name": entry.name, "branch": entry.branch, "head": entry.number}
        rows.insert(connection, sql.branch, [row])
        return
    where = of(sql.branch, (entry.sort, entry.name), branch=entry.branch, head=expected)
    if rows.update(connection, sql.branch, where, head=entry.number) != 1:
        raise Moved(f"{entry.name}, branch {entry.branch}, moved from {_version(expected)} meanwhile; look again")


def check_alias(connection: sa.Connection, key: Key, alias: str, expected: int | EllipsisType | None = ...) -> None:
    """Raise Conflict unless the alias means ``expected``, if that is said."""
    found = aliases(connection, key).get(alias)
    if expected is not ... and found != expected:
        raise Conflict(f"{key[1]}@{alias} means {_version(found)}, you expected {_version(expected)}; look again")


def check_run_is_there(connection: sa.Connection, run: str) -> None:
    """Raise NotFound for a run that is not there, with the nearest."""
    known = sa.select(sql.run.c.id)
    if not isinstance(run, str) or connection.scalar(known.where(sql.run.c.id == run)) is None:
        newest = connection.scalars(known.order_by(sql.run.c.created.desc()).limit(100))
        raise NotFound(f"there is no run {shorten(str(run))}.{nearest(str(run), newest)}")


def is_number(value: object) -> bool:
    """Tell whether a database can hold ``value`` as a number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER


def to_json(value: float) -> float | str | None:
    """Return a metric as JSON, which has no infinity: NaN is null, as in SQL."""
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(value)


def from_json(value: float | str | None) -> float | None:
    """Return a metric as SQL holds it."""
    # SQLite keeps -0.0 as 0: the sum makes it so before its checksum is taken.
    return None if value is None else float(value) + 0.0


def batches(values: Sequence[Any]) -> list[Sequence[Any]]:
    """Return ``values`` in runs short enough for one statement."""
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]
