"""What is in the packs on disk, without the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from layerwise.errors import InvalidName, LayerwiseError, NotFound
from layerwise.store.catalog.catalog import Location, Written
from layerwise.store.cold.chain import Stored, unpack
from layerwise.store.cold.coding import RAW, bases_of
from layerwise.store.packs import FOLDERS, damaged_name, pack_name
from layerwise.store.store import Store
from layerwise.upkeep.packs import Looked, look
from layerwise.words import Digest, parse_digest

MAX_MANIFEST = 64 << 20
"""Longest object that is read to see whether it is a manifest, in bytes."""


@dataclass(slots=True)
class Scanned:
    """What was found: the objects of every good pack, and the packs that are set aside."""

    packs: dict[Digest, Looked] = field(default_factory=dict)
    objects: dict[Digest, Location] = field(default_factory=dict)
    damaged: dict[Digest, Looked] = field(default_factory=dict)
    _data: dict[Digest, memoryview] = field(default_factory=dict)

    def keep(self, data: memoryview, looked: Looked) -> None:
        """Remember where the objects of a pack lie; one that lies as it is is better than one that is coded."""
        for digest, at in looked.good.items():
            known = self.objects.get(digest)
            if known is None or (known.coding is not None and at.coding is None):
                self.objects[digest] = at
                self._data[at.pack] = data

    def written(self) -> list[Written]:
        """Return the good packs as the catalog takes them."""
        return [Written(pack, tuple(looked.good.items())) for pack, looked in sorted(self.packs.items())]

    def set_aside(self) -> list[Written]:
        """Return the packs that are set aside, with the objects that they are said to hold."""
        found = sorted(self.damaged.items())
        return [Written(pack, tuple({**looked.good, **looked.bad}.items())) for pack, looked in found]

    def manifests(self) -> Iterator[tuple[Digest, memoryview]]:
        """Give the objects that may be manifests: they begin as JSON does."""
        for digest, at in sorted(self.objects.items()):
            # Only states are coded against others.
            if at.length <= MAX_MANIFEST and not bases_of(at.coding or RAW):
                with suppress(LayerwiseError):
                    view = self.get(digest)
                    if bytes(view[:1]) == b"{":
                        yield digest, view

    def get(self, digest: Digest) -> memoryview:
        """Return an object, unpacked and compared with its digest; raises NotFound or Damaged."""
        return unpack(digest, self._find)

    def _find(self, digest: Digest) -> Stored:
        at = self.objects.get(digest)
        if at is None:
            raise NotFound(f"there is no object {digest} in any pack")
        return Stored(at.coding, self._data[at.pack][at.position : at.position + at.stored], at.length)


def scan(store: Store) -> Scanned:
    """Read every pack of a repository, in use or in the trash; set aside those that are damaged.

    Packs of the trash are in use again afterwards: whether something needs them is for a collector to say.
    """
    found = Scanned()
    for folder in ("damaged", *FOLDERS[1:], "trash"):
        names = [name for name in store.blobs.list(folder) if name.endswith(".pack")]
        for name in names:
            with suppress(InvalidName, FileNotFoundError):
                _take(store, folder, parse_digest(name.removesuffix(".pack")), found)
        if names:
            # Whoever renamed a pack may have died before this line, and a row of the catalog says that it is durable.
            store.disk.sync_folder(folder)
    return found


def _take(store: Store, folder: str, pack: Digest, found: Scanned) -> None:
    name = f"{folder}/{pack}.pack"
    store.blobs.forget(name)
    data = store.blobs.read(name)
    looked = look(data, pack)
    if looked.wrong or folder == "damaged":
        found.damaged[pack] = looked
        # What is good of it is written anew afterwards, and read from here until then.
        found.keep(data, looked)
        if name != damaged_name(pack):
            store.blobs.move(name, damaged_name(pack))
        return
    if name != pack_name(pack):
        store.blobs.move(name, pack_name(pack))
    # A good copy that was put back stands for the damaged one.
    found.damaged.pop(pack, None)
    found.packs[pack] = looked
    found.keep(data, looked)
