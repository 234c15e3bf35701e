"""A record gives each row its own value, whatever the order, and nothing that is not what was kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.canonical import encode
from layerwise.errors import Damaged, InvalidData, InvalidFile, Unsupported
from layerwise.records import reading
from layerwise.records.gathering import Spread, by_chunk
from layerwise.records.keys import Ids, Positions
from layerwise.records.reading import LayerRecord, Records
from layerwise.records.recordset import About, RecordSet
from layerwise.records.writing import RecordWriter
from layerwise.store.rows import Recording
from layerwise.store.store import Store
from layerwise.words import Digest
from tests.records.making import ABOUT, VERSION, keep, only, raw

ROWS = 1_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A repository of its own."""
    with Store.open(tmp_path / "r") as opened:
        yield opened


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LayerRecord, Any]]:
    """A record of several chunks, with another layer's chunks between, and its values."""
    with Store.open(tmp_path_factory.mktemp("wide") / "r") as store:
        values = np.random.default_rng(0).standard_normal((ROWS, 3_001)).astype(np.float32)
        other = np.random.default_rng(1).integers(0, 9, (ROWS, 7_777))
        positions = np.random.default_rng(2).permutation(5 * ROWS)[:ROWS]
        with RecordWriter(store, ABOUT, positions, [f"row {at}" for at in positions], rows=ROWS) as writer:
            for at in range(0, ROWS, 100):
                writer.add("edges", raw(values[at : at + 100]))
                writer.add("other", raw(other[at : at + 100]))
        record = only(Records(store, VERSION).find("edges"))
        assert len(record.track.chunks) == 4
        yield record, values


def test_rows_come_in_the_order_asked_for_and_as_often(wide: tuple[LayerRecord, Any]) -> None:
    record, values = wide
    for slots in (np.arange(ROWS)[::-1], np.array([999, 0, 999, 256]), np.arange(5), np.array([], np.int64)):
        assert np.array_equal(record.gather(slots), values[slots])
    assert all(np.array_equal(record.row(slot), values[slot]) for slot in (0, 255, 256, 999))


def test_gathered_rows_are_a_copy_that_may_be_written_to(wide: tuple[LayerRecord, Any]) -> None:
    record, values = wide
    taken = record.gather(np.array([3, 700]))
    taken[:] = 0
    assert np.array_equal(record.row(3), values[3])
    with pytest.raises(ValueError, match="read-only"):
        record.row(3)[0] = 1


def test_a_row_is_found_by_its_position_and_by_its_id(wide: tuple[LayerRecord, Any]) -> None:
    record, values = wide
    kept = record.positions.kept
    assert kept is not None
    slots = record.slots(kept)
    assert slots.tolist() == list(range(ROWS))
    absent = sorted(set(range(5 * ROWS)) - set(kept.tolist()))[:50]
    assert record.slots(np.array(absent)).tolist() == [-1] * 50
    assert [record.slot(int(at)) for at in kept[:9]] == [record.slot_of_id(f"row {at}") for at in kept[:9]]
    assert record.slot(absent[0]) == record.slot_of_id(f"row {absent[0]}") == -1
    assert record.ids is not None
    assert record.ids.all() == [f"row {at}" for at in kept]
    assert np.array_equal(record.gather(record.slots(kept[[7, 3]])), values[[7, 3]])


@pytest.mark.parametrize("slot", [-1, ROWS, 10**12])
def test_a_slot_that_is_not_there_is_said_with_how_many_there_are(wide: tuple[LayerRecord, Any], slot: int) -> None:
    record, _ = wide
    for ask in (record.row, lambda at: record.gather(np.array([at])), lambda at: record.take(np.array([0, at]))):
        with pytest.raises(InvalidData, match="digits@1/edges has 1,000 rows, counted from 0"):
            ask(slot)


def test_slots_are_whole_numbers(wide: tuple[LayerRecord, Any]) -> None:
    with pytest.raises(InvalidData, match="expected whole numbers"):
        wide[0].gather(np.array([0.5]))


def test_chunks_are_views_and_all_of_them_are_all_rows(wide: tuple[LayerRecord, Any]) -> None:
    record, values = wide
    chunks: list[Any] = [record.chunk(number) for number in range(4)]
    assert b"".join(bytes(chunk["values"].data) for chunk in chunks) == values.tobytes()
    assert np.array_equal(np.concatenate([part for _, part, _ in record.parts()]), values)
    with pytest.raises(InvalidData, match="has 4 chunks"):
        record.chunk(4)


