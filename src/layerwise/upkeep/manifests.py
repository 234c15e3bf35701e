"""What a version names, whatever it is a version of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from layerwise import canonical
from layerwise.data.manifest import Manifest as DataManifest
from layerwise.data.manifest import read_manifest
from layerwise.errors import LayerwiseError
from layerwise.store.catalog.catalog import Entry
from layerwise.store.rows import check_entry
from layerwise.store.store import Store
from layerwise.versions.manifest import Manifest
from layerwise.words import Digest, shorten


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


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A version as its manifest alone says it: maybe one that lost the race for its number.

    Attributes:
        entry: what the catalog would have of it.
        run: what made it; empty where nothing says.
        names: the objects that it needs.
    """

    entry: Entry
    run: str
    names: frozenset[Digest]


def unnamed(objects: Iterable[tuple[Digest, memoryview]]) -> Iterator[Unnamed]:
    """Give those of some objects that are manifests, as the versions that they would be."""
    for digest, data in objects:
        with suppress(LayerwiseError, ValueError, TypeError):
            value = canonical.decode(data, f"object {digest}")
            if isinstance(value, dict) and "dataset" in value:
                dataset = read_manifest(data, f"object {digest}")
                yield Unnamed(_entry("dataset", dataset.dataset, "main", dataset, digest), "", _names(dataset))
            elif isinstance(value, dict) and "model" in value:
                model = Manifest.from_json(value, f"object {digest}")
                yield Unnamed(_entry("model", model.model, model.branch, model, digest), model.run, _names(model))


def _names(said: Manifest | DataManifest) -> frozenset[Digest]:
    return frozenset(said.references().values())


def _entry(sort: str, name: str, branch: str, said: Manifest | DataManifest, digest: Digest) -> Entry:
    entry = Entry(sort, name, said.number, digest, branch, said.parent, said.created, said.actor, said.message)
    check_entry(entry)
    return entry


def disagreements(store: Store, entry: Entry) -> list[str]:
    """Return a sentence for every field that a version's row in the catalog and its manifest say differently."""
    what = f"the manifest of {address(entry)}"
    said = canonical.decode(store.objects.get(entry.digest, what), what)
    fields = {field: getattr(entry, field) for field in ("number", "parent", "created", "actor", "message")}
    fields[entry.sort] = entry.name
    if entry.sort == "model":
        fields["branch"] = entry.branch
    return [
        f"the catalog says {field} {shorten(str(value))}, the manifest {shorten(str(said.get(field)))}"
        for field, value in fields.items()
        if said.get(field) != value
    ]
