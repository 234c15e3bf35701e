"""What changed between two versions of a dataset: rows by their ids, columns by their names.

Blocks that both versions have are never read; of the others only ids and digests are held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from layerwise.data.reading import Dataset, Positions
from layerwise.data.rows import DIGEST_BYTES, Bytes, row_digests
from layerwise.data.schema import type_text
from layerwise.data.statistics import show
from layerwise.store.tables import ROW
from layerwise.words import Digest, shorten

MAX_VALUES = 20
"""Changed rows whose old and new values are kept."""

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Compared:
    """Which rows two versions do not share: ids, and for changed rows their positions, shape [changed]."""

    added: pa.Array
    removed: pa.Array
    changed: pa.Array
    changed_old: Positions
    changed_new: Positions
    unchanged: int


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row with other values in the two versions: which columns, and for the first rows old and new."""

    id: str
    columns: tuple[str, ...]
    values: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataDiff:
    """What changed from ``old`` to ``new``. False where nothing did."""

    old: str
    new: str
    added: list[str]
    removed: list[str]
    changed: list[ChangedRow]
    unchanged: int
    added_columns: tuple[str, ...] = ()
    removed_columns: tuple[str, ...] = ()
    retyped_columns: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    keys: tuple[str | None, str | None] = (None, None)

    def __bool__(self) -> bool:
        rows = self.added or self.removed or self.changed
        columns = self.added_columns or self.removed_columns or self.retyped_columns
        return bool(rows or columns or self.keys[0] != self.keys[1])

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def diff(old: Dataset, new: Dataset) -> DataDiff:
    """Return what changed from ``old`` to ``new``.

    Rows are matched by id: with a key a row can change; without one, a changed row is one removed and one
    added. Values are compared in the columns that both versions have under one type.
    """
    found = compare(old, new)
    was, now = _types(old), _types(new)
    return DataDiff(
        old.address,
        new.address,
        added=found.added.to_pylist(),
        removed=found.removed.to_pylist(),
        changed=list(_changed_rows(old, new, found)),
        unchanged=found.unchanged,
        added_columns=tuple(name for name in now if name not in was),
        removed_columns=tuple(name for name in was if name not in now),
        retyped_columns={name: (was[name], now[name]) for name in was if name in now and was[name] != now[name]},
        keys=(old.key, new.key),
    )


def _types(dataset: Dataset) -> dict[str, str]:
    return {column.name: type_text(column.type) for column in dataset.schema}


def compare(old: Dataset, new: Dataset) -> Compared:
    """Return which rows differ, by id and by the digest of the columns both versions have."""
    shared = _shared_columns(old, new)
    keyed = old.key is not None and old.key == new.key
    was, now = (_digested(one, other, shared if keyed else []) for one, other in ((old, new), (new, old)))
    place = pc.index_in(now.ids, value_set=was.ids)
    met = place.is_valid().to_numpy(zero_copy_only=False)
    matches = place.drop_null().to_numpy(zero_copy_only=False).astype(np.int64)
    differs = (now.digests[met] != was.digests[matches]).any(axis=1)
    both = np.flatnonzero(met)
    return Compared(
        added=now.ids.filter(pa.array(~met)),
        removed=was.ids.filter(pc.invert(pc.is_in(was.ids, value_set=now.ids))),
        changed=now.ids.take(pa.array(both[differs])),
        changed_old=was.positions[matches[differs]],
        changed_new=now.positions[both[differs]],
        unchanged=len(new) - len(now.ids) + int((~differs).sum()),
    )


@dataclass(frozen=True, slots=True)
class _Digested:
    """The rows of one version that are in blocks the other version does not have."""

    ids: pa.Array
    digests: Bytes
    positions: Positions


def _digested(dataset: Dataset, other: Dataset, columns: list[str]) -> _Digested:
    # Without a key the id is the digest of the content: rows that meet are equal, their columns stay unread.
    ids, digests, positions = (
        [pa.array([], pa.string())],
        [np.empty((0, DIGEST_BYTES), np.uint8)],
        [np.empty(0, np.int64)],
    )
    for start, batch in _own_blocks(dataset, other, [ROW, *columns]):
        # A copy, so that the memory map of the block can go.
        ids.append(pc.take(batch.column(0), pa.array(np.arange(batch.num_rows))))
        empty = np.zeros((batch.num_rows, DIGEST_BYTES), np.uint8)
        digests.append(row_digests(batch.select(columns)) if columns else empty)
        positions.append(np.arange(start, start + batch.num_rows))
    return _Digested(pa.concat_arrays(ids), np.concatenate(digests), np.concatenate(positions))


def _own_blocks(dataset: Dataset, other: Dataset, columns: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    shared: Counter[Digest] = Counter(block.object for block in other.manifest.blocks)
    start = 0
    for place, block in enumerate(dataset.manifest.blocks):
        if shared[block.object] > 0:
            shared[block.object] -= 1
        else:
            yield start, dataset.block(place, columns)
        start += block.rows


def _shared_columns(old: Dataset, new: Dataset) -> list[str]:
    was, now = _types(old), _types(new)
    return [name for name in was if now.get(name) == was[name]]


def _changed_rows(old: Dataset, new: Dataset, found: Compared) -> Iterator[ChangedRow]:
    shared = _shared_columns(old, new)
    for start in range(0, len(found.changed), _ROWS_AT_ONCE):
        stop = start + _ROWS_AT_ONCE
        was = old.take(found.changed_old[start:stop], shared)
        now = new.take(found.changed_new[start:stop], shared)
        differs = {name: _differs(was.select([name]), now.select([name])) for name in shared}
        for place, id in enumerate(found.changed.slice(start, _ROWS_AT_ONCE).to_pylist()):
            columns = tuple(name for name in shared if differs[name][place])
            shown = columns if start + place < MAX_VALUES else ()
            values = {name: (was.column(name)[place].as_py(), now.column(name)[place].as_py()) for name in shown}
            yield ChangedRow(id, columns, values)


def _differs(was: pa.Table, now: pa.Table) -> Any:
    one, other = (row_digests(table.to_batches()[0]) for table in (was, now))
    return (one != other).any(axis=1)


def _lines(found: DataDiff) -> Iterator[str]:
    if not found:
        yield f"{found.old} and {found.new}: the same {found.unchanged:,} rows"
        return
    yield (
        f"{found.old} → {found.new}: {len(found.added):,} added, {len(found.removed):,} removed, "
        f"{len(found.changed):,} changed, {found.unchanged:,} as before"
    )
    if found.keys[0] != found.keys[1]:
        yield f"  key: {found.keys[0] or 'the content'} → {found.keys[1] or 'the content'}"
    yield from (f"  + column {shorten(name)}" for name in found.added_columns)
    yield from (f"  - column {shorten(name)}" for name in found.removed_columns)
    yield from (f"  ~ column {shorten(name)}: {was} → {now}" for name, (was, now) in found.retyped_columns.items())
    for row in found.changed[:MAX_VALUES]:
        values = ", ".join(f"{shorten(name)}: {show(was)} → {show(now)}" for name, (was, now) in row.values.items())
        yield f"  ~ {shorten(row.id)}: {values}"
