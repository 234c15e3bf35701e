"""Loading many objects to be written to: mapped privately, not copied; compared unless sealed (`seals`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from layerwise import canonical
from layerwise.store.blobs import Blobs
from layerwise.store.objects import Objects
from layerwise.store.packs import pack_name
from layerwise.store.rows import Location
from layerwise.store.seals import Begun, Seals, Span
from layerwise.words import Digest


@dataclass(slots=True)
class _Pack:
    """A pack that is mapped, and what is known of its objects."""

    data: memoryview
    sealed: Mapping[Digest, Span]
    looked: bool = False
    begun: Begun | None = None
    compared: dict[Digest, Location] = field(default_factory=dict)


class Loading:
    """One load: its views are its own, and a page that is written to is copied at that moment.

    It keeps a pack mapped once for all that it holds; the views keep the mapping.

    Args:
        blobs: where the packs are.
        objects: what they hold.
        seals: what need not be compared again; all is compared once a process where not given.
    """

    def __init__(self, blobs: Blobs, objects: Objects, seals: Seals | None = None) -> None:
        self._blobs = blobs
        self._objects = objects
        self._seals = seals
        self._packs: dict[Digest, _Pack | None] = {}

    def get(self, digest: Digest, what: str = "") -> memoryview:
        """Return an object's bytes, writable; what is written is seen by nobody else. Raises as `Objects.get`."""
        return self.get_all({what: digest})[what]

    def get_all(self, wanted: Mapping[str, Digest]) -> dict[str, memoryview]:
        """Return the bytes of objects by what a message calls them, as `get` does."""
        places = self._objects.places(set(wanted.values()))
        found = {what: self._get(digest, what, places.get(digest)) for what, digest in wanted.items()}
        for pack in self._packs.values():
            if pack is not None and pack.begun is not None and self._seals is not None:
                self._seals.keep(pack.begun, pack.compared)
                pack.compared = {}
        return found

    def _get(self, digest: Digest, what: str, at: Location | None) -> memoryview:
        view = None if at is None or at.coding is not None else self._view(digest, at)
        # What is coded, elsewhere or damaged is for `Objects` to read, or to refuse.
        return memoryview(bytearray(self._objects.get(digest, what))) if view is None else view

    def _view(self, digest: Digest, at: Location) -> memoryview | None:
        pack = self._pack(at.pack)
        if pack is None or at.position < 0 or at.position + at.length > len(pack.data):
            return None
        view = pack.data[at.position : at.position + at.length]
        if not self._objects.was_compared(digest, at):
            if pack.sealed.get(digest) != (at.position, at.length) and not self._compare(pack, digest, at, view):
                return None
            self._objects.note_compared(digest, at)
        return view

    def _compare(self, pack: _Pack, digest: Digest, at: Location, view: memoryview) -> bool:
        if self._seals is not None and not pack.looked:
            pack.begun, pack.looked = self._seals.begin(at.pack), True
        if canonical.digest_bytes([view]) != digest:
            return False
        pack.compared[digest] = at
        return True

    def _pack(self, name: Digest) -> _Pack | None:
        if name not in self._packs:
            try:
                data = self._blobs.read_private(pack_name(name))
            except FileNotFoundError:  # A collector moved it a moment ago.
                return None
            # After the mapping: what is sealed is the file that is there now, and so was when it was mapped.
            sealed = {} if self._seals is None or data is None else self._seals.compared(name)
            self._packs[name] = None if data is None else _Pack(data, sealed)
        return self._packs[name]
