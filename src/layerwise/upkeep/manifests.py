"""What a version names, whatever it is a version of."""

from __future__ import annotations

from layerwise import canonical
from layerwise.data.manifest import read_manifest
from layerwise.store.catalog import Entry
from layerwise.store.store import Store
from layerwise.versions.manifest import Manifest
from layerwise.words import Digest


def address(entry: Entry) -> str:
    """Return how a person calls a version: ``digits@3``."""
    return f"{entry.name}@{entry.number}"


def references(store: Store, entry: Entry) -> dict[str, Digest]:
    """Return the objects that a version's manifest names, by what a message calls them; its own is not among them.

    Raises:
        NotFound, Damaged, InvalidFile, Unsupported: the manifest cannot be read.
    """
    what = f"the manifest of {address(entry)}"
    data = store.objects.get(entry.digest, what)
    if entry.sort == "dataset":
        return read_manifest(data, what).references()
    return Manifest.from_json(canonical.decode(data, what), what).references()
