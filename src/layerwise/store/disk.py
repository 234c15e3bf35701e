"""Every effect on files, in one place: nine primitives, and what is made of them.

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
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from layerwise.errors import Conflict, InvalidFile
from layerwise.store.facts import Facts, facts_of, hold_own
from layerwise.store.file_names import check_file_name
from layerwise.store.locks import try_lock, unlock, wait_for
from layerwise.store.mapped import MappedFiles
from layerwise.words import shorten

Buffer = bytes | bytearray | memoryview
"""What can be written: any run of bytes."""

LOCK_SECONDS = 60.0
"""How long a lock is waited for before the wait is given up."""

_TEMPORARY = "tmp"


class Disk:
    """The files of one folder, reached by names that Layerwise made.

    The primitives are `read`, `write`, `append`, `rename`, `link`, `unlink`, `list`, `sync_folder` and `make_folder`;
    `publish`, `move` and `sweep` are made of them.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self._synced: set[str] = set()
        self._mapped = MappedFiles(lambda name: self.read(name))

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

    def link(self, source: str, target: str) -> None:
        """Give a file a second name.

        Raises:
            FileExistsError: something has that name.
            OSError: the file system has no second names, or an error of its own.
        """
        os.link(self.at(source), self.at(target))

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

        The new name is durable before the old one is removed: a file system may keep half a rename.

        Raises:
            FileNotFoundError: there is no ``source``.
        """
        folder = target.rpartition("/")[0] or None
        self._reach(folder)
        try:
            self.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:
            # Something has that name, or there are no second names here. Two names of one file, which an earlier
            # move left, stay two.
            self.rename(source, target)
        self.sync_folder(folder)
        self.discard(source)
        self.forget(source)
        self.forget(target)
        self.sync_folder(source.rpartition("/")[0] or None)

    def read_range(self, name: str, begin: int, end: int) -> memoryview:
        """Return bytes ``begin`` to ``end`` of a file that never changes, a view of the file mapped once."""
        return self._mapped.get(name)[begin:end]

    def forget(self, name: str | None = None) -> None:
        """Map a file anew the next time, or every file; views that were handed out stay good."""
        self._mapped.forget(name)

    def exists(self, name: str) -> bool:
        """Tell whether there is a file or a folder of that name."""
        return self.at(name).exists()

    def facts(self, name: str) -> Facts | None:
        """Return what the system says of a file; None where it does not say when one was changed, as on Windows."""
        return facts_of(os.stat(self.at(name), follow_symlinks=False))

    def settle(self, name: str) -> Facts | None:
        """Return the facts of a file of which no byte waits for the disk.

        Linux notes a write through a shared mapping at the first one to a page that does not wait, and at no later.
        """
        descriptor = os.open(self.at(name), os.O_RDONLY | _BINARY | _CLOSE_ON_EXEC)
        try:
            _sync(descriptor)
            return facts_of(os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def read_own(self, name: str, most: int) -> bytes:
        """Return the first bytes of a file that nobody but this user can have written.

        Raises FileNotFoundError, also where it is somebody else's, or others may write to it.
        """
        descriptor = os.open(self.at(name), os.O_RDONLY | _BINARY | _CLOSE_ON_EXEC | _NO_LINK)
        try:
            hold_own(descriptor, name)
            return os.read(descriptor, most)
        finally:
            os.close(descriptor)

    def append_own(self, name: str, data: Buffer) -> None:
        """Put bytes at the end of a file that only this user may read and write; no fsync, nothing relies on it.

        Raises FileNotFoundError where the file is there and others may write to it.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY | _CLOSE_ON_EXEC | _NO_LINK
        descriptor = os.open(self.at(name), flags, 0o600)
        try:
            hold_own(descriptor, name)
            _write_all(descriptor, memoryview(data).cast("B"))
        finally:
            os.close(descriptor)

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
            return _mapped(descriptor, size)
        finally:
            os.close(descriptor)

    def allocate(self, name: str, size: int) -> mmap.mmap:
        """Make a new file of ``size`` zeros and return it mapped, to be written to while others read it.

        Nothing is fsync'ed: it is for what may be lost with the machine.

        Raises:
            FileExistsError: the file is there already.
            OSError: the disk has no room for it; no file is left.
        """
        path = self.at(name)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY | _CLOSE_ON_EXEC, 0o666)
        try:
            mapped = _mapped(descriptor, size)
            # Its pages are in the cache before rows come in no order: the kernel then takes a fifth of the time.
            for at in range(0, size, len(_ZEROS)):
                _write_all(descriptor, memoryview(_ZEROS)[: size - at])
            return mapped
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
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
            wait_for(lambda: try_lock(descriptor, shared=shared), wait, str(self.at(name)))
            try:
                yield
            finally:
                # Closing is not enough: a child that was forked meanwhile has the descriptor too.
                unlock(descriptor)
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
_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)
_ZEROS = bytes(1 << 20)


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


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    os.ftruncate(descriptor, size)
    if sys.platform == "linux":
        # A full disk is an error here, and a signal that kills the process when a page is written.
        os.posix_fallocate(descriptor, 0, size)
    return mmap.mmap(descriptor, size)


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
