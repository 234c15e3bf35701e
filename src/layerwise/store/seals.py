"""Seals: which objects of a pack were compared with their digests, and what the system said of its file then.

A pack never changes. While its file is the one that was compared, by device, inode, length, mtime and ctime, its bytes
need not be compared at every load; whoever writes to the file changes its ctime, which no program can set. A seal is
this machine's and this user's alone, and never needed: where it is lost, torn, old or somebody else's, bytes are
compared (docs/decisions/0009-seals.md).

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     Seals(Disk(folder)).compared(Digest("a" * 64))
{}
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass

from layerwise import canonical
from layerwise.errors import InvalidConfig, nearest
from layerwise.store.disk import Disk
from layerwise.store.facts import Facts, own_number
from layerwise.store.packs import pack_name
from layerwise.store.rows import Location
from layerwise.words import Digest, shorten

SMALLEST = 16 << 10
"""Shorter objects are compared each time: to ask the system about the file costs as much."""

RACY_SECONDS = 2.0
"""A file that was changed less than this before it was compared may be changed again within one tick of its clock."""

DAYS = 7.0
"""How long a seal lasts: what rots on the disk unseen by the system is found by a load after this, if not before."""

LIMIT = 4 << 20
"""Longest file of seals, in bytes; it is begun anew when it has grown to this."""

VERIFY = "LAYERWISE_VERIFY"
"""The variable that says what a load compares: ``always`` all, ``changed`` (the default) what may have changed."""

Span = tuple[int, int]
"""Position in the pack's file, and length."""


def compares_always() -> bool:
    """Return whether the environment says that every load compares every byte. Raises InvalidConfig."""
    said, known = os.environ.get(VERIFY) or "changed", ("always", "changed")
    if said not in known:
        raise InvalidConfig(f"{VERIFY} is {shorten(said)}; expected always or changed.{nearest(said, known)}")
    return said == "always"


@dataclass(frozen=True, slots=True)
class Begun:
    """A comparison that began: of which pack, what its file was then, and when, in seconds since 1970."""

    pack: Digest
    facts: Facts
    when: float


class Seals:
    """The seals of one user on one machine in one repository. Safe to use from several threads.

    Args:
        disk: the repository's folder.
        always: whether bytes are compared in any case; then there are no seals.
        clock: the time, in seconds since 1970.
    """

    def __init__(self, disk: Disk, *, always: bool = False, clock: Callable[[], float] = time.time) -> None:
        self._disk = disk
        self._on = not always and own_number() >= 0
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: dict[bytes, list[bytes]] | None = None
        self._size = 0

    @property
    def name(self) -> str:
        """The file that the seals are kept in."""
        machine = canonical.digest_bytes([platform.node().encode(errors="replace")])
        return f"seals-{own_number()}-{machine[:16]}"

    def compared(self, pack: Digest) -> Mapping[Digest, Span]:
        """Return which objects of a pack were compared, and where they lie, if its file is what it was then."""
        with self._lock:
            lines = self._read().get(pack.encode(), [])
        if not lines:
            return {}
        with suppress(OSError):
            facts, now = self._disk.facts(pack_name(pack)), self._clock()
            found: dict[Digest, Span] = {}
            for when, sealed, spans in filter(None, map(_parse, lines)):
                if sealed == facts and when <= now < when + DAYS * 86_400 and _is_settled(sealed, when):
                    found |= spans
            return found
        return {}

    def begin(self, pack: Digest) -> Begun | None:
        """Say that a pack's bytes are about to be compared; None where that cannot be sealed afterwards."""
        if not self._on:
            return None
        with suppress(OSError):
            facts, when = self._disk.facts(pack_name(pack)), self._clock()
            if facts is not None and _is_settled(facts, when) and self._disk.settle(pack_name(pack)) == facts:
                return Begun(pack, facts, when)
        return None

    def keep(self, begun: Begun, good: Mapping[Digest, Location]) -> None:
        """Seal the objects that were found to be good, if the pack's file is still what it was when that began."""
        spans = {
            digest: (at.position, at.length)
            for digest, at in good.items()
            if at.coding is None and at.length >= SMALLEST
        }
        # A folder that can only be read, a disk that is full: then bytes are compared again.
        with suppress(OSError):
            if spans and self._disk.facts(pack_name(begun.pack)) == begun.facts:
                self._append(begun.pack.encode(), _format(begun, spans))

    def _append(self, pack: bytes, line: bytes) -> None:
        with self._lock:
            lines, data = self._read(), b"\n" + line
            if self._size + len(data) > LIMIT:
                self._begin_anew()
            try:
                self._disk.append_own(self.name, data)
            except FileNotFoundError:  # Others may write to it.
                self._begin_anew()
                self._disk.append_own(self.name, data)
            self._size += len(data)
            lines.setdefault(pack, []).append(line)

    def _begin_anew(self) -> None:
        self._disk.discard(self.name)
        self._read().clear()
        self._size = 0

    def _read(self) -> dict[bytes, list[bytes]]:
        if self._lines is None:
            self._lines = {}
            with suppress(OSError):
                data = self._disk.read_own(self.name, LIMIT) if self._on else b""
                self._size = len(data)
                for line in data.split(b"\n"):
                    self._lines.setdefault(line[17:81], []).append(line)
        return self._lines


def _is_settled(facts: Facts, when: float) -> bool:
    return facts.touched + int(RACY_SECONDS * 1e9) <= int(when * 1e9)


def _format(begun: Begun, spans: Mapping[Digest, Span]) -> bytes:
    said = ",".join(f"{digest}@{position}+{length}" for digest, (position, length) in spans.items())
    line = " ".join([begun.pack, *map(str, astuple(begun.facts)), f"{begun.when:.3f}", said]).encode()
    return _check(line) + b" " + line


def _parse(line: bytes) -> tuple[float, Facts, dict[Digest, Span]] | None:
    """Return what a line says, or None where it is torn or changed."""
    if _check(line[17:]) != line[:16]:
        return None
    try:
        _, device, inode, size, written, touched, when, said = line[17:].decode().split(" ")
        facts = Facts(int(device), int(inode), int(size), int(written), int(touched))
        return float(when), facts, dict(_spans(said))
    except ValueError:
        return None


def _spans(said: str) -> Iterator[tuple[Digest, Span]]:
    for one in said.split(","):
        digest, _, span = one.partition("@")
        position, _, length = span.partition("+")
        yield Digest(digest), (int(position), int(length))


def _check(line: bytes) -> bytes:
    return canonical.digest_bytes([line])[:16].encode()
