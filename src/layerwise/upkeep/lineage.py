"""Which state a state came from, and which states may be kept as their difference from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from layerwise import canonical
from layerwise.store.cold.coding import MAX_DEPTH
from layerwise.store.store import Store
from layerwise.upkeep.manifests import address
from layerwise.versions.manifest import Manifest
from layerwise.words import Digest


def parents(store: Store) -> dict[Digest, Digest]:
    """Return the state that each state came from: the parent version's, of the layer of the same path.

    The first version that names a state counts. States that came from none are left out.
    """
    found: dict[Digest, Digest] = {}
    known: set[Digest] = set()
    states: dict[tuple[str, int], dict[str, Digest]] = {}
    for entry in store.catalog.every_entry():
        if entry.sort != "model":
            continue
        what = f"the manifest of {address(entry)}"
        manifest = Manifest.from_json(canonical.decode(store.objects.get(entry.digest, what), what), what)
        here = {path: layer.state for path, layer in manifest.layers.items() if layer.state is not None}
        before = {} if entry.parent is None else states.get((entry.name, entry.parent), {})
        states[entry.name, entry.number] = here
        for path, state in here.items():
            if state not in known:
                known.add(state)
                if path in before:
                    found[state] = before[path]
    return found


class Chains:
    """What is coded against what: never in a circle, never deeper than ``MAX_DEPTH``.

    >>> chains = Chains({Digest("b"): {Digest("a")}})
    >>> chains.bases_for(Digest("c"), {Digest("c"): Digest("b"), Digest("b"): Digest("a")})
    ('b', 'a')
    >>> chains.bases_for(Digest("a"), {Digest("a"): Digest("b")})
    ()

    Args:
        bases: by object, those that it is coded against now.
    """

    def __init__(self, bases: Mapping[Digest, Iterable[Digest]]) -> None:
        self._bases: dict[Digest, set[Digest]] = {}
        self._users: dict[Digest, set[Digest]] = {}
        for digest, others in bases.items():
            self.add(digest, others)

    def add(self, digest: Digest, bases: Iterable[Digest]) -> None:
        """Note that an object is coded against others."""
        for base in bases:
            self._bases.setdefault(digest, set()).add(base)
            self._users.setdefault(base, set()).add(digest)

    def bases_for(self, digest: Digest, parents: Mapping[Digest, Digest]) -> tuple[Digest, ...]:
        """Return what a state may be coded against: its parent and that one's; fewer where it would be too deep."""
        parent = parents.get(digest)
        line = [] if parent is None else [state for state in (parent, parents.get(parent)) if state is not None]
        above = _longest(digest, self._users, {})
        while line and not self._allow(digest, line, above):
            line.pop()
        return tuple(line)

    def _allow(self, digest: Digest, bases: Iterable[Digest], above: int) -> bool:
        seen: dict[Digest, int] = {}
        below = 1 + max(_longest(base, self._bases, seen) for base in bases)
        # What was walked over is everything that the bases need: the object itself must not be among it.
        return digest not in seen and below + above <= MAX_DEPTH


def _longest(start: Digest, edges: Mapping[Digest, set[Digest]], seen: dict[Digest, int]) -> int:
    """Return the length of the longest path along ``edges``; ``seen`` gets that of every node on the way."""
    if start not in seen:
        seen[start] = 0  # In case of a circle, which no catalog of ours has.
        seen[start] = max((1 + _longest(node, edges, seen) for node in edges.get(start, ())), default=0)
    return seen[start]
