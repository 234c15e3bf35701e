"""Immutable bytes named by their digest: read by mapping their pack into memory.

``with objects.writing() as writer`` puts objects (`layerwise.store.writer`); ``objects.get(digest)`` gives a read-only
view of the pack, checked against the digest. `layerwise.store.store` has an example.
"""

from __future__ import annotations

from collections.abc import Collection

from layerwise import canonical
from layerwise.errors import Damaged, NotFound
from layerwise.store.blobs import Blobs
from layerwise.store.catalog.catalog import Catalog
from layerwise.store.cold.chain import Stored, unpack
from layerwise.store.fingerprints import Fingerprints
from layerwise.store.packs import damaged_name, pack_name, trash_name
from layerwise.store.rows import Location
from layerwise.store.writer import PackWriter
from layerwise.words import Digest, parse_digest


class Objects:
    """The objects of a repository. Safe to use from several threads."""

    def __init__(self, blobs: Blobs, catalog: Catalog) -> None:
        self._blobs = blobs
        self._catalog = catalog
        self._verified: dict[Digest, Location] = {}
        self._fingerprints = Fingerprints()

    def get(self, digest: Digest, what: str = "") -> memoryview:
        """Return an object's bytes: a read-only view of its pack, mapped into memory, not copied.

        The bytes are compared with the digest the first time this process reads them. One that a collector packed
        tighter is unpacked into memory, and compared each time.

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
            except (Damaged, FileNotFoundError):
                # The pack was moved away since: the catalog says where to.
                self._verified.pop(digest, None)
        location = self._locate(digest)
        try:
            view = self._view(digest, location)
        except FileNotFoundError:
            # A collector may have moved the object between the two steps, or another machine did long ago.
            location = self._locate(digest, fresh=True)
            try:
                view = self._view(digest, location)
            except FileNotFoundError:
                raise damaged(digest, location.pack, "the pack is not there") from None
        if canonical.digest_bytes([view]) != digest:
            self._blobs.forget(pack_name(location.pack))
            raise damaged(digest, location.pack, "its bytes have changed")
        if location.coding is None:
            self._verified[digest] = location
        return view

    def places(self, digests: Collection[Digest]) -> dict[Digest, Location]:
        """Return where those of ``digests`` lie that are there: where they were compared before, or may be now."""
        known = {digest: self._verified[digest] for digest in digests if digest in self._verified}
        others = {parse_digest(digest) for digest in digests if digest not in known}
        return known | (self._catalog.packs.locate_all(others) if others else {})

    def was_compared(self, digest: Digest, at: Location) -> bool:
        """Tell whether this process compared the bytes at a place with an object's digest."""
        return self._verified.get(digest) == at

    def note_compared(self, digest: Digest, at: Location) -> None:
        """Remember that the bytes at a place are the object's, as they are: they need not be compared again."""
        self._verified[digest] = at

    def stored(self, digest: Digest) -> Stored:
        """Return an object as it lies in its pack, not compared with anything; raises NotFound or Damaged."""
        at = self._locate(digest)
        return Stored(at.coding, self._read(digest, at), at.length)

    def unpack(self, digest: Digest, stored: memoryview, at: Location) -> memoryview:
        """Return the object that the bytes of a pack stand for; what it is coded against is read and compared.

        Raises:
            Damaged, NotFound, InvalidFile, Unsupported: it cannot be unpacked.
        """
        if at.coding is None:
            return stored
        here = Stored(at.coding, stored, at.length)
        return unpack(digest, lambda wanted: here if wanted == digest else self.stored(wanted))

    def writing(self, pack_bytes: int = 0) -> PackWriter:
        """Return a writer, to be used in a ``with``: what it put is there when the block ends.

        Args:
            pack_bytes: how much of what is put may wait in memory for its pack to be written; 64 MiB if not said.
        """
        return PackWriter(self._blobs, self._catalog, self._fingerprints, pack_bytes)

    def close(self) -> None:
        """Forget what was verified; views that were handed out stay good."""
        self._verified.clear()

    def _locate(self, digest: Digest, *, fresh: bool = False) -> Location:
        location = self._catalog.packs.locate(parse_digest(digest), fresh=fresh)
        if location is not None:
            return location
        pack = self._catalog.packs.damaged(digest)
        if pack is None:
            raise NotFound(f"there is no object {digest} in this repository")
        raise Damaged(
            f"object {digest} is damaged: its pack was set aside as {damaged_name(pack)}. Put {pack_name(pack)} back "
            "from a copy of the repository, then run `layerwise repair`"
        )

    def _view(self, digest: Digest, at: Location) -> memoryview:
        return self.unpack(digest, self._read(digest, at), at)

    def _read(self, digest: Digest, at: Location) -> memoryview:
        stored = self._stored(at)
        if at.position < 0 or at.stored < 0 or len(stored) != at.stored:
            found = f"it should have {at.stored:,} bytes from byte {at.position:,} on and {len(stored):,} are there"
            raise damaged(digest, at.pack, found)
        return stored

    def _stored(self, at: Location) -> memoryview:
        begin, end = max(at.position, 0), max(at.position + at.stored, 0)
        try:
            return self._blobs.read_range(pack_name(at.pack), begin, end)
        except FileNotFoundError:
            return self._blobs.read_range(trash_name(at.pack), begin, end)


def damaged(digest: Digest, pack: Digest, found: str) -> Damaged:
    """Return the error for an object whose pack is not what it should be."""
    return Damaged(
        f"object {digest} is damaged in pack {pack}: {found}. It was not used; "
        f"`layerwise verify` says what else is hurt; put {pack_name(pack)} back from a copy of the repository"
    )
