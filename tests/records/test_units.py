"""The rows that excite a unit most are exactly those that sorting all rows gives; the index is small and goes along."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from layerwise.errors import InvalidData
from layerwise.records import parts
from layerwise.records.reading import LayerRecord, Records
from layerwise.records.units import unit_index
from layerwise.records.writing import RecordWriter
from layerwise.store.disk import Buffer, Disk
from layerwise.store.store import Store
from tests.records.making import ABOUT, VERSION, keep, only, raw


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A repository of its own."""
    with Store.open(tmp_path / "r") as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A repository for many examples."""
    with Store.open(tmp_path_factory.mktemp("shared") / "r") as opened:
        yield opened


def newest(store: Store, layer: str = "edges") -> LayerRecord:
    """Return the record that was kept last."""
    return Records(store, VERSION).find(layer)[0]


def sorted_rows(values: Any, k: int, *, lowest: bool) -> list[int]:
    """Return the slots that sorting all rows' values [rows] gives; NaN is no value, equals by slot."""
    there = [slot for slot in range(len(values)) if values[slot] == values[slot]]
    return sorted(there, key=lambda slot: (values[slot] if lowest else -float(values[slot]), slot))[:k]


VALUES = st.one_of(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 300), st.just(2)), elements=st.sampled_from([0.0, -1.0, 2.5])),
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 300), st.just(2)),
        elements=st.floats(-10, 10, width=32) | st.sampled_from([np.nan, np.inf, -np.inf]),
    ),
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 300), st.just(2)), elements=st.integers(0, 255)),
    hnp.arrays(np.int64, st.tuples(st.integers(1, 99), st.just(2)), elements=st.integers(-(2**53), 2**53)),
)


@settings(max_examples=60)
@given(values=VALUES, k=st.integers(1, 30), lowest=st.booleans())
def test_it_is_what_sorting_all_rows_gives(shared: Store, values: Any, k: int, lowest: bool) -> None:
    keep(shared, {"edges": values})
    index = unit_index(shared, newest(shared))
    for unit in (0, 1):
        found = index.top(unit, k, lowest=lowest)
        assert found.slots.tolist() == sorted_rows(values[:, unit], k, lowest=lowest)
        assert np.array_equal(found.values, values[found.slots, unit])


def test_a_channels_value_is_its_largest_and_a_sequence_has_its_units_last(store: Store) -> None:
    draw = np.random.default_rng(0)
    maps = draw.standard_normal((500, 3, 5, 4)).astype(np.float32)
    steps = draw.standard_normal((500, 6, 7)).astype(np.float32)
    keep(store, {"maps": maps, "steps": steps, "one": steps[:, 0, 0].copy()})
    for layer, units, unit, values in (
        ("maps", 3, 1, maps[:, 1].max((1, 2))),
        ("steps", 7, 4, steps[:, :, 4].max(1)),
        ("one", 1, 0, steps[:, 0, 0]),
    ):
        index = unit_index(store, newest(store, layer))
        assert index.units == units
        assert index.top(unit, 20).slots.tolist() == sorted_rows(values, 20, lowest=False)


def test_steps_behind_a_rows_end_do_not_count(store: Store) -> None:
    draw = np.random.default_rng(0)
    values = draw.standard_normal((300, 6, 3)).astype(np.float32)
    lengths = draw.integers(1, 7, 300)
    ended = np.where(np.arange(6)[:, None] < lengths[:, None, None], values, -np.inf)
    with RecordWriter(store, ABOUT, rows=300) as writer:
        writer.add("edges", raw(values, lengths))
        writer.add("tokens", raw(values[:, :, 0].copy(), lengths))
    found = unit_index(store, newest(store)).top(2, 50)
    assert found.slots.tolist() == sorted_rows(ended[:, :, 2].max(1), 50, lowest=False)
    tokens = unit_index(store, newest(store, "tokens"))
    assert (tokens.units, tokens.top(0, 9).slots.tolist()) == (
        1,
        sorted_rows(ended[:, :, 0].max(1), 9, lowest=False),
    )


