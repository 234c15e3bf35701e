"""The catalog's tables and its way of talking to a database: connections, transactions, errors.

All that is SQLite's own stands in `_connect_sqlite` and `_begin_sqlite`; the rest suits PostgreSQL as well.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from layerwise.errors import Conflict, Damaged, Unsupported

SCHEMA = 1
"""The schema this Layerwise writes. A database with a larger number is refused."""

BUSY_SECONDS = 30
"""How long SQLite waits for another writer."""

_tables = sa.MetaData()
_Name = sa.String(100)
_Hex = sa.String(64)

schema_version = sa.Table("schema_version", _tables, sa.Column("version", sa.Integer, primary_key=True))

pack = sa.Table("pack", _tables, sa.Column("digest", _Hex, primary_key=True))

object_ = sa.Table(
    "object",
    _tables,
    sa.Column("digest", _Hex, primary_key=True),
    sa.Column("pack", _Hex, sa.ForeignKey("pack.digest"), primary_key=True, index=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("length", sa.BigInteger, nullable=False),
)

entry = sa.Table(
    "entry",
    _tables,
    sa.Column("sort", _Name, primary_key=True),
    sa.Column("name", _Name, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", _Hex, nullable=False),
    sa.Column("branch", _Name, nullable=False),
    sa.Column("parent", sa.BigInteger),
    sa.Column("created", sa.String(40), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
)


def _to_entry(column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["sort", "name", column], ["entry.sort", "entry.name", "entry.number"])


branch = sa.Table(
    "branch",
    _tables,
    sa.Column("sort", _Name, primary_key=True),
    sa.Column("name", _Name, primary_key=True),
    sa.Column("branch", _Name, primary_key=True),
    sa.Column("head", sa.BigInteger, nullable=False),
    _to_entry("head"),
)

alias = sa.Table(
    "alias",
    _tables,
    sa.Column("sort", _Name, primary_key=True),
    sa.Column("name", _Name, primary_key=True),
    sa.Column("alias", _Name, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    _to_entry("number"),
)

run = sa.Table(
    "run",
    _tables,
    sa.Column("id", _Name, primary_key=True),
    sa.Column("model", _Name, nullable=False, index=True),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("version", sa.BigInteger),
    sa.Column("created", sa.String(40), nullable=False, index=True),
    sa.Column("finished", sa.String(40)),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("config", sa.Text, nullable=False),
)

metric = sa.Table(
    "metric",
    _tables,
    sa.Column("run", _Name, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("key", sa.String(500), primary_key=True),
    sa.Column("step", sa.BigInteger, primary_key=True, autoincrement=False),
    # NULL is NaN: SQLite has no NaN, and a loss that became NaN must be seen.
    sa.Column("value", sa.Float(53)),
)

Lock = Callable[[], AbstractContextManager[None]]


class Database:
    """One database: opened when it is first used, safe across threads and after a fork.

    Args:
        url: where, in SQLAlchemy's words.
        lock: a lock over processes, held by whoever writes; docs/format.md, section 6, says why.
    """

    def __init__(self, url: sa.URL, lock: Lock) -> None:
        self.url = url
        self._lock = lock
        self._opening = threading.Lock()
        self._engine: sa.Engine | None = None
        self._process = 0
        self._left: list[sa.Engine] = []
        self._finalizer: weakref.finalize[..., Any] | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees the database as it is now, unmoved by writers, until the block ends."""
        with _translated(self.url), self._opened().connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that no other writer overlaps; the block's end commits it."""
        engine = self._opened()
        with (
            self._lock(),
            _translated(self.url),
            engine.execution_options(layerwise_write=True).begin() as connection,
        ):
            yield connection

    def close(self) -> None:
        """Close every connection."""
        with self._opening:
            if self._finalizer is not None and self._process == os.getpid():
                self._finalizer()
            self._engine = self._finalizer = None

    def _opened(self) -> sa.Engine:
        with self._opening:
            if self._engine is None or self._process != os.getpid():
                if self._engine is not None:
                    # A forked child must neither use nor close what its parent opened: SQLite forbids both.
                    self._left.append(self._engine)
                self._engine = _open(self.url, self._lock)
                self._process = os.getpid()
                self._finalizer = weakref.finalize(self, _close, self._engine, self._lock, self._process)
            return self._engine


def _open(url: sa.URL, lock: Lock) -> sa.Engine:
    # Connections stay open to the end: SQLite checkpoints when the last one closes, which needs the lock.
    engine = sa.create_engine(url, poolclass=sa.QueuePool, pool_size=0)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _connect_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    try:
        with lock(), _translated(url), engine.execution_options(layerwise_write=True).begin() as connection:
            _prepare(connection, str(url.database))
    except BaseException:
        engine.dispose()
        raise
    return engine


def _close(engine: sa.Engine, lock: Lock, process: int) -> None:
    if process == os.getpid():
        # A lock that cannot be had must not keep connections open.
        with contextlib.suppress(Conflict, OSError), lock():
            engine.dispose()
            return
        engine.dispose()


def _prepare(connection: sa.Connection, where: str) -> None:
    if not sa.inspect(connection).has_table(schema_version.name):
        _tables.create_all(connection)
        connection.execute(schema_version.insert().values(version=SCHEMA))
    found = connection.scalar(sa.select(sa.func.max(schema_version.c.version)))
    if found != SCHEMA:
        raise Unsupported(
            f"the catalog {where} has schema {found} and this Layerwise reads {SCHEMA}; install a newer Layerwise"
        )


def _connect_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions start too late: BEGIN is ours, in _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise Unsupported(f"SQLite cannot keep a write-ahead log here (it says {mode!r}); use a local folder")
        for setting in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF", "cell_size_check=ON"):
            cursor.execute(f"PRAGMA {setting}")
    finally:
        cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("layerwise_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextlib.contextmanager
def _translated(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict(f"somebody else wrote the same to the catalog first ({error.orig}); look again") from None
    except DatabaseError as error:
        text = str(error.orig)
        if "malformed" in text or "not a database" in text:
            raise Damaged(
                f"the catalog {url.database} is damaged ({text}); put it back from a copy of the repository"
            ) from None
        if isinstance(error, OperationalError) and "locked" in text:
            raise Conflict(f"the catalog {url.database} was in use for {BUSY_SECONDS} seconds; try again") from None
        raise
