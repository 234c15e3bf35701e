"""Looking at a pack byte by byte, and saving what is good of a damaged one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from layerwise import canonical
from layerwise.errors import Damaged, Invalid, NotFound, Unsupported
from layerwise.store.packs import Place, damaged_name, name_of, pack_name, read_pack, trash_name
from layerwise.store.rows import Location
from layerwise.store.store import Store
from layerwise.words import Digest

Unpack = Callable[[memoryview, Location], memoryview]
"""Gives the object that some bytes of a pack stand for (``Objects.unpack``)."""


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
    try:
        return store.blobs.read(pack_name(pack))
    except FileNotFoundError:
        return store.blobs.read(trash_name(pack))


def look(data: memoryview, pack: Digest, unpack: Unpack | None = None) -> Looked:
    """Compare a pack's name and every object in it with their bytes.

    Args:
        data: the pack.
        pack: what it is called.
        unpack: undoes how objects are coded; where not given, coded bytes are compared with their own digest.
    """
    what = f"pack {pack}"
    good: dict[Digest, Location] = {}
    bad: dict[Digest, Location] = {}
    try:
        places = read_pack(data, what)
        wrong = "" if name_of(data, what) == pack else "its header is not the one that it is named after"
    except (Invalid, Unsupported) as error:
        return Looked(wrong=str(error), bytes=len(data))
    for place in places:
        at = place.at(pack)
        found = good if _is_good(data, place, at, unpack) else bad
        found[place.digest] = at
    if bad and not wrong:
        wrong = f"the bytes of {len(bad):,} of its {len(places):,} objects have changed"
    return Looked(good, bad, wrong, len(data))


def _is_good(data: memoryview, place: Place, at: Location, unpack: Unpack | None) -> bool:
    stored = data[at.position : at.position + at.stored]
    if place.coded is not None and canonical.digest_bytes([stored]) != place.coded.check:
        return False
    if place.coded is not None and unpack is None:
        return True
    try:
        view = stored if unpack is None else unpack(stored, at)
    except (Damaged, Invalid, NotFound, Unsupported):
        return False
    return canonical.digest_bytes([view]) == place.digest


def salvage(store: Store, pack: Digest) -> int:
    """Write anew what is good of a pack that was set aside, and is nowhere else; return how many objects."""
    try:
        data = store.blobs.read(damaged_name(pack))
    except FileNotFoundError:
        return 0
    with store.objects.writing() as writer:
        # The memory is the mapped file's, which nobody changes.
        good = look(data, pack, store.objects.unpack).good.values()
        writer.put_all([[store.objects.unpack(data[at.position : at.position + at.stored], at)] for at in good])
    return writer.new_objects
