"""Blocks of rows: the same bytes for the same rows, whatever Arrow made of them before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from layerwise.errors import Damaged
from layerwise.store.tables import canonical, check_values, decode_block, encode_block


def block_of(**columns: Any) -> bytes:
    return bytes(encode_block(pa.record_batch(columns)))


SAME = {
    "a slice": (pa.array([9, 1, None, 3, 9]).slice(1, 3), pa.array([1, None, 3])),
    "text in a slice": (pa.array(["x", "ab", None, ""]).slice(1), pa.array(["ab", None, ""])),
    "lists in a slice": (pa.array([[7], [1, 2], None, []]).slice(1), pa.array([[1, 2], None, []])),
    "true and false in a slice": (
        pa.array([True] * 3 + [False, None]).slice(2),
        pa.array([True, False, None]),
    ),
    "no gaps in a slice": (pa.array([None, 1, 2]).slice(1), pa.array([1, 2])),
    "zeros": (pa.array([-0.0, 1.0]), pa.array([0.0, 1.0])),
    "half zeros": (pa.array([np.float16(-0.0)]), pa.array([np.float16(0.0)])),
    "zeros in lists": (pa.array([[-0.0]]), pa.array([[0.0]])),
    "numbers in a buffer that is too long": (
        pa.Array.from_buffers(pa.int64(), 1, [None, pa.py_buffer(np.array([5]).tobytes() + b"xyz")]),
        pa.array([5]),
    ),
    "text by offsets in a buffer that is too long": (
        pa.Array.from_buffers(
            pa.string(), 1, [None, pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 9])), pa.py_buffer(b"ab")]
        ),
        pa.array(["a"]),
    ),
    "hidden under a gap": (
        pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([5, 77]))]),
        pa.array([5, None]),
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_equal_rows_are_equal_bytes(case: str) -> None:
    one, other = SAME[case]
    assert block_of(c=one) == block_of(c=other)


def test_every_nan_is_one_nan() -> None:
    words = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000123], dtype=np.uint64)
    found = canonical(pa.array(words.view(np.float64))).to_numpy().view(np.uint64)
    assert set(found.tolist()) == {0x7FF8000000000000}


def test_infinities_stay() -> None:
    assert canonical(pa.array([float("inf"), float("-inf")])).to_pylist() == [float("inf"), float("-inf")]


def test_text_hidden_under_a_gap_is_dropped() -> None:
    buffers = [
        pa.py_buffer(b"\x01"),
        pa.py_buffer(np.array([0, 1, 7], dtype=np.int32)),
        pa.py_buffer(b"asecret"),
    ]
    assert b"secret" not in block_of(c=pa.Array.from_buffers(pa.string(), 2, buffers))


def test_tensors_with_gaps() -> None:
    kind = pa.fixed_shape_tensor(pa.float32(), [2])
    items = pa.array(np.array([1, 2, 3, 4, -0.0, 6], dtype=np.float32))
    storage = pa.FixedSizeListArray.from_arrays(items, 2, mask=pa.array([False, True, False]))
    found = canonical(pa.ExtensionArray.from_storage(kind, storage.cast(kind.storage_type)))
    assert found.storage.to_pylist() == [[1, 2], None, [0, 6]]
    assert found.storage.values.to_numpy().tolist() == [1, 2, 0, 0, 0, 6]


def test_metadata_of_the_source_is_left_out() -> None:
    batch = pa.record_batch({"a": pa.array([1])})
    assert encode_block(batch).equals(encode_block(batch.replace_schema_metadata({"pandas": "{}"})))


def test_a_block_is_read_without_a_copy() -> None:
    data = memoryview(block_of(a=pa.array(np.arange(1000))))
    found = decode_block(data, pa.schema([("a", pa.int64())]), "block 0")
    start = np.frombuffer(data, dtype=np.uint8).ctypes.data
    assert start <= found.column(0).buffers()[1].address < start + len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not arrow",
        block_of(a=pa.array([1]))[:-40],
        block_of(b=pa.array([1])),
        block_of(a=pa.array(["x"])),
    ],
    ids=["empty", "noise", "cut short", "other name", "other type"],
)
def test_other_bytes_are_damage(data: bytes) -> None:
    with pytest.raises(Damaged, match="block 0"):
        decode_block(memoryview(data), pa.schema([("a", pa.int64())]), "block 0")


def test_offsets_outside_the_block_are_damage() -> None:
    buffers = [None, pa.py_buffer(np.array([0, 10**8, 1], dtype=np.int32)), pa.py_buffer(b"a")]
    batch = pa.record_batch({"a": pa.Array.from_buffers(pa.string(), 2, buffers)})
    with pytest.raises(Damaged, match="block 0"):
        check_values(batch, "block 0")
