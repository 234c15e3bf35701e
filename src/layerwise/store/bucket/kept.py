"""What was read of a bucket, kept in a folder: a range of a pack is fetched once, and compared with its digest after.

Nothing here needs to survive: what is changed, cut off or gone is fetched again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Sequence

from layerwise import canonical
from layerwise.errors import Conflict, InvalidConfig, InvalidName
from layerwise.store.blobs import Blobs
from layerwise.store.disk import Buffer, Disk
from layerwise.words import shorten

FOLDER = "kept"
LIMIT = 10 << 30
"""Most bytes that are kept, where ``LAYERWISE_CACHE_BYTES`` says nothing else: 10 GiB."""

_SEAL = 64
"""Bytes at the end of a kept file: the digest of those before, as text."""


def kept_limit() -> int:
    """Return how many bytes may be kept, as the environment says. Raises InvalidConfig."""
    said = os.environ.get("LAYERWISE_CACHE_BYTES", "")
    if not said:
        return LIMIT
    if not said.isdecimal() or len(said) > 18:
        raise InvalidConfig(f"LAYERWISE_CACHE_BYTES is {shorten(said)}; expected a number of bytes, 10737418240 say")
    return int(said)


class Kept:
    """The files of a bucket; ranges that were read come from ``disk`` the next time.

    Args:
        source: where the files are.
        disk: where ranges of them are kept.
        limit: how many bytes may be kept; those go first that were not read for longest, as the system notes it.
    """

    def __init__(self, source: Blobs, disk: Disk, limit: int) -> None:
        self._source = source
        self._disk = disk
        self._limit = limit
        self._guard = threading.Lock()
        self._size: int | None = None
        self._verified: set[str] = set()

    def read_range(self, name: str, begin: int, end: int) -> memoryview:
        """Return bytes ``begin`` to ``end`` of a file that never changes; fewer where it ends before."""
        place = _place(name, begin, end)
        found = None if place is None else self._held(place, end - begin)
        if found is not None:
            return found
        data = self._source.read_range(name, begin, end)
        if place is not None and len(data) == end - begin:
            # A disk that is full, or cannot be written to, only makes it slower.
            with contextlib.suppress(OSError, Conflict):
                self._keep(place, data)
        return data

    def forget(self, name: str) -> None:
        """Read a file anew the next time."""
        self._source.forget(name)
        for kept in self._names():
            if kept.startswith(f"{_stem(name)}-"):
                self._drop(f"{FOLDER}/{kept}")

    def publish(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Write a whole file."""
        self._source.publish(name, chunks)

    def read(self, name: str) -> memoryview:
        """Return the bytes of a file, or raise FileNotFoundError."""
        return self._source.read(name)

    def read_private(self, name: str) -> memoryview | None:
        """Return the bytes of a file, mapped, writable; None where files cannot be mapped."""
        return self._source.read_private(name)

    def list(self, folder: str | None = None) -> Sequence[str]:
        """Return the names of what is in ``folder``, sorted."""
        return self._source.list(folder)

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""
        return self._source.exists(name)

    def move(self, source: str, target: str) -> None:
        """Give a file another name."""
        self._source.move(source, target)

    def discard(self, name: str) -> None:
        """Remove a file that may be gone already."""
        self._source.discard(name)

    def _held(self, place: str, length: int) -> memoryview | None:
        try:
            data = self._disk.read_range(place, 0, length + _SEAL + 1)
        except (FileNotFoundError, InvalidName):
            return None
        body, seal = data[:length], bytes(data[length:])
        if len(seal) == _SEAL and (place in self._verified or canonical.digest_bytes([body]).encode() == seal):
            self._verified.add(place)
            return body
        self._drop(place)
        return None

    def _keep(self, place: str, data: memoryview) -> None:
        size = len(data) + _SEAL
        if size > self._limit // 4:
            return
        temporary = f"tmp/{os.getpid()}-{secrets.token_hex(8)}"
        # Held so that nobody sweeps it away as a dead writer's.
        with self._disk.lock("tmp.lock", shared=True):
            self._disk.write(temporary, [data, canonical.digest_bytes([data]).encode()])
            self._disk.rename(temporary, place)
        with self._guard:
            self._size = self._measured() if self._size is None else self._size + size
            if self._size > self._limit:
                self._make_room()

    def _measured(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _make_room(self) -> None:
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, name in files:
            # Well below, so that this is not done at every turn.
            if total <= self._limit * 0.8:
                break
            self._drop(f"{FOLDER}/{name}")
            total -= size
        self._size = total

    def _files(self) -> Sequence[tuple[float, int, str]]:
        found = []
        for name in self._names():
            with contextlib.suppress(FileNotFoundError):
                stat = self._disk.at(f"{FOLDER}/{name}").stat()
                found.append((stat.st_atime, stat.st_size, name))
        return found

    def _names(self) -> Sequence[str]:
        try:
            return self._disk.list(FOLDER)
        except FileNotFoundError:
            return []

    def _drop(self, place: str) -> None:
        self._verified.discard(place)
        self._disk.forget(place)
        # Where it is mapped, some systems do not let it go: then it stays.
        with contextlib.suppress(OSError):
            self._disk.discard(place)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def _place(name: str, begin: int, end: int) -> str | None:
    # A pack in the trash is the same pack.
    return f"{FOLDER}/{_stem(name)}-{begin:x}-{end:x}" if 0 <= begin < end else None
