"""Records are kept whole or not at all, in equal chunks for equal rows, and come back to the bit."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.errors import InvalidData, InvalidName, LayerwiseError
from layerwise.records.chunks import WORDS, sort_of
from layerwise.records.reading import Records
from layerwise.records.recordset import About
from layerwise.records.writing import RecordWriter
from layerwise.store.disk import Buffer, Disk
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor
from layerwise.words import Digest
from tests.crash.faults import Fault, FaultyDisk
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


def draw(rows: int, *shape: int, seed: int = 0) -> Any:
    """Return numbers [rows, ...], float32."""
    return np.random.default_rng(seed).standard_normal((rows, *shape)).astype(np.float32)


def parts(sizes: Sequence[int], rows: int) -> Iterator[slice]:
    """Cut rows into runs of these sizes, over and over."""
    at = 0
    for turn in count():
        if at >= rows:
            return
        size = sizes[turn % len(sizes)]
        yield slice(at, min(at + size, rows))
        at += size


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_type_comes_back_to_the_bit(store: Store, word: str) -> None:
    dtype = WORDS[word]
    data = np.random.default_rng(3).bytes(100 * 6 * dtype.itemsize)
    values = np.frombuffer(data, "u1") % 2 if word == "BOOL" else np.frombuffer(data, dtype)
    values = values.view(dtype).reshape(100, 2, 3)
    with RecordWriter(store, ABOUT, rows=100) as writer:
        assert writer.add("edges", raw(values, word=word))
    record = only(Records(store, VERSION).find("edges"))
    assert (record.track.dtype, record.track.shape) == (word, (2, 3))
    taken = record.take(np.arange(100))
    assert isinstance(taken, dict)
    assert bytes(taken["values"].data) == values.tobytes()
    assert record.row(42).tobytes() == values[42].tobytes()


@settings(max_examples=25)
@given(rows=st.integers(1, 300), sizes=st.lists(st.integers(1, 200), min_size=1, max_size=4), wide=st.booleans())
def test_chunks_do_not_depend_on_how_many_rows_come_at_a_time(
    shared: Store, rows: int, sizes: list[int], wide: bool
) -> None:
    values = draw(rows, 5_000 if wide else 3)  # 20 kB a row: 128 rows a chunk.
    lengths = np.random.default_rng(1).integers(1, 4, rows)
    texts = pa.array([None if at % 5 == 0 else "x" * (at % 40) for at in range(rows)])
    with RecordWriter(shared, ABOUT, rows=rows) as writer:
        for part in parts(sizes, rows):
            assert writer.add("edges", raw(values[part]))
            assert writer.add("padded", raw(values[part][:, :3], lengths[part]))
            assert writer.add("texts", texts[part])
    again = {"edges": raw(values), "padded": raw(values[:, :3], lengths), "texts": texts}
    with RecordWriter(shared, ABOUT, rows=rows) as whole:
        assert all(whole.add(layer, value) for layer, value in again.items())
    assert writer.kept is not None
    assert whole.kept is not None
    assert [track.chunks for track in writer.kept.tracks] == [track.chunks for track in whole.kept.tracks]
    found: dict[str, Any] = {layer: Records(shared, VERSION).find(layer)[0] for layer in again}
    back = np.random.default_rng(2).permutation(rows)
    assert np.array_equal(found["edges"].gather(back), values[back])
    assert np.array_equal(found["padded"].lengths(back), lengths[back])
    assert found["texts"].take(back).equals(texts.take(pa.array(back)))


def test_a_chunk_has_a_power_of_two_rows_and_about_four_mebibytes(store: Store) -> None:
    kept = keep(store, {"wide": draw(300, 5_000), "narrow": draw(300, 2)})
    narrow, wide = kept.tracks
    assert (wide.rows_per_chunk, len(wide.chunks)) == (128, 3)
    assert (narrow.rows_per_chunk, len(narrow.chunks)) == (1 << 17, 1)
    assert wide.bytes == 300 * 20_000


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1.5, -0.0, float("nan"), None]),
        pa.array([[1, 2], None, [], [3]]),
        pa.array([[0.5], [float("nan"), -0.0], None, []]),
        pa.array(["a", None, "größe", ""]),
        pa.array([b"\x00", b"", None, b"x"]),
        pa.array([True, None, False, True]),
        pa.array([datetime(2026, 1, 31, tzinfo=UTC)] * 4),
        pa.array([None, None, None, None]),
        pa.array([{"a": 1}, {"a": None}, None, {"a": 3}]),
    ],
    ids=lambda array: str(array.type),
)
def test_an_arrow_array_comes_back_to_the_bit_of_a_float(store: Store, array: pa.Array) -> None:
    with RecordWriter(store, ABOUT, rows=4) as writer:
        assert writer.add("raw", array.slice(0, 1))
        assert writer.add("raw", array.slice(1))
    record = only(Records(store, VERSION).find("raw"))
    taken: Any = record.take(np.array([3, 0, 2, 1]))
    assert taken.type == array.type
    assert repr(taken.to_pylist()) == repr([array.to_pylist()[at] for at in (3, 0, 2, 1)])


def test_equal_rows_under_other_bytes_in_memory_are_one_chunk(store: Store) -> None:
    plain = pa.array(["a", None, "c"])
    sliced = pa.array(["z", "a", None, "c", "y"]).slice(1, 3)
    digests = set()
    for array in (plain, sliced):
        with RecordWriter(store, ABOUT, rows=3) as writer:
            writer.add("raw", array)
        assert writer.kept is not None
        digests |= set(writer.kept.tracks[0].chunks)
    assert len(digests) == 1


def test_the_memory_may_change_when_add_returns(store: Store) -> None:
    values = draw(100, 4)
    first = values.copy()
    with RecordWriter(store, ABOUT, rows=200) as writer:
        data = memoryview(values).cast("B")
        writer.add("edges", {"values": RawTensor("F32", (100, 4), data)})
        values[:] = 7
        writer.add("edges", {"values": RawTensor("F32", (100, 4), data)})
    record = only(Records(store, VERSION).find("edges"))
    assert np.array_equal(record.gather(np.arange(100)), first)


def test_nothing_is_kept_where_the_block_raises(store: Store) -> None:
    writer = RecordWriter(store, ABOUT, rows=64)

    def block() -> None:
        with writer:
            writer.add("edges", raw(draw(64, 4)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert writer.kept is None
    assert store.catalog.recordings.every() == []
    assert list(store.path.rglob("*.pack")) == []


def test_an_error_that_the_block_passes_over_is_raised_at_its_end(store: Store) -> None:
    def block(writer: RecordWriter) -> None:
        writer.add("shapes", raw(draw(64, 4)))
        with pytest.raises(InvalidData):
            writer.add("edges", {"values": RawTensor("F32", (64, 4), b"short")})

    writer = RecordWriter(store, ABOUT, rows=64)
    with pytest.raises(InvalidData, match="layer edges: 5 bytes are not F32"), writer:
        block(writer)
    assert store.catalog.recordings.every() == []


class Full(Disk):
    """A disk that is full from some pack on."""

    room = 0

    def publish(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Write a pack, or fail."""
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        super().publish(name, chunks)


