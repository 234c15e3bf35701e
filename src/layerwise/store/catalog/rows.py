"""Rows that say when a bit of them was flipped: each carries a checksum of its values, compared when it is read.

SQLite's own checks see a broken page, not a changed value. A CRC-32 sees every change of up to 32 bits in a row; it is
against rot, not against somebody who can write to the database.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from layerwise.errors import Damaged
from layerwise.store.catalog.prepared import Prepared

COLUMN = "crc"
"""The column that holds the checksum."""


def crc_column() -> sa.Column[int]:
    """Return a new column for the checksum of a row."""
    return sa.Column(COLUMN, sa.BigInteger, nullable=False, server_default="-1")


def sealed(table: sa.Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row with its checksum; columns that it does not say are NULL."""
    values = {name: row.get(name) for name in _names(table)}
    return {**values, COLUMN: _crc(values.values())}


def opened(table: sa.Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row without its checksum, or raise Damaged where its values are not those that were written."""
    values = {name: row[name] for name in _names(table)}
    if row[COLUMN] != _crc(values.values()):
        key = ", ".join(f"{column.name} {str(row[column.name])[:80]!r}" for column in table.primary_key.columns)
        raise Damaged(
            f"the row of the catalog's table {table.name!r} with {key} is damaged: its values are not those that were "
            "written. It was not used; `layerwise repair` makes the catalog anew"
        )
    return values


def opened_tuple(table: sa.Table, row: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a row without its checksum, as `opened` does; the columns are all there, in their order."""
    values = row[:-1]
    if row[-1] != _crc(values):
        opened(table, dict(zip((*_names(table), COLUMN), row, strict=True)))
    return values


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows with their checksums."""
    _insertion(table).run_many(connection, [sealed(table, row) for row in rows])


def select(
    connection: sa.Connection, table: sa.Table, where: Iterable[sa.ColumnElement[bool]] = (), *order: Any
) -> list[dict[str, Any]]:
    """Return whole rows, each compared with its checksum."""
    query = sa.select(table).where(*where).order_by(*order)
    return [opened(table, row) for row in connection.execute(query).mappings()]


def update(connection: sa.Connection, table: sa.Table, where: Sequence[sa.ColumnElement[bool]], **values: Any) -> int:
    """Change rows and their checksums; return how many."""
    changed = select(connection, table, where)
    for row in changed:
        key = [column == row[column.name] for column in table.primary_key.columns]
        connection.execute(table.update().where(*key).values(**sealed(table, {**row, **values})))
    return len(changed)


@lru_cache(maxsize=64)
def _insertion(table: sa.Table) -> Prepared:
    return Prepared(table.insert().values({column.name: sa.bindparam(column.name) for column in table.columns}))


@lru_cache(maxsize=64)
def _names(table: sa.Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if column.name != COLUMN)


def _crc(values: Iterable[Any]) -> int:
    # Strings, whole numbers, floats and None: repr gives equal text for equal values, and only for those.
    return zlib.crc32(repr(tuple(values)).encode())