def test_where_few_chunks_may_be_held_the_answers_are_the_same(
    wide: tuple[LayerRecord, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, values = wide
    monkeypatch.setattr(reading, "HELD_CHUNKS", 2)
    fresh = LayerRecord(record._store, record.kept, record.digest, record.track)
    slots = np.random.default_rng(5).permutation(ROWS)
    assert np.array_equal(fresh.gather(slots), values[slots])
    assert len(fresh._chunks) == len(fresh._values) == 2


def test_chunks_that_a_collector_coded_read_the_same_and_are_not_all_held(store: Store) -> None:
    values = np.zeros((300, 5_000), np.float32)
    values[:, 0] = np.arange(300)
    keep(store, {"edges": values, "texts": values[:, :1]})
    record = only(Records(store, VERSION).find("edges"))

    class Packed:
        """Objects that are unpacked into memory."""

        def get(self, digest: Digest, what: str = "") -> memoryview:
            """Return a copy."""
            return memoryview(bytes(store.objects.get(digest, what)))

    fresh = LayerRecord(type("Opened", (), {"objects": Packed()})(), record.kept, record.digest, record.track)
    assert np.array_equal(fresh.gather(np.arange(299, -1, -1)), values[::-1])
    assert fresh._spreads == [None, None]


def test_the_newest_comes_first_and_the_dataset_can_be_chosen(store: Store) -> None:
    data = Digest("d" * 64)
    for seed, of in enumerate((None, data, None)):
        about = About("digits", 1, VERSION, of, "look")
        keep(store, {"edges": np.full((64, 1), seed, np.float32)}, about)
    found = Records(store, VERSION).find("edges")
    assert [record.row(0)[0] for record in found] == [2, 1, 0]
    assert [record.row(0)[0] for record in Records(store, VERSION).find("edges", data=data)] == [1]
    assert Records(store, VERSION).find("edgs") == []
    assert Records(store, Digest("b" * 64)).find("edges") == []


def test_what_is_kept_meanwhile_is_found_with_the_next_look(store: Store) -> None:
    records = Records(store, VERSION)
    assert records.find("edges") == []
    keep(store, {"edges": np.zeros((64, 1), np.float32)})
    assert len(records.find("edges")) == 1


def put_set(store: Store, value: Any, version: Digest = VERSION) -> Digest:
    """Register what is no good set."""
    with store.objects.writing() as writer:
        digest = writer.put([encode(value)])
        row = Recording(digest, "", digest, version, 1, "2026-01-31T09:30:00+00:00", None)
        writer.publish_recording(row, names={digest})
    return digest


def test_a_record_of_another_version_is_refused(store: Store) -> None:
    kept = keep(store, {"edges": np.zeros((64, 1), np.float32)})
    other = Digest("b" * 64)
    put_set(store, {**kept.to_json(), "notes": ["moved"]}, other)
    with pytest.raises(Damaged, match=f"is of digits@1, version {VERSION}, and the catalog has it as one of version b"):
        Records(store, other).find("edges")


def test_a_set_of_a_newer_format_says_that_a_newer_layerwise_is_wanted(store: Store) -> None:
    kept = keep(store, {"edges": np.zeros((64, 1), np.float32)})
    put_set(store, {**kept.to_json(), "record": 2})
    with pytest.raises(Unsupported, match="has the format 2 and this Layerwise reads up to 1; install a newer"):
        Records(store, VERSION).find("edges")


def changed(kept: RecordSet, **track: Any) -> dict[str, Any]:
    """Return a set whose one layer is described otherwise."""
    said = kept.to_json()
    return {**said, "tracks": [{**said["tracks"][0], **track}]}


@pytest.mark.parametrize(
    "track",
    [
        {"shape": [2], "bytes": 512},
        {"shape": [2]},
        {"dtype": "F64", "bytes": 512},
        {"dtype": "F31"},
        {"chunks": []},
        {"chunks": ["../x"]},
        {"rows_per_chunk": 65},
        {"rows_per_chunk": 32},
        {"rows_per_chunk": True},
        {"layer": "../x"},
        {"what": "weights"},
        {"type": "pickle"},
        {"shape": [2**62, 2**62]},
        {"shape": [-1]},
        {"bytes": -1},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_set_that_does_not_fit_itself_or_its_chunks_is_never_read(store: Store, track: dict[str, Any]) -> None:
    kept = keep(store, {"edges": np.zeros((64, 1), np.float32)})
    put_set(store, changed(kept, **track))
    with pytest.raises((InvalidFile, Damaged)):
        Records(store, VERSION).find("edges")[0].gather(np.arange(64))


@pytest.mark.parametrize(
    "value",
    [[], {"record": 1}, {"record": None}, "x", {"record": 1, "tracks": {}}],
    ids=str,
)
def test_an_object_that_is_no_set_is_refused(store: Store, value: Any) -> None:
    put_set(store, value)
    with pytest.raises((InvalidFile, Unsupported)):
        Records(store, VERSION).find("edges")


def test_a_chunk_cut_short_is_damaged_and_named_by_version_layer_and_rows(store: Store) -> None:
    values = np.random.default_rng(0).standard_normal((300, 5_000)).astype(np.float32)
    kept = keep(store, {"edges": values})
    third = kept.tracks[0].chunks[2]
    with store.objects.writing() as writer:
        short = writer.put([bytes(store.objects.get(third))[:-4]])
    track = {"chunks": [*kept.tracks[0].chunks[:2], short]}
    put_set(store, changed(kept, **track))
    record = Records(store, VERSION).find("edges")[0]
    assert np.array_equal(record.row(255), values[255])
    with pytest.raises(Damaged, match=r"the record of digits@1/edges, rows 256 to 299 has 879,996 bytes"):
        record.row(256)


def test_a_flipped_bit_is_found_and_named(store: Store) -> None:
    kept = keep(store, {"edges": np.random.default_rng(0).standard_normal((64, 100)).astype(np.float32)})
    at = store.catalog.packs.locate(kept.tracks[0].chunks[0])
    assert at is not None
    path = store.path / "packs" / at.pack[:2] / f"{at.pack}.pack"
    data = bytearray(path.read_bytes())
    data[at.position + 77] ^= 1
    path.write_bytes(data)
    store.objects.close()
    store.disk.forget()
    with pytest.raises(Damaged, match="the record of digits@1/edges, rows 0 to 63: object"):
        only(Records(store, VERSION).find("edges")).row(0)


def test_an_arrow_chunk_of_another_type_is_damaged(store: Store) -> None:
    sets = []
    for array in (pa.array(["a", "b"]), pa.array([1, 2])):
        with RecordWriter(store, ABOUT, rows=2) as writer:
            writer.add("raw", array)
        assert writer.kept is not None
        sets.append(writer.kept)
    put_set(store, changed(sets[0], chunks=list(sets[1].tracks[0].chunks)))
    with pytest.raises(Damaged, match="has 2 rows of 'int64'; expected 2 of string"):
        Records(store, VERSION).find("raw")[0].take(np.array([0]))


def test_an_arrow_array_has_no_rows_of_numbers(store: Store) -> None:
    with RecordWriter(store, ABOUT, rows=2) as writer:
        writer.add("raw", pa.array(["a", "b"]))
    record = only(Records(store, VERSION).find("raw"))
    for ask in (lambda: record.row(0), lambda: record.gather(np.array([0])), lambda: record.part(0)):
        with pytest.raises(InvalidData, match="is of Arrow arrays; use"):
            ask()


@given(st.lists(st.integers(0, 10_000), unique=True, min_size=1, max_size=50), st.lists(st.integers(-9, 10_009)))
def test_positions_are_found_as_a_dictionary_finds_them(kept: list[int], asked: list[int]) -> None:
    places, known = Positions.of(np.array(kept)), {position: slot for slot, position in enumerate(kept)}
    expected = [known.get(position, -1) for position in asked]
    assert places.slots(np.array(asked, np.int64)).tolist() == expected
    assert [places.slot(position) for position in asked] == expected


@given(st.lists(st.text(max_size=9), min_size=1, max_size=30), st.lists(st.text(max_size=9), max_size=9))
def test_ids_are_found_as_a_list_finds_them_the_first_of_equals(kept: list[str], asked: list[str]) -> None:
    kept = [text for text in kept if text.isprintable() or text.isascii()] or ["a"]
    found = Ids.read(memoryview(b"".join(Ids.encode(kept))), len(kept), "an example")
    assert found.all() == kept
    for text in (*kept, *asked):
        assert found.slot(text) == (kept.index(text) if text in kept else -1)


@given(st.integers(1, 5), st.lists(st.integers(0, 10**6), min_size=1), st.sampled_from(["<f4", "<f2", "u1", "<f8"]))
def test_rows_spread_over_memory_are_gathered_as_from_one_array(count: int, asked: list[int], dtype: str) -> None:
    whole = np.arange(count * 64 * 3).astype(dtype).reshape(-1, 3)[: count * 64 - 9]
    parts = [whole[at : at + 64].copy() for at in range(0, len(whole), 64)]
    slots = np.array(asked) % len(whole)
    assert np.array_equal(Spread(count, 64).gather(slots, lambda number: parts[number]), whole[slots])
    again = np.empty_like(whole[slots])
    for number, chosen in by_chunk(slots, 64):
        again[chosen] = parts[number][slots[chosen] - 64 * number]
    assert np.array_equal(again, whole[slots])
