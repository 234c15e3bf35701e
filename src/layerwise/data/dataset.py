"""Datasets: add a version, open one, look at its rows.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
...     added = add(store, "people", {"name": ["Ada", "Bo"], "age": [36, 41]}, key="name")
...     print(added)
...     open_dataset(store, "people").row("Bo")["age"]
people@1: 2 rows in 1 new block
41
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from layerwise.data.cutting import cut
from layerwise.data.diff import compare
from layerwise.data.ids import ContentIds, KeyIds, Scratch
from layerwise.data.manifest import Block, Manifest, content_of
from layerwise.data.reading import Dataset, open_dataset
from layerwise.data.row import Row
from layerwise.data.sources import Kept, as_table, open_source
from layerwise.data.statistics import ColumnStatistics, Gathering
from layerwise.errors import Conflict, Moved
from layerwise.store.catalog.catalog import Entry
from layerwise.store.rows import check_text
from layerwise.store.store import Store
from layerwise.store.tables import encode_block
from layerwise.store.writer import PackWriter
from layerwise.words import Digest, Name, parse_name

__all__ = ["Added", "Dataset", "Row", "add", "as_table", "open_dataset"]

BRANCH = "main"
"""Datasets have one line of versions."""

ATTEMPTS = 100
"""How often rows are given a name anew when others move it at the same moment."""

WAITING_BYTES = 16 << 20
"""A pack is written when this much waits: a writer holds its pack in memory, and little is promised."""


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding rows. False where the content was there already, and no version was made."""

    dataset: Dataset
    created: bool
    new_rows: int = 0
    removed_rows: int = 0
    changed_rows: int = 0
    new_bytes: int = 0
    new_blocks: int = 0
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.created

    def __str__(self) -> str:
        said = "".join(f"; {note}" for note in self.notes)
        address = self.dataset.address
        if not self.created:
            return f"{address}: the same content, no new version{said}"
        blocks = f"{self.new_blocks:,} new block{'' if self.new_blocks == 1 else 's'}"
        rows = f"{len(self.dataset):,} row{'' if len(self.dataset) == 1 else 's'} in {blocks}"
        if self.dataset.number == 1:
            return f"{address}: {rows}{said}"
        changes = f"{self.new_rows:,} added, {self.removed_rows:,} removed, {self.changed_rows:,} changed"
        return f"{address}: {rows} ({changes}){said}"


@dataclass(frozen=True, slots=True)
class _Written:
    """Rows that are in the store, but under no name yet."""

    schema: pa.Schema
    blocks: tuple[Block, ...]
    statistics: dict[str, ColumnStatistics]
    new_bytes: int
    new_blocks: int


def add(store: Store, name: str, source: Any, *, key: str | None = None, actor: str = "", message: str = "") -> Added:
    """Keep ``source`` as the next version of the dataset ``name``; the same content again makes none.

    Args:
        store: where to keep it.
        name: the dataset's name.
        source: a pandas or Polars frame, an Arrow table, a dict of arrays, a list of rows, a Hugging Face
            dataset, a path of a .csv, .parquet, .jsonl or .npz file, or of a folder of images with one
            subfolder a class. Read once, in pieces: it may be larger than memory.
        key: the column whose value names a row for ever; without one, a row is named by its content.
        actor: who adds it.
        message: why.

    Raises:
        InvalidName, InvalidData, InvalidFile: what was given cannot be used; nothing is kept.
        Conflict: somebody else added a version meanwhile.
    """
    checked = parse_name(name, "a dataset's name")
    check_text(message, "a message")
    kept = Kept(open_source(source))
    with store.objects.writing(WAITING_BYTES) as writer:
        written = _write(writer, kept, key, store.disk.scratch)
        for _ in range(ATTEMPTS):
            # What somebody else adds meanwhile is the version before this one.
            with suppress(Moved):
                said = (checked, key, actor, message)
                return _named(store, writer, written, said, kept.notes)
    raise Conflict(f"others added versions of {checked} at each of {ATTEMPTS} attempts; try again")


def _named(
    store: Store, writer: PackWriter, written: _Written, said: tuple[Name, str | None, str, str], notes: tuple[str, ...]
) -> Added:
    name, key, actor, message = said
    head = store.catalog.head("dataset", name, BRANCH)
    parent = None if head is None else open_dataset(store, name, str(head.number))
    if parent is not None and parent.manifest.content == content_of(key, written.schema, written.blocks):
        return Added(parent, created=False, notes=notes)
    manifest = Manifest(
        dataset=name,
        number=1 if parent is None else parent.number + 1,
        parent=None if parent is None else parent.number,
        key=key,
        schema=written.schema,
        blocks=written.blocks,
        statistics=written.statistics,
        created=datetime.now(UTC).isoformat(timespec="microseconds"),
        actor=actor,
        message=message,
    )
    digest = writer.put([manifest.to_bytes()])
    _publish(writer, manifest, digest)
    return _added(parent, Dataset(store, manifest, digest), written, notes)


def _write(writer: PackWriter, kept: Kept, key: str | None, scratch: Scratch) -> _Written:
    ids = ContentIds(scratch) if key is None else KeyIds(key, kept.schema, scratch)
    gathered = {field.name: Gathering(field.type) for field in kept.schema}
    blocks = tuple(
        Block(writer.put([memoryview(encode_block(batch))]), batch.num_rows)
        for batch in cut(_watched(kept.pieces(), gathered), ids)
    )
    statistics = {name: gathering.result() for name, gathering in gathered.items()}
    return _Written(kept.schema, blocks, statistics, writer.new_bytes, writer.new_objects)


def _watched(pieces: Iterable[pa.RecordBatch], gathered: dict[str, Gathering]) -> Iterator[pa.RecordBatch]:
    for piece in pieces:
        for name, gathering in gathered.items():
            gathering.add(piece.column(name))
        yield piece


def _publish(writer: PackWriter, manifest: Manifest, digest: Digest) -> None:
    entry = Entry(
        sort="dataset",
        name=manifest.dataset,
        number=manifest.number,
        digest=digest,
        branch=BRANCH,
        parent=manifest.parent,
        created=manifest.created,
        actor=manifest.actor,
        message=manifest.message,
    )
    writer.publish(entry, expected=manifest.parent, names=set(manifest.references().values()))


def _added(parent: Dataset | None, dataset: Dataset, written: _Written, notes: tuple[str, ...]) -> Added:
    if parent is None:
        new, removed, changed = len(dataset), 0, 0
    else:
        found = compare(parent, dataset)
        new, removed, changed = len(found.added), len(found.removed), len(found.changed)
    return Added(dataset, True, new, removed, changed, written.new_bytes, written.new_blocks, notes)