@pytest.mark.parametrize("room", [0, 1])
def test_a_full_disk_ends_the_block_and_nothing_half_is_seen(tmp_path: Path, room: int) -> None:
    Store.open(tmp_path).close()
    disk = Full(tmp_path)
    values = np.full((64, 1 << 18), 0.5, np.float32)  # 64 MiB: the first pack is written on the way.
    with Store.open(tmp_path, disk=disk) as store:
        disk.room = room
        with pytest.raises(OSError, match="No space left") as failure:
            keep(store, {"edges": values, "shapes": values[:, :1000]})
        assert failure.value.errno == errno.ENOSPC
        disk.room = 99
        assert Records(store, VERSION).find("edges") == []
        assert store.catalog.check().wrong == []
        # And with room again the same is kept.
        keep(store, {"edges": values[:, :100]})
        assert len(Records(store, VERSION).find("edges")) == 1


@pytest.mark.parametrize("kind", ["ENOSPC", "short write"])
def test_a_fault_at_any_effect_keeps_all_of_it_or_nothing(tmp_path: Path, kind: str) -> None:
    Store.open(tmp_path).close()
    for at in count(1):
        fault, values = Fault(kind, 0), draw(64, 8, seed=at)
        about = About("digits", at, Digest(f"{at:064x}"), None, "train")
        with Store.open(tmp_path, disk=FaultyDisk(tmp_path, fault)) as store:
            store.catalog.names("model")
            fault.at, fault.count = at, 0
            failed = False
            try:
                keep(store, {"edges": values}, about)
            except OSError:
                failed = True
        with Store.open(tmp_path) as store:
            found = Records(store, about.version).find("edges")
            assert failed or len(found) == 1
            assert all(np.array_equal(record.gather(np.arange(64)), values) for record in found)
            assert store.catalog.check().wrong == []
        if not fault.fired:
            assert at > 1
            break


