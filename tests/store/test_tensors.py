"""Tensors: safetensors' framing, the same bytes for the same values, and every bad file refused by name."""

from __future__ import annotations

import contextlib
import json
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import InvalidFile
from layerwise.store.disk import Buffer
from layerwise.store.tensors import MAX_TENSORS, SIZES, RawTensor, frame, read_header, unframe

TENSORS = {
    "bias": RawTensor("F32", (3,), np.arange(3, dtype="<f4").tobytes()),
    "weight": RawTensor("F64", (3, 2), np.arange(6, dtype="<f8").tobytes()),
    "half": RawTensor("BF16", (5,), bytes(range(10))),
    "scalar": RawTensor("I64", (), bytes(8)),
    "empty": RawTensor("F32", (0, 7), b""),
    "mask": RawTensor("BOOL", (3,), b"\1\0\1"),
}


def read_theirs(data: bytes | bytearray | memoryview) -> dict[str, bytes]:
    """Return the tensors' bytes as safetensors itself finds them."""
    found = safetensors.deserialize(bytes(data))  # type: ignore[no-untyped-call]
    return {name: bytes(value["data"]) for name, value in found}


def joined(chunks: list[Buffer]) -> memoryview:
    return memoryview(b"".join(chunks))


def file(header: Any, data: bytes = b"", *, length: int | None = None) -> memoryview:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return memoryview(struct.pack("<Q", len(text) if length is None else length) + text + data)


