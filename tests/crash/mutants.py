"""The protocol with one rule broken: each mutant is a patch of a few lines, and must be found out by some check.

A mutant that no check finds would mean that the rule is not needed, or that the checks are blind to it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from layerwise.store import disk, store
from layerwise.store.catalog import catalog as catalogs
from layerwise.store.catalog import changes, database, queries, rows, trash
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.catalog import Catalog
from layerwise.store.catalog.collector import Collector
from layerwise.store.catalog.packs import Packs
from layerwise.store.disk import Buffer, Disk
from layerwise.store.writer import PackWriter
from layerwise.upkeep import gc as collection
from layerwise.upkeep import trash as trash_of
from tests.crash.simdisk import FileSynced, SimDisk

Patch = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken rule: what it is, how the code is patched, and the check that is to find it."""

    rule: str
    patch: Patch
    check: str


MUTANTS: list[Mutant] = []


def system() -> Any:
    """Return what stands for ``os`` in the module of disks: a test may have put calls there that fail."""
    return vars(disk)["os"]


def mutant(rule: str, check: str) -> Callable[[Callable[[], Iterator[None]]], Patch]:
    """Enter a mutant into the list."""

    def enter(make: Callable[[], Iterator[None]]) -> Patch:
        manager = contextlib.contextmanager(make)
        MUTANTS.append(Mutant(rule, manager, check))
        return manager

    return enter


# What is fsync'ed.


@mutant("a file is fsync'ed before it gets its name", "power")
def _no_file_sync() -> Iterator[None]:
    with patch.object(SimDisk, "sync_file", lambda *_: None):
        yield


def _no_folder_sync(skipped: Callable[[str], bool]) -> AbstractContextManager[Any]:
    real = SimDisk.sync_folder

    def sync_folder(self: SimDisk, folder: str | None = None) -> None:
        if not skipped(folder or ""):
            real(self, folder)

    return patch.object(SimDisk, "sync_folder", sync_folder)


@mutant("the folder of a pack is fsync'ed after the rename", "power")
def _no_pack_folder_sync() -> Iterator[None]:
    with _no_folder_sync(lambda folder: folder.startswith("packs/")):
        yield


@mutant("the folders of packs are fsync'ed when they are made", "making")
def _no_packs_sync() -> Iterator[None]:
    with _no_folder_sync(lambda folder: folder == "packs"):
        yield


@mutant("the folders are durable before the config says that there is a repository", "making")
def _no_root_sync() -> Iterator[None]:
    real = store._make_folders

    def make_folders(on: Disk) -> None:
        sync = on.sync_folder
        on.sync_folder = lambda folder=None: sync(folder) if folder else None  # type: ignore[method-assign]
        real(on)
        del on.sync_folder

    with patch.object(store, "_make_folders", make_folders):
        yield


@mutant("the root is fsync'ed after the config got its name", "making")
def _no_config_sync() -> Iterator[None]:
    with _no_folder_sync(lambda folder: folder == ""):
        yield


@mutant("a name's transaction waits for the disk", "power")
def _no_full() -> Iterator[None]:
    yield from _synchronous("NORMAL")


@mutant("a name's transaction waits for the disk (off)", "power")
def _off() -> Iterator[None]:
    yield from _synchronous("OFF")


def _synchronous(mode: str) -> Iterator[None]:
    real = database._begin_sqlite

    def begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("layerwise_write")
        real(connection.execution_options(layerwise_write=mode) if write else connection)

    with patch.object(database, "_begin_sqlite", begin):
        yield


