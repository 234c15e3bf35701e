"""A file system in memory that forgets: what was not fsync'ed may be lost, torn or half there after a loss of power.

`World` is the file system, shared by every process of a simulation; it writes down each operation. `SimDisk` is the
`Disk` of one process on it: it overrides the primitives, so that all that is made of them is the code that ships.
`tests.crash.states` makes, from a log, the states that a loss of power can leave.

Not in the model: what SQLite does to its own files. Its transactions enter the log whole (`Committed`), each with the
whole database as it is after it, and with what it asked of the disk.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from layerwise.errors import Conflict
from layerwise.store.disk import LOCK_SECONDS, Buffer, Disk
from layerwise.store.store import CONFIG

FOLDER: Final = 0
"""The inode that stands for any folder: folders are never renamed, so their path is enough."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The directory entry ``path`` was made; ``inode`` is the file behind it, or FOLDER."""

    path: str
    inode: int


@dataclass(frozen=True, slots=True)
class Renamed:
    """``source`` became ``target``: two directory entries changed."""

    source: str
    target: str
    inode: int


@dataclass(frozen=True, slots=True)
class Unlinked:
    """The directory entry ``path`` was removed."""

    path: str


@dataclass(frozen=True, slots=True)
class Filled:
    """Bytes were put at the end of a file."""

    inode: int
    data: bytes


@dataclass(frozen=True, slots=True)
class FileSynced:
    """A file's bytes were made durable; its directory entry was not."""

    inode: int


@dataclass(frozen=True, slots=True)
class FolderSynced:
    """The entries of a folder ("" is the root) were made durable."""

    path: str


