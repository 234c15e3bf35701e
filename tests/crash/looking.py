"""Look at all that a repository shows: every version whole, every number there, every byte what its name says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from blake3 import blake3

from layerwise.canonical import digest_bytes
from layerwise.data.dataset import Dataset
from layerwise.errors import LayerwiseError
from layerwise.repo import Repository
from layerwise.store.rows import SORTS, Entry
from layerwise.words import Digest
from tests.crash import contents

Place = tuple[str, str, int]
"""Which version: sort, name, number."""


@dataclass
class Seen:
    """What was looked at, and what was wrong with it.

    Attributes:
        entries: what the repository lists.
        objects: how many objects were read and compared with their digests.
        corrupt: versions that could not be read whole, or that hold other bytes than were given, one sentence each.
        gaps: numbers absent, twice, or out of their line, one sentence each.
    """

    entries: dict[Place, Entry] = field(default_factory=dict)
    objects: int = 0
    corrupt: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        """Every sentence."""
        return [*self.corrupt, *self.gaps]


def look(repo: Repository, known: frozenset[Place] | set[Place] = frozenset()) -> Seen:
    """Return what ``repo`` shows; versions in ``known`` are listed, and not read again."""
    seen = Seen()
    for sort in SORTS:
        for name in repo.store.catalog.names(sort):
            entries = repo.store.catalog.entries(sort, name)
            seen.gaps += _gaps(name, entries)
            for entry in entries:
                place = (sort, name, entry.number)
                seen.entries[place] = entry
                if place not in known:
                    _read(repo, entry, seen)
    return seen


def _gaps(name: str, entries: list[Entry]) -> Iterator[str]:
    heads: dict[str, int] = {}
    for number, entry in enumerate(entries, start=1):
        if entry.number != number:
            yield f"{name}: version {number} is absent or there twice; found {entry.number}"
        if entry.parent != heads.get(entry.branch):
            yield f"{name}@{entry.number} says its parent is {entry.parent}, and that is {heads.get(entry.branch)}"
        heads[entry.branch] = entry.number


def _read(repo: Repository, entry: Entry, seen: Seen) -> None:
    try:
        for digest in objects_of(repo, entry):
            seen.objects += 1
            # The store has compared it too; the test trusts nobody.
            if blake3(repo.store.objects.get(digest)).hexdigest() != digest:
                seen.corrupt.append(f"{entry.name}@{entry.number}: object {digest} has other bytes")
        if not _as_given(repo, entry):
            seen.corrupt.append(f"{entry.name}@{entry.number} is not what was committed")
    except LayerwiseError as error:
        seen.corrupt.append(f"{entry.name}@{entry.number}: {type(error).__name__}: {error}")


def objects_of(repo: Repository, entry: Entry) -> Iterator[Digest]:
    """Give every object that a version is made of, its manifest first."""
    yield entry.digest
    if entry.sort == "dataset":
        yield from (block.object for block in _dataset(repo, entry).manifest.blocks)
        return
    manifest = repo.manifest(entry)
    for layer in manifest.layers.values():
        yield from (layer.state,) if layer.state is not None else ()
        yield from layer.code.values()
    if manifest.environment is not None:
        yield manifest.environment


def _dataset(repo: Repository, entry: Entry) -> Dataset:
    return repo.dataset(f"{entry.name}@{entry.number}")


def _as_given(repo: Repository, entry: Entry) -> bool:
    """Tell whether a version holds what its message, a seed, stands for; only trained weights are not known before."""
    if entry.sort == "dataset":
        table = contents.flowers() if entry.name == contents.FLOWERS else contents.rows(int(entry.message))
        return bool(_dataset(repo, entry).table(table.column_names).equals(table))
    manifest = repo.manifest(entry)
    if (manifest.model, manifest.number, manifest.message) != (entry.name, entry.number, entry.message):
        return False
    if manifest.run:
        return True
    seed = int(entry.message)
    given = contents.layers(seed)
    return manifest.layers.keys() == given.keys() and all(
        layer.state == digest_bytes([contents.framed(given[path])])
        and layer.code["forward"] == digest_bytes([contents.code(seed)])
        for path, layer in manifest.layers.items()
    )
