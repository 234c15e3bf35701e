"""A small repository that a writer and a collector work in, set back to its beginning for every schedule."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from layerwise.store.catalog.catalog import Catalog, Entry, Ledger
from layerwise.store.catalog.ledger import Guard
from layerwise.store.catalog.packs import Packs
from layerwise.store.disk import Buffer, Disk
from layerwise.store.objects import Objects
from layerwise.store.packs import FOLDERS
from layerwise.store.rows import Location
from layerwise.store.store import Store
from layerwise.words import Digest

Gate = Callable[[str, bool], None]
STEPS = {
    "start_collection", "switch_packs", "seal_trash", "restore_packs", "forget_packs", "take_lease", "publish",
    "add_packs",
}  # fmt: skip
"""The changes that are steps; what is left out ends a lease of somebody who is done."""


def no_gate(what: str, is_step: bool) -> None:
    """Go on at once."""


class World:
    """One folder, opened by a writer and by a collector.

    Args:
        path: the folder.
        fine: whether to read from the catalog is a step too.
    """

    def __init__(self, path: Path, *, fine: bool = False) -> None:
        self.path = path
        self.gate: Gate = no_gate
        self.folders: set[str] = set()
        self.writer, self.collector = self._open(fine), self._open(fine)
        self._files: dict[str, bytes] = {}
        self._tables: dict[str, list[tuple[object, ...]]] = {}

    def _open(self, fine: bool) -> Store:
        opened = Store.open(self.path)
        disk = SteppedDisk(self)
        catalog = SteppedCatalog(SteppedLedger(self, fine))
        return replace(opened, disk=disk, blobs=disk, catalog=catalog, objects=Objects(disk, catalog))

    def close(self) -> None:
        """Close both."""
        self.writer.close()
        self.collector.close()

    def keep(self) -> None:
        """Take what is there now as the beginning."""
        self._files = {name: (self.path / name).read_bytes() for name in self.files()}
        with self._database() as database:
            tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            self._tables = {table: list(database.execute(f'SELECT * FROM "{table}"')) for table in tables}  # noqa: S608

    def reset(self) -> None:
        """Go back to the beginning."""
        for name in self.files():
            (self.path / name).unlink()
        for name, data in self._files.items():
            (self.path / name).write_bytes(data)
        self.folders = {name.rpartition("/")[0] for name in self._files}
        with self._database() as database:
            for table, rows in self._tables.items():
                database.execute(f'DELETE FROM "{table}"')  # noqa: S608
                if rows:
                    places = ", ".join("?" * len(rows[0]))
                    database.executemany(f'INSERT INTO "{table}" VALUES ({places})', rows)  # noqa: S608
        for store in (self.writer, self.collector):
            store.objects.close()
            store.disk.forget()

    def files(self) -> list[str]:
        """Return the files of packs, the trash counted."""
        return [f"{folder}/{name}" for folder in self.folders for name in os.listdir(self.path / folder)]

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path / "catalog.sqlite")) as database, database:
            yield database

    def expire(self) -> None:
        """End all leases, as time does."""
        with self._database() as database:
            database.execute("UPDATE lease SET expires = 0")


class SteppedDisk(Disk):
    """A disk whose effects on packs are steps."""

    def __init__(self, world: World) -> None:
        super().__init__(world.path)
        self._world = world
        self.trust(["tmp", "runs", "trash", "damaged", *FOLDERS])

    def publish(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Write a pack."""
        self._world.gate("write", True)
        super().publish(name, chunks)
        self._world.folders.add(name.rpartition("/")[0])

    def move(self, source: str, target: str) -> None:
        """Move a pack."""
        self._world.gate(f"move to {target.split('/')[0]}", True)
        super().move(source, target)
        self._world.folders.add(target.rpartition("/")[0])

    def discard(self, name: str) -> None:
        """Remove a pack."""
        self._world.gate("unlink", True)
        super().discard(name)

    def list(self, folder: str | None = None) -> Sequence[str]:
        """Return what is in a folder; those that never held anything are left out, which saves most of the time."""
        if folder == "packs":
            return sorted(name.removeprefix("packs/") for name in self._world.folders if name != "trash")
        return super().list(folder) if folder in self._world.folders else []


class SteppedLedger(Ledger):
    """A ledger whose changes are steps."""

    def __init__(self, world: World, fine: bool) -> None:
        super().__init__(world.path / "catalog.sqlite", partial(Disk(world.path).lock, "catalog.lock"))
        self.world = world
        self._fine = fine

    def change(self, do: str, args: Mapping[str, Any], *, guard: Guard | None = None, durable: bool = True) -> Any:
        """Make a change."""
        self.world.gate(do, self._fine or do in STEPS)
        return super().change(do, args, guard=guard, durable=durable)

    @contextmanager
    def reading(self, *, fresh: bool = True) -> Iterator[sa.Connection]:
        """Read."""
        self.world.gate("read", self._fine)
        with super().reading(fresh=fresh) as connection:
            yield connection


class SteppedPacks(Packs):
    """To look what is there already is a step of a writer."""

    def __init__(self, ledger: SteppedLedger) -> None:
        super().__init__(ledger)
        self.world = ledger.world

    def present(self, digests: Collection[Digest]) -> dict[Digest, Location]:
        """Look."""
        self.world.gate("look", True)
        return super().present(digests)


class SteppedCatalog(Catalog):
    """To look what versions there are is a step of a collector."""

    def __init__(self, ledger: SteppedLedger) -> None:
        super().__init__(ledger)
        self.packs = SteppedPacks(ledger)
        self.world = ledger.world

    def every_entry(self) -> list[Entry]:
        """Look."""
        self.world.gate("mark", True)
        return super().every_entry()
