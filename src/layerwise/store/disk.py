"""Every effect on files, in one place: eight primitives, and what is made of them.

A `Disk` is one folder. Names are relative, made by Layerwise, and held to a strict pattern: nothing that a
user wrote becomes a path. A subclass that overrides the primitives sees every effect, so that tests can make
each of them fail, or list the states that a loss of power can leave.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     disk = Disk(folder)
...     disk.make_folder("tmp")
...     disk.publish("config.json", [b"{}"])
...     bytes(disk.read("config.json"))
b'{}'
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import secrets
import stat
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from layerwise.errors import Conflict, InvalidFile, InvalidName
from layerwise.words import shorten

Buffer = bytes | bytearray | memoryview
"""What can be written: any run of bytes."""

MAPPED_FILES = 256
"""Most files kept mapped: each takes a file descriptor while a view of it lives."""

LOCK_SECONDS = 60.0
"""How long a lock is waited for before the wait is given up."""

_PART = r"[a-z0-9][a-z0-9_-]{0,99}"
_NAME = re.compile(rf"(?:{_PART}/){{0,3}}{_PART}(?:\.[a-z0-9]{{1,15}}(?:-wal|-shm)?)?\Z")
_TEMPORARY = "tmp"


def check_file_name(name: str) -> str:
    """Return a name that Layerwise makes for a file, or raise InvalidName for one that it would not make."""
    if not isinstance(name, str) or len(name) > 400 or not _NAME.match(name):
        found = shorten(name) if isinstance(name, str) else type(name).__name__
        raise InvalidName(
            f"{found} is not the name of a file in a repository: expected up to four parts of a-z, 0-9, '_' and '-'"
        )
    return name


class Disk:
    """The files of one folder, reached by names that Layerwise made.

    The primitives are `read`, `write`, `append`, `rename`, `unlink`, `list`, `sync_folder` and `make_folder`;
    `publish`, `move` and `sweep` are made of them.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self._synced: set[str] = set()
        self._mapping = threading.Lock()
        self._mapped: OrderedDict[str, memoryview] = OrderedDict()

    def at(self, name: str) -> Path:
        """Return the path behind ``name``, or raise InvalidName for one that Layerwise would not make."""
        return self.path / check_file_name(name)

    # The primitives.

    def read(self, name: str) -> memoryview:
        """Return the bytes of a file, mapped into memory, read-only; they stay when the file is unlinked."""
        return self._map(name, mmap.ACCESS_READ)

    def read_private(self, name: str) -> memoryview | None:
        """Return the bytes of a file, mapped and writable; a page that is written to is copied, the file stays.

        None where the system will not map so much: it must be able to hold all of it, were all of it written to.
        """
        try:
            return self._map(name, mmap.ACCESS_COPY)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                return None
            raise

    def _map(self, name: str, access: int) -> memoryview:
        descriptor = os.open(self.at(name), os.O_RDONLY | _BINARY)
        try:
            # An empty file cannot be mapped.
            length = os.fstat(descriptor).st_size
            return memoryview(mmap.mmap(descriptor, length, access=access) if length else bytearray())
        finally:
            os.close(descriptor)

    def write(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Make a new file of ``chunks`` and fsync it; where that fails, no file is left.

        Raises:
            FileExistsError: the file is there already.
            OSError: from the operating system; after a failed fsync the file is given up, not tried again.
        """
        _write_new(self.at(name), chunks)

    def append(self, name: str, data: Buffer) -> None:
        """Put bytes at the end of a file, which is made where it is not there; no fsync, so power loss may undo it."""
        descriptor = os.open(self.at(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY | _CLOSE_ON_EXEC, 0o666)
        try:
            _write_all(descriptor, memoryview(data).cast("B"))
        finally:
            os.close(descriptor)

    def rename(self, source: str, target: str) -> None:
        """Rename a file over ``target``, in one step."""
        os.replace(self.at(source), self.at(target))

    def unlink(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self.at(name))

    def list(self, folder: str | None = None) -> Sequence[str]:
        """Return the names of what is in ``folder`` (None: the root), sorted."""
        return sorted(os.listdir(self.path if folder is None else self.at(folder)))

    def sync_folder(self, folder: str | None = None) -> None:
        """Make what was renamed, made and unlinked in ``folder`` (None: the root) survive power loss."""
        _sync_folder(self.path if folder is None else self.at(folder))

    def make_folder(self, folder: str) -> None:
        """Make a folder, unless it is there."""
        os.makedirs(self.at(folder), exist_ok=True)

    # What is made of them.

    def make_root(self) -> None:
        """Make the folder itself, and make sure that its entry in its parent survives a loss of power."""
        made = [self.path]
        while not made[-1].parent.is_dir():
            made.append(made[-1].parent)
        os.makedirs(self.path, exist_ok=True)
        # Also where the folder was there: whoever made it may have died before this line.
        for folder in reversed(made):
            _sync_folder(folder.parent)

    def publish(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Write a file so that nobody ever sees a part of it, and so that it is there after a loss of power.

        A file of that name is replaced. After an exception there is either the old one or the whole new one.
        """
        folder = name.rpartition("/")[0] or None
        temporary = f"{_TEMPORARY}/{os.getpid()}-{secrets.token_hex(8)}"
        with self.lock("tmp.lock", shared=True):
            self.write(temporary, chunks)
            try:
                self._reach(folder)
                self.rename(temporary, name)
            except BaseException:
                with contextlib.suppress(OSError):
                    self.unlink(temporary)
                raise
        self.forget(name)
        # Also where the name was there before: whoever renamed it may have died before this line.
        self.sync_folder(folder)

    def move(self, source: str, target: str) -> None:
        """Move a file so that it is there under one name or the other, or both, whatever happens.

        Raises:
            FileNotFoundError: there is no ``source``.
        """
        folder = target.rpartition("/")[0] or None
        self._reach(folder)
        self.rename(source, target)
        self.forget(source)
        self.forget(target)
        # The new name first: between the two, power loss may leave both.
        self.sync_folder(folder)
        self.sync_folder(source.rpartition("/")[0] or None)

    def read_range(self, name: str, begin: int, end: int) -> memoryview:
        """Return bytes ``begin`` to ``end`` of a file that never changes, a view of the file mapped once."""
        with self._mapping:
            data = self._mapped.get(name)
            if data is None:
                data = self._mapped[name] = self.read(name)
            self._mapped.move_to_end(name)
            if len(self._mapped) > MAPPED_FILES:
                self._mapped.popitem(last=False)
            return data[begin:end]

    def forget(self, name: str | None = None) -> None:
        """Map a file anew the next time, or every file; views that were handed out stay good."""
        with self._mapping:
            if name is None:
                self._mapped.clear()
            else:
                self._mapped.pop(name, None)

    def exists(self, name: str) -> bool:
        """Tell whether there is a file or a folder of that name."""
        return self.at(name).exists()

    def trust(self, folders: Iterable[str]) -> None:
        """Take it that these folders are there and durable: whoever says so has fsync'ed their parents."""
        self._synced.update(folders)

    def _reach(self, folder: str | None) -> None:
        # Once a process, also for a folder that another process made: it may have died before its fsync.
        if folder is None or folder in self._synced:
            return
        parent = folder.rpartition("/")[0] or None
        self._reach(parent)
        self.make_folder(folder)
        self.sync_folder(parent)
        self._synced.add(folder)

    def discard(self, name: str) -> None:
        """Remove a file that may be gone already."""
        with contextlib.suppress(FileNotFoundError):
            self.unlink(name)

    def sweep(self) -> int:
        """Remove the files that dead writers left, unless somebody is writing now; return how many."""
        removed = 0
        try:
            with self.lock("tmp.lock", wait=0):
                for name in self.list(_TEMPORARY):
                    with contextlib.suppress(FileNotFoundError):
                        self.unlink(f"{_TEMPORARY}/{name}")
                        removed += 1
        except Conflict:
            return 0
        return removed

    def scratch(self, size: int) -> mmap.mmap:
        """Return ``size`` writable bytes that are paged to a file without a name: gone when nobody holds them."""
        path = self.at(f"{_TEMPORARY}/{os.getpid()}-{secrets.token_hex(8)}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY | _CLOSE_ON_EXEC, 0o600)
        try:
            # A sweeper may have been faster.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            os.ftruncate(descriptor, size)
            if sys.platform == "linux":
                # A full disk is an error here, and a signal that kills the process when a page is written.
                os.posix_fallocate(descriptor, 0, size)
            return mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: float = LOCK_SECONDS) -> Iterator[None]:
        """Hold a lock of the operating system on the empty file ``name``; it ends with the process.

        Args:
            name: the file, made where it is not there and never removed.
            shared: whether others may hold it too, if they also say so.
            wait: seconds to try for.

        Raises:
            Conflict: somebody else held it all the time.
        """
        descriptor = os.open(self.at(name), os.O_RDWR | os.O_CREAT | _BINARY | _CLOSE_ON_EXEC, 0o666)
        try:
            _wait(lambda: _try_lock(descriptor, shared=shared), wait, str(self.at(name)))
            try:
                yield
            finally:
                # Closing is not enough: a child that was forked meanwhile has the descriptor too.
                _unlock(descriptor)
        finally:
            os.close(descriptor)


def write_file(path: str | os.PathLike[str], chunks: Sequence[Buffer]) -> None:
    """Write a file that the user chose (``--out``), whole or not at all; an older one is replaced.

    Args:
        path: where; its folder must be there. A symbolic link is followed.
        chunks: the bytes, in order.

    Raises:
        InvalidFile: the folder is absent, or something that is not a file has that name.
    """
    if "\0" in os.fspath(path):
        raise InvalidFile(f"{shorten(os.fspath(path))} is not a path: it holds a NUL character")
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise InvalidFile(f"{path} is there and is not a file; choose another name")
    if not target.parent.is_dir():
        raise InvalidFile(f"there is no folder {str(target.parent)!r} to write {target.name!r} into; make it first")
    temporary = target.parent / f".layerwise-{os.getpid()}-{secrets.token_hex(8)}.tmp"
    _write_new(temporary, chunks)
    try:
        if target.exists():
            os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


_BINARY: int = getattr(os, "O_BINARY", 0)
_CLOSE_ON_EXEC: int = getattr(os, "O_CLOEXEC", 0)


def _write_new(path: Path, chunks: Sequence[Buffer]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY | _CLOSE_ON_EXEC
    descriptor = os.open(path, flags, 0o666)
    try:
        try:
            written = sum(_write_all(descriptor, memoryview(chunk).cast("B")) for chunk in chunks)
            found = os.fstat(descriptor).st_size
            if found != written:
                raise OSError(errno.EIO, f"wrote {written:,} bytes and the file has {found:,}", str(path))
            _sync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def _write_all(descriptor: int, data: memoryview) -> int:
    done = 0
    while done < len(data):
        # Linux writes at most 2 GiB at a time, and may write less at any time.
        done += os.write(descriptor, data[done : done + (1 << 30)])
    return done


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        # There fsync leaves the data in the drive's own cache.
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def _sync_folder(path: Path) -> None:
    if sys.platform == "win32":
        return  # Windows cannot: docs/format.md, section 8, says what that costs.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, *, shared: bool) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            # Windows has no shared lock here: writers take turns.
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _unlock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _wait(attempt: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    pause = 0.001
    while not attempt():
        if time.monotonic() >= end:
            raise Conflict(f"another process has held {what} for {seconds:g} seconds; try again when it has ended")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
