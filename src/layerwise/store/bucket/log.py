"""The ordered log of changes of a repository on an object store: numbered records, each made once, by one writer.

Record 12 is the file ``log/000000000012.json``; whoever makes it decides what the twelfth change is. A reader asks for
the next number until there is none: nothing is ever listed.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from layerwise import canonical
from layerwise.errors import Damaged, InvalidFile, InvalidName, LayerwiseError
from layerwise.store.disk import Buffer
from layerwise.words import Digest

MAX_RECORD = 32 << 20
"""Longest record, in bytes."""

MAX_NUMBER = 10**12 - 1

AHEAD = 64
"""Most records that are read before they are asked for."""

_SEVERAL = 3
_LARGE = 1 << 20

_ENVELOPE = 1_000


class Once(Protocol):
    """A place where a file is made once: `Bucket`."""

    def create(self, name: str, chunks: Sequence[Buffer]) -> bool:
        """Make a file where there is none; tell whether it is there with these bytes, or with others."""

    def read(self, name: str, limit: int | None = None) -> memoryview:
        """Return the bytes of a file, or raise FileNotFoundError."""

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""


class RecordLog:
    """Numbered records, from 1 without a gap, each written once. Safe to use from several threads."""

    def __init__(self, place: Once) -> None:
        self._place = place
        self._known = 0
        self._guard = threading.Lock()
        self._ahead: dict[int, bytes] = {}
        self._next = 0
        self._window = 0

    def append(self, number: int, record: bytes) -> bool:
        """Make ``record`` the one of that number; tell whether it is, or somebody else's was first.

        Args:
            number: one more than the last.
            record: canonical JSON.

        Raises:
            Unreachable: it is not known whether it was written.
            Damaged: the record before it is not there.
        """
        name = _name(number)
        if len(record) > MAX_RECORD:
            raise InvalidFile(f"a change of {len(record):,} bytes is too large to log; expected at most {MAX_RECORD:,}")
        # The log may be another one than the caller has seen: a copy that was put back, say.
        if number - 1 > self._known and not self._place.exists(_name(number - 1)):
            raise Damaged(
                f"the log of the repository ends before record {number - 1}, which this machine has seen; put it back "
                "from a copy of the repository, or remove this machine's working folder of it to see what is left"
            )
        # With the mark no two writers send the same bytes, and to read one's own back is to have written it.
        mine = _seal(number, record, secrets.token_hex(16))
        won = self._place.create(name, [mine])
        self._known = max(self._known, number)
        return won

    def read(self, number: int) -> bytes | None:
        """Return the record of a number, or None where there is none yet.

        Whoever reads on and on is read ahead for: records never change.

        Raises:
            Damaged: what is there is not what was written.
        """
        with self._guard:
            found = self._ahead.pop(number, None)
        if found is None:
            found = self._read(number)
            self._look_ahead(number, found)
        return found

    def _read(self, number: int) -> bytes | None:
        try:
            data = self._place.read(_name(number), MAX_RECORD + _ENVELOPE)
        except FileNotFoundError:
            return None
        self._known = max(self._known, number)
        return _open(number, data)

    def _look_ahead(self, number: int, found: bytes | None) -> None:
        with self._guard:
            if found is None:
                self._window = 0
                return
            # Who looks whether there is one asks again to take it over.
            self._ahead = {number: found}
            self._window = min(2 * self._window or 1, AHEAD) if number == self._next else 1
            self._next = number + 1
            wide = self._window > _SEVERAL and len(found) <= _LARGE
            wanted = range(number + 1, number + 1 + self._window) if wide else range(0)
        if wanted:
            with ThreadPoolExecutor(max_workers=8) as readers:
                records = list(readers.map(self._peek, wanted))
            with self._guard:
                self._ahead |= {n: record for n, record in zip(wanted, records, strict=True) if record is not None}
                if None in records:
                    # At the end of the log most of what would be looked for ahead is not there yet.
                    self._window = 0
                else:
                    self._next = wanted.stop

    def _peek(self, number: int) -> bytes | None:
        # What is wrong with it is said when it is its turn.
        try:
            return self._read(number)
        except LayerwiseError:
            return None


class LoggedNames:
    """The log of changes, read as the log of names of a folder is: what the catalog must come to."""

    def __init__(self, log: RecordLog) -> None:
        self._log = log

    def last(self) -> int:
        """Return the number of the last record, 0 where there is none."""
        return max(self.read(), default=0)

    def read(self) -> dict[int, Any]:
        """Return all records by number. Raises Damaged for one that was changed."""
        found: dict[int, Any] = {}
        while (record := self._log.read(len(found) + 1)) is not None:
            found[len(found) + 1] = canonical.decode(record, f"record {len(found) + 1} of the repository's log")
        return found


def _name(number: int) -> str:
    if not 1 <= number <= MAX_NUMBER:
        raise InvalidName(f"records of a log count from 1 to {MAX_NUMBER}, found {number}")
    return f"log/{number:012}.json"


def _seal(number: int, record: bytes, mark: str) -> bytes:
    change = canonical.decode(record, f"record {number}")
    if canonical.encode(change) != record:
        raise InvalidFile(f"record {number} of the log is not canonical JSON")
    return canonical.encode(
        {"change": change, "digest": _digest(number, record, mark), "number": number, "write": mark}
    )


def _open(number: int, data: memoryview) -> bytes:
    what = f"record {number} of the repository's log"
    try:
        said = canonical.decode(data, what)
        record = canonical.encode(said["change"])
        whole = _digest(number, record, said["write"]) == said["digest"] and said["number"] == number
    except (InvalidFile, KeyError, TypeError):
        whole = False
    if not whole:
        raise Damaged(f"{what} is not what was written; put log/{number:012}.json back from a copy of the repository")
    return record


def _digest(number: int, record: bytes, mark: str) -> Digest:
    return canonical.digest_bytes([f"{number} {mark}\n".encode(), record])
