"""From pieces of rows, as they stream in, to named blocks of rows, as they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from layerwise.data.ids import ContentIds, KeyIds
from layerwise.data.rows import leading, row_digests_and_sizes
from layerwise.store.cuts import Cutter
from layerwise.store.tables import ROW

_ID_BYTES = 40
"""What a row's id adds to a block, roughly; fixed, so that a row weighs the same with and without a key."""


def cut(pieces: Iterable[pa.RecordBatch], ids: ContentIds | KeyIds) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``pieces`` as blocks that end where the content says, row ids in front."""
    cutter = Cutter()
    pending: list[pa.RecordBatch] = []
    for piece in pieces:
        digests, sizes = row_digests_and_sizes(piece)
        named = _with_ids(piece, ids.name(piece, digests))
        start = 0
        for end in cutter.feed(leading(digests), sizes + _ID_BYTES):
            yield _joined([*pending, named.slice(start, end - start)])
            pending, start = [], end
        if start < named.num_rows:
            pending.append(named.slice(start))
    if pending:
        yield _joined(pending)


def _with_ids(piece: pa.RecordBatch, names: pa.Array) -> pa.RecordBatch:
    schema = pa.schema([pa.field(ROW, pa.string()), *piece.schema])
    return pa.RecordBatch.from_arrays([names, *piece.columns], schema=schema)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
