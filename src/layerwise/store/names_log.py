"""The log of names: what was published and which aliases moved, appended to one file, from which a catalog is rebuilt.

It mirrors the catalog and costs no fsync: power loss may take its last lines back, and the next change of a name puts
them there again. Only a catalog that is lost right after a loss of power is rebuilt without them.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     log = NamesLog(Disk(folder))
...     log.append([(1, b'{"do":"set_alias"}')])
...     log.last(), log.read()
(1, {1: {'do': 'set_alias'}})
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from layerwise import canonical
from layerwise.errors import InvalidFile
from layerwise.store.disk import Disk

NAME = "names.log"
"""The file, in the root of a repository."""

_TAIL = 1 << 16
_LINE = re.compile(rb"([0-9a-f]{16}) (\d{1,18}) (.+)\Z")


class NamesLog:
    """Numbered records, one a line: 16 digits of the BLAKE3 of the rest, the number, canonical JSON."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def append(self, records: Sequence[tuple[int, bytes]]) -> None:
        """Put records, given as number and canonical JSON, at the end of the file."""
        if not records:
            return
        lines = [b"%d %s" % (number, record) for number, record in records]
        # A line that a crash cut off has no end: ours starts on a fresh one.
        self._disk.append(NAME, b"\n" + b"\n".join(_check(line) + b" " + line for line in lines))

    def last(self) -> int:
        """Return the number of the last whole record, 0 where there is none."""
        data = self._data()
        for part in (data[-_TAIL:], data):
            numbers = [number for number, _ in _records(bytes(part).split(b"\n"))]
            if numbers:
                return numbers[-1]
        return 0

    def read(self) -> dict[int, Any]:
        """Return all whole records by number; lines that are cut off or changed are left out."""
        found: dict[int, Any] = {}
        for number, record in _records(bytes(self._data()).split(b"\n")):
            try:
                found[number] = canonical.decode(record, f"{NAME}, record {number}")
            except InvalidFile:
                continue
        return dict(sorted(found.items()))

    def _data(self) -> memoryview:
        try:
            return self._disk.read(NAME)
        except FileNotFoundError:
            return memoryview(b"")


def _check(line: bytes) -> bytes:
    return canonical.digest_bytes([line])[:16].encode()


def _records(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for line in lines:
        match = _LINE.match(line)
        if match is not None and _check(line[17:]) == match[1]:
            yield int(match[2]), match[3]