def tensor(dtype: Any = "U8", shape: Any = (4,), offsets: Any = (0, 4), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def test_tensors_come_back() -> None:
    found = unframe(joined(frame(TENSORS)), "it")
    assert {name: (t.dtype, t.shape, bytes(t.data)) for name, t in found.items()} == {
        name: (t.dtype, t.shape, bytes(t.data)) for name, t in TENSORS.items()
    }


def test_safetensors_reads_what_we_write() -> None:
    assert read_theirs(joined(frame(TENSORS, {"made": "here"}))) == {name: bytes(t.data) for name, t in TENSORS.items()}


def test_we_read_what_safetensors_writes() -> None:
    theirs = {"b": np.arange(2, dtype="<f4"), "a": np.ones((1, 2, 3), np.uint8), "c": np.zeros((0, 2))}
    found = unframe(memoryview(safetensors.numpy.save(theirs, {"k": "v"})), "it")
    assert {name: t.shape for name, t in found.items()} == {name: t.shape for name, t in theirs.items()}
    assert {name: bytes(t.data) for name, t in found.items()} == {n: t.tobytes() for n, t in theirs.items()}


def test_equal_tensors_give_equal_bytes_in_any_order() -> None:
    backwards = dict(reversed(TENSORS.items()))
    assert joined(frame(TENSORS, {"a": "1", "b": "2"})) == joined(frame(backwards, {"b": "2", "a": "1"}))


def test_data_starts_at_a_multiple_of_64_and_each_tensor_at_its_own_size() -> None:
    data = joined(frame(TENSORS))
    spans = read_header(data, "it").spans
    assert min(span.begin for span in spans.values()) % 64 == 0
    assert all(span.begin % SIZES[span.dtype] == 0 for span in spans.values())


def test_nothing_is_copied_either_way() -> None:
    big = bytearray(32 << 20)
    tracemalloc.start()
    try:
        chunks = frame({"w": RawTensor("U8", (len(big),), big)})
        whole = np.frombuffer(chunks[1], np.uint8)
        assert whole.__array_interface__["data"][0] == np.frombuffer(big, np.uint8).__array_interface__["data"][0]
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    data = joined(chunks)
    view = unframe(data, "it")["w"].data
    assert isinstance(view, memoryview)
    assert view.obj is data.obj


def test_metadata_comes_back() -> None:
    assert read_header(joined(frame({}, {"a": "b"})), "it").metadata == {"a": "b"}


BAD: dict[str, tuple[memoryview, str]] = {
    "nothing at all": (memoryview(b""), "has 0 bytes"),
    "half a length": (memoryview(b"\1\0\0"), "has 3 bytes"),
    "length 2**63": (file(b"{}", length=2**63), "says its header has 9,223,372,036,854,775,808"),
    "length 2**64-1": (file(b"{}", length=2**64 - 1), "says its header has"),
    "header over 1 MB": (file(b" " * 1_000_001), "at most 1,000,000"),
    "header cut off": (file(b"{}", length=100), "is cut off: its header"),
    "no JSON": (file(b"\xff\xfe"), "is not JSON"),
    "pickle": (memoryview(b"\x80\x04\x95" + bytes(100)), "header has"),
    "a list": (file([]), "is a list; expected an object"),
    "a key twice": (file(b'{"a":1,"a":2}'), "key 'a' twice"),
    "a field twice": (file(b'{"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}', b"x"), "twice"),
    "NaN": (file(b'{"a":NaN}'), "NaN"),
    "infinity": (file(b'{"a":-Infinity}'), "Infinity"),
    "a deep bomb": (file(b"[" * 100_000), "nests deeper"),
    "a huge number": (
        file(b'{"a":{"dtype":"U8","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,1]}}'),
        "5,000 digits",
    ),
    "100k tensors": (
        file({f"{n:x}": 0 for n in range(100_000)}),
        "header has|tensors; at most",
    ),
    "10,001 tensors": (file({f"{n:x}": 0 for n in range(MAX_TENSORS + 1)}), "has 10,001 tensors"),
    "a number as tensor": (file({"a": 1}), "described by 'int'"),
    "a field missing": (file({"a": {"dtype": "U8", "shape": []}}), "expected exactly"),
    "a field too many": (file({"a": tensor(more=1)}, b"1234"), "expected exactly"),
    "unknown type": (file({"a": tensor("F31")}, b"1234"), "'F31', which is not known. Did you mean 'F32'"),
    "type as number": (file({"a": tensor(7)}, b"1234"), "'7'"),
    "type as list": (file({"a": tensor(["U8"])}, b"1234"), "not known"),
    "type below a byte": (file({"a": tensor("F4", [8])}, b"1234"), "'F4'"),
    "negative size": (file({"a": tensor(shape=[-4])}, b"1234"), "shape"),
    "fractional size": (file({"a": tensor(shape=[4.0])}, b"1234"), "shape"),
    "true as size": (file({"a": tensor(shape=[True, 4])}, b"1234"), "shape"),
    "size as text": (file({"a": tensor(shape="4")}, b"1234"), "shape"),
    "null as shape": (file({"a": tensor(shape=None)}, b"1234"), "shape"),
    "65 dimensions": (file({"a": tensor(shape=[1] * 65, offsets=[0, 1])}, b"1"), "at most 64"),
    "overflow to 0": (file({"a": tensor(shape=[2**32, 2**32], offsets=[0, 0])}), r"2\*\*63"),
    "overflow by type": (file({"a": tensor("F64", [2**61], [0, 0])}), r"2\*\*63"),
    "one huge size": (file({"a": tensor(shape=[2**63], offsets=[0, 4])}, b"1234"), "shape"),
    "huge shape, few bytes": (file({"a": tensor(shape=[2**40])}, b"1234"), "take 1,099,511,627,776"),
    "three offsets": (file({"a": tensor(offsets=[0, 2, 4])}, b"1234"), "data_offsets"),
    "negative offset": (file({"a": tensor(offsets=[-4, 0])}, b"1234"), "data_offsets"),
    "offsets backwards": (file({"a": tensor(offsets=[4, 0])}, b"1234"), "-4 bytes"),
    "offset 2**63": (file({"a": tensor(offsets=[2**63, 2**63 + 4])}, b"1234"), "data_offsets"),
    "beyond the end": (file({"a": tensor(shape=[8], offsets=[0, 8])}, b"1234"), "is cut off"),
    "a hole first": (file({"a": tensor(offsets=[1, 5])}, b"12345"), "a hole before tensor 'a'"),
    "a hole between": (
        file({"a": tensor(), "b": tensor(offsets=[5, 9])}, b"123456789"),
        "a hole before tensor 'b'",
    ),
    "an overlap": (file({"a": tensor(), "b": tensor(offsets=[2, 6])}, b"123456"), "an overlap"),
    "the same bytes twice": (file({"a": tensor(), "b": tensor()}, b"1234"), "an overlap"),
    "bytes after the end": (file({"a": tensor()}, b"1234PK\3\4"), "belong to no tensor"),
    "control character": (file({"a\nb": tensor()}, b"1234"), "control"),
    "NUL": (file({"a\0": tensor()}, b"1234"), "control"),
    "escape sequence": (file({"\x1b[2J": tensor()}, b"1234"), "control"),
    "a long name": (file({"x" * 501: tensor()}, b"1234"), "at most 500"),
    "metadata as number": (file({"__metadata__": 1}), "text by text"),
    "metadata of numbers": (file({"__metadata__": {"a": 1}}), "text by text"),
    "not UTF-8": (file(b'{"\xff":1}'), "is not JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_its_name_and_without_allocating(case: str) -> None:
    data, words = BAD[case]
    tracemalloc.start()
    try:
        with pytest.raises(InvalidFile, match=words) as caught:
            unframe(data, "the state of digits@3/edges")
        assert "the state of digits@3/edges" in str(caught.value)
        assert len(str(caught.value)) < 500
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_half_a_character_is_no_name() -> None:
    with pytest.raises(InvalidFile, match=r"half of a character|control"):
        unframe(file(b'{"\\ud800":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', b"1234"), "it")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/abs", "", "encoder.block0.weight", "层", "a b"])
def test_a_name_is_only_a_name(name: str) -> None:
    """What looks like a path is a key in a dict: nothing is ever opened by it."""
    assert list(unframe(joined(frame({name: TENSORS["mask"]})), "it")) == [name]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (RawTensor("F32", (3,), bytes(11)), "has 11 bytes; F32 of shape .3. takes 12"),
        (RawTensor("float32", (3,), bytes(12)), "is not known"),
        (RawTensor("U8", (-1,), b""), "shape"),
        (RawTensor("U8", (2, 2), np.arange(16, dtype=np.uint8).reshape(4, 4)[:2, :2].data), "contiguous"),
    ],
)
def test_what_could_not_be_read_is_not_written(bad: RawTensor, words: str) -> None:
    with pytest.raises(InvalidFile, match=words):
        frame({"a": bad})


def test_too_many_tensors_and_bad_names_are_not_written() -> None:
    one = RawTensor("U8", (1,), b"x")
    with pytest.raises(InvalidFile, match="10,001"):
        frame({str(n): one for n in range(MAX_TENSORS + 1)})
    for name in ("__metadata__", "x" * 501, "a\0"):
        with pytest.raises(InvalidFile):
            frame({name: one})
    with pytest.raises(InvalidFile, match="at most 1,000,000"):
        frame({"x" * 450 + str(n): one for n in range(3000)})


def test_a_large_header_is_read_by_who_asks_for_it() -> None:
    one = RawTensor("U8", (1,), b"x")
    data = joined(frame({"x" * 450 + str(n): one for n in range(3000)}, header_limit=10_000_000))
    assert len(unframe(data, "it", header_limit=10_000_000)) == 3000
    with pytest.raises(InvalidFile, match="at most 10,000,000"):
        unframe(file(b" " * 10_000_001), "it", header_limit=10**12)


def test_values_of_any_type_of_memory_are_taken() -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    found = unframe(joined(frame({"a": RawTensor("F32", (2, 3), values.data)})), "it")
    assert bytes(found["a"].data) == values.tobytes()


@st.composite
def raw_tensors(draw: st.DrawFn) -> RawTensor:
    dtype = draw(st.sampled_from(sorted(SIZES)))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    size = SIZES[dtype] * int(np.prod(shape, dtype=int))
    return RawTensor(dtype, shape, draw(st.binary(min_size=size, max_size=size)))


NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12).filter(lambda name: name != "__metadata__")


@given(st.dictionaries(NAMES, raw_tensors(), max_size=6))
def test_any_tensors_come_back_and_safetensors_agrees(tensors: dict[str, RawTensor]) -> None:
    data = joined(frame(tensors))
    assert {name: (t.dtype, t.shape, bytes(t.data)) for name, t in unframe(data, "it").items()} == {
        name: (t.dtype, t.shape, bytes(t.data)) for name, t in tensors.items()
    }
    assert read_theirs(data) == {name: bytes(t.data) for name, t in tensors.items()}


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_our_own_words(data: bytes) -> None:
    with contextlib.suppress(InvalidFile):
        unframe(memoryview(data), "it")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_header_is_refused_or_safetensors_reads_it_the_same(place: int, change: int) -> None:
    data = bytearray(joined(frame(TENSORS)))
    data[place % len(data)] ^= change
    try:
        ours = unframe(memoryview(data), "it")
    except InvalidFile:
        return
    assert {name: bytes(t.data) for name, t in ours.items()} == read_theirs(data)