def test_a_layer_that_would_pass_the_cap_is_left_out_whole_and_said(store: Store) -> None:
    with RecordWriter(store, ABOUT, rows=1_000, cap=10_000) as writer:
        assert writer.add("small", raw(draw(100, 1)))
        assert not writer.add("large", raw(draw(100, 10)))
        assert writer.add("small", raw(draw(900, 1)))
        assert not writer.add("large", raw(draw(900, 10)))
        writer.add("texts", pa.array(["x" * 50] * 1_000))
    kept = writer.kept
    assert kept is not None
    assert [track.layer for track in kept.tracks] == ["small"]
    assert kept.bytes == writer.bytes == 4_000
    assert kept.notes[0] == "large: left out: with it the records pass the cap of 10,000 bytes"
    assert kept.notes[1].startswith("texts: left out")


def test_a_layer_that_not_all_rows_went_through_is_left_out_and_said(store: Store) -> None:
    with RecordWriter(store, ABOUT, rows=128) as writer:
        writer.add("edges", raw(draw(128, 2)))
        writer.add("sometimes", raw(draw(64, 2)))
        writer.add("changing", raw(draw(64, 2)))
        assert not writer.add("changing", raw(draw(64, 3)))
    assert writer.kept is not None
    assert [track.layer for track in writer.kept.tracks] == ["edges"]
    assert writer.kept.notes == (
        "changing: left out: its rows were F32 [2], then F32 [3]",
        "sometimes: left out: 64 of 128 rows went through it",
    )


def test_an_array_of_a_type_that_is_not_kept_is_left_out_and_said(store: Store) -> None:
    coded = pa.array(["a", "b", "a"]).dictionary_encode()
    nested = pa.StructArray.from_arrays([coded], ["a"])
    with RecordWriter(store, ABOUT, rows=3) as writer:
        assert not writer.add("raw", coded)
        assert not writer.add("nested", nested)
        assert writer.add("edges", raw(draw(3, 2)))
    assert writer.kept is not None
    assert [note.split(":")[0] for note in writer.kept.notes] == ["raw", "nested"]


def test_where_no_layer_is_kept_there_is_no_set(store: Store) -> None:
    with RecordWriter(store, ABOUT, rows=64, cap=10) as writer:
        assert not writer.add("edges", raw(draw(64, 2)))
    assert writer.kept is None
    assert store.catalog.recordings.every() == []


def test_gradients_stand_beside_outputs_of_the_same_layer(store: Store) -> None:
    with RecordWriter(store, ABOUT, rows=64) as writer:
        writer.add("edges:2", raw(draw(64, 2)))
        writer.add("edges:2", raw(draw(64, 2, seed=1)), what="gradient")
    records = Records(store, VERSION)
    assert np.array_equal(only(records.find("edges:2", "gradient")).gather(np.arange(64)), draw(64, 2, seed=1))
    assert records.layers() == records.layers("gradient") == ["edges:2"]


