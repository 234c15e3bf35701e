"""Faults on real files: the n-th effect fails, or the process dies there.

`FaultyDisk` is a `Disk` whose primitives fail; `FaultyOs` stands for the module ``os`` in `layerwise.store.disk`, so
that each call inside a primitive fails too. Both ask a `Fault`, which counts.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from layerwise.store.disk import LOCK_SECONDS, Buffer, Disk
from tests.crash.processes import Died

KINDS: Final = ("dies", "dies half way", "EIO", "ENOSPC", "short write")
"""What can go wrong at a primitive: the process ends before it, or half way; it fails; a write fails half way."""

CALL_KINDS: Final = ("dies", "EIO", "ENOSPC", "writes less", "writes less and says nothing")
"""What can go wrong at a call of the operating system."""

ERRORS: Final = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "short write": errno.ENOSPC}


@dataclass
class Fault:
    """One fault: what happens, and at which effect, counted from 1. ``fired`` names the effect, once it has."""

    kind: str
    at: int
    count: int = 0
    fired: str = ""
    dead: bool = False
    seen: list[str] = field(default_factory=list)

    def due(self, what: str, kinds: Sequence[str] | None = None) -> bool:
        """Count an effect that may fail in one of ``kinds`` (None: in any), and tell whether it is the one."""
        if self.dead:
            raise Died
        if kinds is not None and self.kind not in kinds:
            return False
        self.count += 1
        self.seen.append(what)
        if self.count != self.at:
            return False
        self.fired = what
        self.dead = self.kind.startswith("dies")
        return True

    def strike(self, what: str) -> None:
        """Fail as this fault does."""
        if self.dead:
            raise Died
        number = ERRORS[self.kind]
        raise OSError(number, os.strerror(number), what)


class FaultyDisk(Disk):
    """A disk one of whose effects fails; a transaction of the catalog is an effect too, while `watching`."""

    def __init__(self, path: str | os.PathLike[str], fault: Fault) -> None:
        super().__init__(path)
        self.fault = fault

    def _effect(self, what: str, act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        # Only what puts bytes somewhere can be cut short.
        cut = ("dies half way", "short write")
        if self.fault.due(what, None if half else tuple(kind for kind in KINDS if kind not in cut)):
            if half is not None and self.fault.kind in cut:
                half()
            self.fault.strike(what)
        return act()

    def read(self, name: str) -> memoryview:
        """Read, or fail."""
        result: memoryview = self._effect(f"read {_kind(name)}", lambda: Disk.read(self, name))
        return result

    def write(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Write, or fail; a process that dies half way leaves half a file, an error leaves none."""
        whole = b"".join(bytes(chunk) for chunk in chunks)

        def half() -> None:
            if self.fault.dead:
                Disk.write(self, name, [whole[: len(whole) // 2]])

        self._effect("write", lambda: Disk.write(self, name, [whole]), half)

    def append(self, name: str, data: Buffer) -> None:
        """Append, or fail; half of it may have got there."""
        half = bytes(data)[: len(data) // 2]

        def append(some: Buffer) -> None:
            Disk.append(self, name, some)

        self._effect(f"append {_kind(name)}", lambda: append(data), lambda: append(half))

    def rename(self, source: str, target: str) -> None:
        """Rename, or fail."""
        self._effect(f"rename to {_kind(target)}", lambda: Disk.rename(self, source, target))

    def link(self, source: str, target: str) -> None:
        """Give a second name, or fail."""
        self._effect(f"link to {_kind(target)}", lambda: Disk.link(self, source, target))

    def unlink(self, name: str) -> None:
        """Remove, or fail."""
        self._effect(f"unlink {_kind(name)}", lambda: Disk.unlink(self, name))

    def list(self, folder: str | None = None) -> Sequence[str]:
        """List, or fail; of the 256 folders of packs, which are listed one after the other, only the first."""
        if folder is not None and folder.startswith("packs/") and folder != "packs/00":
            return Disk.list(self, folder)
        result: Sequence[str] = self._effect(f"list {folder}", lambda: Disk.list(self, folder))
        return result

    def sync_folder(self, folder: str | None = None) -> None:
        """Fsync a folder, or fail."""
        self._effect(f"sync_folder {_kind(folder or '')}", lambda: Disk.sync_folder(self, folder))

    def make_folder(self, folder: str) -> None:
        """Make a folder, or fail."""
        self._effect(f"make_folder {_kind(folder)}", lambda: Disk.make_folder(self, folder))

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: float = LOCK_SECONDS) -> Iterator[None]:
        """Lock, or fail; die after what was done under the lock, before anything else."""
        self._effect(f"lock {name}", lambda: None)
        with Disk.lock(self, name, shared=shared, wait=wait):
            yield
        if self.fault.due(f"unlock {name}", ("dies",)):
            raise Died

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Let transactions of the catalog fail too, until the block ends."""
        where = str(self.path / "catalog.sqlite")

        def commit(connection: sa.Connection) -> None:
            if connection.engine.url.database == where:
                self._effect("commit of the catalog", lambda: None)

        sa.event.listen(sa.Engine, "commit", commit)
        try:
            yield
        finally:
            sa.event.remove(sa.Engine, "commit", commit)


def _kind(name: str) -> str:
    """Return what sort of file a name is, without the digits that differ from run to run."""
    folder, _, last = name.rpartition("/")
    return f"{folder.split('/')[0]}/…" if folder else last


class FaultyOs:
    """The module ``os`` with one call that fails; all else is the real one."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        return self._failing(name, found) if name in _CALLS else found

    def _failing(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        fault = self._fault

        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "close":
                # A process that died has closed its files, and a close that fails has closed too.
                real(*args, **kwargs)
                if not fault.dead and fault.due(name, ("EIO", "ENOSPC")):
                    fault.strike(name)
                return None
            if not fault.due(name, None if name == "write" else ("dies", "EIO", "ENOSPC")):
                return real(*args, **kwargs)
            if not fault.kind.startswith("writes less"):
                fault.strike(name)
            descriptor, data = args
            done = real(descriptor, data[: len(data) // 2])
            return done if fault.kind == "writes less" else len(data)

        return call


_CALLS = frozenset(
    {"open", "write", "fsync", "close", "replace", "unlink", "makedirs", "listdir", "fstat", "ftruncate"}
    | {"mkdir", "rename", "posix_fallocate", "link"}
)
