"""Dates, times and durations that Arrow keeps and Python does not reach: kept, counted and shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from layerwise.data.dataset import add
from layerwise.store.store import Store

CASES: dict[str, tuple[pa.Array, str, str]] = {
    "durations": (pa.array([1, None, -2], pa.duration("s")), "-1 day, 23:59:58", "0:00:01"),
    "durations in microseconds": (pa.array([1_000_000, 0], pa.duration("us")), "0:00:00", "0:00:01"),
    "a year that Python has": (pa.array([0, 1], pa.date32()), "1970-01-01", "1970-01-02"),
    "a year that Python has not": (pa.array([0, 3_000_000], pa.date32()), "1970-01-01", "10183-09-21"),
    "times that Python has not": (
        pa.array([0, 10**18], pa.timestamp("us")), "1970-01-01 00:00:00", "33658-09-27T01:46:40.000000",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_times_are_kept_counted_and_shown(case: str, tmp_path: Path) -> None:
    column, low, high = CASES[case]
    with Store.open(tmp_path / "repository") as store:
        added = add(store, "times", pa.table({"when": column})).dataset
        assert (added.statistics["when"].min, added.statistics["when"].max) == (low, high)
        found = [row["when"] for row in added]
        assert len(found) == len(column)
        assert added.table()["when"].combine_chunks().equals(column)


def test_a_time_that_python_has_not_is_numpys(tmp_path: Path) -> None:
    with Store.open(tmp_path / "repository") as store:
        added = add(store, "times", pa.table({"when": pa.array([10**18], pa.timestamp("us"))})).dataset
        assert added[0]["when"] == np.datetime64(10**18, "us")
