"""Frames and tables of other libraries, by their Arrow interfaces: pandas, Polars, Arrow, Hugging Face."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from layerwise.data.source import Source
from layerwise.errors import InvalidData
from layerwise.words import shorten

_UNNAMED_INDEX = re.compile(r"__index_level_\d+__\Z")

_ROWS_A_BATCH = 1024


def open_frame(source: Any) -> Source | None:
    """Return a frame, table, reader or dataset as a stream, or None where it offers no Arrow interface."""
    what = f"the {type(source).__name__}"
    if is_hugging_face(source):
        return Source(what, _hugging_face(source))
    if isinstance(source, pa.RecordBatch):
        return Source(what, [source])
    if hasattr(source, "__arrow_c_stream__"):
        return Source(what, _streamed(source, what))
    if hasattr(source, "to_batches"):  # a pyarrow.dataset.Dataset: many files, read one batch after another
        return Source(what, source.to_batches())
    if hasattr(source, "__dataframe__"):
        return Source(what, pa.interchange.from_dataframe(source).to_batches())
    if _is_polars(source) and hasattr(source, "collect"):
        raise InvalidData(f"{what} is not computed yet; give .collect() of it")
    return None


def open_several(sources: Sequence[Any]) -> Source:
    """Return several tables, or rows of a dataset, as one stream."""
    what = f"the list of {type(sources[0]).__name__}"
    return Source(what, (batch for source in sources for batch in _streamed(source, what)))


def _streamed(source: Any, what: str) -> Iterator[pa.RecordBatch]:
    if _is_polars(source) and any(str(found) == "Object" for found in getattr(source, "dtypes", ())):
        # Polars hands out the addresses of the objects, as bytes.
        raise InvalidData(f"{what} holds a column of Python objects; give the column one type that is kept")
    try:
        with pa.RecordBatchReader.from_stream(source) as reader:
            # An index without a name is pandas' row numbers, not data.
            names = [name for name in reader.schema.names if not _UNNAMED_INDEX.match(name)]
            for batch in reader:
                yield batch if names == batch.schema.names else batch.select(names)
    except (pa.ArrowException, TypeError, ValueError) as error:
        if isinstance(error, InvalidData):
            raise
        raise InvalidData(
            f"{what} holds a column of mixed types or of a type Arrow does not know: {_told(error)}; "
            "give the column one type"
        ) from None


def _is_polars(source: Any) -> bool:
    return type(source).__module__.startswith("polars.")


def _told(error: Exception) -> str:
    return "; ".join(str(part) for part in error.args)[:300]


def is_hugging_face(source: Any) -> bool:
    """Say whether ``source`` is a dataset of Hugging Face, or a dict of its splits."""
    return any(kind.__module__.startswith("datasets.") for kind in type(source).__mro__)


def _hugging_face(source: Any) -> Iterator[pa.RecordBatch]:
    # iter() follows a selection or shuffle that .data.table would not show.
    for table in source.with_format("arrow").iter(batch_size=_ROWS_A_BATCH):
        yield from _whole(table)


def _whole(table: pa.Table) -> Iterator[pa.RecordBatch]:
    # Chunks of the columns may end in different places, and a schema's metadata names types we do not read.
    yield from table.replace_schema_metadata(None).to_batches()


def open_splits(splits: Mapping[Any, Any]) -> Source:
    """Return a Hugging Face dict of splits as one stream, its splits' names in a column ``split``."""
    for name, part in splits.items():
        if "split" in (part.column_names or ()):
            raise InvalidData(f"the split {shorten(str(name))} has a column 'split' of its own; rename it")

    def batches() -> Iterator[pa.RecordBatch]:
        for name, part in splits.items():
            for batch in _hugging_face(part):
                yield batch.append_column("split", pa.array([str(name)] * batch.num_rows, pa.string()))

    return Source(f"the {type(splits).__name__}", batches())
