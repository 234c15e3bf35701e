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
from layerwise.store.catalog import Catalog
from layerwise.store.disk import Disk
from layerwise.store.objects import Objects
from layerwise.words import shorten

FORMAT = 1
"""The format that this Layerwise writes, and the newest that it reads; docs/format.md says what it is."""

CONFIG = "config.json"
"""The file that makes a folder a repository."""

_MAX_CONFIG = 1_000_000
_OURS = {"packs", "tmp", "runs", "tmp.lock", "catalog.lock"}


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
        identity = _read_config(disk)
        # A repository that can only be read has nothing to sweep.
        with contextlib.suppress(OSError):
            disk.sweep()
        catalog = Catalog(disk.path / "catalog.sqlite", partial(disk.lock, "catalog.lock"))
        return cls(disk.path, disk, Objects(disk, lambda: catalog), catalog, identity)

    def close(self) -> None:
        """Close the catalog and forget mapped packs; views that were handed out stay good."""
        self.objects.close()
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
        for folder in ("packs", "tmp", "runs"):
            disk.make_folder(folder)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        config = {"created": created, "format": FORMAT, "id": secrets.token_hex(16)}
        disk.publish(CONFIG, [canonical.encode(config)])


def _read_config(disk: Disk) -> str:
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
    return str(config["id"])
