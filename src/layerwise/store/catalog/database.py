"""The catalog's way of talking to a database: connections, transactions, errors.

All that is SQLite's own stands in `_connect_sqlite` and `_begin_sqlite`; the rest suits PostgreSQL as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from layerwise.errors import Conflict, Damaged, Unsupported
from layerwise.store.catalog.migrations import prepare

LOCK_SECONDS = 60.0
"""How long whoever closes the catalog waits for a writer."""

BUSY_SECONDS = 30
"""How long SQLite waits for another writer."""

LOG_BYTES = 4 << 20
"""A write-ahead log that is longer is moved into the database when somebody opens it."""

LOG_PAGES = 16_384
"""After so many pages, 64 MiB, it is moved in any case: a process may have the catalog open for months."""

Lock = Callable[..., AbstractContextManager[None]]
"""A lock over processes; called with ``wait``, the seconds to try for, it raises Conflict where it is not to be had."""


def no_lock(*, wait: float = 0.0) -> AbstractContextManager[None]:
    """Return a lock that is always to be had."""
    return nullcontext()


class Database:
    """One database: opened when it is first used, safe across threads and after a fork.

    Args:
        url: where, in SQLAlchemy's words.
        lock: a lock over processes, held by whoever writes; docs/format.md, section 6, says why.
        before_making: called before a database file that is not there is made; raises where it should be there.
        after_opening: called when the database was opened; raises where it is not what it should be.
    """

    def __init__(
        self,
        url: sa.URL,
        lock: Lock = no_lock,
        before_making: Callable[[], None] | None = None,
        after_opening: Callable[[sa.Connection], None] | None = None,
    ) -> None:
        self.url = url
        self._lock = lock
        self._before_making = before_making
        self._after_opening = after_opening
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
    def writing(
        self, *, durable: bool = True, then: Callable[[sa.Connection], None] | None = None
    ) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that no other writer overlaps; the block's end commits it.

        Args:
            durable: whether the commit waits until the transaction survives a loss of power. One that need not
                is made durable by the next that must.
            then: called after the commit, with a connection to read from, while other writers still wait.
        """
        engine = self._opened()
        options = {"layerwise_write": "FULL" if durable else "NORMAL"}
        with self._lock(), _translated(self.url):
            with engine.execution_options(**options).begin() as connection:
                yield connection
            if then is not None:
                with engine.connect() as connection:
                    then(connection)

    def close(self) -> None:
        """Close every connection."""
        with self._opening:
            if self._finalizer is not None and self._finalizer.detach() and self._engine is not None:
                _close(self._engine, self._lock, self._process, LOCK_SECONDS)
            self._engine = self._finalizer = None

    def _opened(self) -> sa.Engine:
        with self._opening:
            if self._engine is None or self._process != os.getpid():
                if self._engine is not None:
                    # A forked child must neither use nor close what its parent opened: SQLite forbids both.
                    self._left.append(self._engine)
                self._engine = self._open()
                self._process = os.getpid()
                self._finalizer = weakref.finalize(self, _close, self._engine, self._lock, self._process)
            return self._engine

    def _open(self) -> sa.Engine:
        # Connections stay open to the end: SQLite checkpoints when the last one closes, which needs the lock.
        engine = sa.create_engine(self.url, poolclass=sa.QueuePool, pool_size=0)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _connect_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        try:
            with self._lock(), _translated(self.url):
                if self._before_making is not None and not _is_there(str(self.url.database)):
                    self._before_making()
                with engine.execution_options(layerwise_write="FULL").begin() as connection:
                    prepare(connection, str(self.url.database))
                    if self._after_opening is not None:
                        self._after_opening(connection)
                _shorten_log(engine, str(self.url.database))
        except BaseException:
            engine.dispose()
            raise
        return engine


def _shorten_log(engine: sa.Engine, path: str) -> None:
    # Otherwise it is moved when it has LOG_PAGES, in the midst of somebody's commit, or when nobody has it open.
    log = f"{path}-wal"
    if engine.dialect.name == "sqlite" and os.path.exists(log) and os.path.getsize(log) > LOG_BYTES:
        with engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # type: ignore[union-attr]


def _is_there(path: str) -> bool:
    # An empty file is what SQLite makes of nothing.
    return os.path.exists(path) and os.path.getsize(path) > 0


def _close(engine: sa.Engine, lock: Lock, process: int, wait: float = 0.0) -> None:
    # Where it is forgotten instead of closed, this may run in a thread that has the lock: it must not wait for it.
    if process == os.getpid():
        try:
            with lock(wait=wait):
                engine.dispose()
        except (Conflict, OSError):
            # Closing the last connection moves the log, which needs the lock: the process's end closes it without.
            _LEFT.append(engine)


_LEFT: list[sa.Engine] = []


def _connect_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions start too late: BEGIN is ours, in _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise Unsupported(f"SQLite cannot keep a write-ahead log here (it says {mode!r}); use a local folder")
        for setting in (
            f"wal_autocheckpoint={LOG_PAGES}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "cell_size_check=ON",
        ):
            cursor.execute(f"PRAGMA {setting}")
    except BaseException:
        # Nobody else closes it, and SQLite removes its log when the last connection is closed.
        cursor.close()
        connection.close()
        raise
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("layerwise_write")
    if write is None:
        connection.exec_driver_sql("BEGIN")
        return
    # Not to be set inside a transaction, and a pooled connection may have been used for another sort.
    connection.exec_driver_sql(f"PRAGMA synchronous={write}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextlib.contextmanager
def _translated(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict(f"somebody else wrote the same to the catalog first ({error.orig}); look again") from None
    except DatabaseError as error:
        text = str(error.orig)
        if any(said in text for said in ("malformed", "not a database", "unsupported file format")):
            raise Damaged(
                f"the catalog {url.database} is damaged ({text}); put it back from a copy of the repository, "
                "or let `layerwise repair` make it anew"
            ) from None
        if "disk" in text and ("full" in text or "I/O" in text):
            number = errno.ENOSPC if "full" in text else errno.EIO
            raise OSError(number, f"SQLite says {text!r}", str(url.database)) from None
        if isinstance(error, OperationalError) and "locked" in text:
            raise Conflict(f"the catalog {url.database} was in use for {BUSY_SECONDS} seconds; try again") from None
        raise