@dataclass(frozen=True, slots=True)
class Committed:
    """A transaction of the catalog: the database after it, and whether it waited for the disk (FULL, not NORMAL)."""

    database: bytes
    durable: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody was told that this is kept: a version as (sort, name, number, digest), or another promise."""

    promise: tuple[str, str, int, str]


Operation = Linked | Renamed | Unlinked | Filled | FileSynced | FolderSynced | Committed | Acknowledged


class World:
    """One file system as its processes see it, and the log of what was done to it."""

    def __init__(self, files: Mapping[str, bytes] | None = None, folders: Collection[str] = ()) -> None:
        self.log: list[Operation] = []
        self.entries: dict[str, int] = dict.fromkeys(folders, FOLDER)
        self.contents: dict[int, bytes] = {}
        self.holders: dict[str, list[tuple[object, bool]]] = {}
        self._inodes = 0
        for path, data in (files or {}).items():
            self.entries[path] = self.new_inode()
            self.contents[self.entries[path]] = data

    def new_inode(self) -> int:
        """Return a number for a new, empty file."""
        self._inodes += 1
        self.contents[self._inodes] = b""
        return self._inodes

    def do(self, operation: Operation) -> None:
        """Do an operation and write it down."""
        match operation:
            case Linked(path, inode):
                self.entries[path] = inode
                self.contents.setdefault(inode, b"")
                self._inodes = max(self._inodes, inode)
            case Renamed(source, target, inode):
                del self.entries[source]
                self.entries[target] = inode
            case Unlinked(path):
                del self.entries[path]
            case Filled(inode, data):
                self.contents[inode] += data
        self.log.append(operation)

    def files(self) -> dict[str, bytes]:
        """Return what every file holds, by path, as a reader sees it now."""
        return {path: self.contents[inode] for path, inode in self.entries.items() if inode != FOLDER}

    def folders(self) -> list[str]:
        """Return the paths of the folders."""
        return [path for path, inode in self.entries.items() if inode == FOLDER]


def parent(path: str) -> str:
    """Return the folder of a path; "" is the root.

    >>> parent("packs/ab/c.pack"), parent("config.json")
    ('packs/ab', '')
    """
    return path.rpartition("/")[0]


def _free(_what: str) -> None:
    """Let everything pass: the gate of a disk that nobody schedules."""


class SimDisk(Disk):
    """The disk of one process on a `World`.

    Args:
        path: a real folder, for the catalog's SQLite file and nothing else.
        world: the file system.
        gate: called before every effect with its name: waits for its turn, or ends the process by an exception.
            A name that starts with "wait" is a try that waits for somebody else; one with "read" changes nothing.
    """

    def __init__(self, path: str | os.PathLike[str], world: World, gate: Callable[[str], None] = _free) -> None:
        super().__init__(path)
        self.world = world
        self.gate = gate

    def mirror(self) -> None:
        """Make ``config.json`` be in the real folder, empty, where it is in the model: it is looked for there."""
        real = self.path / CONFIG
        if CONFIG in self.world.entries:
            real.touch()
        else:
            real.unlink(missing_ok=True)

    # The primitives.

    def read(self, name: str) -> memoryview:
        """Return the bytes of a file."""
        self.gate("read")
        self.at(name)
        inode = self.world.entries.get(name)
        if inode is None or inode == FOLDER:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return memoryview(self.world.contents[inode])

    def write(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Make a new file and fsync it."""
        self.gate("write")
        self._need_folder(name)
        if name in self.world.entries:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        inode = self.world.new_inode()
        self.world.do(Linked(name, inode))
        self.gate("write: fill")
        self.world.do(Filled(inode, b"".join(bytes(chunk) for chunk in chunks)))
        self.sync_file(name, inode)

    def sync_file(self, name: str, inode: int) -> None:
        """The fsync at the end of `write`."""
        self.gate("write: fsync")
        self.world.do(FileSynced(inode))

    def append(self, name: str, data: Buffer) -> None:
        """Put bytes at the end of a file, without an fsync."""
        self.gate("append")
        self._need_folder(name)
        if name not in self.world.entries:
            self.world.do(Linked(name, self.world.new_inode()))
        self.world.do(Filled(self.world.entries[name], bytes(data)))

    def rename(self, source: str, target: str) -> None:
        """Rename a file over ``target``."""
        self.gate("rename")
        self._need(source)
        self._need_folder(target)
        # POSIX: two names of one file stay two.
        if self.world.entries.get(target) != self.world.entries[source]:
            self.world.do(Renamed(source, target, self.world.entries[source]))
        self.mirror()

    def link(self, source: str, target: str) -> None:
        """Give a file a second name."""
        self.gate("link")
        self._need(source)
        self._need_folder(target)
        if target in self.world.entries:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        self.world.do(Linked(target, self.world.entries[source]))
        self.mirror()

    def unlink(self, name: str) -> None:
        """Remove a file."""
        self.gate("unlink")
        self._need(name)
        self.world.do(Unlinked(name))

    def list(self, folder: str | None = None) -> Sequence[str]:
        """Return the names in a folder."""
        # A collector lists 256 folders of packs: turns are taken before the trash alone, which it lists first.
        if not (folder or "").startswith("packs/"):
            self.gate("read")
        if folder is not None:
            self._need(folder)
        return sorted(path.rpartition("/")[2] for path in self.world.entries if parent(path) == (folder or ""))

    def sync_folder(self, folder: str | None = None) -> None:
        """Make the entries of a folder durable."""
        self.gate("sync_folder")
        if folder is not None:
            self._need(folder)
        self.world.do(FolderSynced(folder or ""))

    def make_folder(self, folder: str) -> None:
        """Make a folder, and those above it."""
        self.gate("make_folder")
        self.at(folder)
        parts = folder.split("/")
        for depth in range(1, len(parts) + 1):
            if (path := "/".join(parts[:depth])) not in self.world.entries:
                self.world.do(Linked(path, FOLDER))

    def make_root(self) -> None:
        """The root is there: the model begins below it."""

    def exists(self, name: str) -> bool:
        """Tell whether there is a file or a folder of that name."""
        self.at(name)
        return name in self.world.entries

    def scratch(self, size: int) -> mmap.mmap:
        """Return bytes of memory: a file without a name leaves nothing behind."""
        return mmap.mmap(-1, size)

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold a lock that ends with its process, as an operating system's does."""
        holders = self.world.holders.setdefault(name, [])
        mine = (object(), shared)
        self.gate(f"lock {name}")
        while holders and not (shared and all(others for _, others in holders)):
            if wait == 0:
                raise Conflict(f"somebody holds {name}")
            self.gate(f"wait for {name}")
        holders.append(mine)
        try:
            yield
        finally:
            holders.remove(mine)
        # What the lock guarded is in the log before the next holder's first operation.
        self.gate(f"unlock {name}")

    def _need(self, name: str) -> None:
        self.at(name)
        if name not in self.world.entries:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    def _need_folder(self, name: str) -> None:
        self.at(name)
        folder = parent(name)
        if folder and self.world.entries.get(folder) != FOLDER:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
