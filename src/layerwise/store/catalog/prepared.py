"""Statements that every load and every commit makes: turned into SQL text once a process, and then only run.

SQLAlchemy takes half a millisecond to compile a statement, anew for each repository that is opened, and a tenth to
find that it has and to wrap what comes back; a commit makes thirty. What the driver says of an error is SQLAlchemy's
to translate, as everywhere.

>>> engine = sa.create_engine("sqlite://")
>>> asked = Prepared(sa.select(sa.bindparam("one", type_=sa.Integer) + sa.bindparam("two", type_=sa.Integer)))
>>> with engine.connect() as connection:
...     asked.rows(connection, two=40, one=2)
[(42,)]
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.expression import ClauseElement


class Prepared:
    """A statement whose values are bound parameters, by name. Safe to use from several threads."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._texts: dict[str, tuple[str, Sequence[str] | None]] = {}

    def rows(self, connection: sa.Connection, **values: Any) -> list[Any]:
        """Run it and return all rows, each a tuple in the order of the statement's columns."""
        if not connection.in_transaction():
            connection.begin()
        dialect: Any = connection.dialect
        text, order = self._text(dialect)
        given = _ordered(values, order)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(text, given)
            return list(cursor.fetchall())
        except dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(text, None, error, dialect.loaded_dbapi.Error, dialect=dialect) from error
        finally:
            cursor.close()

    def run_many(self, connection: sa.Connection, rows: Collection[Mapping[str, Any]]) -> None:
        """Run it for each row."""
        if rows:
            text, order = self._text(connection.dialect)
            connection.exec_driver_sql(text, [_ordered(row, order) for row in rows])

    def _text(self, dialect: sa.Dialect) -> tuple[str, Sequence[str] | None]:
        known = self._texts.get(dialect.name)
        if known is None:
            compiled: Any = self._statement.compile(dialect=dialect)
            known = self._texts[dialect.name] = compiled.string, compiled.positiontup
        return known


def _ordered(values: Mapping[str, Any], order: Sequence[str] | None) -> Any:
    return values if order is None else tuple([values[name] for name in order])
