"""The nearest rows are exactly those that float64 gives over all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from layerwise.errors import InvalidData
from layerwise.records.nearby import neighbours
from layerwise.records.reading import Records
from layerwise.records.writing import RecordWriter
from layerwise.store.store import Store
from tests.records.making import ABOUT, VERSION, keep, raw


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A repository for many examples."""
    with Store.open(tmp_path_factory.mktemp("shared") / "r") as opened:
        yield opened


def exact(values: Any, query: Any, k: int) -> tuple[list[int], Any]:
    """Return slots and distances by float64, over all rows; a row with a NaN has none."""
    with np.errstate(invalid="ignore"):
        squares = np.square(values.astype(np.float64) - query.astype(np.float64)).reshape(len(values), -1).sum(1)
    there = [slot for slot in range(len(values)) if not np.isnan(squares[slot])]
    slots = sorted(there, key=lambda slot: (squares[slot], slot))[:k]
    return slots, np.sqrt(squares[slots])


def hold(store: Store, values: Any, query: Any, k: int) -> None:
    """Hold that the answer is the exact one."""
    with RecordWriter(store, ABOUT, rows=len(values)) as writer:
        writer.add("edges", raw(values))
    found = neighbours(store, Records(store, VERSION).find("edges")[0]).nearest(query, k)
    slots, distances = exact(values, query, k)
    assert found.slots.tolist() == slots
    assert np.array_equal(found.values, distances)


NUMBERS = st.floats(-100, 100, width=16) | st.sampled_from([0.0, 1.0])
ROWS = st.tuples(st.integers(1, 200), st.just(3))


@settings(max_examples=50)
@given(
    values=hnp.arrays(np.float32, ROWS, elements=NUMBERS)
    | hnp.arrays(np.float16, ROWS, elements=NUMBERS)
    | hnp.arrays(np.float64, ROWS, elements=NUMBERS)
    | hnp.arrays(np.int32, ROWS, elements=st.integers(-9, 9)),
    query=hnp.arrays(np.float32, 3, elements=NUMBERS),
    k=st.integers(1, 20),
)
def test_it_is_what_float64_gives_over_all_rows(shared: Store, values: Any, query: Any, k: int) -> None:
    hold(shared, values, query, k)


@pytest.mark.parametrize("scale", [1e-42, 1e-21, 1e-3, 1e18, 1e19, 3e38])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_rows_of_any_size_are_told_apart(shared: Store, scale: float, shift: float) -> None:
    draw = np.random.default_rng(0)
    values = ((draw.standard_normal((2_000, 8)) * 1e-3 + shift) * (scale / 2)).astype(np.float32)
    hold(shared, values, values[70], 10)
    hold(shared, values, np.zeros(8, np.float32), 10)


def test_rows_that_are_close_together_far_from_zero_are_told_apart(shared: Store) -> None:
    values = (1e4 + np.random.default_rng(0).standard_normal((5_000, 16)) * 1e-2).astype(np.float32)
    hold(shared, values, values[123], 10)


def test_a_row_with_nan_is_no_neighbour_and_one_with_infinity_is_the_last(shared: Store) -> None:
    values = np.random.default_rng(0).standard_normal((200, 4)).astype(np.float32)
    values[3, 0], values[5, 1] = np.nan, np.inf
    hold(shared, values, np.zeros(4, np.float32), 200)
    hold(shared, values, np.zeros(4, np.float32), 5)


def test_equal_rows_come_by_slot(shared: Store) -> None:
    hold(shared, np.ones((500, 4), np.float32), np.zeros(4, np.float32), 7)


def test_steps_behind_a_rows_end_count_as_zeros(shared: Store) -> None:
    draw = np.random.default_rng(0)
    values, lengths = draw.standard_normal((300, 5, 2)).astype(np.float32), draw.integers(1, 6, 300)
    ended = np.where(np.arange(5)[:, None] < lengths[:, None, None], values, np.float32(0))
    with RecordWriter(shared, ABOUT, rows=300) as writer:
        writer.add("padded", raw(values, lengths))
    found = neighbours(shared, Records(shared, VERSION).find("padded")[0]).nearest(ended[9], 10)
    assert found.slots.tolist() == exact(ended, ended[9], 10)[0]


def test_the_squares_are_kept_with_the_record_and_small(shared: Store) -> None:
    values = np.random.default_rng(0).standard_normal((5_000, 32)).astype(np.float32)
    keep(shared, {"large": values})
    neighbours(shared, Records(shared, VERSION).find("large")[0])
    (row,) = [row for row in shared.catalog.recordings.every() if row.part.endswith(":large")]
    assert (row.part, row.bytes) == ("squares.v1:output:large", 4 * 5_000)


@pytest.mark.parametrize(
    ("query", "k", "said"),
    [
        (np.zeros(3), 10, r"the point is \[3\], and the rows of .* are \[4\]"),
        (np.array([0, np.nan, 0, 0]), 10, "not finite"),
        (np.zeros(4), 0, "0 rows were asked for"),
    ],
)
def test_a_point_that_is_none_says_why(shared: Store, query: Any, k: int, said: str) -> None:
    keep(shared, {"four": np.zeros((64, 4), np.float32)})
    with pytest.raises(InvalidData, match=said):
        neighbours(shared, Records(shared, VERSION).find("four")[0]).nearest(query, k)
