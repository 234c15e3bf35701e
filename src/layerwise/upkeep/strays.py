"""Packs that the catalog does not know: of writers that died before they could register them, or that still may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from layerwise.errors import Invalid
from layerwise.store.catalog.catalog import Written
from layerwise.store.catalog.collector import PackRow
from layerwise.store.packs import FOLDERS, name_of, read_pack
from layerwise.store.store import Store
from layerwise.words import Digest

_PACK = re.compile(r"([0-9a-f]{64})\.pack\Z")


@dataclass(frozen=True, slots=True)
class Strays:
    """Packs on disk that no row names, and files that look like some and cannot be read."""

    packs: tuple[Written, ...]
    unreadable: tuple[str, ...]

    def rows(self) -> list[PackRow]:
        """Return them as if the catalog knew them."""
        return [PackRow(dict(pack.objects), "stray", None, False) for pack in self.packs]


def find_strays(store: Store) -> Strays:
    """Return the packs that the catalog does not know.

    A writer at work may be about to register one: it is put into the trash, which that does not hinder.
    """
    files = list(_files(store))
    # After the list: a pack that was registered meanwhile is none.
    known = store.catalog.collector.states()
    packs: dict[Digest, Written] = {}
    unreadable = []
    for name, pack in files:
        if pack in known:
            continue
        try:
            found = _read(store, name, pack)
        except FileNotFoundError:
            continue
        if found is None:
            unreadable.append(name)
        else:
            packs[pack] = found
    return Strays(tuple(packs.values()), tuple(unreadable))


def _files(store: Store) -> Iterator[tuple[str, Digest]]:
    # On an object store most of the folders are not there, and each would be a request.
    there = {f"packs/{name}" for name in store.blobs.list("packs")}
    for folder in ("trash", *(folder for folder in FOLDERS[1:] if folder in there)):
        try:
            names = store.blobs.list(folder)
        except FileNotFoundError:
            continue
        for name in names:
            if match := _PACK.match(name):
                yield f"{folder}/{name}", Digest(match[1])


def _read(store: Store, name: str, pack: Digest) -> Written | None:
    """Return what a file holds, or None where it is not the pack that its name says; raises FileNotFoundError."""
    data = store.blobs.read(name)
    try:
        if name_of(data, name) != pack:
            return None
        return Written(pack, tuple((place.digest, place.at(pack)) for place in read_pack(data, name)))
    except Invalid:
        return None
