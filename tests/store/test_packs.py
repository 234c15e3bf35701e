"""Packs: safetensors files whose objects start at multiples of 64 bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

from layerwise.canonical import digest_bytes
from layerwise.errors import InvalidFile, InvalidName
from layerwise.store.packs import MAX_OBJECTS, lay_out, pack_name, read_pack
from layerwise.store.tensors import RawTensor, frame
from layerwise.words import Digest


def build(contents: list[bytes]) -> memoryview:
    layout = lay_out([(digest_bytes([content]), len(content)) for content in contents])
    return memoryview(b"".join(layout.chunks([[memoryview(content)] for content in contents])))


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=12, unique=True))
def test_objects_are_where_the_pack_says_aligned_and_whole(contents: list[bytes]) -> None:
    data = build(contents)
    places = read_pack(data, "a pack")
    assert [bytes(data[p.position : p.position + p.length]) for p in places] == contents
    assert [p.digest for p in places] == [digest_bytes([content]) for content in contents]
    assert all(place.position % 64 == 0 for place in places)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=12, unique=True))
def test_safetensors_reads_the_same_objects(contents: list[bytes]) -> None:
    found = safetensors.deserialize(bytes(build(contents)))  # type: ignore[no-untyped-call]
    theirs = {name: bytes(value["data"]) for name, value in found}
    padding = {name: theirs.pop(name) for name in list(theirs) if name.startswith("pad.")}
    assert theirs == {digest_bytes([content]): content for content in contents}
    assert all(0 < len(zeros) < 64 and not any(zeros) for zeros in padding.values())


def test_safe_open_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(build([b"hello", b"", bytes(1000)]))
    with safetensors.safe_open(path, "np") as pack:
        assert pack.metadata() == {"format": "layerwise.pack.v2"}
        assert pack.get_tensor(digest_bytes([b"hello"])).tobytes() == b"hello"
        assert pack.get_tensor(digest_bytes([b""])).tobytes() == b""


def test_equal_objects_give_equal_packs() -> None:
    assert build([b"a", b"b"]) == build([b"a", b"b"])
    assert build([b"a", b"b"]) != build([b"b", b"a"])


def test_a_pack_holds_some_objects_and_not_too_many() -> None:
    for count in (0, MAX_OBJECTS + 1):
        with pytest.raises(InvalidFile, match=f"found {count:,}"):
            lay_out([(Digest(f"{n:064x}"), 1) for n in range(count)])


def test_the_largest_pack_can_be_read() -> None:
    layout = lay_out([(Digest(f"{n:064x}"), 1) for n in range(MAX_OBJECTS)])
    data = b"".join(layout.chunks([[memoryview(b"x")]] * MAX_OBJECTS))
    assert tuple(read_pack(memoryview(data), "a pack")) == layout.places


def test_what_is_no_pack_is_refused() -> None:
    one = RawTensor("U8", (1,), b"x")
    name = "a" * 64
    mark = {"format": "layerwise.pack.v2"}
    for tensors, metadata, words in (
        ({name: one}, {}, "says its format is 'nothing'"),
        ({name: one}, {"format": "layerwise.pack.v3"}, "layerwise.pack.v3"),
        ({"weight": one}, mark, "is not a digest"),
        ({name: RawTensor("F32", (1,), bytes(4))}, mark, "objects are U8"),
        ({name: RawTensor("U8", (1, 1), b"x")}, mark, "objects are U8"),
        ({"0" * 64: one, name: one}, mark, "not a multiple of 64"),
    ):
        with pytest.raises(InvalidFile, match=words):
            read_pack(memoryview(b"".join(frame(tensors, metadata))), "a pack")


def test_only_a_digest_names_a_pack() -> None:
    assert pack_name(Digest("ab" * 32)) == f"packs/ab/{'ab' * 32}.pack"
    for bad in ("../x", "A" * 64, "a" * 63, "a" * 64 + "\n"):
        with pytest.raises(InvalidName):
            pack_name(Digest(bad))
