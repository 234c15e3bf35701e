"""Puts objects into packs, and names what was put: a commit is one pack and one transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

from layerwise import canonical
from layerwise.errors import LayerwiseError
from layerwise.store.blobs import Blobs
from layerwise.store.catalog.catalog import Catalog
from layerwise.store.catalog.packs import Written
from layerwise.store.disk import Buffer
from layerwise.store.fingerprints import Fingerprints
from layerwise.store.packs import MAX_OBJECTS, lay_out, pack_name
from layerwise.store.rows import Entry, Recording
from layerwise.store.tensors import as_bytes
from layerwise.words import Digest

PACK_BYTES = 64 << 20
"""A pack is written when the copies that wait for it pass this: 64 MiB."""


class PackWriter:
    """Puts objects, and at last a name for them; one thread uses it, inside a ``with``.

    It holds a lease from beginning to end: an object that it found in the repository is not removed meanwhile.
    """

    def __init__(self, blobs: Blobs, catalog: Catalog, fingerprints: Fingerprints, pack_bytes: int = 0) -> None:
        self._blobs = blobs
        self._catalog = catalog
        self._fingerprints = fingerprints
        self._pack_bytes = pack_bytes or PACK_BYTES
        self._lease: int | None = None
        self._pending: dict[Digest, tuple[list[memoryview], int]] = {}
        self._waiting = 0
        self._unregistered: list[Written] = []
        self.new_bytes = 0
        """Bytes of the objects that this writer added; padding and headers not counted."""
        self.new_objects = 0
        """How many objects this writer added."""

    def __enter__(self) -> PackWriter:
        self._lease = self._catalog.packs.take_lease()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._lease is not None:
                self._flush()
                self._register()
        finally:
            self._pending.clear()
            lease, self._lease = self._lease, None
            if lease is not None:
                # It ends by itself where this cannot be written down.
                with contextlib.suppress(OSError, LayerwiseError):
                    self._catalog.packs.end_lease(lease)

    def put(self, chunks: Sequence[Buffer]) -> Digest:
        """Put one object, the concatenation of ``chunks``, and return its digest.

        An object that the repository has, or that this writer was given before, is not written again. The
        caller may change the memory behind ``chunks`` when this returns.
        """
        views = [as_bytes(chunk) for chunk in chunks]
        digest = canonical.digest_bytes(views)
        self._put([digest], [views], copy=True)
        return digest

    def put_all(self, contents: Sequence[Sequence[Buffer]]) -> list[Digest]:
        """Put many objects and return their digests; nothing is copied.

        The caller leaves the memory behind ``contents`` alone until the ``with`` block ends.
        """
        objects = [[as_bytes(chunk) for chunk in chunks] for chunks in contents]
        digests = self._fingerprints.digest_all(objects)
        self._put(digests, objects, copy=False)
        return digests

    def publish(
        self, entry: Entry, *, expected: int | None, names: Collection[Digest], run: Mapping[str, Any] | None = None
    ) -> None:
        """Make what was put durable, then add a version and move its branch's head, in one transaction.

        After Conflict the objects are kept: put another manifest and publish again, in the same block.

        Args:
            entry: the version.
            expected: the number at the branch's head now; None where the branch is new.
            names: the objects that the manifest names.
            run: the end of the run that made it (``runs.ended``).

        Raises:
            Conflict: somebody else published first, or this writer's lease ended while it was silent.
            NotFound: an object that the manifest names is not stored.
        """
        lease = self._held()
        self._flush()
        self._catalog.publish(entry, expected=expected, packs=self._unregistered, names=names, lease=lease, run=run)
        self._unregistered = []
        self._lease = None

    def publish_recording(self, row: Recording, *, names: Collection[Digest]) -> None:
        """Make what was put durable, then add a set of records that names it, in one transaction.

        Args:
            row: the set, or what was made of one.
            names: the objects that it needs.

        Raises:
            Conflict: this writer's lease ended while it was silent.
            NotFound: an object that it needs is not stored.
        """
        lease = self._held()
        self._flush()
        self._catalog.publish_recording(row, packs=self._unregistered, names=names, lease=lease)
        self._unregistered = []
        self._lease = None

    def _held(self) -> int:
        if self._lease is None:
            raise LayerwiseError(
                "this writer is closed; put and publish inside `with objects.writing() as writer:`, publish last"
            )
        return self._lease

    def _put(self, digests: Sequence[Digest], objects: Sequence[list[memoryview]], *, copy: bool) -> None:
        self._held()
        written = {digest for pack in self._unregistered for digest, _ in pack.objects}
        wanted = {digest for digest in digests if digest not in self._pending and digest not in written}
        wanted -= self._catalog.packs.present(wanted).keys()
        for digest, views in zip(digests, objects, strict=True):
            if digest in wanted:
                wanted.remove(digest)
                self._add(digest, views, copy=copy)

    def _add(self, digest: Digest, views: list[memoryview], *, copy: bool) -> None:
        size = sum(len(view) for view in views)
        full = len(self._pending) + 1 >= MAX_OBJECTS or (copy and self._waiting + size >= self._pack_bytes)
        # What waits is copied, or a later training step would change bytes that already have a name.
        self._pending[digest] = ([memoryview(b"".join(views))] if copy and not full else views, size)
        self._waiting += size if copy else 0
        self.new_bytes += size
        self.new_objects += 1
        if full:
            self._flush()
            self._register()

    def _flush(self) -> None:
        if not self._pending:
            return
        layout = lay_out([(digest, size) for digest, (_, size) in self._pending.items()])
        chunks = layout.chunks([content for content, _ in self._pending.values()])
        pack = layout.name
        self._blobs.publish(pack_name(pack), chunks)
        places = tuple((place.digest, place.at(pack)) for place in layout.places)
        self._unregistered.append(Written(pack, places))
        self._pending.clear()
        self._waiting = 0

    def _register(self) -> None:
        if self._unregistered:
            self._catalog.packs.add(self._unregistered, self._held())
            self._unregistered = []
