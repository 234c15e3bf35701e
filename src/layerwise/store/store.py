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
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from layerwise import canonical
from layerwise.errors import InvalidFile, NotFound, Unsupported
from layerwise.store.catalog import Catalog, Ledger
from layerwise.store.disk import Disk
from layerwise.store.names_log import NamesLog
from layerwise.store.objects import Objects
from layerwise.store.packs import FOLDERS
from layerwise.words import shorten

FORMAT = 2
"""The format that this Layerwise writes, and the newest that it reads; docs/format.md says what it is."""

CATALOG = "catalog.sqlite"
"""The file of the catalog."""

CONFIG = "config.json"
"""The file that makes a folder a repository."""

_MAX_CONFIG = 1_000_000
_FOLDERS = ("tmp", "runs", "trash", "damaged", *FOLDERS)
_OURS = {"packs", "tmp", "runs", "trash", "damaged", "tmp.lock", "catalog.lock"}


@dataclass(frozen=True)
class Store:
    """One repository's folder. Use `Store.open`, in a ``with``, or call `close`."""

    path: Path
    disk: Disk
    objects: Objects
    catalog: Catalog
    id: str

    @classmethod
    def open(cls, path: str | os.PathLike[str], create: bool = True, *, disk: Disk | None = None) -> Store:
        """Open a repository.

        Args:
            path: its folder.
            create: whether to make it where there is none.
            disk: what every file effect goes through; a plain `Disk` where not given.

        Raises:
            NotFound: there is none, and ``create`` is false.
            InvalidFile: the folder holds other things, or its ``config.json`` cannot be read.
            Unsupported: it is of a newer format.
        """
        disk = disk or Disk(path)
        if not (disk.path / CONFIG).exists():
            if not create:
                raise NotFound(f"there is no repository at {disk.path}; `layerwise data add NAME SOURCE` makes one")
            _create(disk)
        config = _read_config(disk)
        # A repository that can only be read has nothing to sweep, and stays of the format that it has.
        with contextlib.suppress(OSError):
            disk.sweep()
            config = _migrate(disk, config)
        if config["format"] == FORMAT:
            disk.trust(_FOLDERS)
        ledger = Ledger(disk.path / CATALOG, partial(disk.lock, "catalog.lock"), NamesLog(disk))
        catalog = Catalog(ledger)
        return cls(disk.path, disk, Objects(disk, catalog), catalog, str(config["id"]))

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
        created = datetime.now(UTC).isoformat(timespec="seconds")
        config = {"created": created, "format": FORMAT, "id": secrets.token_hex(16)}
        disk.publish(CONFIG, [canonical.encode(config)])


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
        _make_folders(disk)
        disk.publish(CONFIG, [canonical.encode({**config, "format": FORMAT})])
    return {**config, "format": FORMAT}


def _read_config(disk: Disk) -> dict[str, Any]:
    what = str(disk.path / CONFIG)
    data = disk.read(CONFIG)
    if len(data) > _MAX_CONFIG:
        raise InvalidFile(f"{what} has {len(data):,} bytes; a repository's config has fewer than {_MAX_CONFIG:,}")
    config: Any = canonical.decode(data, what)
    found = config.get("format") if isinstance(config, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise InvalidFile(f"{what} says format {shorten(str(found))}; expected a whole number from 1")
    if found > FORMAT:
        raise Unsupported(
            f"{disk.path} is a repository of format {found} and this Layerwise reads up to {FORMAT}; "
            "install a newer Layerwise"
        )
    if not isinstance(config.get("id"), str):
        raise InvalidFile(f"{what} has no 'id'; put the file back from a copy of the repository")
    return dict(config)
