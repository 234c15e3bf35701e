"""What the values of a column are like: exact where it says so, the same however rows arrive."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.data import ColumnStatistics, as_table
from layerwise.data.statistics import MAX_DISTINCT, Gathering, show
from layerwise.errors import InvalidFile


def gathered(*arrays: pa.Array) -> ColumnStatistics:
    gathering = Gathering(arrays[0].type)
    for array in arrays:
        gathering.add(array)
    return gathering.result()


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(0, 60))
def test_numbers(values: list[float | None], cut: int) -> None:
    array = pa.array(values, pa.float64())
    found = gathered(array[:cut], array[cut:])
    there = np.array([value for value in values if value is not None])
    assert (found.count, found.missing) == (len(there), len(values) - len(there))
    assert found.distinct == len(set(there.tolist()))
    if len(there):
        assert (found.min, found.max) == (there.min(), there.max())
        assert found.mean is not None
        assert found.spread is not None
        assert math.isclose(found.mean, there.mean(), rel_tol=1e-9, abs_tol=1e-6)
        assert math.isclose(found.spread, there.std(), rel_tol=1e-6, abs_tol=1e-3)


def test_not_a_number_is_missing() -> None:
    found = gathered(pa.array([1.0, math.nan, None, 3.0]))
    assert (found.count, found.missing, found.mean, found.distinct) == (2, 2, 2.0, 2)


def test_large_whole_numbers_stay_exact() -> None:
    assert gathered(pa.array([2**63 - 1, -(2**63)])).max == 2**63 - 1


def test_text() -> None:
    found = gathered(pa.array(["ham", "spam", "ham", None]), pa.array(["ham", "a long text " * 20]))
    assert (found.top[:2], found.length, found.distinct) == ((("ham", 3), ("spam", 1)), (3, 240), 3)
    assert found.examples[:2] == ("ham", "spam")


def test_many_different_values() -> None:
    exact = gathered(pa.array([str(value) for value in range(MAX_DISTINCT)]))
    assert (exact.distinct, exact.distinct_exact) == (MAX_DISTINCT, True)
    more = gathered(pa.array([str(value) for value in range(MAX_DISTINCT + 1)]), pa.array(["x"]))
    assert (more.distinct, more.distinct_exact, more.top) == (MAX_DISTINCT, False, ())


def test_days_true_and_false_bytes_and_lists() -> None:
    days = gathered(pa.array([date(2021, 5, 1), date(2020, 1, 1)]), pa.array([date(2022, 1, 1)]))
    assert (days.min, days.max) == ("2020-01-01", "2022-01-01")
    assert gathered(pa.array([True, True, False])).top == (("True", 2), ("False", 1))
    sizes = gathered(pa.array([b"abc", b""]))
    assert (sizes.length, sizes.distinct, sizes.examples) == ((0, 3), None, ("3 bytes", "0 bytes"))
    assert gathered(pa.array([[1, 2], [], None])).length == (0, 2)


def test_tensors() -> None:
    array = as_table({"image": np.arange(8, dtype=np.uint8).reshape(2, 2, 2)})["image"].chunk(0)
    found = gathered(array)
    assert (found.count, found.shape, found.min, found.max, found.mean) == (2, (2, 2), 0, 7, 3.5)


EVERY: list[pa.Array] = [
    pa.array([1, None, 3]),
    pa.array([1.5, math.inf, -math.inf]),
    pa.array([1e308, -1e308, 1e308]),
    pa.array([None, None], pa.float32()),
    pa.array(["a", None]),
    pa.array([True]),
    pa.array([b"x"]),
    pa.array([date(2020, 1, 1)]),
    pa.array([["a"]]),
    as_table({"image": np.zeros((2, 2, 2), np.float16)})["image"].chunk(0),
]


@pytest.mark.parametrize("array", EVERY, ids=[str(array.type) for array in EVERY])
def test_they_go_to_json_and_back(array: pa.Array) -> None:
    from layerwise.canonical import decode, encode

    found = gathered(array)
    assert ColumnStatistics.from_json(decode(encode(found.to_json()), "statistics"), "statistics") == found


GOOD = {"type": "int64", "count": 1, "missing": 0}


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"type": "int64"},
        {**GOOD, "count": "1"},
        {**GOOD, "type": 1},
        {**GOOD, "x": 3},
        {**GOOD, "min": {}},
    ],
)
def test_other_json_is_refused(value: Any) -> None:
    with pytest.raises(InvalidFile, match="the manifest"):
        ColumnStatistics.from_json(value, "the manifest")


def test_values_are_shown_on_one_short_line() -> None:
    assert show("a\nb\x1b[31m") == "a b�[31m"
    assert len(show("x" * 1000)) == 60
    assert show(b"abc") == "3 bytes"
