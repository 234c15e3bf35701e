"""Making cold packs smaller: what no new version names is coded, object by object, each to be read on its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from layerwise.store.catalog.catalog import Written
from layerwise.store.catalog.collector import PackRow
from layerwise.store.cold.coding import Base, bases_of
from layerwise.store.disk import Buffer
from layerwise.store.packs import Coded
from layerwise.store.store import Store
from layerwise.upkeep.lineage import Chains, parents
from layerwise.upkeep.repack import Repacking, encoded, read
from layerwise.words import Digest

Item = tuple[Digest, Buffer, Coded | None]


@dataclass(slots=True)
class Recoded:
    """What came of coding packs.

    Attributes:
        written: the new packs, durable.
        done: the packs that they stand for.
        tight: packs that would not become smaller; they stay.
        objects: how many objects were coded.
        before, after: the bytes of the objects of ``done``, in them and in ``written``.
    """

    written: list[Written] = field(default_factory=list)
    done: list[Digest] = field(default_factory=list)
    tight: list[Digest] = field(default_factory=list)
    objects: int = 0
    before: int = 0
    after: int = 0


def recode(
    store: Store,
    packs: Mapping[Digest, PackRow],
    kept: Mapping[Digest, Sequence[Digest]],
    cold: Iterable[Digest],
    bases: Mapping[Digest, Iterable[Digest]],
) -> Recoded:
    """Write the objects that cold packs keep into new packs, coded.

    Args:
        store: the repository.
        packs: all packs.
        kept: the objects that each pack is to keep.
        cold: which packs to code.
        bases: what objects are coded against now.
    """
    chosen = list(cold)
    found = Recoded()
    if not chosen:
        return found
    line, chains, target = parents(store), Chains(bases), Repacking(store)
    # The oldest first: what a state came from is then coded already, and a chain is as long as it may be.
    age = {state: number for number, state in enumerate(line)}
    for pack in sorted(chosen, key=lambda pack: max(age.get(digest, -1) for digest in kept[pack])):
        items = list(_coded(store, packs[pack], kept[pack], line, chains))
        if not any(coded for _, _, coded in items):
            found.tight.append(pack)
            continue
        for digest, data, coded in items:
            target.add(digest, data, coded)
            found.objects += coded is not None
            found.before += packs[pack].objects[digest].stored
            found.after += memoryview(data).nbytes
            chains.add(digest, () if coded is None else bases_of(coded.coding))
        found.done.append(pack)
    target.flush()
    found.written = target.written
    return found


def _coded(
    store: Store, row: PackRow, kept: Sequence[Digest], line: Mapping[Digest, Digest], chains: Chains
) -> Iterator[Item]:
    for digest in kept:
        _, whole = read(store, digest, row.objects[digest])
        bases = [Base(base, store.objects.get(base)) for base in chains.bases_for(digest, line)]
        data, coded = encoded(whole, bases)
        yield digest, data, coded
