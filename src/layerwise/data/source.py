"""A stream of rows on its way in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Source:
    """Rows as Arrow batches of one schema, read once.

    ``what`` names the source in messages; ``notes`` fills while it is read with what should be said about it.
    """

    what: str
    batches: Iterable[pa.RecordBatch]
    notes: list[str] = field(default_factory=list)
