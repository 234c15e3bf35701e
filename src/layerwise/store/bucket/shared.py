"""A repository on an object store, opened: the bucket, the log of changes, and what this machine keeps of them.

In the bucket are ``config.json``, ``packs/``, ``trash/``, ``damaged/`` and ``log/``. The catalog is what the log comes
to: this machine's copy of it is an SQLite file in the working folder, with what is fetched, written and gone on with.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial

from layerwise.errors import InvalidFile, NotFound
from layerwise.store.bucket.bucket import Bucket
from layerwise.store.bucket.kept import FOLDER, Kept, kept_limit
from layerwise.store.bucket.log import LoggedNames, RecordLog
from layerwise.store.bucket.remote import working_folder
from layerwise.store.catalog.catalog import Catalog, Ledger
from layerwise.store.config import CONFIG, MAX_CONFIG, new_config, read_config
from layerwise.store.disk import Disk
from layerwise.store.objects import Objects
from layerwise.words import shorten

_OURS = {CONFIG, "packs", "trash", "damaged", "log", "probe"}
_FOLDERS = ("tmp", "runs", FOLDER)


@dataclass(frozen=True)
class Shared:
    """What `Store` is made of where the repository is in a bucket."""

    bucket: Bucket
    disk: Disk
    names: LoggedNames
    objects: Objects
    catalog: Catalog
    id: str


def open_shared(address: str, *, create: bool, catalog_file: str) -> Shared:
    """Open the repository at ``address``; make it where there is none and ``create`` says so.

    Raises:
        NotFound: there is none, and ``create`` is false; or there is no such bucket.
        InvalidFile: something else is there.
        Unsupported: it is of a newer format, or the store does not honour conditional puts.
        Unreachable: the store did not answer, or refused.
    """
    bucket = Bucket(address)
    identity = str(_config(bucket, create=create)["id"])
    disk = Disk(working_folder(bucket.address, identity))
    disk.make_root()
    for folder in _FOLDERS:
        disk.make_folder(folder)
    with contextlib.suppress(OSError):
        disk.sweep()
    log = RecordLog(bucket)
    catalog = Catalog(Ledger(disk.path / catalog_file, partial(disk.lock, "catalog.lock"), order=log))
    objects = Objects(Kept(bucket, disk, kept_limit()), catalog)
    return Shared(bucket, disk, LoggedNames(log), objects, catalog, identity)


def is_shared(address: str) -> bool:
    """Tell whether there is a repository at ``address``."""
    return Bucket(address).exists(CONFIG)


def _config(bucket: Bucket, *, create: bool) -> dict[str, object]:
    try:
        return read_config(bucket.read(CONFIG, MAX_CONFIG), bucket.address)
    except FileNotFoundError:
        if not create:
            raise NotFound(
                f"there is no repository at {bucket.address}; `layerwise data add NAME SOURCE` makes one"
            ) from None
    others = sorted(set(bucket.list()) - _OURS)
    if others:
        raise InvalidFile(
            f"{bucket.address} is not a repository and holds other things ({shorten(others[0])}); choose another prefix"
        )
    # Two may make it at once: one does, the other finds it made.
    bucket.create(CONFIG, [new_config()])
    return read_config(bucket.read(CONFIG, MAX_CONFIG), bucket.address)
