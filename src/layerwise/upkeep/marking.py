"""What is needed: what versions and living sets of records name, and what one of those is coded against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from layerwise.records.reading import has_expired, read_set
from layerwise.store.catalog.catalog import Entry
from layerwise.store.cold.coding import bases_of
from layerwise.store.rows import Location, Recording
from layerwise.store.store import Store
from layerwise.upkeep.manifests import references
from layerwise.words import Digest

NEVER = datetime.max.replace(tzinfo=UTC)
"""When a version was made whose time cannot be read: it counts as new."""


class Marks:
    """What versions and living sets of records name, taken from their manifests and sets.

    Every version there ever was is kept, of models and datasets; a set of records until its time is over.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
    ...     marks = Marks(store)
    ...     marks.update()
    ...     len(marks.newest)
    0
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: set[tuple[str, str, int]] = set()
        self._recordings: set[int] = set()
        self.recordings = 0
        """The largest number of a set of records that was looked at, 0 where there was none."""
        self.newest: dict[Digest, datetime] = {}
        """The objects that are named, and when the newest version or set that names each was made."""

    @property
    def versions(self) -> int:
        """How many versions were looked at."""
        return len(self._seen)

    def update(self) -> None:
        """Mark what the versions and sets of records name that were published since the last time.

        Raises:
            NotFound, Damaged, InvalidFile, Unsupported: a manifest or a set cannot be read; the message names it.
                Nothing is to be collected then.
        """
        for entry in self._store.catalog.every_entry():
            key = (entry.sort, entry.name, entry.number)
            if key not in self._seen:
                self._mark(entry)
                self._seen.add(key)
        now, rows = datetime.now(UTC), self._store.catalog.recordings.every()
        self.recordings = max((row.number for row in rows), default=0)
        for row in rows:
            if row.number not in self._recordings and not has_expired(row, now):
                self._mark_records(row)
                self._recordings.add(row.number)

    def _mark_records(self, row: Recording) -> None:
        made = _moment(row.created)
        named = {} if row.part else read_set(self._store, row).references()
        for digest in (row.digest, *named.values()):
            self.newest[digest] = max(made, self.newest.get(digest, made))

    def _mark(self, entry: Entry) -> None:
        made = _moment(entry.created)
        for digest in (entry.digest, *references(self._store, entry).values()):
            self.newest[digest] = max(made, self.newest.get(digest, made))

    def reached(self, bases: Mapping[Digest, Iterable[Digest]]) -> set[Digest]:
        """Return all that is needed: what versions name, and what that is coded against, and so on.

        Args:
            bases: by object, those that it cannot be read without (``bases_in``).
        """
        found = set(self.newest)
        waiting = [base for digest in found for base in bases.get(digest, ())]
        while waiting:
            digest = waiting.pop()
            if digest not in found:
                found.add(digest)
                waiting.extend(bases.get(digest, ()))
        return found


def bases_in(packs: Iterable[Mapping[Digest, Location]]) -> dict[Digest, set[Digest]]:
    """Return the objects that others are coded against, by those others, over all their copies in ``packs``."""
    found: dict[Digest, set[Digest]] = {}
    for objects in packs:
        for digest, at in objects.items():
            if at.coding is not None and (bases := bases_of(at.coding)):
                found.setdefault(digest, set()).update(bases)
    return found


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return NEVER
