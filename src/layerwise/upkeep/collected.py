"""What a collection found and did, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from layerwise.store.catalog.collector import PackRow

SORTS = ("unneeded", "sparse", "stray", "trash", "cold")
"""What packs can be found to be: of no use; of use in part; left by a writer that died; in the trash; to be coded."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some packs.

    Attributes:
        packs: how many.
        objects: how many objects of them are meant.
        bytes: that they take.
        left: bytes that they take afterwards, where that is known.
    """

    packs: int = 0
    objects: int = 0
    bytes: int = 0
    left: int | None = None

    @classmethod
    def of(cls, packs: Iterable[PackRow]) -> Part:
        """Return the sum of whole packs."""
        rows = list(packs)
        return cls(len(rows), sum(len(row.objects) for row in rows), sum(row.bytes for row in rows))


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of a collection. Bytes are those of the files of packs, the trash counted too.

    Attributes:
        done: whether it was done, or only looked at.
        before: bytes at the beginning.
        after: bytes at the end; where it was only looked at, those that would be left, coding not counted.
        found: what packs were found to be, by ``SORTS``.
        removed: packs that are gone.
        waiting: packs in the trash that a writer at work may rely on.
        restored: packs taken back out of the trash: they are needed after all.
        writers: how many writers are at work.
        unreadable: files that look like packs and cannot be read; they were left where they are.
        expired: sets of records whose time is over, forgotten first.
    """

    done: bool
    before: int
    after: int
    found: Mapping[str, Part]
    removed: Part
    waiting: Part
    restored: Part
    writers: int
    unreadable: tuple[str, ...]
    expired: int = 0

    @property
    def freed(self) -> int:
        """Bytes that were freed, or can be."""
        return self.before - self.after

    def __bool__(self) -> bool:
        return any(part.packs for part in self.found.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "freed": self.freed}
