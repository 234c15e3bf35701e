"""Looking at a pack byte by byte, and saving what is good of a damaged one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from layerwise import canonical
from layerwise.errors import Damaged, Invalid, NotFound, Unsupported
from layerwise.store.cold.chain import Stored, unpack
from layerwise.store.packs import Place, damaged_name, name_of, pack_name, read_pack, trash_name
from layerwise.store.rows import Location
from layerwise.store.store import Store
from layerwise.words import Digest

Find = Callable[[Digest], Stored]
"""Gives an object of another pack as it lies there (``Objects.stored``)."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a pack's own bytes say.

    Attributes:
        good: the objects whose bytes are what their digest says, and where they lie.
        bad: the other objects, and where they should lie.
        wrong: what is wrong with the pack; empty where nothing is.
        bytes: its length.
    """

    good: Mapping[Digest, Location] = field(default_factory=dict)
    bad: Mapping[Digest, Location] = field(default_factory=dict)
    wrong: str = ""
    bytes: int = 0


def find_pack(store: Store, pack: Digest) -> memoryview:
    """Return the bytes of a pack, in use or in the trash, or raise FileNotFoundError."""
    store.blobs.forget(pack_name(pack))
    for name in (pack_name(pack), trash_name(pack)):
        with suppress(FileNotFoundError):
            return store.blobs.read(name)
    # A collector may have brought it back between the two looks.
    return store.blobs.read(pack_name(pack))


def look(data: memoryview, pack: Digest, find: Find | None = None) -> Looked:
    """Compare a pack's name and every object in it with their bytes.

    Args:
        data: the pack.
        pack: what it is called.
        find: gives what objects of this pack are coded against, where it lies in another; where not given, coded
            bytes are compared with their own digest, and not unpacked.
    """
    what = f"pack {pack}"
    good: dict[Digest, Location] = {}
    bad: dict[Digest, Location] = {}
    try:
        places = read_pack(data, what)
        wrong = "" if name_of(data, what) == pack else "its header is not the one that it is named after"
    except (Invalid, Unsupported) as error:
        return Looked(wrong=str(error), bytes=len(data))
    inside = _Inside(data, places, find)
    for place in places:
        at = place.at(pack)
        found = good if inside.is_good(place) else bad
        found[place.digest] = at
    if bad and not wrong:
        wrong = f"the bytes of {len(bad):,} of its {len(places):,} objects have changed"
    return Looked(good, bad, wrong, len(data))


class _Inside:
    """The objects of one pack, and those of others where they are needed."""

    def __init__(self, data: memoryview, places: Sequence[Place], find: Find | None) -> None:
        self._data = data
        self._places = {place.digest: place for place in places}
        self._find = find

    def is_good(self, place: Place) -> bool:
        """Compare what lies there with the digest of it, and what it stands for with its own."""
        if canonical.digest_bytes([self._bytes(place)]) != place.check:
            return False
        if place.coded is None or self._find is None:
            return True
        try:
            self.get(place.digest)
        except (Damaged, Invalid, NotFound, Unsupported):
            return False
        return True

    def get(self, digest: Digest) -> memoryview:
        """Return an object, unpacked and compared with its digest."""
        return unpack(digest, self._stored)

    def _stored(self, digest: Digest) -> Stored:
        place = self._places.get(digest)
        if place is not None:
            return Stored(place.coded.coding if place.coded else None, self._bytes(place), place.length)
        if self._find is None:
            raise NotFound(f"object {digest} is in another pack")
        return self._find(digest)

    def _bytes(self, place: Place) -> memoryview:
        return self._data[place.position : place.position + place.stored]


def salvage(store: Store, pack: Digest) -> int:
    """Write anew what is good of a pack that was set aside, and is nowhere else; return how many objects."""
    try:
        data = store.blobs.read(damaged_name(pack))
    except FileNotFoundError:
        return 0
    good = look(data, pack, store.objects.stored).good
    inside = _Inside(data, read_pack(data, f"pack {pack}") if good else [], store.objects.stored)
    with store.objects.writing() as writer:
        for digest in good:
            # One after another: unpacked, they may be larger together than memory.
            writer.put([inside.get(digest)])
    return writer.new_objects
