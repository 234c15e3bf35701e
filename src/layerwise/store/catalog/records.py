"""The catalog's changes and queries of sets of records, each on a connection that its caller opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from layerwise.errors import NotFound
from layerwise.store.catalog import queries, rows
from layerwise.store.catalog import tables as sql
from layerwise.store.rows import Recording, check_recording
from layerwise.words import Digest


def select(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Recording]:
    """Return the rows that meet every condition, the newest first."""
    found = rows.select(connection, sql.recording, where, sql.recording.c.number.desc())
    return [to_recording(row) for row in found]


def to_recording(row: Mapping[str, Any]) -> Recording:
    """Return what a row of the table says."""
    return Recording(**row)


def last_number(connection: sa.Connection) -> int:
    """Return the largest number of a row, 0 where there is none. Another row never gets the same."""
    return connection.scalar(sa.select(sa.func.max(sql.recording.c.number))) or 0


def add(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Add a set of records or a part of one; one that is there is replaced.

    Raises:
        NotFound: its object is not stored; or it is a part of a set that is not there.
        InvalidName: the catalog cannot hold it.
    """
    said = Recording(**row)
    check_recording(said)
    if queries.location(connection, said.digest) is None:
        raise NotFound(f"the records {said.digest} of version {said.version} are not stored; put them first")
    if said.part and not _are_there(connection, said.record):
        raise NotFound(f"there are no records {said.record}: they were forgotten meanwhile")
    where = (sql.recording.c.record == said.record, sql.recording.c.part == said.part)
    connection.execute(sql.recording.delete().where(*where))
    values = {name: value for name, value in asdict(said).items() if name != "number"}
    key = connection.execute(sql.recording.insert().values(**values)).inserted_primary_key
    assert key is not None
    # The checksum is of the number too, which the database has just given.
    sealed = rows.sealed(sql.recording, {**values, "number": key[0]})
    connection.execute(sql.recording.update().where(sql.recording.c.number == key[0]).values(**sealed))


def forget_recordings(connection: sa.Connection, records: Sequence[str]) -> int:
    """Forget sets of records with all that was made of them; return how many sets there were."""
    count = 0
    for some in queries.batches(records):
        chosen = sql.recording.c.record.in_(some)
        sets = sa.select(sa.func.count()).select_from(sql.recording).where(chosen, sql.recording.c.part == "")
        count += connection.scalar(sets) or 0
        connection.execute(sql.recording.delete().where(chosen))
    return count


def _are_there(connection: sa.Connection, record: Digest) -> bool:
    where = (sql.recording.c.record == record, sql.recording.c.part == "")
    return connection.scalar(sa.select(sql.recording.c.number).where(*where)) is not None
