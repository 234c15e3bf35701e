"""The parts of a collection: cold packs by themselves, chains of differences, what is old, what is needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.canonical import digest_bytes
from layerwise.errors import InvalidFile
from layerwise.store.cold.coding import MAX_DEPTH, decode, encode
from layerwise.store.packs import Coded, lay_out, name_of, read_pack
from layerwise.store.tensors import RawTensor, frame
from layerwise.upkeep.lineage import Chains
from layerwise.words import Digest


def test_a_cold_pack_alone_says_what_it_holds_and_each_of_its_bytes_is_in_its_name() -> None:
    plain, text = b"as it is", b"layer by layer " * 1000
    found = encode(text)
    data = bytes(found.data)
    coded = {digest_bytes([text]): Coded(found.coding, len(text), digest_bytes([data]))}
    layout = lay_out([(digest_bytes([plain]), len(plain)), (digest_bytes([text]), len(data))], coded)
    pack = b"".join(layout.chunks([[memoryview(plain)], [memoryview(data)]]))
    first, second = read_pack(memoryview(pack), "a pack")
    assert (first, second) == layout.places
    assert (first.length, first.stored, first.check, first.coded) == (8, 8, digest_bytes([plain]), None)
    assert (second.length, second.stored, second.check) == (15_000, len(data), digest_bytes([data]))
    stored = memoryview(pack)[second.position : second.position + second.stored]
    assert bytes(decode(found.coding, stored, second.length, base=lambda digest: memoryview(b""))) == text
    assert name_of(memoryview(pack), "a pack") == layout.name
    sizes = [(place.digest, place.stored) for place in layout.places]
    other = lay_out(sizes, {second.digest: Coded("zstd.v1", 15_000, first.digest)})
    assert other.name != layout.name


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a" * 64, "zstd.v1 15000"),
        ("a" * 64, f"zstd.v1 -1 {'b' * 64}"),
        ("a" * 64, f"zstd.v1 {10**18} {'b' * 64}"),
        ("a" * 64, f"zstd.v1 {10**17} {'b' * 64}"),
        ("a" * 64, f"zstd v1 15 {'b' * 64}"),
        ("a" * 64, f"{'z' * 201} 15 {'b' * 64}"),
        ("c" * 64, f"zstd.v1 15 {'b' * 64}"),
        ("../../x", f"zstd.v1 15 {'b' * 64}"),
    ],
)
def test_what_a_pack_cannot_say_of_a_coded_object_is_refused(key: str, text: str) -> None:
    metadata = {"format": "layerwise.pack.v2", f"coding.{key}": text}
    data = b"".join(frame({"a" * 64: RawTensor("U8", (64,), b"x" * 64)}, metadata))
    with pytest.raises(InvalidFile, match="a pack"):
        read_pack(memoryview(data), "a pack")


STATES = st.integers(0, 11).map(lambda number: Digest(f"{number:064x}"))


@given(st.lists(st.tuples(STATES, st.dictionaries(STATES, STATES)), max_size=40))
def test_whatever_came_from_what_no_chain_is_a_circle_or_too_deep(
    steps: list[tuple[Digest, dict[Digest, Digest]]],
) -> None:
    """Each step codes one state, by another idea of what came from what: catalogs are collected again and again."""
    chains, bases = Chains({}), dict[Digest, set[Digest]]()
    for state, parents in steps:
        if state in bases:
            continue
        chosen = chains.bases_for(state, parents)
        chains.add(state, chosen)
        bases[state] = set(chosen)

    def depth(state: Digest, above: frozenset[Digest] = frozenset()) -> int:
        assert state not in above
        return max((1 + depth(base, above | {state}) for base in bases.get(state, ())), default=0)

    assert max(map(depth, bases), default=0) <= MAX_DEPTH
