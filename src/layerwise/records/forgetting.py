"""Forgetting records: of a version, from before a time, over so many bytes, or those whose time is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from layerwise.errors import InvalidData
from layerwise.records.reading import has_expired
from layerwise.store.rows import Recording
from layerwise.store.store import Store
from layerwise.words import Digest


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten, and what is left.

    Attributes:
        sets: how many sets of records were forgotten.
        bytes: of their chunks, those counted that others share. A collection frees what no other needs.
        left: how many sets there are still, of the versions that were looked at.
    """

    sets: int
    bytes: int
    left: int

    def __bool__(self) -> bool:
        return self.sets > 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def forget(
    store: Store, version: Digest | None = None, *, before: datetime | None = None, over: int | None = None
) -> Forgotten:
    """Forget sets of records, and those that have expired.

    Args:
        store: the repository.
        version: of this version alone; of all where None.
        before: those that were made before this time; with a zone.
        over: the oldest, until the rest has at most so many bytes. With neither: all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        ...     forget(store).sets
        0
    """
    if before is not None and before.tzinfo is None:
        raise InvalidData(f"the time {before} has no zone; write it with one: 2026-01-31T09:30:00+00:00")
    if over is not None and over < 0:
        raise InvalidData(f"records cannot have fewer than 0 bytes, found {over}")
    known = store.catalog.recordings.every() if version is None else store.catalog.recordings.of(version)
    sets = [row for row in known if not row.part]
    chosen = _chosen(sets, before, over)
    store.catalog.recordings.forget([row.record for row in chosen])
    return Forgotten(len(chosen), sum(row.bytes for row in chosen), len(sets) - len(chosen))


def forget_expired(store: Store) -> int:
    """Forget the sets of records whose time is over; return how many."""
    return store.catalog.recordings.forget([row.record for row in expired(store)])


def expired(store: Store) -> list[Recording]:
    """Return the sets of records whose time is over."""
    now = datetime.now(UTC)
    return [row for row in store.catalog.recordings.every() if not row.part and has_expired(row, now)]


def _chosen(sets: Sequence[Recording], before: datetime | None, over: int | None) -> list[Recording]:
    if before is None and over is None:
        return list(sets)
    now, room = datetime.now(UTC), over
    chosen = []
    for row in sets:  # The newest first.
        old = before is not None and datetime.fromisoformat(row.created) < before
        gone = old or has_expired(row, now)
        if not gone and room is not None:
            room -= row.bytes
            gone = room < 0
        if gone:
            chosen.append(row)
    return chosen
