"""The sets of records in the catalog: which there are of which version, and until when."""

from __future__ import annotations

from collections.abc import Collection

from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.ledger import Ledger
from layerwise.store.catalog.records import select
from layerwise.store.rows import Recording
from layerwise.words import Digest, parse_digest


class Recordings:
    """Sets of records, and what was made of them to be found faster. Safe to use from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def changes(self) -> int:
        """How often this process changed the catalog: what was found while it was the same is as it was, for it."""
        return self._ledger.changes

    def of(self, version: Digest) -> list[Recording]:
        """Return what there is of a version, the newest first, expired or not."""
        with self._ledger.reading() as connection:
            return select(connection, sql.recording.c.version == parse_digest(version))

    def every(self) -> list[Recording]:
        """Return all that there is, the newest first, expired or not."""
        with self._ledger.reading() as connection:
            return select(connection)

    def part(self, record: Digest, part: str) -> Recording | None:
        """Return what was made of a set, or None."""
        with self._ledger.reading() as connection:
            found = select(connection, sql.recording.c.record == record, sql.recording.c.part == part)
        return found[0] if found else None

    def forget(self, records: Collection[Digest]) -> int:
        """Forget sets of records with all that was made of them; return how many sets there were.

        What they alone needed is removed by the next collection.
        """
        if not records:
            return 0
        return int(self._ledger.change("forget_recordings", {"records": sorted(records)}))
