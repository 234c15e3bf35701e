"""Prepared statements: the same rows as SQLAlchemy gives, in a transaction of its own, with its errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from layerwise.store.catalog.prepared import Prepared

TABLE = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
)
FIND = Prepared(
    sa.select(TABLE)
    .where(TABLE.c.size >= sa.bindparam("least"), TABLE.c.name != sa.bindparam("other"))
    .order_by("name")
)
ADD = Prepared(TABLE.insert().values(name=sa.bindparam("name"), size=sa.bindparam("size")))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/things.sqlite")
    TABLE.metadata.create_all(engine)
    with engine.begin() as connection:
        ADD.run_many(connection, [{"name": name, "size": size} for size, name in enumerate("abcd")])
        ADD.run_many(connection, [])
    yield engine
    engine.dispose()


def test_rows_come_in_the_order_of_the_columns_whatever_the_order_of_the_values(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert FIND.rows(connection, other="c", least=1) == [("b", 1), ("d", 3)]
        assert FIND.rows(connection, least=9, other="") == []


def test_what_is_read_is_read_in_a_transaction(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert not connection.in_transaction()
        FIND.rows(connection, least=0, other="")
        assert connection.in_transaction()


def test_the_drivers_errors_are_sqlalchemys(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(IntegrityError, match="UNIQUE"):
            ADD.rows(connection, name="a", size=1)
        connection.rollback()
        TABLE.drop(connection)
        with pytest.raises(OperationalError, match="no such table"):
            FIND.rows(connection, least=0, other="")


def test_a_value_that_is_not_said_is_no_statement(engine: sa.Engine) -> None:
    with engine.connect() as connection, pytest.raises(KeyError, match="other"):
        FIND.rows(connection, least=0)


def test_many_threads_run_one_statement(engine: sa.Engine) -> None:
    found: list[int] = []

    def run() -> None:
        with engine.connect() as connection:
            found.append(len(FIND.rows(connection, least=0, other="")))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [4] * 8
