"""What can still be read of a damaged catalog, and a new one made of what is known.

Rows come with their checksums, so what is taken over is what was written. A table is read from both ends, as far as
each goes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from layerwise.errors import Damaged
from layerwise.store.catalog import rows
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.database import BUSY_SECONDS, Database
from layerwise.store.catalog.migrations import note_names
from layerwise.store.catalog.packs import Written
from layerwise.store.rows import Entry

TABLES = ("entry", "alias", "run", "metric", "recording")
"""What is taken over: everything else is made anew from the packs."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What could be read.

    Attributes:
        rows: whole rows by table, each as it was written.
        last: the number of the last change of the catalog, 0 where that cannot be read.
        sound: whether SQLite finds no fault, and every version was as it was written.
    """

    rows: Mapping[str, Sequence[dict[str, Any]]] = field(default_factory=lambda: dict.fromkeys(TABLES, ()))
    last: int = 0
    sound: bool = False


def salvage_catalog(path: Path) -> Salvaged:
    """Return the rows of a catalog that can be read and are what was written; none where nothing can be read."""
    found = Salvaged()
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        # A text that is no UTF-8 any more must not end the reading of its table.
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        found = replace(found, rows={name: list(_table(connection, sql.tables.tables[name])) for name in TABLES})
        with suppress(sqlite3.OperationalError):  # A catalog of schema 1 has no such table.
            found = replace(found, last=connection.execute("SELECT max(number) FROM change").fetchone()[0] or 0)
        said = connection.execute("PRAGMA integrity_check").fetchall()
        count = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
        sound = [row[0] for row in said] == ["ok"] and count == len(found.rows["entry"])
        return replace(found, sound=sound)
    return found


def _table(connection: sqlite3.Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
    keys = [column.name for column in table.primary_key.columns]
    seen: set[tuple[Any, ...]] = set()
    for direction in ("ASC", "DESC"):
        query = f'SELECT * FROM "{table.name}" ORDER BY rowid {direction}'  # noqa: S608 (names of our own tables)
        for row in _as_far_as_it_goes(connection, query):
            with suppress(Damaged, KeyError, IndexError, TypeError):
                whole = _whole(table, dict(row))
                key = tuple(whole[name] for name in keys)
                if key not in seen:
                    seen.add(key)
                    yield whole


def _whole(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    if rows.COLUMN not in row:  # Schema 1 had no checksums.
        return {column.name: row[column.name] for column in table.columns if column.name != rows.COLUMN}
    return rows.opened(table, row)


def _as_far_as_it_goes(connection: sqlite3.Connection, query: str) -> Iterator[sqlite3.Row]:
    with suppress(sqlite3.Error, OverflowError):
        yield from connection.execute(query)


def make_catalog(
    path: Path,
    packs: Mapping[str, Sequence[Written]],
    entries: Sequence[Entry],
    aliases: Sequence[Mapping[str, Any]],
    kept: Mapping[str, Sequence[Mapping[str, Any]]],
    first: int,
) -> None:
    """Make a new catalog file of packs, versions, aliases, runs and metrics; durable when this returns.

    Args:
        path: the file; it must not be there.
        packs: what every pack holds, by the state of the pack.
        entries: every version; the newest of each branch becomes its head.
        aliases: rows of the table.
        kept: the rows of runs, metrics and sets of records, by table.
        first: the number of the first change of a name: one that the log of names has not had. 0: the catalog is empty,
            and takes over a log of changes.
    """
    database = Database(sa.URL.create("sqlite", database=str(path)))
    try:
        with database.writing() as connection:
            for state, some in packs.items():
                for pack in some:
                    connection.execute(sql.pack.insert().values(digest=pack.pack, state=state))
                    rows.insert(connection, sql.object_, pack.to_rows())
            rows.insert(connection, sql.entry, [asdict(entry) for entry in entries])
            rows.insert(connection, sql.branch, _heads(entries))
            rows.insert(connection, sql.alias, aliases)
            rows.insert(connection, sql.run, kept["run"])
            rows.insert(connection, sql.metric, kept["metric"])
            rows.insert(connection, sql.recording, kept["recording"])
            if first:
                note_names(connection, first)
                # Numbers of leases that writers of the old catalog may still hold are not given again.
                connection.execute(sql.lease.insert().values(id=time.time_ns() // 1000, holder="repair", expires=0.0))
                connection.execute(sql.lease.delete())
    finally:
        database.close()


def _heads(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    newest: dict[tuple[str, str, str], int] = {}
    for entry in entries:
        key = (entry.sort, entry.name, entry.branch)
        newest[key] = max(entry.number, newest.get(key, 0))
    return [
        {"sort": sort, "name": name, "branch": branch, "head": head} for (sort, name, branch), head in newest.items()
    ]


def copy_catalog(path: Path, target: Path) -> bool:
    """Copy a catalog, with what is in its log, into a new file; return False where SQLite cannot open it.

    By SQLite's own means: whoever opens and closes the file by hand ends the locks that this process has on it.
    """
    return _backup(path, target)


def overwrite_catalog(path: Path, new: Path) -> bool:
    """Put the contents of a new catalog into the old one's file, in one transaction of SQLite.

    Whoever has the old one open sees the new contents with the next look. Return False, and change nothing, where the
    old file is not one that SQLite can open.

    Raises:
        OSError: the disk is full, or the file cannot be written to; nothing is changed.
    """
    return _backup(new, path)


def _backup(source: Path, target: Path) -> bool:
    try:
        with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
            written.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
            written.execute("PRAGMA synchronous=FULL")
            read.backup(written)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return False
        raise OSError(f"SQLite could not copy {source} to {target}: {error}") from None
    return True
