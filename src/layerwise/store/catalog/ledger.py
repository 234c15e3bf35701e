"""How the catalog changes: every change is a value, applied in one order.

On a folder SQL's transactions are the order, and changes of names are mirrored in `NamesLog`. Where many machines share
an object store, the order is a numbered log of the changes, and the SQL database is this machine's copy of what they
come to.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import sqlalchemy as sa

from layerwise import canonical
from layerwise.errors import Conflict, Damaged
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.changes import MIRRORED, apply
from layerwise.store.catalog.database import Database, Lock, no_lock
from layerwise.store.names_log import NamesLog

ATTEMPTS = 200
"""How often a change is tried anew when others take its number in the log."""

_EMPTY = "{}"

REPLAYED = 500
"""Most records of the log that one transaction takes over."""

Guard = Callable[[sa.Connection], None]
"""What must hold before a change: looks, and raises where it does not."""


class ChangeLog(Protocol):
    """Numbered records, from 1 without a gap, each written once."""

    def append(self, number: int, record: bytes) -> bool:
        """Make ``record`` the one of that number, durably; tell whether it is, or somebody else's was first."""

    def read(self, number: int) -> bytes | None:
        """Return the record of a number, or None where there is none yet."""


class Ledger:
    """The one way to read the catalog and to change it.

    Args:
        where: the path of an SQLite file, or a URL in SQLAlchemy's words.
        lock: a lock over processes, held by whoever writes.
        mirror: where changes of names are kept beside the database.
        order: where the order of changes is decided; the database's own transactions where not given.
        before_making: called before a database that is not there is made; raises where it should be there.
    """

    def __init__(
        self,
        where: str | os.PathLike[str] | sa.URL,
        lock: Lock = no_lock,
        mirror: NamesLog | None = None,
        order: ChangeLog | None = None,
        before_making: Callable[[], None] | None = None,
    ) -> None:
        url = where if isinstance(where, sa.URL) else sa.URL.create("sqlite", database=os.fspath(where))
        self._database = Database(url, lock, before_making, self._hold_whole)
        self._mirror = mirror
        self._order = order
        self.changes = 0
        """How many changes this process made or tried: while there are no more, it knows what it knew."""

    def close(self) -> None:
        """Close every connection; the next call opens the catalog again."""
        self._database.close()

    @contextlib.contextmanager
    def reading(self, *, fresh: bool = True) -> Iterator[sa.Connection]:
        """Give a connection that sees the catalog as it is now.

        Args:
            fresh: whether what other machines changed must be seen; where nothing found is asked for again, it
                need not.
        """
        if fresh:
            self.sync()
        with self._database.reading() as connection:
            yield connection

    def change(self, do: str, args: Mapping[str, Any], *, guard: Guard | None = None, durable: bool = True) -> Any:
        """Make a change, or raise what speaks against it and change nothing; return what it gives.

        Args:
            do: its name, a key of ``changes.CHANGES``.
            args: JSON.
            guard: called first, in the same transaction.
            durable: whether it must survive a loss of power when this returns.
        """
        try:
            return self._change(do, args, guard, durable=durable)
        finally:
            self.changes += 1

    def _change(self, do: str, args: Mapping[str, Any], guard: Guard | None, *, durable: bool) -> Any:
        if self._order is not None:
            return self._ordered(self._order, do, args, guard)
        ticks = self._mirror is not None and durable
        with self._database.writing(durable=durable, then=self._reflect if ticks else None) as connection:
            if guard is not None:
                guard(connection)
            given = apply(connection, do, args)
            if ticks:
                _note(connection, do, args)
            return given

    def sync(self) -> None:
        """Take over what other machines changed; nothing to do on a folder."""
        if self._order is None:
            return
        with self._database.reading() as connection:
            known = _last(connection)
        more = self._order.read(known + 1) is not None
        while more:
            with self._database.writing() as connection:
                more = self._replay(self._order, connection)

    def _hold_whole(self, connection: sa.Connection) -> None:
        # SQLite leaves the damaged end of its log out without a word; the log of names tells.
        lost = self._mirror.last() - _last(connection) if self._mirror is not None else 0
        if lost > 0:
            raise Damaged(
                f"the catalog has lost its last {lost:,} change{'' if lost == 1 else 's'}, which the log of names has; "
                "`layerwise repair` makes it anew"
            )

    def _reflect(self, connection: sa.Connection) -> None:
        assert self._mirror is not None
        # The change is made: that a copy of it could not be written is mended by the next one.
        with contextlib.suppress(OSError):
            column = sql.change.c.number
            missing = sa.select(sql.change).where(column > self._mirror.last()).order_by(column)
            self._mirror.append([(row.number, row.record.encode()) for row in connection.execute(missing)])

    def _ordered(self, order: ChangeLog, do: str, args: Mapping[str, Any], guard: Guard | None) -> Any:
        record = canonical.encode({"args": dict(args), "do": do, "id": secrets.token_hex(16)})
        for _ in range(ATTEMPTS):
            self.sync()
            with contextlib.suppress(_Late), self._database.writing() as connection:
                if guard is not None:
                    guard(connection)
                given = apply(connection, do, args)
                number = _last(connection) + 1
                connection.execute(sql.change.insert().values(number=number, record=""))
                if not order.append(number, record):
                    raise _Late
                return given
        raise Conflict(f"others changed the repository at each of {ATTEMPTS} attempts; try again")

    @staticmethod
    def _replay(order: ChangeLog, connection: sa.Connection) -> bool:
        """Take over some records; tell whether there may be more. What is taken over stays when others keep writing."""
        first = _last(connection) + 1
        for number in range(first, first + REPLAYED):
            record = order.read(number)
            if record is None:
                return False
            said = canonical.decode(record, f"record {number} of the repository's log")
            apply(connection, said["do"], said["args"])
            connection.execute(sql.change.insert().values(number=number, record=""))
        return True


def _note(connection: sa.Connection, do: str, args: Mapping[str, Any]) -> None:
    # What is not needed to make the catalog again leaves its number: a log that knows more than the catalog tells that
    # the catalog has lost something.
    said = {"args": {name: args[name] for name in args if name in MIRRORED[do]}, "do": do} if do in MIRRORED else {}
    number = connection.execute(sql.change.insert().values(record=canonical.encode(said).decode())).inserted_primary_key
    assert number is not None
    connection.execute(sql.change.delete().where(sql.change.c.record == _EMPTY, sql.change.c.number < number[0] - 1))


class _Late(Exception):
    """Somebody else's record took the number."""


def _last(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.max(sql.change.c.number))) or 0
