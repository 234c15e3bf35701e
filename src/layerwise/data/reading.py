"""One version of a dataset, opened: rows come block by block, memory-mapped, only those asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from layerwise.data.manifest import Manifest, read_manifest
from layerwise.data.row import Row, no_column, row_values
from layerwise.data.show import as_html, as_text
from layerwise.data.statistics import ColumnStatistics
from layerwise.errors import Damaged, InvalidData, NotFound
from layerwise.store.store import Store
from layerwise.store.tables import ROW, check_values, decode_block
from layerwise.words import Digest, parse_address, shorten

Positions = np.ndarray[Any, np.dtype[np.int64]]


class Dataset:
    """A handle on one version of a dataset. Cheap to hold: rows are read when they are asked for.

    ``lw.dataset`` and ``Repository.dataset`` open one.

    Args:
        store: where the blocks of rows are.
        manifest: what the version holds.
        digest: the manifest's digest.

    Example:
        >>> people = lw.dataset("people", {"name": ["Ada", "Bo"], "age": [36, 41]}, key="name")  # doctest: +SKIP
        >>> people[1]["age"], people.row("Ada")["age"], len(people)  # doctest: +SKIP
        (41, 36, 2)
    """

    def __init__(self, store: Store, manifest: Manifest, digest: Digest) -> None:
        self._store = store
        self.manifest = manifest
        self.digest = digest

    @property
    def name(self) -> str:
        """The dataset's name, e.g. ``digits-data``."""
        return self.manifest.dataset

    @property
    def number(self) -> int:
        """The number of this version, from 1."""
        return self.manifest.number

    @property
    def key(self) -> str | None:
        """The column whose value is the row id, or None where the content is."""
        return self.manifest.key

    @property
    def address(self) -> str:
        """How to name this version: ``digits-data@2``."""
        return f"{self.name}@{self.number}"

    @property
    def schema(self) -> pa.Schema:
        """The columns, without the row id; tensor columns are Arrow's fixed-shape tensors."""
        return self.manifest.schema

    @property
    def statistics(self) -> dict[str, ColumnStatistics]:
        """What the values are like, by column."""
        return self.manifest.statistics

    @property
    def ids(self) -> pa.ChunkedArray:
        """The row ids, as text, in the order of the rows; no other column is loaded."""
        return pa.chunked_array([batch.column(0) for batch in self.blocks([ROW])], pa.string())

    def __len__(self) -> int:
        return self.manifest.rows

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, one memory-mapped block after another.

        Args:
            columns: which columns, in which order; all but the row id if not given. ``"__row__"`` is the id.

        Raises:
            NotFound: there is no such column.
            Damaged: a block is not what the manifest says.
        """
        names = self._names(columns)
        for place in range(len(self.manifest.blocks)):
            yield self.block(place, names)

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        names = self.schema.names if columns is None else list(columns)
        for name in names:
            if name != ROW and name not in self._columns:
                raise no_column(name, self.address, self.schema.names)
        return names

    @cached_property
    def _columns(self) -> frozenset[str]:
        return frozenset(self.schema.names)

    @cached_property
    def _stored(self) -> pa.Schema:
        return pa.schema([pa.field(ROW, pa.string()), *self.schema])

    def block(self, place: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Return the rows of one block, memory-mapped; as `blocks`, for the block at ``place``."""
        block = self.manifest.blocks[place]
        what = f"block {place} of {self.address}"
        batch = decode_block(self._store.objects.get(block.object, what), self._stored, what)
        if batch.num_rows != block.rows:
            raise Damaged(f"{what} has {batch.num_rows:,} rows; the manifest says {block.rows:,}")
        return check_values(batch.select(self._names(columns)), what)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all rows as one Arrow table, its chunks memory-mapped."""
        names = self._names(columns)
        schema = pa.schema([self._stored.field(name) for name in names])
        return pa.Table.from_batches(self.blocks(names), schema=schema)

    @cached_property
    def _starts(self) -> Positions:
        """The position of the first row of each block, and the number of rows; shape [blocks + 1]."""
        return np.cumsum([0, *(block.rows for block in self.manifest.blocks)], dtype=np.int64)

    def take(self, indices: Any, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows at ``indices``, in that order, reading only the blocks they are in.

        Args:
            indices: positions from 0, shape [rows]; negative ones count from the end.
            columns: as for `blocks`.

        Raises:
            IndexError: a position outside the dataset.
        """
        positions = self._positions(indices)
        names = self._names(columns)
        order = np.argsort(positions, kind="stable")
        ordered = positions[order]
        bounds = np.searchsorted(ordered, self._starts)
        batches = [
            self.block(place, names).take(pa.array(ordered[bounds[place] : bounds[place + 1]] - self._starts[place]))
            for place in np.flatnonzero(np.diff(bounds)).tolist()
        ]
        schema = pa.schema([self._stored.field(name) for name in names])
        found = pa.Table.from_batches(batches, schema=schema).combine_chunks()
        if np.array_equal(order, np.arange(len(order))):
            return found
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return found.take(pa.array(back))

    def _positions(self, indices: Any) -> Positions:
        positions = np.asarray(indices)
        if positions.ndim != 1 or (positions.dtype.kind not in "iu" and positions.size):
            raise InvalidData(
                f"rows are taken by a list of whole numbers, found {positions.dtype} of shape {list(positions.shape)}"
            )
        positions = positions.astype(np.int64)
        outside = positions[(positions < -len(self)) | (positions >= len(self))]
        if len(outside):
            raise IndexError(f"{self.address} has {len(self):,} rows; there is no row {outside[0]}")
        return np.where(positions < 0, positions + len(self), positions)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> pa.Table: ...
    def __getitem__(self, place: int | slice) -> Row | pa.Table:
        if isinstance(place, slice):
            return self.take(np.arange(*place.indices(len(self)), dtype=np.int64))
        return self._at(place)

    def _at(self, place: int) -> Row:
        found = self.take([place], [ROW, *self.schema.names])
        values = found.drop([ROW])
        return Row(self.address, found.column(0)[0].as_py(), row_values(values), values)

    def row(self, id: str) -> Row:
        """Return the row of that id.

        Raises:
            NotFound: there is no such row in this version.
        """
        start = 0
        for batch in self.blocks([ROW]):
            place = pc.index(batch.column(0), pa.scalar(str(id), pa.string())).as_py()
            if place >= 0:
                return self._at(start + place)
            start += batch.num_rows
        raise NotFound(f"{self.address} has no row {shorten(str(id))}; its first is {shorten(self._at(0).id)}")

    def __iter__(self) -> Iterator[Row]:
        return (self._at(place) for place in range(len(self)))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Offer the rows to anything that reads Arrow: Polars, pandas, DuckDB, ``lw.dataset``."""
        reader = pa.RecordBatchReader.from_batches(self.schema, self.blocks())
        return reader.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return as_text(self.manifest)

    def _repr_html_(self) -> str:
        return as_html(self.manifest)


def open_dataset(store: Store, name: str, reference: str | None = None) -> Dataset:
    """Open one version of a dataset.

    Args:
        store: where it is kept.
        name: the dataset's name, or its address: ``digits-data@2``.
        reference: a number, an alias, or the first digits of a digest; the newest where not given.

    Raises:
        NotFound: there is no such dataset or version.
        Damaged, InvalidFile: its manifest is not what it should be.
    """
    address = parse_address(name)
    if reference is None:
        reference = address.version
    entry = store.catalog.find("dataset", address.model, None if reference is None else str(reference))
    what = f"the manifest of {entry.name}@{entry.number}"
    manifest = read_manifest(store.objects.get(entry.digest, what), what)
    if (manifest.dataset, manifest.number) != (entry.name, entry.number):
        raise Damaged(f"the manifest of {entry.name}@{entry.number} is of {manifest.dataset}@{manifest.number}")
    return Dataset(store, manifest, entry.digest)
