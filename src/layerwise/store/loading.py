"""Loading many objects to be written to: each is compared with its digest, then mapped privately, not copied."""

from __future__ import annotations

from layerwise.store.blobs import Blobs
from layerwise.store.objects import Objects
from layerwise.store.packs import pack_name
from layerwise.words import Digest


class Loading:
    """One load: its views are its own, and a page that is written to is copied at that moment.

    It keeps a pack mapped once for all that it holds; the views keep the mapping.
    """

    def __init__(self, blobs: Blobs, objects: Objects) -> None:
        self._blobs = blobs
        self._objects = objects
        self._mapped: dict[Digest, memoryview | None] = {}

    def get(self, digest: Digest, what: str = "") -> memoryview:
        """Return an object's bytes, writable; what is written is seen by nobody else. Raises as `Objects.get`."""
        view = self._objects.get(digest, what, learn=True)
        at = self._objects.verified_at(digest)
        whole = None if at is None else self._map(at.pack)
        if at is None or whole is None:
            return memoryview(bytearray(view))
        return whole[at.position : at.position + at.length]

    def _map(self, pack: Digest) -> memoryview | None:
        if pack not in self._mapped:
            try:
                self._mapped[pack] = self._blobs.read_private(pack_name(pack))
            except FileNotFoundError:  # A collector moved it a moment ago.
                return None
        return self._mapped[pack]
