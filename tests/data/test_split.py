"""Splits: by row, by group, by time, by column; stable when rows are added."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerwise.data import Split, add, split_rows
from layerwise.data.reading import Dataset
from layerwise.errors import InvalidConfig
from layerwise.store.store import Store
from tests.data.tables import ids

same_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)


GOLDEN_TEST = [3, 7, 30]


def parts(split: Split, dataset: Dataset) -> dict[str, str]:
    """The part of each row, by row id; every row is in exactly one."""
    names = ids(dataset)
    found = {names[place]: part for part, places in split_rows(split, dataset).items() for place in places.tolist()}
    assert sum(map(len, split_rows(split, dataset).values())) == len(found) == len(dataset)
    return found


def numbers(rows: int) -> dict[str, Any]:
    return {"id": np.arange(rows), "x": np.arange(rows) * 0.5}


@given(rows=st.integers(20, 300), more=st.integers(1, 300), seed=st.integers(0, 2**63 - 1), keyed=st.booleans())
@same_store
def test_a_row_never_moves_when_rows_are_added(store: Store, rows: int, more: int, seed: int, keyed: bool) -> None:
    split, key = Split(seed=seed, train=0.6, validation=0.2, test=0.2), "id" if keyed else None
    before = parts(split, add(store, "numbers", numbers(rows), key=key).dataset)
    turned = {name: values[::-1] for name, values in numbers(rows + more).items()}
    after = parts(split, add(store, "numbers", turned, key=key).dataset)
    assert {name: after[name] for name in before} == before


def test_shares_are_about_right_and_the_seed_matters(store: Store) -> None:
    dataset = add(store, "numbers", numbers(20_000)).dataset
    found = split_rows(Split(train=0.7, validation=0.1, test=0.2), dataset)
    for part, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        assert abs(len(found[part]) / len(dataset) - share) < 0.02
        assert (np.diff(found[part]) > 0).all()
    other = split_rows(Split(train=0.7, validation=0.1, test=0.2, seed=1), dataset)
    assert not np.array_equal(found["test"], other["test"])


def test_the_split_of_today_is_the_split_of_ever(store: Store) -> None:
    found = split_rows(Split(seed=7), add(store, "numbers", numbers(40), key="id").dataset)
    assert found["test"].tolist() == GOLDEN_TEST


@pytest.mark.parametrize("shares", [(1.0, 0.0, 0.0), (0.9, 0.1, 0.0), (0.9, 0.0, 0.1), (0.7, 0.3, 0)])
@pytest.mark.parametrize("by", ["row", "time"])
def test_a_share_of_nothing_is_empty(store: Store, by: Any, shares: tuple[float, float, float]) -> None:
    dataset = add(store, "numbers", numbers(3000)).dataset
    column = None if by == "row" else "id"
    found = split_rows(Split(by, *shares, column=column), dataset)
    assert [bool(len(rows)) for rows in found.values()] == [share > 0 for share in shares]


def test_equal_rows_stay_together(store: Store) -> None:
    values = np.arange(3000) % 100
    found = split_rows(Split(), add(store, "repeats", {"x": values}).dataset)
    sets = [set(values[rows].tolist()) for rows in found.values()]
    assert sum(map(len, sets)) == 100


def test_by_group(store: Store) -> None:
    patients = np.arange(5000) // 5
    dataset = add(store, "scans", {"patient": patients, "x": np.arange(5000)}).dataset
    found = split_rows(Split(by="group", column="patient"), dataset)
    sets = [set(patients[rows].tolist()) for rows in found.values()]
    assert sum(map(len, sets)) == 1000
    assert 0.75 < len(found["train"]) / 5000 < 0.85


def test_by_time(store: Store) -> None:
    days = np.random.default_rng(0).integers(0, 100, 1000)
    at = [date(2020, 1, 1) + timedelta(days=int(day)) for day in days]
    dataset = add(store, "sales", {"at": at, "x": np.arange(1000)}).dataset
    found = split_rows(Split(by="time", column="at", train=0.8, validation=0.1, test=0.1), dataset)
    latest = [days[rows].max() for rows in found.values()]
    earliest = [days[rows].min() for rows in found.values()]
    assert latest[0] < earliest[1] <= latest[1] < earliest[2]
    assert abs(len(found["train"]) - 800) < 30


def test_by_column_that_says_it(store: Store) -> None:
    dataset = add(store, "scans", {"x": np.arange(4), "split": ["train", "VAL", "test", "validation"]}).dataset
    found = split_rows(Split(by="column", column="split"), dataset)
    assert {part: rows.tolist() for part, rows in found.items()} == {
        "train": [0],
        "validation": [1, 3],
        "test": [2],
    }


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("year", {"train": [2019, 2020], "val": [2021], "test": [2022]}),
        ("late", {"train": [False], "test": [True]}),
    ],
)
def test_by_column_through_values(store: Store, column: str, values: dict[str, Any]) -> None:
    rows = {"year": [2019, 2020, 2021, 2022], "late": [False, False, False, True]}
    found = split_rows(Split(by="column", column=column, values=values), add(store, "sales", rows).dataset)
    assert found["test"].tolist() == [3]
    assert 0 in found["train"]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown way": ({"by": "rows"}, r"'rows' is not known. Did you mean 'row'"),
    "unknown field": ({"shares": [1]}, "'shares' is not a field of a split"),
    "near field": ({"colum": "x"}, "Did you mean 'column'"),
    "shares": ({"train": 0.5}, "must add up to 1"),
    "no train": ({"train": 0, "test": 0.9}, "with some for train"),
    "share of text": ({"train": "0.8"}, "the share of train must be a number"),
    "share of nan": ({"train": float("nan")}, "the share of train must be a number"),
    "true share": ({"train": True, "validation": 0, "test": 0}, "the share of train"),
    "no column": ({"by": "time"}, "split by time needs the name of a column"),
    "column of row": ({"column": "x"}, "split by row takes no column"),
    "seed": ({"seed": -1}, "the seed of a split"),
    "seed of text": ({"seed": "7"}, "the seed of a split"),
    "values of row": ({"values": {"train": [1]}}, "values belong to a split by column"),
    "values of no part": ({"by": "column", "column": "x", "values": {"tran": [1]}}, "Did you mean 'train'"),
    "values of text": ({"by": "column", "column": "x", "values": {"train": "ab"}}, "must be a list"),
    "values twice": (
        {"by": "column", "column": "x", "values": {"train": [1], "test": [1]}},
        "given to two parts",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_settings_that_are_none(case: str) -> None:
    value, says = BAD[case]
    with pytest.raises(InvalidConfig, match=says):
        Split.from_json(value)


def test_a_split_that_is_no_object() -> None:
    with pytest.raises(InvalidConfig, match=r"a split is a mapping.*found \[\]"):
        Split.from_json([])


@pytest.mark.parametrize(
    "split",
    [
        Split(),
        Split(by="group", column="x", seed=3),
        Split(by="column", column="x", values={"train": (1,), "val": (2,)}),
    ],
)
def test_to_json_and_back(split: Split) -> None:
    assert Split.from_json(split.to_json()) == split


@pytest.mark.parametrize(
    ("split", "says"),
    [
        (Split(by="group", column="patent"), "has no column 'patent' to split by. Did you mean 'patient'"),
        (Split(by="group", column="patient"), "'patient' is missing in 1 rows"),
        (Split(by="time", column="patient"), "'patient' is missing in 1 rows"),
        (Split(by="time", column="image"), "has no order in time"),
        (Split(by="group", column="image"), "cannot be split by 'image'"),
        (Split(by="column", column="part"), "has the value 'other', which belongs to no part"),
        (Split(by="column", column="part", values={"test": ("train", "other")}), "leaves no row"),
    ],
)
def test_columns_of_no_use(store: Store, split: Split, says: str) -> None:
    rows = {"patient": ["a", None], "image": np.zeros((2, 2, 2)), "part": ["train", "other"]}
    with pytest.raises(InvalidConfig, match=says):
        split_rows(split, add(store, "scans", rows).dataset)
