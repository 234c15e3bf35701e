"""Which rows are meant: by position, id, slice or mask in a dataset, or rows from elsewhere, given as they are.

>>> said_positions([3, -1], 10, "digits-data@1").tolist()
[3, 9]
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from layerwise.data.dataset import Dataset, Row, as_table
from layerwise.errors import InvalidData, NotFound, nearest
from layerwise.store.tables import ROW
from layerwise.words import shorten

Positions: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

BLOCKS = 256
"""Decoded blocks of a dataset that are held: each is a map of the file, not a copy."""


ALIKE = 5_000
"""Rows among whose keys the nearest to a wrong one is looked for: a hundred thousand take a second."""


@dataclass(frozen=True)
class Chosen:
    """The rows that are meant.

    Attributes:
        one: whether one row was asked for, rather than a list of one.
        positions: where they are in the dataset, [rows]; None for rows from elsewhere.
        table: rows from elsewhere, as they were given.
        source: the dataset that positions and ids are of; None where a version names none.
    """

    one: bool
    positions: Positions | None = None
    table: pa.Table | None = None
    source: Source | None = None

    def __len__(self) -> int:
        if self.positions is not None:
            return len(self.positions)
        return self.table.num_rows if self.table is not None else 0

    @property
    def ids(self) -> list[str]:
        """The rows' ids; of rows from elsewhere their keys where there is one, else ``row 0``, ``row 1``, …."""
        if self.positions is not None:
            assert self.source is not None
            return self.source.ids_at(self.positions)
        assert self.table is not None
        key = self.source.dataset.key if self.source is not None else None
        if key is not None and key in self.table.schema.names:
            return [str(value) for value in self.table.column(key).to_pylist()]
        return [f"row {place}" for place in range(self.table.num_rows)]

    def read(self, columns: Sequence[str], types: Mapping[str, pa.DataType]) -> pa.Table:
        """Return these columns of the rows.

        Raises:
            InvalidData: rows from elsewhere that lack a column, naming it and the type that was expected.
        """
        if self.positions is not None:
            assert self.source is not None
            return self.source.read(self.positions, tuple(columns))
        assert self.table is not None
        for name in columns:
            if name not in self.table.schema.names:
                expected = f", of type {types[name]}" if name in types else ""
                raise InvalidData(
                    f"the rows have no column {name!r}{expected}.{nearest(name, self.table.schema.names)}"
                )
        return self.table.select(list(columns))

    def part(self, start: int, stop: int) -> Chosen:
        """Return the rows from ``start`` to before ``stop``."""
        positions = None if self.positions is None else self.positions[start:stop]
        table = None if self.table is None else self.table.slice(start, stop - start)
        return Chosen(False, positions, table, self.source)

    def at(self, places: Positions) -> Chosen:
        """Return some of the rows, by their place among these."""
        positions = None if self.positions is None else self.positions[places]
        table = None if self.table is None else self.table.take(pa.array(places))
        return Chosen(False, positions, table, self.source)


class Source:
    """A dataset that is asked for single rows again and again: its blocks stay decoded, its ids found."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.starts = np.cumsum([0, *(block.rows for block in dataset.manifest.blocks)], dtype=np.int64)
        self._block = functools.lru_cache(maxsize=BLOCKS)(dataset.block)

    def __len__(self) -> int:
        return len(self.dataset)

    @functools.cached_property
    def ids(self) -> pa.Array:
        """Every row's id, in the order of the rows."""
        found = self.dataset.ids.combine_chunks()
        return found.chunk(0) if isinstance(found, pa.ChunkedArray) else found

    def ids_at(self, positions: Positions) -> list[str]:
        """Return the ids of the rows at positions."""
        if len(positions) <= 64:
            return [str(name) for name in self.read(positions, (ROW,)).column(0).to_pylist()]
        return [str(name) for name in self.ids.take(pa.array(positions)).to_pylist()]

    def find(self, ids: Sequence[str]) -> Positions:
        """Return where the rows of these ids are, or raise NotFound."""
        if len(ids) == 1:
            found = np.array([pc.index(self.ids, pa.scalar(ids[0], pa.string())).as_py()], dtype=np.int64)
        else:
            places = pc.index_in(pa.array(ids, pa.string()), value_set=self.ids)
            found = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        missing = np.flatnonzero(found < 0)
        if len(missing):
            name, first = ids[int(missing[0])], self.ids[0].as_py()
            close = nearest(name, self.ids[:ALIKE].to_pylist()) if self.dataset.key else ""
            raise NotFound(
                f"{self.dataset.address} has no row {shorten(name)}; its first is {shorten(first)}, and by position "
                f"there are 0 to {len(self) - 1:,}.{close if close.startswith(' Did') else ''}"
            )
        return found

    def read(self, positions: Positions, columns: tuple[str, ...]) -> pa.Table:
        """Return these columns of the rows at positions, in their order; only the blocks they are in are read."""
        if len(positions) == 1:
            place = int(np.searchsorted(self.starts, positions[0], side="right")) - 1
            return pa.Table.from_batches([self._block(place, columns).slice(int(positions[0] - self.starts[place]), 1)])
        order = np.argsort(positions, kind="stable")
        ordered = positions[order]
        bounds = np.searchsorted(ordered, self.starts)
        batches = [
            self._block(place, columns).take(pa.array(ordered[bounds[place] : bounds[place + 1]] - self.starts[place]))
            for place in np.flatnonzero(np.diff(bounds)).tolist()
        ]
        found = pa.Table.from_batches(batches).combine_chunks()
        if np.array_equal(order, np.arange(len(order))):
            return found
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return found.take(pa.array(back))


