"""Immutable bytes named by their digest: written in packs, read by mapping the pack into memory.

``with objects.writing() as writer`` puts objects; ``objects.get(digest)`` gives a read-only view of the pack,
checked against the digest. `layerwise.store.store` has an example.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from layerwise import canonical
from layerwise.errors import Damaged, LayerwiseError, NotFound
from layerwise.store.disk import Buffer, Disk
from layerwise.store.packs import MAX_OBJECTS, lay_out, pack_name
from layerwise.store.tensors import as_bytes
from layerwise.words import Digest, parse_digest

PACK_BYTES = 64 << 20
"""A pack is closed when its objects pass this: 64 MiB."""

MAPPED_PACKS = 256
"""Most packs kept mapped: each takes a file descriptor while a view of it lives."""

Location = tuple[Digest, int, int]
"""Where an object lies: pack, position of its first byte in the file, length."""


class Index(Protocol):
    """What objects need of the catalog: where each of them lies."""

    def add_pack(self, pack: Digest, objects: Sequence[tuple[Digest, int, int]]) -> None:
        """Remember that ``pack`` holds ``objects``: digest, position, length."""

    def locate(self, digest: Digest) -> Location | None:
        """Return where an object lies, or None."""


class Objects:
    """The objects of a repository. Safe to use from several threads."""

    def __init__(self, disk: Disk, index: Callable[[], Index]) -> None:
        self._disk = disk
        self._index = index
        self._lock = threading.Lock()
        self._packs: OrderedDict[Digest, memoryview] = OrderedDict()
        self._verified: dict[Digest, Location] = {}

    def get(self, digest: Digest, what: str = "") -> memoryview:
        """Return an object's bytes: a read-only view of its pack, mapped into memory, never copied.

        The bytes are compared with the digest the first time this process reads them.

        Args:
            digest: the object.
            what: how a message names it, e.g. ``"the state of digits@3/edges"``.

        Raises:
            NotFound: there is no such object.
            Damaged: the pack is absent, cut off or changed; names the object and the pack.
        """
        try:
            return self._get(digest)
        except Damaged as error:
            raise Damaged(f"{what}: {error}" if what else str(error)) from None

    def _get(self, digest: Digest) -> memoryview:
        known = self._verified.get(digest)
        if known is not None:
            try:
                return self._view(digest, known)
            except Damaged:
                # The pack was moved away since: the catalog says where to.
                self._verified.pop(digest, None)
        location = self._locate(digest)
        view = self._view(digest, location)
        if canonical.digest_bytes([view]) != digest:
            raise _damaged(digest, location[0], "its bytes have changed")
        self._verified[digest] = location
        return view

    def has(self, digest: Digest) -> bool:
        """Tell whether there is such an object."""
        return self._index().locate(parse_digest(digest)) is not None

    def size(self, digest: Digest) -> int:
        """Return the length of an object in bytes, or raise NotFound."""
        return self._locate(digest)[2]

    def writing(self) -> PackWriter:
        """Return a writer, to be used in a ``with``: what it put is there when the block ends."""
        return PackWriter(self._disk, self._index())

    def close(self) -> None:
        """Forget the mapped packs; views that were handed out stay good."""
        with self._lock:
            self._packs.clear()
        self._verified.clear()

    def _locate(self, digest: Digest) -> Location:
        location = self._index().locate(parse_digest(digest))
        if location is None:
            raise NotFound(f"there is no object {digest} in this repository")
        return location

    def _view(self, digest: Digest, location: Location) -> memoryview:
        pack, position, length = location
        try:
            data = self._map(pack)
        except FileNotFoundError:
            raise _damaged(digest, pack, "the pack is not there") from None
        if position < 0 or length < 0 or position + length > len(data):
            found = f"it should end at byte {position + length:,} and the pack has {len(data):,}"
            raise _damaged(digest, pack, found)
        return data[position : position + length]

    def _map(self, pack: Digest) -> memoryview:
        with self._lock:
            data = self._packs.get(pack)
            if data is None:
                data = self._packs[pack] = self._disk.read(pack_name(pack))
            self._packs.move_to_end(pack)
            if len(self._packs) > MAPPED_PACKS:
                self._packs.popitem(last=False)
            return data


class PackWriter:
    """Puts objects into packs; one thread uses it, inside a ``with``."""

    def __init__(self, disk: Disk, index: Index) -> None:
        self._disk = disk
        self._index = index
        self._pending: dict[Digest, tuple[list[memoryview], int]] = {}
        self._open = False
        self._bytes = 0
        self.new_bytes = 0
        """Bytes of the objects that this writer added; padding and headers not counted."""
        self.new_objects = 0
        """How many objects this writer added."""

    def __enter__(self) -> PackWriter:
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        if kind is None:
            self._flush()
        self._pending.clear()

    def put(self, chunks: Sequence[Buffer]) -> Digest:
        """Put one object, the concatenation of ``chunks``, and return its digest.

        An object that the repository has, or that this writer was given before, is not written again. The
        caller may change the memory behind ``chunks`` when this returns.
        """
        if not self._open:
            raise LayerwiseError("this writer is closed; put objects inside `with objects.writing() as writer:`")
        views = [as_bytes(chunk) for chunk in chunks]
        digest = canonical.digest_bytes(views)
        if digest in self._pending or self._index.locate(digest) is not None:
            return digest
        size = sum(len(view) for view in views)
        full = self._bytes + size >= PACK_BYTES or len(self._pending) + 1 >= MAX_OBJECTS
        # What waits is copied, or a later training step would change bytes that already have a name.
        self._pending[digest] = (views if full else [memoryview(b"".join(views))], size)
        self._bytes += size
        self.new_bytes += size
        self.new_objects += 1
        if full:
            self._flush()
        return digest

    def _flush(self) -> None:
        if not self._pending:
            return
        layout = lay_out([(digest, size) for digest, (_, size) in self._pending.items()])
        chunks = layout.chunks([content for content, _ in self._pending.values()])
        pack = canonical.digest_bytes(chunks)
        self._disk.publish(pack_name(pack), chunks)
        self._index.add_pack(pack, [(place.digest, place.position, place.length) for place in layout.places])
        self._pending.clear()
        self._bytes = 0


def _damaged(digest: Digest, pack: Digest, found: str) -> Damaged:
    return Damaged(
        f"object {digest} is damaged in pack {pack}: {found}. It was not used; "
        f"put {pack_name(pack)} back from a copy of the repository"
    )
