"""What a dataset can be made of, found out from the object itself; no optional package is imported for it.

Each kind of source becomes a ``Source``: a stream of Arrow batches, read once. ``Kept`` turns any stream into
batches of the types we keep, small enough to hold.

>>> as_table({"age": [41, 7], "name": ["Ada", "Bo"]}).schema.names
['age', 'name']
>>> as_table({"age": 41, "name": "Ada"}).num_rows
1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.data import arrays, files, frames, records
from layerwise.data.columns import keep, kept_schema
from layerwise.data.fitting import Types, fitted
from layerwise.data.source import Source
from layerwise.errors import InvalidData
from layerwise.words import shorten

PIECE_BYTES = 1 << 20
"""Rows are worked on in pieces of about this many bytes, …"""

PIECE_ROWS = 1 << 16
"""… and of at most this many rows."""

_TAKEN = (
    "a pandas or Polars frame, an Arrow table, a dict of arrays, a list of rows, a Hugging Face dataset, "
    "a .csv, .parquet, .jsonl or .npz file, or a folder of images"
)


def open_source(source: Any, known: Types | None = None) -> Source:
    """Return ``source`` as a stream of Arrow batches, or raise InvalidData with what can be given instead.

    ``known`` holds types of columns that are known before, for sources that do not say them themselves.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, str | Path):
        return files.open_path(Path(source), known)
    if isinstance(source, Mapping) and not hasattr(source, "__arrow_c_stream__"):
        return _open_mapping(source)
    if isinstance(source, list | tuple) and source and all(hasattr(row, "__arrow_c_stream__") for row in source):
        return frames.open_several(source)
    if isinstance(source, list | tuple):
        return records.open_rows(source, "the list of rows")
    opened = frames.open_frame(source)
    if opened is None:
        raise InvalidData(f"{_name(source)} is not a table; give {_TAKEN}")
    return opened


def _open_mapping(source: Mapping[Any, Any]) -> Source:
    if frames.is_hugging_face(source):
        return frames.open_splits(source)
    if any(_is_one_value(value) for value in source.values()):
        return records.open_rows([source], "the row")
    return arrays.open_arrays(source, "the dict of arrays")


def _is_one_value(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0
    return value is None or isinstance(value, str | bytes) or not hasattr(value, "__len__")


def _name(source: Any) -> str:
    if isinstance(source, np.ndarray):
        return 'an array without a name (write {"name": array})'
    return shorten(f"{type(source).__module__}.{type(source).__qualname__}")


class Kept:
    """A source as it is kept: its schema, and its rows in pieces of at most about 1 MiB.

    Raises:
        InvalidData: no rows, no columns, or a column that cannot be kept.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        with _named(source):
            self._first, self._rest = _first_rows(source)
            self.schema = kept_schema(self._first)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the source wants said about itself once it is read, e.g. how many files it left out."""
        return tuple(self._source.notes)

    def pieces(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in order. Can be called once."""
        found = self._first.schema
        with _named(self._source):
            yield from self._kept(self._first)
            del self._first
            for batch in self._rest:
                if not batch.schema.equals(found):
                    raise InvalidData(
                        f"{self._source.what} changes its columns on the way; every row needs the same ones"
                    )
                yield from self._kept(batch)

    def _kept(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        if batch.num_rows == 0:
            return
        step = min(PIECE_ROWS, max(1, PIECE_BYTES * batch.num_rows // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, step):
            piece = batch.slice(start, step)
            columns = zip(piece.columns, self.schema, strict=True)
            yield pa.RecordBatch.from_arrays(
                [keep(column, field.type, field.name) for column, field in columns], schema=self.schema
            )


@contextmanager
def _named(source: Source) -> Iterator[None]:
    """Name the source in front of an error that is raised inside and does not."""
    try:
        yield
    except InvalidData as error:
        said = str(error)
        raise InvalidData(said if source.what in said else f"{source.what}: {said}") from None


def _first_rows(source: Source) -> tuple[pa.RecordBatch, Iterator[pa.RecordBatch]]:
    batches = iter(source.batches)
    for batch in batches:
        if batch.num_columns == 0:
            raise InvalidData(f"{source.what} has no columns; give it at least one")
        if batch.num_rows:
            return batch, batches
    raise InvalidData(f"{source.what} has no rows; a dataset needs at least one")


def as_table(source: Any, types: Types | None = None) -> pa.Table:
    """Return rows given in any way as one Arrow table of kept types: for small inputs, as rows to predict.

    Args:
        source: what ``lw.dataset`` takes; also one row as a dict of single values, and rows of a dataset.
        types: the types that the columns had in training; they have the same again, or are refused.

    Raises:
        InvalidData, InvalidFile: as for ``lw.dataset``.
    """
    kept = Kept(open_source(source, types))
    return fitted(pa.Table.from_batches(kept.pieces(), schema=kept.schema), types or {})