def test_after_its_age_it_is_as_if_it_were_not_there(store: Store) -> None:
    keep(store, {"edges": draw(64, 2)}, age=timedelta(hours=1))
    soon, later = (lambda wait=wait: datetime.now(UTC) + timedelta(minutes=wait) for wait in (59, 61))
    assert len(Records(store, VERSION, clock=soon).find("edges")) == 1
    assert Records(store, VERSION, clock=later).find("edges") == []


def test_ten_versions_of_which_two_of_eight_layers_changed_cost_a_third(store: Store) -> None:
    rows, naive = 256, 0
    for number in range(10):
        layers = {f"layer{at}": draw(rows, 64, seed=at if at < 6 else 100 * number + at) for at in range(8)}
        about = About("digits", number + 1, Digest(f"{number:064x}"), None, "look")
        naive += sum(values.nbytes for values in layers.values())
        keep(store, layers, about)
    used = sum(path.stat().st_size for path in store.path.rglob("*.pack"))
    chunks = (8 + 9 * 2) * rows * 64 * 4
    assert chunks / naive == 0.325
    assert used / chunks < 1.01 + 10 * 3_000 / chunks
    assert used / naive <= 0.33, used / naive


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (lambda writer: writer.add("edges", raw(draw(65, 2))), "layer edges: 65 rows were given, and 64 are kept"),
        (lambda writer: writer.add("edges", {"weights": RawTensor("F32", (1,), bytes(4))}), "cannot be kept"),
        (lambda writer: writer.add("edges", {"values": RawTensor("F32", (), bytes(4))}), "has no rows"),
        (lambda writer: writer.add("edges", {"values": RawTensor("F31", (1,), bytes(4))}), "cannot be kept"),
        (lambda writer: writer.add("edges", raw(draw(64, 2)), what="weights"), "expected one of output"),
        (lambda writer: writer.add("edges", raw(draw(64, 2), np.ones(63, "<i8"))), "lengths are int64"),
    ],
)
def test_what_cannot_be_kept_says_why(store: Store, block: Any, said: str) -> None:
    with pytest.raises(InvalidData, match=said), RecordWriter(store, ABOUT, rows=64) as writer:
        block(writer)


@pytest.mark.parametrize("layer", ["../x", "", "a b", "edges:0", "a" * 2_000, "\x1b[31m", None])
def test_a_layers_path_is_held_to_its_grammar(store: Store, layer: Any) -> None:
    with pytest.raises(InvalidName, match="is not the path of a layer"), RecordWriter(store, ABOUT, rows=64) as writer:
        writer.add(layer, raw(draw(64, 2)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"positions": np.array([1, 1])}, "the position 1 is there twice"),
        ({"positions": np.array([-1, 1])}, "counts from 0, found -1"),
        ({"positions": np.array([0.5, 1])}, "expected whole numbers"),
        ({"positions": np.arange(3)}, "expected whole numbers"),
        ({"ids": ["a"]}, "1 ids for 2 rows"),
        ({"ids": ["a", 7]}, "a row's id is text"),
        ({"ids": ["a", "\ud800"]}, "half of a character"),
        ({"ids": ["a", "x" * 20_000]}, "at most 10,000"),
    ],
)
def test_positions_and_ids_that_cannot_be_are_refused(store: Store, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidData, match=said):
        RecordWriter(store, ABOUT, rows=2, **options)


def test_a_closed_writer_takes_nothing(store: Store) -> None:
    writer = RecordWriter(store, ABOUT, rows=64)
    with pytest.raises(LayerwiseError, match="add records inside"):
        writer.add("edges", raw(draw(64, 2)))


def test_a_value_is_a_tensor_a_padded_one_or_an_array() -> None:
    assert sort_of(pa.array(["a"]), "x").type == "arrow"
    assert sort_of(raw(draw(2, 3)), "x").type == "tensor"
    assert sort_of(raw(draw(2, 3), np.ones(2, "<i8")), "x").type == "padded"
