"""Making the catalog's tables, and bringing an older catalog to the schema of today, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from layerwise import canonical
from layerwise.errors import Unsupported
from layerwise.store.catalog import rows
from layerwise.store.catalog import tables as sql


def prepare(connection: sa.Connection, where: str) -> None:
    """Make what is missing: all tables of a new database, or what an older schema lacks.

    Raises:
        Unsupported: the database has a newer schema; nothing is changed.
    """
    if not sa.inspect(connection).has_table(sql.schema_version.name):
        sql.tables.create_all(connection)
        connection.execute(sql.schema_version.insert().values(version=sql.SCHEMA))
        return
    found = connection.scalar(sa.select(sa.func.max(sql.schema_version.c.version)))
    if not isinstance(found, int) or not 1 <= found <= sql.SCHEMA:
        raise Unsupported(
            f"the catalog {where} has schema {found} and this Layerwise reads up to {sql.SCHEMA}; "
            "install a newer Layerwise"
        )
    for version in range(found, sql.SCHEMA):
        _STEPS[version](connection)
    if found != sql.SCHEMA:
        connection.execute(sql.schema_version.update().values(version=sql.SCHEMA))


_SEALED_2 = ("object", "entry", "branch", "alias", "run", "metric")


def _to_2(connection: sa.Connection) -> None:
    # Leases, changes, cold packs, packs in the trash.
    alterations = [f'ALTER TABLE "{table}" ADD COLUMN crc BIGINT NOT NULL DEFAULT -1' for table in _SEALED_2]
    for statement in (
        *alterations,
        "ALTER TABLE pack ADD COLUMN state VARCHAR(10) NOT NULL DEFAULT 'live'",
        "ALTER TABLE pack ADD COLUMN fence BIGINT",
        "ALTER TABLE pack ADD COLUMN dense BOOLEAN",
        "ALTER TABLE object ADD COLUMN stored BIGINT",
        "ALTER TABLE object ADD COLUMN coding VARCHAR(200)",
    ):
        connection.execute(sa.text(statement))
    # Makes the tables and indexes that are not there, and leaves the others alone.
    sql.tables.create_all(connection)
    for old in ("ix_run_model", "ix_run_created"):
        connection.execute(sa.text(f"DROP INDEX IF EXISTS {old}"))
    for index in sql.run.indexes:
        index.create(connection, checkfirst=True)
    for name in _SEALED_2:
        _seal(connection, sql.tables.tables[name])
    note_names(connection)


def _to_3(connection: sa.Connection) -> None:
    # Sets of records: a table more, and its index.
    sql.tables.create_all(connection)


def _seal(connection: sa.Connection, table: sa.Table) -> None:
    for row in connection.execute(sa.select(table)).mappings().all():
        key = [column == row[column.name] for column in table.primary_key.columns]
        connection.execute(table.update().where(*key).values(**rows.sealed(table, row)))


def note_names(connection: sa.Connection, first: int = 1) -> None:
    """Write every version and alias down as changes, numbered from ``first``, as if each had just been made.

    The log of names takes them over with the next change.
    """
    entries = rows.select(connection, sql.entry, (), *sql.entry.primary_key.columns)
    aliases = rows.select(connection, sql.alias, (), *sql.alias.primary_key.columns)
    changes: list[dict[str, Any]] = [
        *({"do": "publish", "args": {"entry": row, "expected": row["parent"]}} for row in entries),
        *({"do": "set_alias", "args": row} for row in aliases),
    ]
    notes = [
        {"number": number, "record": canonical.encode(change).decode()}
        for number, change in enumerate((*changes, {}), start=first)
    ]
    connection.execute(sql.change.insert(), notes)


_STEPS: Mapping[int, Callable[[sa.Connection], None]] = MappingProxyType({1: _to_2, 2: _to_3})
"""What leads from a schema to the next."""
