"""Writes down what the catalog's SQLite commits, as operations of a `World`."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from tests.crash.processes import current
from tests.crash.simdisk import Committed, World

FULL = 2
"""SQLite's number for ``synchronous=FULL``: the commit waits for the disk."""


class Recorder:
    """Watches one database; ``poll`` logs what was committed since the last time.

    Each transaction ends before its writer gives a lock back, which is an effect: to poll before every effect is to
    see every transaction. What a transaction asked of the disk is read from its own connection, as it commits. While
    it watches, the processes take turns at each transaction too.
    """

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._durable = True

    def poll(self) -> None:
        """Log the database as it is, if somebody committed to it."""
        if self._connection is None:
            if not self._path.exists():
                return
            self._connection = sqlite3.connect(self._path, check_same_thread=False)
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._world.do(Committed(self._connection.serialize(), self._durable))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the block ends."""
        sa.event.listen(sa.Engine, "commit", self._note)
        sa.event.listen(sa.Engine, "begin", _take_turns)
        try:
            yield
        finally:
            sa.event.remove(sa.Engine, "commit", self._note)
            sa.event.remove(sa.Engine, "begin", _take_turns)
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _note(self, connection: sa.Connection) -> None:
        if connection.engine.url.database == str(self._path):
            self._durable = connection.exec_driver_sql("PRAGMA synchronous").scalar() == FULL


def _take_turns(_connection: sa.Connection) -> None:
    """Let others run before a process reads the catalog: what it read before may be old by then."""
    process = current()
    if process is not None:
        process.gate("read the catalog")
