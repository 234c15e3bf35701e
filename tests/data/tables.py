"""Random tables for Hypothesis, and small helpers that several tests of datasets share."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from layerwise.data import Dataset
from layerwise.store.store import Store
from layerwise.words import Digest

_FIRST, _LAST = datetime.datetime.fromisoformat("1900-01-01"), datetime.datetime.fromisoformat("2100-01-01")
_floats = st.floats(allow_nan=False, width=64)
_days = st.dates(_FIRST.date(), _LAST.date())
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint16(): st.integers(0, 2**16 - 1),
    pa.float32(): st.floats(allow_nan=False, width=32),
    pa.float64(): _floats,
    pa.string(): _texts,
    pa.binary(): st.binary(max_size=12),
    pa.date32(): _days,
    pa.timestamp("us"): st.datetimes(_FIRST, _LAST),
    pa.list_(pa.int64()): st.lists(st.integers(-1000, 1000), max_size=4),
    pa.list_(pa.string()): st.lists(_texts, max_size=3),
}
"""Each kind of column with the values that it can hold."""


@st.composite
def tables(draw: st.DrawFn, max_rows: int = 30) -> pa.Table:
    """Tables of 1 to 5 columns of any kept type, some values missing."""
    types = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=5))
    rows = draw(st.integers(1, max_rows))
    columns = {
        f"c{place}": pa.array(draw(st.lists(st.none() | VALUES[found], min_size=rows, max_size=rows)), found)
        for place, found in enumerate(types)
    }
    return pa.table(columns)


def ids(dataset: Dataset) -> list[str]:
    """The row ids of a dataset, in order."""
    found: list[str] = dataset.ids.to_pylist()
    return found


def watch_reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests of the objects that are read from now on; the list fills as they are."""
    read: list[str] = []
    get = store.objects.get

    def watched(objects: object, digest: Digest, what: str = "") -> memoryview:
        read.append(digest)
        return get(digest)

    monkeypatch.setattr(type(store.objects), "get", watched)
    return read