@mutant("an fsync that failed is an error", "syncs")
def _hidden_sync() -> Iterator[None]:
    real = disk._sync

    def sync(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            real(descriptor)

    with patch.object(disk, "_sync", sync):
        yield


@mutant("an fsync that failed is not tried again", "syncs")
def _second_sync() -> Iterator[None]:
    real = disk._sync

    def sync(descriptor: int) -> None:
        try:
            real(descriptor)
        except OSError:
            real(descriptor)

    with patch.object(disk, "_sync", sync):
        yield


# How files are written and named.


def _publish(do: Callable[[Disk, str, Sequence[Buffer], str], None]) -> AbstractContextManager[Any]:
    def publish(self: Disk, name: str, chunks: Sequence[Buffer]) -> None:
        with self.lock("tmp.lock", shared=True):
            do(self, name, chunks, f"tmp/{os.getpid()}-{secrets.token_hex(8)}")

    return patch.object(Disk, "publish", publish)


def _folder(name: str) -> str | None:
    return name.rpartition("/")[0] or None


@mutant("a file is written under a name of its own, never in place", "power")
def _in_place() -> Iterator[None]:
    def do(self: Disk, name: str, chunks: Sequence[Buffer], _temporary: str) -> None:
        self.discard(name)
        self.write(name, chunks)
        self.sync_folder(_folder(name))

    with _publish(do):
        yield


@mutant("a file gets its name when it is durable, not before", "power")
def _renamed_first() -> Iterator[None]:
    def do(self: Disk, name: str, chunks: Sequence[Buffer], temporary: str) -> None:
        assert isinstance(self, SimDisk)
        # On the instance: threads that patch a class cross each other.
        self.sync_file = lambda *_: None  # type: ignore[method-assign]
        self.write(temporary, chunks)
        del self.sync_file
        self.rename(temporary, name)
        self.gate("write: fsync")
        self.world.do(FileSynced(self.world.entries[name]))
        self.sync_folder(_folder(name))

    with _publish(do):
        yield


@mutant("a pack that is there is made durable again: its writer may have died before", "killed")
def _hit_not_durable() -> Iterator[None]:
    real = Disk.publish

    def publish(self: Disk, name: str, chunks: Sequence[Buffer]) -> None:
        if not self.exists(name):
            real(self, name, chunks)

    with patch.object(Disk, "publish", publish):
        yield


@mutant("who writes holds tmp.lock: a sweeper removes nothing of his", "sweeping")
def _no_tmp_lock() -> Iterator[None]:
    real = SimDisk.lock

    def lock(self: SimDisk, name: str, **how: Any) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if name == "tmp.lock" and how.get("shared") else real(self, name, **how)

    with patch.object(SimDisk, "lock", lock):
        yield


@mutant("opening sweeps what dead writers left", "leftovers")
def _no_sweep() -> Iterator[None]:
    with patch.object(Disk, "sweep", lambda _: 0):
        yield


@mutant("a write goes on where the system wrote less than it was asked to", "writes")
def _one_write() -> Iterator[None]:
    def write_all(descriptor: int, data: memoryview) -> int:
        return int(system().write(descriptor, data))

    with patch.object(disk, "_write_all", write_all):
        yield


@mutant("a file's length is compared with what was written", "writes")
def _no_length() -> Iterator[None]:
    def write_new(path: Any, chunks: Sequence[Buffer]) -> None:
        descriptor = system().open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        for chunk in chunks:
            disk._write_all(descriptor, memoryview(chunk).cast("B"))
        disk._sync(descriptor)
        system().close(descriptor)

    with patch.object(disk, "_write_new", write_new):
        yield


# In which order.


@mutant("a pack is registered when it is durable, not before", "power")
def _registered_first() -> Iterator[None]:
    real, later = PackWriter._flush, Later()

    def flush(self: PackWriter) -> None:
        with later.catching(self):
            real(self)
        if self._unregistered:
            self._catalog.packs.add(self._unregistered, self._lease)
            self._unregistered = []
        later.write()

    with patch.object(PackWriter, "_flush", flush):
        yield


@mutant("a version is named when its objects are durable, not before", "power")
def _named_first() -> Iterator[None]:
    real_flush, real, later = PackWriter._flush, Catalog.publish, Later()

    def flush(self: PackWriter) -> None:
        with later.catching(self):
            real_flush(self)

    def publish(self: Catalog, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        later.write()

    with patch.object(PackWriter, "_flush", flush), patch.object(Catalog, "publish", publish):
        yield


class Later:
    """Files that a process was to publish, to be published later."""

    def __init__(self) -> None:
        self._files: dict[int, list[tuple[Any, str, Sequence[Buffer]]]] = {}

    @contextlib.contextmanager
    def catching(self, writer: PackWriter) -> Iterator[None]:
        """Keep what a writer publishes for later."""
        blobs = writer._blobs
        files = self._files.setdefault(threading.get_ident(), [])
        later = lambda name, chunks: files.append((blobs, name, [bytes(chunk) for chunk in chunks]))  # noqa: E731
        writer._blobs = _Publishing(later)  # type: ignore[assignment]
        try:
            yield
        finally:
            writer._blobs = blobs

    def write(self) -> None:
        """Publish what this process kept."""
        files = self._files.get(threading.get_ident(), [])
        while files:
            blobs, name, chunks = files.pop(0)
            blobs.publish(name, chunks)


@dataclass
class _Publishing:
    publish: Callable[[str, Sequence[Buffer]], None]


# Who may publish.


# A writer reads head and number in one step, so the check of the number alone finds races between writers today; that
# of the head is asked for by itself.
@mutant("a head moves only from where its writer saw it", "contract")
def _no_head_check() -> Iterator[None]:
    with patch.object(queries, "check_head", lambda *_: None), patch.object(queries, "move_head", _overwrite):
        yield


@mutant("compare and set is one transaction (read, then write)", "racing")
def _read_then_write() -> Iterator[None]:
    real = changes.publish

    def publish(connection: sa.Connection, entry: Mapping[str, Any], **rest: Any) -> None:
        # Whoever is late overwrites: nothing is looked at that may have changed since.
        key, number = (entry["sort"], entry["name"]), entry["number"]
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        connection.execute(sql.entry.delete().where(*queries.of(sql.entry, key, number=number)))
        with (
            patch.object(queries, "check_head", lambda *_: None),
            patch.object(queries, "last_number", lambda *_: number - 1),
            patch.object(queries, "move_head", _overwrite),
        ):
            real(connection, entry, **rest)

    with patch.object(changes, "CHANGES", {**changes.CHANGES, "publish": publish}):
        yield


def _overwrite(connection: sa.Connection, entry: Any, _expected: int | None) -> None:
    key = (entry.sort, entry.name)
    connection.execute(sql.branch.delete().where(*queries.of(sql.branch, key, branch=entry.branch)))
    row = {"sort": entry.sort, "name": entry.name, "branch": entry.branch, "head": entry.number}
    rows.insert(connection, sql.branch, [row])


@mutant("a number is one more than the largest", "contract")
def _no_number_check() -> Iterator[None]:
    real = changes.publish

    def publish(connection: sa.Connection, entry: Mapping[str, Any], **rest: Any) -> None:
        with patch.object(queries, "last_number", lambda *_: entry["number"] - 1):
            real(connection, entry, **rest)

    with patch.object(changes, "CHANGES", {**changes.CHANGES, "publish": publish}):
        yield


@contextlib.contextmanager
def _no_fence() -> Iterator[None]:
    for_none = lambda *_: None  # noqa: E731
    with patch.object(changes, "hold_lease", for_none), patch.object(catalogs, "hold_lease", for_none):
        yield


@mutant("a version whose lease has ended is refused", "contract")
def _no_fence_on_publish() -> Iterator[None]:
    with _no_fence():
        yield


@mutant("a version is refused that names what is not stored", "contract")
def _names_not_looked_at() -> Iterator[None]:
    real = Catalog.publish

    def publish(self: Catalog, entry: Any, **how: Any) -> None:
        real(self, entry, **{**how, "names": ()})

    with patch.object(Catalog, "publish", publish):
        yield


# What a collector removes.


@mutant("a writer holds a lease from its first look to its name", "collecting")
def _no_lease() -> Iterator[None]:
    real = Packs.take_lease

    def take(self: Packs, *args: Any) -> int:
        lease = real(self, *args)
        self.end_lease(lease)
        return lease

    with patch.object(Packs, "take_lease", take), _no_fence():
        yield


@mutant("a collector waits for the writers that began before it", "collecting")
def _leases_ignored() -> Iterator[None]:
    with patch.object(Collector, "writers", lambda _: {}), patch.object(trash, "oldest_lease", lambda _: None):
        yield


@mutant("a collector marks again what was published meanwhile", "marking")
def _no_second_mark() -> Iterator[None]:
    real = trash_of.empty

    def empty(on: Any, marks: Any) -> Any:
        marks.update = lambda: None
        with patch.object(trash, "count_versions", lambda _: marks.versions):
            return real(on, marks)

    with patch.object(collection, "empty", empty):
        yield


@mutant("a pack is forgotten before its file is removed", "tidying")
def _removed_first() -> Iterator[None]:
    real = Collector.forget

    def forget(self: Collector, packs: Sequence[Any], **how: Any) -> Any:
        blobs = _store_of[0].blobs
        for pack in packs:
            blobs.discard(f"trash/{pack}.pack")
        return real(self, packs, **how)

    real_empty = trash_of.empty
    _store_of: list[Any] = []

    def empty(on: Any, marks: Any) -> Any:
        _store_of[:] = [on]
        return real_empty(on, marks)

    with patch.object(Collector, "forget", forget), patch.object(collection, "empty", empty):
        yield


@mutant("what stands for a pack is durable before the pack goes", "collecting")
def _switched_first() -> Iterator[None]:
    with _no_folder_sync(lambda folder: folder.startswith("packs/")):
        yield
