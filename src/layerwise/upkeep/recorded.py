"""Sets of records as verify and repair see them: what each needs, and those that packs hold and no catalog knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from layerwise import canonical
from layerwise.errors import LayerwiseError
from layerwise.records.reading import has_expired, read_set
from layerwise.records.recordset import RecordSet
from layerwise.store.catalog.catalog import Entry
from layerwise.store.rows import Recording
from layerwise.store.store import Store
from layerwise.upkeep.manifests import address
from layerwise.upkeep.scan import Scanned
from layerwise.words import Digest


@dataclass(frozen=True, slots=True)
class Need:
    """What a set of records needs, or what is wrong with it.

    Attributes:
        name: how a person calls the set.
        record: its object.
        what: what a message calls the object that it needs; a sentence where it cannot be read.
        digest: the object; None where the set cannot be read.
    """

    name: str
    record: Digest
    what: str
    digest: Digest | None


def needs(store: Store, rows: Sequence[Recording], entries: Sequence[Entry]) -> Iterator[Need]:
    """Give what living sets of records need, and what is wrong with them.

    Args:
        store: the repository.
        rows: the sets and their parts, as the catalog has them.
        entries: every version.
    """
    called = {entry.digest: address(entry) for entry in entries}
    now = datetime.now(UTC)
    for row in rows:
        if has_expired(row, now):
            continue
        if row.version not in called:
            yield Need(f"the set of records {row.record}", row.record, f"its version {row.version} is not there", None)
            continue
        name = f"the records of {called[row.version]}"
        yield Need(name, row.record, f"what was made of {name} ({row.part})" if row.part else name, row.digest)
        if not row.part:
            try:
                found = read_set(store, row).references()
            except LayerwiseError as error:
                yield Need(name, row.record, str(error), None)
                continue
            yield from (Need(name, row.record, what, digest) for what, digest in found.items())


def found_sets(objects: Iterable[tuple[Digest, memoryview]]) -> Iterator[Recording]:
    """Give those of some objects that are sets of records, as the catalog would have them."""
    for digest, data in objects:
        with suppress(LayerwiseError, ValueError, TypeError):
            value = canonical.decode(data, f"object {digest}")
            if isinstance(value, dict) and "record" in value:
                kept = RecordSet.from_json(value, f"object {digest}")
                yield Recording(digest, "", digest, kept.about.version, kept.bytes, kept.created, kept.expires)


def recordings_of(
    scanned: Scanned, salvaged: Sequence[Mapping[str, Any]], entries: Iterable[Entry], *, sound: bool
) -> list[dict[str, Any]]:
    """Return the rows of the sets of records that a new catalog has.

    Args:
        scanned: what is in the packs.
        salvaged: the rows that could be read of the old catalog.
        entries: the versions of the new one; records of others are left out.
        sound: whether the old catalog was whole. Otherwise sets that packs hold come back, forgotten ones too.
    """
    versions = {entry.digest for entry in entries}
    known = [Recording(**row) for row in salvaged]
    last = max((row.number for row in known), default=0)
    if not sound:
        there = {row.record for row in known}
        fresh = [row for row in found_sets(scanned.manifests()) if _is_whole(row, there, scanned)]
        fresh.sort(key=lambda row: (row.created, row.record))
        known += [replace(row, number=last + at) for at, row in enumerate(fresh, start=1)]
    kept = [row for row in known if row.version in versions and row.digest in scanned.objects]
    sets = {row.record for row in kept if not row.part}
    return [asdict(row) for row in kept if row.record in sets]


def _is_whole(row: Recording, there: Collection[Digest], scanned: Scanned) -> bool:
    # A writer that died may have left a set without its name; one that needs what is not there was never acknowledged.
    if row.record in there or has_expired(row, datetime.now(UTC)):
        return False
    what = f"object {row.record}"
    kept = RecordSet.from_json(canonical.decode(scanned.get(row.record), what), what)
    return set(kept.references().values()) <= scanned.objects.keys()
