"""What changed between two versions, against a reference that compares every row with every other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerwise.data import add, diff, open_dataset
from layerwise.store.store import Store
from tests.data.tables import ids, watch_reads

same_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)

people = st.dictionaries(st.integers(0, 12), st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"])), min_size=1)


def keyed(rows: dict[int, tuple[int, str]]) -> pa.Table:
    ages, names = [row[0] for row in rows.values()], [row[1] for row in rows.values()]
    return pa.table({"id": pa.array(rows, pa.int64()), "age": ages, "name": names})


@given(old=people, new=people)
@same_store
def test_by_key_against_brute_force(
    store: Store, old: dict[int, tuple[int, str]], new: dict[int, tuple[int, str]]
) -> None:
    was = add(store, "people", keyed(old), key="id").dataset
    added = add(store, "people", keyed(new), key="id")
    found = diff(was, added.dataset)
    assert sorted(found.added) == sorted(str(name) for name in new if name not in old)
    assert sorted(found.removed) == sorted(str(name) for name in old if name not in new)
    assert {row.id: row.values for row in found.changed} == {
        str(name): {
            column: (one, other)
            for column, one, other in zip(["age", "name"], old[name], new[name], strict=True)
            if one != other
        }
        for name in old
        if name in new and old[name] != new[name]
    }
    assert found.unchanged == sum(old[name] == new.get(name) for name in old)
    if added:
        assert (added.new_rows, added.removed_rows) == (len(found.added), len(found.removed))
        assert added.changed_rows == len(found.changed)
    assert bool(found) == (was.table().sort_by("id") != added.dataset.table().sort_by("id"))


@given(old=st.lists(st.integers(0, 5), min_size=1), new=st.lists(st.integers(0, 5), min_size=1))
@same_store
def test_by_content_against_brute_force(store: Store, old: list[int], new: list[int]) -> None:
    was, now = (add(store, "numbers", {"x": values}).dataset for values in (old, new))
    found = diff(was, now)
    both = sum(min(old.count(value), new.count(value)) for value in range(6))
    assert (len(found.added), len(found.removed), found.unchanged) == (len(new) - both, len(old) - both, both)
    assert found.changed == []


def test_blocks_in_both_are_never_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0).random((40_000, 10))
    table = {"id": np.arange(40_000), **{f"c{place}": random[:, place].copy() for place in range(10)}}
    was = add(store, "noise", table, key="id").dataset
    table["c3"][20_000] = 7.0
    now = add(store, "noise", table, key="id").dataset
    shared = {block.object for block in was.manifest.blocks} & {block.object for block in now.manifest.blocks}
    assert len(shared) > 2
    read = watch_reads(store, monkeypatch)
    found = diff(was, now)
    assert [row.id for row in found.changed] == ["20000"]
    assert found.changed[0].values == {"c3": (float(random[20_000, 3]), 7.0)}
    assert found.unchanged == 39_999
    assert not shared & set(read)


def test_columns(store: Store) -> None:
    was = add(store, "people", {"id": ["a", "b"], "age": [1, 2], "gone": [0, 0]}, key="id").dataset
    now = add(store, "people", {"id": ["a", "b"], "age": [1.0, 2.0], "new": [1, 1]}, key="id").dataset
    found = diff(was, now)
    assert (found.added_columns, found.removed_columns) == (("new",), ("gone",))
    assert found.retyped_columns == {"age": ("int64", "float64")}
    assert found.unchanged == 2
    assert bool(found)
    assert "~ column 'age': int64 → float64" in str(found)


def test_another_key(store: Store) -> None:
    rows: dict[str, Any] = {"id": ["a", "b"]}
    found = diff(add(store, "people", rows).dataset, add(store, "people", rows, key="id").dataset)
    assert found.keys == (None, "id")
    assert "key: the content → id" in str(found)


def test_it_is_said_in_words(store: Store) -> None:
    add(store, "people", {"name": ["Ada", "Bo"], "age": [36, 41]}, key="name")
    add(store, "people", {"name": ["Ada", "Cy"], "age": [37, 7]}, key="name")
    found = diff(open_dataset(store, "people@1"), open_dataset(store, "people@2"))
    assert str(found) == ("people@1 → people@2: 1 added, 1 removed, 1 changed, 0 as before\n  ~ 'Ada': 'age': 36 → 37")
    same = diff(open_dataset(store, "people@1"), open_dataset(store, "people@1"))
    assert not same
    assert str(same) == "people@1 and people@1: the same 2 rows"


def test_values_of_the_first_changed_rows_only(store: Store) -> None:
    was = add(store, "many", {"id": np.arange(6000), "x": np.zeros(6000)}, key="id").dataset
    now = add(store, "many", {"id": np.arange(6000), "x": np.ones(6000)}, key="id").dataset
    found = diff(was, now)
    assert len(found.changed) == 6000
    assert {row.columns for row in found.changed} == {("x",)}
    assert sum(bool(row.values) for row in found.changed) == 20


def test_rows_in_another_order_are_no_change_of_rows(store: Store) -> None:
    was = add(store, "letters", {"x": ["a", "b", "c"]}).dataset
    now = add(store, "letters", {"x": ["c", "a", "b"]}).dataset
    assert not diff(was, now)
    assert sorted(ids(was)) == sorted(ids(now))
