"""Adding and opening datasets, as users do it."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerwise.data import Row, add, as_table, open_dataset
from layerwise.data.ids import ContentIds, Seen
from layerwise.data.manifest import read_manifest
from layerwise.errors import Damaged, InvalidData, InvalidFile, InvalidName, NotFound, Unsupported
from layerwise.store.store import Store
from tests.data.tables import ids, tables, watch_reads

PEOPLE = {"name": ["Ada", "Bo", "Cy"], "age": [36, 41, 7]}

same_store = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)


def noise(rows: int = 40_000, columns: int = 10, seed: int = 0) -> pa.Table:
    """Numbers that differ in every row; 40,000 rows of ten are about five blocks."""
    random = np.random.default_rng(seed)
    return pa.table({f"c{place}": random.random(rows) for place in range(columns)})


def test_add_and_open(store: Store) -> None:
    added = add(store, "people", PEOPLE, key="name", actor="maria", message="first")
    assert added
    assert str(added) == "people@1: 3 rows in 1 new block"
    people = open_dataset(store, "people")
    assert (people.name, people.number, people.address, people.key) == ("people", 1, "people@1", "name")
    assert (len(people), ids(people)) == (3, ["Ada", "Bo", "Cy"])
    assert people.table().to_pydict() == PEOPLE
    assert people.manifest.actor == "maria"
    assert people.manifest.message == "first"


def test_the_same_content_makes_no_new_version(store: Store) -> None:
    first = add(store, "people", PEOPLE)
    again = add(store, "people", as_table(PEOPLE))
    assert not again
    assert again.created is False
    assert str(again) == "people@1: the same content, no new version"
    assert again.dataset.digest == first.dataset.digest
    assert len(store.catalog.entries("dataset", "people")) == 1


def test_content_of_an_older_version_is_a_new_version(store: Store) -> None:
    for ages, number in ([36, 41, 7], 1), ([36, 41, 8], 2), ([36, 41, 7], 3):
        assert add(store, "people", {**PEOPLE, "age": ages}).dataset.number == number
    assert open_dataset(store, "people", "1").table() == open_dataset(store, "people@3").table()
    assert open_dataset(store, "people@3").manifest.parent == 2


def test_another_key_or_order_of_columns_is_a_new_version(store: Store) -> None:
    assert add(store, "people", PEOPLE)
    assert add(store, "people", PEOPLE, key="name")
    turned = add(store, "people", dict(reversed(PEOPLE.items())), key="name")
    assert turned
    assert turned.changed_rows == turned.new_rows == turned.removed_rows == 0


def test_adding_rows_stores_only_new_blocks(store: Store) -> None:
    table = noise()
    first = add(store, "noise", table)
    assert first.new_blocks >= 4
    more = add(store, "noise", pa.concat_tables([table, noise(100, seed=1)]))
    assert (more.new_rows, more.removed_rows, more.changed_rows) == (100, 0, 0)
    assert more.new_blocks <= 2
    assert more.new_bytes < first.new_bytes / 2
    assert ids(more.dataset)[: len(table)] == ids(first.dataset)


@pytest.mark.parametrize("place", [0, 20_000, 40_000])
@pytest.mark.parametrize("key", [None, "key"])
def test_inserting_a_row_changes_few_blocks(store: Store, place: int, key: str | None) -> None:
    table = noise(40_001).append_column("key", pa.array(np.arange(40_001)))
    without = pa.concat_tables([table.slice(0, place), table.slice(place + 1)])
    add(store, "noise", without, key=key)
    added = add(store, "noise", table, key=key)
    assert added.new_rows == 1
    assert added.new_blocks <= 2
    assert open_dataset(store, "noise").table() == table


def test_small_datasets_are_few_blocks(store: Store) -> None:
    digits = {"image": np.random.default_rng(0).random((1797, 8, 8)), "digit": np.arange(1797) % 10}
    assert 1 <= len(add(store, "digits-data", digits).dataset.manifest.blocks) <= 3


@given(table=tables())
@same_store
def test_any_table_comes_back_equal(store: Store, table: pa.Table) -> None:
    dataset = add(store, "random", table).dataset
    found = dataset.table()
    assert found.schema == table.schema
    assert found.to_pydict() == table.to_pydict()
    assert len(set(ids(dataset))) == len(dataset) == len(table)


@given(table=tables(), cut=st.integers(0, 30))
@same_store
def test_ids_are_stable_when_rows_are_added(store: Store, table: pa.Table, cut: int) -> None:
    head = table.slice(0, max(1, cut))
    assert ids(add(store, "random", table).dataset)[: len(head)] == ids(add(store, "head", head).dataset)


@given(table=tables(), cuts=st.lists(st.integers(0, 30), max_size=4))
@same_store
def test_batches_do_not_matter(store: Store, table: pa.Table, cuts: list[int]) -> None:
    add(store, "random", table)
    bounds = sorted({0, len(table), *(cut for cut in cuts if cut < len(table))})
    parts = [table.slice(start, stop - start) for start, stop in pairwise(bounds)]
    assert not add(store, "random", pa.concat_tables(parts))


def test_equal_rows_are_told_apart(store: Store) -> None:
    found = ids(add(store, "coins", {"side": ["head", "tail", "head", "head"]}).dataset)
    assert found[2:] == [f"{found[0]}#2", f"{found[0]}#3"]
    assert len(found[0]) == 32


def test_equal_rows_are_told_apart_across_many_pieces() -> None:
    names = ContentIds()
    digests = np.random.default_rng(0).integers(0, 256, (5000, 16), dtype=np.uint8)
    first = names.name(None, digests)
    second = names.name(None, digests[::-1])
    assert second.to_pylist() == [f"{name}#2" for name in reversed(first.to_pylist())]
    assert names.name(None, digests[:1]).to_pylist() == [f"{first[0].as_py()}#3"]


@pytest.mark.parametrize(("zero", "other"), [(0.0, -0.0), (float("nan"), -float("nan"))], ids=["zeros", "not a number"])
def test_ids_do_not_see_how_a_float_is_spelled(store: Store, zero: float, other: float) -> None:
    add(store, "floats", {"x": np.array([zero, 1.5])})
    assert not add(store, "floats", {"x": np.array([other, 1.5])})


def test_keys_are_text_or_whole_numbers(store: Store) -> None:
    assert ids(add(store, "people", {"id": [10, -3], "x": [1, 1]}, key="id").dataset) == ["10", "-3"]


@pytest.mark.parametrize(
    ("rows", "key", "says"),
    [
        ({"id": ["a", "b", "a", "b"]}, "id", r"more than one row: 'a', 'b'; drop the repeated rows"),
        ({"id": [1, 2, 1]}, "id", "more than one row: '1'"),
        ({"id": ["a", None]}, "id", "missing in 1 rows"),
        ({"id": ["a", ""]}, "id", "1 to 1,000 bytes"),
        ({"id": ["a", "b" * 1001]}, "id", "1 to 1,000 bytes"),
        ({"id": [1.5, 2.5]}, "id", "of type double; a key is text or whole numbers"),
        ({"patient": ["a", "b"]}, "patent", "no column 'patent' to be the key. Did you mean 'patient'?"),
    ],
)
def test_what_cannot_be_a_key(store: Store, rows: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(InvalidData, match=says):
        add(store, "people", rows, key=key)
    assert store.catalog.names("dataset") == []


def test_rows(store: Store) -> None:
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    dataset = add(store, "people", {**PEOPLE, "image": images}, key="name").dataset
    row = dataset[1]
    assert isinstance(row, Row)
    assert (row.id, row.dataset, row["age"], len(row), "age" in row) == ("Bo", "people@1", 41, 3, True)
    assert row["image"].tolist() == images[1].tolist()
    assert dict(row.items()).keys() == set(row) == row.keys()
    assert row.get("weight", 70) == 70
    assert row.table().schema == dataset.schema
    assert dataset.row("Cy").id == dataset[-1].id == "Cy"
    assert [one["age"] for one in dataset] == PEOPLE["age"]
    assert as_table(row).to_pydict() == dataset[1:2].to_pydict()
    assert as_table([dataset[0], dataset[2]])["name"].to_pylist() == ["Ada", "Cy"]
    assert Row("people@1", "x", {"age": 3}).table().to_pydict() == {"age": [3]}
    assert copy.copy(row) == row


def test_what_is_not_there(store: Store) -> None:
    dataset = add(store, "people", PEOPLE, key="name").dataset
    with pytest.raises(NotFound, match=r"people@1 has no row 'Zed'"):
        dataset.row("Zed")
    with pytest.raises(NotFound, match=r"no column 'aeg'. Did you mean 'age'"):
        dataset[0]["aeg"]
    with pytest.raises(NotFound, match="no column"):
        dataset.table(["aeg"])
    with pytest.raises(IndexError, match="3 rows; there is no row 3"):
        dataset[3]
    with pytest.raises(InvalidData, match="whole numbers"):
        dataset.take([1.5])
    with pytest.raises(NotFound):
        open_dataset(store, "poeple")
    with pytest.raises(NotFound):
        open_dataset(store, "people", "2")


def test_slices_and_take_follow_the_order_asked_for(store: Store) -> None:
    table = noise()
    dataset = add(store, "noise", table).dataset
    assert len(dataset.manifest.blocks) > 3
    wanted = np.random.default_rng(2).integers(0, len(table), 500)
    assert dataset.take(wanted) == table.take(wanted)
    assert dataset.take([5, -1], ["c3"]) == table.select(["c3"]).take([5, len(table) - 1])
    assert dataset[10:30000:7] == table.take(np.arange(10, 30000, 7))
    assert dataset[5:5].num_rows == dataset.take([]).num_rows == 0
    assert dataset[5:5].schema == dataset.schema


def test_take_reads_only_the_blocks_touched(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = add(store, "noise", noise()).dataset
    read = watch_reads(store, monkeypatch)
    dataset.take([1, 3, 2])
    assert read == [dataset.manifest.blocks[0].object]


def test_a_dataset_is_a_source(store: Store) -> None:
    dataset = add(store, "people", PEOPLE).dataset
    copied = add(store, "copies", dataset).dataset
    assert ids(copied) == ids(dataset)
    assert pa.table(dataset).to_pydict() == PEOPLE


def test_it_is_shown(store: Store) -> None:
    dataset = add(store, "people", {**PEOPLE, "<script>": ["<b>", None, "<b>"]}).dataset
    assert repr(dataset).startswith("people@1: 3 rows, 3 columns, rows named by their content\n")
    assert "<b> (2)" in repr(dataset)
    page = dataset._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("name", ["", "1st", "../people", "people/one", "a" * 101])
def test_names_are_held(store: Store, name: str) -> None:
    with pytest.raises(InvalidName):
        add(store, name, PEOPLE)


def test_of_two_at_once_both_are_kept_one_on_top_of_the_other(store: Store) -> None:
    add(store, "people", PEOPLE)

    def rows() -> Any:
        yield pa.record_batch({"age": pa.array([1])})
        add(store, "people", {"age": [2]})

    from layerwise.data.source import Source

    assert add(store, "people", Source("slow rows", rows())).dataset.number == 3
    assert open_dataset(store, "people", "2").table().to_pydict() == {"age": [2]}
    assert open_dataset(store, "people").table().to_pydict() == {"age": [1]}
    assert [entry.parent for entry in store.catalog.entries("dataset", "people")] == [None, 1, 2]


def test_a_failure_on_the_way_keeps_nothing(store: Store) -> None:
    from layerwise.data.source import Source

    def rows() -> Any:
        yield noise().to_batches()[0]
        raise InvalidFile("the file ends here")

    with pytest.raises(InvalidFile):
        add(store, "noise", Source("rows", rows()))
    assert store.catalog.names("dataset") == []


MANIFEST = {
    b'"format":1': (b'"format":2', Unsupported),
    b'"rows":3,"schema"': (b'"rows":4,"schema"', InvalidFile),
    b'"number":1': (b'"number":"1"', InvalidFile),
    b'"type":"int64"}],': (b'"type":"int46"}],', InvalidFile),
    b'"actor":""': (b'"actor":7', InvalidFile),
    b'"message":""': (b'"massage":""', InvalidFile),
    b'"key":null': (b'"key":"nobody"', InvalidFile),
}


@pytest.mark.parametrize("old", MANIFEST)
def test_a_manifest_that_is_none_is_refused(store: Store, old: bytes) -> None:
    new, error = MANIFEST[old]
    manifest = add(store, "people", PEOPLE).dataset.manifest
    data = manifest.to_bytes()
    assert read_manifest(data, "the manifest") == manifest
    assert old in data
    with pytest.raises(error, match="the manifest"):
        read_manifest(data.replace(old, new), "the manifest")


def test_a_block_of_another_length_is_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    people, others = (
        add(store, "people", PEOPLE).dataset,
        add(store, "others", {"name": ["x"], "age": [1]}).dataset,
    )
    other = bytes(store.objects.get(others.manifest.blocks[0].object))
    monkeypatch.setattr(type(store.objects), "get", lambda *_: memoryview(other))
    with pytest.raises(Damaged, match="block 0 of people@1 has 1 rows; the manifest says 3"):
        people.table()


def test_many_ids_are_counted_in_scratch_space(store: Store) -> None:
    numbers = np.random.default_rng(0).integers(0, 1_500_000, 2_000_000).astype(np.uint64)
    seen = Seen(store.disk.scratch)
    taken = [seen.count(numbers[start : start + 100_000]) for start in range(0, len(numbers), 100_000)]
    order = np.argsort(numbers, kind="stable")
    expected = np.empty(len(numbers), dtype=np.int64)
    expected[order] = np.arange(len(numbers)) - np.searchsorted(numbers[order], numbers[order])
    assert np.array_equal(np.concatenate(taken), expected)