def choose(rows: Any, source: Callable[[], Source], types: Mapping[str, pa.DataType]) -> Chosen:
    """Return the rows that are meant.

    Args:
        rows: a position (negative from the end), an id, a Row, a slice, a list or array of positions or ids, a mask; or
            rows that are given: a dict, a list of dicts, a frame, an Arrow table.
        source: opens the dataset that positions and ids are of, when it is needed.
        types: the types of the columns in training; rows from elsewhere have them too.

    Raises:
        NotFound: a position or id that is not there.
        InvalidData: no rows, or columns of another type.
    """
    if isinstance(rows, bool | np.bool_):
        raise InvalidData(f"{rows} is no row; give a position, an id, or the row itself")
    if isinstance(rows, int | np.integer):
        return Chosen(True, said_positions([int(rows)], len(source()), source().dataset.address), source=source())
    if isinstance(rows, str):
        return Chosen(True, source().find([rows]), source=source())
    if isinstance(rows, Row):
        return _of_row(rows, source, types)
    if isinstance(rows, slice):
        found = np.arange(*rows.indices(len(source())), dtype=np.int64)
        return Chosen(False, _some(found), source=source())
    if isinstance(rows, Dataset):
        return _of_dataset(rows, source, types)
    listed = _listed(rows)
    if listed is not None:
        return _of_list(listed, source, types)
    return _elsewhere(rows, source, types)


def _of_row(row: Row, source: Callable[[], Source], types: Mapping[str, pa.DataType]) -> Chosen:
    known = _known(source)
    if known is not None and row.dataset == known.dataset.address:
        return Chosen(True, known.find([row.id]), source=known)
    # Of another version of the data: a row of that id may have been changed since, so it counts as it is given.
    return Chosen(True, table=as_table(row, types), source=known)


def _of_dataset(rows: Dataset, source: Callable[[], Source], types: Mapping[str, pa.DataType]) -> Chosen:
    known = _known(source)
    if known is not None and rows.digest == known.dataset.digest:
        return Chosen(False, np.arange(len(known), dtype=np.int64), source=known)
    return Chosen(False, table=as_table(rows, types), source=known)


def _of_list(rows: Sequence[Any] | np.ndarray[Any, Any], source: Callable[[], Source], types: Any) -> Chosen:
    if not len(rows):
        raise InvalidData("there are no rows; give at least one")
    if isinstance(rows, np.ndarray):
        known = source()
        if rows.dtype.kind == "b":
            return Chosen(False, _mask(rows, known), source=known)
        if rows.dtype.kind in "iu":
            return Chosen(False, said_positions(rows, len(known), known.dataset.address), source=known)
        return Chosen(False, known.find([str(name) for name in rows.tolist()]), source=known)
    if all(isinstance(row, Row) for row in rows):
        known = source()
        if all(row.dataset == known.dataset.address for row in rows):
            return Chosen(False, known.find([row.id for row in rows]), source=known)
    return _elsewhere(rows, source, types)


def _listed(rows: Any) -> Sequence[Any] | np.ndarray[Any, Any] | None:
    """Return positions, ids or a mask as an array; a list of rows as it is; None for anything else."""
    if isinstance(rows, torch.Tensor):
        rows = rows.detach().cpu().numpy()
    if isinstance(rows, pa.Array | pa.ChunkedArray):
        rows = rows.to_pylist()
    if isinstance(rows, np.ndarray):
        if rows.ndim != 1:
            raise InvalidData(
                f"rows are named by a list, found an array of shape {list(rows.shape)}; give {{name: array}}"
            )
        if rows.dtype.kind not in "biuUTO":
            raise InvalidData(f"rows are named by whole numbers or ids, found {rows.dtype}; give {{name: array}}")
        return rows
    if not isinstance(rows, list | tuple | range):
        return None
    for kinds in ((int, np.integer), (str, np.str_), (bool, np.bool_)):
        if all(isinstance(row, kinds) and (bool in kinds) == isinstance(row, bool | np.bool_) for row in rows):
            return np.array(list(rows), dtype=object if str in kinds else bool if bool in kinds else np.int64)
    if any(isinstance(row, int | str | np.integer) for row in rows):
        kinds_found = sorted({type(row).__name__ for row in rows})
        raise InvalidData(f"the list of rows mixes {' and '.join(kinds_found)}; give positions, ids, or rows")
    return list(rows)


def _elsewhere(rows: Any, source: Callable[[], Source], types: Mapping[str, pa.DataType]) -> Chosen:
    table = as_table(rows, types)
    one = isinstance(rows, Mapping) and table.num_rows == 1 and any(_is_one(value) for value in rows.values())
    return Chosen(one, table=table, source=_known(source))


def _is_one(value: Any) -> bool:
    return isinstance(value, str | bytes) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0


def _known(source: Callable[[], Source]) -> Source | None:
    try:
        return source()
    except (NotFound, InvalidData):
        return None


def _mask(rows: np.ndarray[Any, Any], source: Source) -> Positions:
    if len(rows) != len(source):
        raise InvalidData(
            f"a mask has one truth value a row: {source.dataset.address} has {len(source):,} rows, found {len(rows):,}"
        )
    return _some(np.flatnonzero(rows).astype(np.int64))


def _some(positions: Positions) -> Positions:
    if not len(positions):
        raise InvalidData("there are no rows; give at least one")
    return positions


def said_positions(rows: Any, count: int, where: str) -> Positions:
    """Return positions counted from 0, negative ones from the end, or raise NotFound with the range."""
    positions = np.asarray(rows, dtype=np.int64)
    outside = positions[(positions < -count) | (positions >= count)]
    if len(outside):
        raise NotFound(f"{where} has the rows 0 to {count - 1:,}; there is no row {int(outside[0]):,}")
    return np.where(positions < 0, positions + count, positions)
