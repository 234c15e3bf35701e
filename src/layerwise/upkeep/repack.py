"""Writing anew what packs hold that is needed: objects as they lie, or coded in fewer bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from layerwise import canonical
from layerwise.store.catalog.catalog import Written
from layerwise.store.cold.coding import RAW, Base, encode
from layerwise.store.disk import Buffer
from layerwise.store.objects import damaged
from layerwise.store.packs import MAX_OBJECTS, Coded, lay_out, pack_name, trash_name
from layerwise.store.rows import Location
from layerwise.store.store import Store
from layerwise.store.tensors import as_bytes
from layerwise.store.writer import PACK_BYTES
from layerwise.words import Digest

LEAST_GAIN = 400
"""Bytes that a coding must save: so many does it cost to say how an object is coded, in the pack and in the catalog."""


class Repacking:
    """Writes packs of objects that others hold too. They are durable when `written` names them.

    Args:
        store: the repository.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[Digest, memoryview, Coded | None]] = []
        self._bytes = 0
        self.written: list[Written] = []
        """The packs, durable and yet to be registered; complete after `flush`."""

    def add(self, digest: Digest, data: Buffer, coded: Coded | None = None) -> None:
        """Put an object that was compared with its digest: its bytes, or those that it is coded in."""
        self._waiting.append((digest, as_bytes(data), coded))
        self._bytes += len(self._waiting[-1][1])
        if self._bytes >= PACK_BYTES or len(self._waiting) >= MAX_OBJECTS:
            self.flush()

    def copy(self, digest: Digest, at: Location) -> None:
        """Put an object as it lies, once it has been compared with its digest."""
        stored, whole = read(self._store, digest, at)
        check = canonical.digest_bytes([stored])
        self.add(digest, stored, None if at.coding is None else Coded(at.coding, len(whole), check))

    def flush(self) -> None:
        """Write the last pack."""
        if not self._waiting:
            return
        self._store.catalog.collector.hold()
        sizes = [(digest, len(data)) for digest, data, _ in self._waiting]
        layout = lay_out(sizes, {digest: coded for digest, _, coded in self._waiting if coded is not None})
        self._store.blobs.publish(pack_name(layout.name), layout.chunks([[data] for _, data, _ in self._waiting]))
        name = layout.name
        self.written.append(Written(name, tuple((place.digest, place.at(name)) for place in layout.places)))
        self._waiting.clear()
        self._bytes = 0


def read(store: Store, digest: Digest, at: Location) -> tuple[memoryview, memoryview]:
    """Return what lies in a pack for an object, and the object, compared with its digest.

    Raises:
        Damaged: it is not what its digest says, or not there.
    """
    stored = _lying(store, digest, at)
    if at.coding is not None:
        return stored, store.objects.unpack(digest, stored, at)
    if canonical.digest_bytes([stored]) != digest:
        store.blobs.forget(pack_name(at.pack))
        raise damaged(digest, at.pack, "its bytes have changed")
    return stored, stored


def _lying(store: Store, digest: Digest, at: Location) -> memoryview:
    # One that was written anew while it was on its way to the trash is in use, and its file lies there.
    for name in (pack_name(at.pack), trash_name(at.pack)):
        with contextlib.suppress(FileNotFoundError):
            return store.blobs.read_range(name, at.position, at.position + at.stored)
    raise damaged(digest, at.pack, "the pack is not there")


def encoded(whole: memoryview, bases: Sequence[Base]) -> tuple[Buffer, Coded | None]:
    """Return an object as it is kept in a cold pack: coded where that saves enough, else as it is."""
    found = encode(whole, bases)
    if found.coding == RAW or len(whole) - len(found.data) < LEAST_GAIN:
        return whole, None
    return found.data, Coded(found.coding, len(whole), canonical.digest_bytes([as_bytes(found.data)]))
