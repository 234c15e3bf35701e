"""Rows given later have the types that the dataset had, or are refused: training and serving read alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from layerwise.data.sources import as_table
from layerwise.errors import Invalid

TYPES = {"zip": pa.string(), "age": pa.float64(), "open": pa.bool_(), "count": pa.int64()}


def test_text_that_looks_like_numbers_stays_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("zip,age,open,other\n01,7,true,1\n02,8,false,2\n", encoding="utf-8")
    table = as_table(file, TYPES)
    assert table["zip"].to_pylist() == ["01", "02"]
    assert table.schema.types == [pa.string(), pa.float64(), pa.bool_(), pa.int64()]
    assert as_table(file)["zip"].to_pylist() == [1, 2]


@pytest.mark.parametrize(
    ("rows", "column", "values"),
    [
        ({"age": [7, 8]}, "age", [7.0, 8.0]),
        ({"count": [7.0, 8.0]}, "count", [7, 8]),
        ({"zip": [None, None]}, "zip", [None, None]),
        ({"zip": "01"}, "zip", ["01"]),
        ({"other": [1, 2]}, "other", [1, 2]),
    ],
)
def test_numbers_become_other_numbers_where_none_changes(rows: dict[str, Any], column: str, values: list[Any]) -> None:
    assert as_table(rows, TYPES)[column].to_pylist() == values


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"zip": [1, 2]}, "'zip' is int64 and was string"),
        ({"age": ["old"]}, "'age' is string and was float64"),
        ({"count": [1.5]}, "'count' is float64 and was int64"),
        ({"open": ["yes"]}, "'open' is string and was bool"),
    ],
)
def test_other_types_are_refused_by_name(rows: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        as_table(rows, TYPES)


def test_a_file_with_other_values_than_the_training_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("age\n7\nold\n", encoding="utf-8")
    with pytest.raises(Invalid, match=r"rows\.csv: the column 'age' holds 'old' and was double"):
        as_table(file, TYPES)
