"""Versions that neither the catalog nor the log of names has, found by their manifests: which of them were there.

A manifest is written before its version gets its name, so packs also hold manifests that lost a race for their number,
and of writers that died. A version is taken back only where it fits on top of what is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from layerwise.store.catalog.catalog import Entry
from layerwise.upkeep.manifests import Unnamed
from layerwise.words import Digest

Key = tuple[str, str, int]
"""Sort, name and number of a version."""


@dataclass(frozen=True, slots=True)
class _Line:
    """What the next version of a name must fit on."""

    heads: Mapping[str, int]
    last: int


def recovered(found: Iterable[Unnamed], named: Mapping[Key, Entry], present: Set[Digest]) -> dict[Key, Entry]:
    """Return the versions that are taken back, by key.

    Each has the number after the last of its name, and its branch's head for its parent; all that it names is there.
    Of several manifests for one number, those are left out whose run made a later version; then the first made is
    taken.

    Args:
        found: manifests, as the versions that they would be.
        named: the versions that are known.
        present: the objects that can be read.
    """
    candidates: dict[Key, list[Unnamed]] = defaultdict(list)
    latest: dict[str, int] = {}
    for one in found:
        entry = one.entry
        key = (entry.sort, entry.name, entry.number)
        latest[one.run] = max(entry.number, latest.get(one.run, 0))
        if key not in named and one.names <= present:
            candidates[key].append(one)
    taken: dict[Key, Entry] = {}
    for key in sorted(candidates):
        line = _line(key, {**named, **taken})
        fitting = [one for one in candidates[key] if _fits(one.entry, line)]
        fitting = [one for one in fitting if not one.run or latest[one.run] == key[2]] or fitting
        if fitting:
            taken[key] = min(fitting, key=lambda one: (one.entry.created, one.entry.digest)).entry
    return taken


def _line(key: Key, known: Mapping[Key, Entry]) -> _Line:
    heads: dict[str, int] = {}
    for (sort, name, number), entry in known.items():
        if (sort, name) == key[:2]:
            heads[entry.branch] = max(number, heads.get(entry.branch, 0))
    return _Line(heads, max(heads.values(), default=0))


def _fits(entry: Entry, line: _Line) -> bool:
    return entry.number == line.last + 1 and entry.parent == line.heads.get(entry.branch)
