"""A repository's folder, opened: its disk, its objects and its catalog.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/.layerwise") as store:
...     with store.objects.writing() as writer:
...         digest = writer.put([b"hello"])
...     bytes(store.objects.get(digest))
b'hello'
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from layerwise import canonical
from layerwise.errors import Damaged, InvalidFile, NotFound
from layerwise.store.blobs import Blobs
from layerwise.store.bucket.log import LoggedNames
from layerwise.store.bucket.remote import is_remote, parse_remote
from layerwise.store.bucket.shared import is_shared, open_shared
from layerwise.store.catalog.catalog import Catalog, Ledger
from layerwise.store.config import CONFIG, FORMAT, new_config, read_config
from layerwise.store.disk import Disk
from layerwise.store.loading import Loading
from layerwise.store.names_log import NAME as NAMES
from layerwise.store.names_log import NamesLog
from layerwise.store.objects import Objects
from layerwise.store.packs import FOLDERS
from layerwise.store.seals import Seals, compares_always
from layerwise.words import shorten

__all__ = ["CATALOG", "CONFIG", "FORMAT", "Store"]

CATALOG = "catalog.sqlite"
"""The file of the catalog."""

_FOLDERS = ("tmp", "runs", "trash", "damaged", *FOLDERS)
_OURS = {"packs", "tmp", "runs", "trash", "damaged", "tmp.lock", "catalog.lock"}


@dataclass(frozen=True)
class Store:
    """One repository. Use `Store.open`, in a ``with``, or call `close`.

    Attributes:
        address: where it is: a folder, or ``s3://bucket/prefix``.
        path: its folder; on an object store this machine's working folder for it.
        disk: the files of ``path``.
        blobs: where its packs are.
        names: the log of its names.
        objects: what its packs hold.
        catalog: what it knows.
        id: which one it is.
        seals: what need not be compared again; none where packs are not files.
    """

    address: str
    path: Path
    disk: Disk
    blobs: Blobs
    names: NamesLog | LoggedNames
    objects: Objects
    catalog: Catalog
    id: str
    seals: Seals | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str], create: bool = True, *, disk: Disk | None = None) -> Store:
        """Open a repository.

        Args:
            path: its folder, or ``s3://bucket/prefix``.
            create: whether to make it where there is none.
            disk: what every file effect goes through; a plain `Disk` where not given.

        Raises:
            NotFound: there is none, and ``create`` is false.
            InvalidFile: the folder holds other things, or its ``config.json`` cannot be read.
            InvalidName: an address breaks the grammar.
            Unsupported: it is of a newer format, or the object store cannot be trusted with it.
            Unreachable: the object store did not answer, or refused.
            InvalidConfig: ``LAYERWISE_VERIFY`` says what is not known.
        """
        always = compares_always()
        if is_remote(path):
            return cls._open_shared(parse_remote(path), create)
        disk = disk or Disk(path)
        if not (disk.path / CONFIG).exists():
            if not create:
                raise NotFound(f"there is no repository at {disk.path}; `layerwise data add NAME SOURCE` makes one")
            _create(disk)
        config = read_config(disk.read(CONFIG), str(disk.path))
        # A repository that can only be read has nothing to sweep, and stays of the format that it has.
        with contextlib.suppress(OSError):
            disk.sweep()
        with contextlib.suppress(OSError):
            config = _migrate(disk, config)
        if config["format"] == FORMAT:
            disk.trust(_FOLDERS)
        names = NamesLog(disk)
        lock = partial(disk.lock, "catalog.lock")
        catalog = Catalog(Ledger(disk.path / CATALOG, lock, names, before_making=partial(_hold_new, disk)))
        objects, seals = Objects(disk, catalog), Seals(disk, always=always)
        return cls(str(disk.path), disk.path, disk, disk, names, objects, catalog, str(config["id"]), seals)

    @classmethod
    def _open_shared(cls, address: str, create: bool) -> Store:
        found = open_shared(address, create=create, catalog_file=CATALOG)
        return cls(
            address, found.disk.path, found.disk, found.bucket, found.names, found.objects, found.catalog, found.id
        )

    @staticmethod
    def exists(path: str | os.PathLike[str]) -> bool:
        """Tell whether there is a repository."""
        return is_shared(parse_remote(path)) if is_remote(path) else Disk(path).exists(CONFIG)

    def loading(self) -> Loading:
        """Return a load: objects that can be written to, mapped, not copied."""
        return Loading(self.blobs, self.objects, self.seals)

    def close(self) -> None:
        """Close the catalog and forget mapped packs; views that were handed out stay good."""
        self.objects.close()
        self.disk.forget()
        self.catalog.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _hold_new(disk: Disk) -> None:
    # Versions that are there would be gone without a word.
    if disk.exists(NAMES) or any(disk.list(folder) for folder in FOLDERS[1:] if disk.exists(folder)):
        raise Damaged(
            f"the catalog {disk.path / CATALOG} is not there, and packs are; put it back from a copy of the "
            "repository, or let `layerwise repair` make it anew"
        )


def _create(disk: Disk) -> None:
    if disk.path.exists() and not disk.path.is_dir():
        raise InvalidFile(f"{disk.path} is a file, and a repository is a folder; choose another place")
    disk.make_root()
    others = sorted(set(disk.list()) - _OURS)
    # Looked for after the list: somebody who makes the repository now writes it before anything not of _OURS.
    if others and not (disk.path / CONFIG).exists():
        raise InvalidFile(
            f"{disk.path} is not a repository and holds other things ({shorten(others[0])}); choose an empty folder"
        )
    # Two processes may make it at once: one does, the other finds it made.
    with disk.lock("catalog.lock"):
        if (disk.path / CONFIG).exists():
            return
        _make_folders(disk)
        disk.publish(CONFIG, [new_config()])


def _make_folders(disk: Disk) -> None:
    for folder in _FOLDERS:
        disk.make_folder(folder)
    disk.sync_folder("packs")
    disk.sync_folder()


def _migrate(disk: Disk, config: dict[str, Any]) -> dict[str, Any]:
    if config["format"] == FORMAT:
        return config
    # From 1 to 2: every folder is there and durable, so that a commit need not make one.
    with disk.lock("catalog.lock"):
        config = read_config(disk.read(CONFIG), str(disk.path))
        if config["format"] < FORMAT:
            _make_folders(disk)
            config = {**config, "format": FORMAT}
            disk.publish(CONFIG, [canonical.encode(config)])
    return config