def test_bfloat16_is_ordered_as_numbers(store: Store) -> None:
    numbers = np.random.default_rng(0).standard_normal((300, 2)).astype(np.float32)
    bits = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    with RecordWriter(store, ABOUT, rows=300) as writer:
        writer.add("edges", raw(bits, word="BF16"))
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    found = unit_index(store, newest(store)).top(1, 20)
    assert found.slots.tolist() == sorted_rows(exact[:, 1], 20, lowest=False)
    assert np.array_equal(found.values, exact[found.slots, 1])


def test_the_index_is_small_kept_once_and_read_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).standard_normal((10_000, 16)).astype(np.float32)
    keep(store, {"edges": values})
    first = unit_index(store, newest(store))
    assert first.bytes <= 0.2 * values.nbytes
    (row,) = [row for row in store.catalog.recordings.every() if row.part]
    assert (row.part, row.bytes) == ("units.v1:output:edges", first.bytes)
    assert len(store.objects.get(row.digest)) <= 0.2 * values.nbytes
    monkeypatch.setattr("layerwise.records.units._make", None)
    again = unit_index(store, newest(store))
    assert np.array_equal(again.top(3, 20).slots, first.top(3, 20).slots)


def test_of_few_rows_nothing_is_kept(store: Store) -> None:
    keep(store, {"edges": np.zeros((parts.MIN_ROWS - 1, 2), np.float32)})
    unit_index(store, newest(store)).top(0)
    assert [row.part for row in store.catalog.recordings.every()] == [""]


class Full(Disk):
    """A disk that becomes full."""

    full = False

    def publish(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Write a pack, or fail."""
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().publish(name, chunks)


def test_on_a_full_disk_the_answer_is_the_same_and_nothing_is_kept(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    disk = Full(tmp_path)
    values = np.random.default_rng(0).standard_normal((5_000, 2)).astype(np.float32)
    with Store.open(tmp_path, disk=disk) as store:
        keep(store, {"edges": values})
        disk.full = True
        found = unit_index(store, newest(store)).top(0, 9)
        assert found.slots.tolist() == sorted_rows(values[:, 0], 9, lowest=False)
        assert [row.part for row in store.catalog.recordings.every()] == [""]


def test_a_damaged_index_is_made_anew(store: Store) -> None:
    values = np.random.default_rng(0).standard_normal((5_000, 2)).astype(np.float32)
    keep(store, {"edges": values})
    unit_index(store, newest(store))
    (row,) = [row for row in store.catalog.recordings.every() if row.part]
    at = store.catalog.packs.locate(row.digest)
    assert at is not None
    path = store.path / "packs" / at.pack[:2] / f"{at.pack}.pack"
    data = bytearray(path.read_bytes())
    data[at.position + at.stored - 1] ^= 64
    path.write_bytes(data)
    store.objects.close()
    store.disk.forget()
    found = unit_index(store, newest(store)).top(1, 9)
    assert found.slots.tolist() == sorted_rows(values[:, 1], 9, lowest=False)


def test_a_unit_that_is_not_there_is_said_with_how_many_there_are(store: Store) -> None:
    keep(store, {"edges": np.zeros((64, 3), np.float32)})
    index = unit_index(store, newest(store))
    for unit in (-1, 3):
        with pytest.raises(InvalidData, match=f"has 3 units, counted from 0; there is no {unit}: take one from 0 to 2"):
            index.top(unit)
    with pytest.raises(InvalidData, match="0 rows were asked for"):
        index.top(0, 0)


def test_what_has_no_units_says_so(store: Store) -> None:
    with RecordWriter(store, ABOUT, rows=2) as writer:
        writer.add("texts", pa.array(["a", "b"]))
        writer.add("waves", raw(np.zeros((2, 3), np.complex64)))
    for layer, held in (("texts", "string"), ("waves", "C64")):
        with pytest.raises(InvalidData, match=f"holds {held}, which has no units"):
            unit_index(store, only(Records(store, VERSION).find(layer)))
