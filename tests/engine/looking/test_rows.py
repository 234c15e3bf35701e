"""Which rows are meant, however they are named; and what is said of those that are not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from layerwise.data.dataset import Dataset
from layerwise.engine.looking.rows import Chosen, Source, choose
from layerwise.engine.version import Version
from layerwise.errors import InvalidData, NotFound
from layerwise.repo import Repository
from tests.engine.looking.conftest import ROWS
from tests.support.flowers import flowers


@pytest.fixture
def chosen(data: Dataset, trained: Version) -> Callable[[Any], Chosen]:
    source = Source(data)
    return lambda rows: choose(rows, lambda: source, trained.types)


MEANT: list[tuple[str, Any, list[int], bool]] = [
    ("a position", 3, [3], True),
    ("a position of NumPy", np.int32(3), [3], True),
    ("from the end", -1, [ROWS - 1], True),
    ("a slice", slice(2, 8, 3), [2, 5], False),
    ("a list", [5, 2, 5, -1], [5, 2, 5, ROWS - 1], False),
    ("a tuple", (1,), [1], False),
    ("a range", range(4, 6), [4, 5], False),
    ("an array", np.array([7, 1]), [7, 1], False),
    ("a tensor", torch.tensor([7, -2]), [7, ROWS - 2], False),
    ("an Arrow array", pa.array([0, 9]), [0, 9], False),
    ("a mask", np.arange(ROWS) == 4, [4], False),
    ("a mask of torch", torch.arange(ROWS) % 50 == 1, [1, 51, 101], False),
]


@pytest.mark.parametrize(("rows", "positions", "one"), [case[1:] for case in MEANT], ids=[case[0] for case in MEANT])
def test_rows_are_named_by_position(chosen: Any, rows: Any, positions: list[int], one: bool) -> None:
    found = chosen(rows)
    assert found.positions.tolist() == positions
    assert found.one is one
    assert len(found) == len(positions)


def test_rows_are_named_by_id_and_by_themselves(chosen: Any, data: Dataset) -> None:
    ids = data.ids.to_pylist()
    assert chosen(ids[7]).positions.tolist() == [7]
    assert chosen(ids[7]).one
    assert chosen([ids[7], ids[2], ids[7]]).positions.tolist() == [7, 2, 7]
    assert chosen(np.array(ids[:3])).positions.tolist() == [0, 1, 2]
    assert chosen(data[9]).positions.tolist() == [9]
    assert chosen(data[9]).one
    assert chosen([data[9], data[1]]).positions.tolist() == [9, 1]
    assert chosen(data).positions.tolist() == list(range(ROWS))
    assert chosen([3, 1]).ids == [ids[3], ids[1]]
    assert chosen(slice(None)).ids == ids


def test_rows_from_elsewhere_are_taken_as_they_are(chosen: Any, data: Dataset) -> None:
    table = flowers(4, seed=9)
    for form in (table, table.to_pandas(), table.to_pylist(), table.to_pydict()):
        found = chosen(form)
        assert found.positions is None
        assert found.ids == ["row 0", "row 1", "row 2", "row 3"]
        assert not found.one
        assert found.read(["width"], {}).equals(table.select(["width"]))
    assert chosen(table.to_pylist()[2]).one
    assert not chosen(table.slice(2, 1)).one
    assert chosen(data[2]._table).positions is None


def test_a_row_of_another_version_of_the_data_counts_as_it_is_given(chosen: Any, repo: Repository) -> None:
    other = repo.add_dataset("more-flowers", flowers(20, seed=4)).dataset
    found = chosen(other[3])
    assert found.positions is None
    assert found.read(["length"], {}).column(0)[0].as_py() == other[3]["length"]
    assert chosen(other).positions is None


def test_rows_keep_their_order_and_come_twice_where_asked_twice(chosen: Any, data: Dataset) -> None:
    order = [90, 3, 3, 149, 0]
    read = chosen(order).read(["length"], {})
    assert read.column(0).to_pylist() == [data[at]["length"] for at in order]
    assert chosen(order).at(np.array([4, 0])).positions.tolist() == [0, 90]
    assert chosen(order).part(1, 3).positions.tolist() == [3, 3]


WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("a position behind the last", ROWS, NotFound, r"rows 0 to 149; there is no row 150"),
    ("a position before the first", -ROWS - 1, NotFound, "there is no row -151"),
    ("one of several", [1, 999], NotFound, "no row 999"),
    ("an id that is not there", "nobody", NotFound, r"no row 'nobody'.*by position there are 0 to 149"),
    ("an id of several", ["nobody", "no-one"], NotFound, "no row 'nobody'"),
    ("an escape for an id", "\x1b[31mred", NotFound, r"no row '\\x1b\[31mred'"),
    ("a truth value", True, InvalidData, "no row; give a position"),
    ("nothing", [], InvalidData, "no rows"),
    ("an empty slice", slice(5, 5), InvalidData, "no rows"),
    ("a mask of another length", [True, False], InvalidData, r"has 150 rows, found 2"),
    ("a mask of no rows", np.zeros(ROWS, bool), InvalidData, "no rows"),
    ("positions and ids", [1, "a"], InvalidData, "mixes int and str"),
    ("two dimensions", np.zeros((2, 2), int), InvalidData, r"shape \[2, 2\]"),
    ("fractions", np.array([0.5]), InvalidData, "float64"),
    ("no table", object(), InvalidData, "not a table"),
    ("a column of another type", {"length": "tall"}, InvalidData, "'length' is string and was float64"),
]


@pytest.mark.parametrize(("rows", "error", "says"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_rows_that_are_not_there_are_named(chosen: Any, rows: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        chosen(rows)


def test_a_column_that_is_missing_is_named_with_the_type_it_should_have(version: Version) -> None:
    with pytest.raises(InvalidData, match="no column 'colour', of type string"):
        version.layer("row").record({"length": 1.0, "width": 2.0})
