"""Codings of cold packs: every bit comes back, what was damaged is refused, and nothing is unpacked past its length."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise import canonical
from layerwise.errors import Damaged, InvalidFile, LayerwiseError, Unsupported
from layerwise.store.cold.chain import Stored, unpack
from layerwise.store.cold.coding import RAW, Base, Coded, bases_of, decode, encode
from layerwise.store.tensors import SIZES, RawTensor, frame
from layerwise.words import Digest
from tests.support.counts import report

SEED = 20260131
MUTANTS = int(os.environ.get("LAYERWISE_CODING_MUTANTS", "3000"))
TYPES = sorted(SIZES)
WRITTEN = {
    "zstd.v1": (
        "01025100000028b52ffd2080450200e40338007b2277223a7b22646174615f6f666673657473223a5b302c36345d2c226474"
        "797065223a22463332222c227368617065223a5b31365d7d7d0500000002009c9d8403c002"
    ),
    "planes.v1": (
        "400000000038000000000000007b2277223a7b22646174615f6f666673657473223a5b302c36345d2c226474797065223a22"
        "463332222c227368617065223a5b31365d7d7d010a010001000100"
    ),
    "delta.v1:" + "1" * 64: "0004000000010a010001000100",
    "delta.v1:" + "1" * 64 + "," + "2" * 64: "0004000000010a010001000100",
}
"""A small state in every coding, as hexadecimal digits."""


def state(tensors: Mapping[str, tuple[str, bytes]]) -> memoryview:
    """Return a state of one-dimensional tensors, given as type and bytes by name."""
    raw = {name: RawTensor(dtype, (len(data) // SIZES[dtype],), data) for name, (dtype, data) in tensors.items()}
    return memoryview(b"".join(frame(raw)))


def floats(*arrays: np.ndarray[Any, Any]) -> memoryview:
    return state({f"w{number}": ("F32", array.astype("<f4").tobytes()) for number, array in enumerate(arrays)})


def versions(count: int, size: int = 5_000, step: float = 1e-4) -> list[memoryview]:
    """Return states that go the same way with a little noise, some weights of which stand still."""
    random = np.random.default_rng(SEED)
    weights, way = random.normal(0, 0.05, size), random.normal(0, step, size) * (random.random(size) > 0.2)
    found = []
    for _ in range(count):
        found.append(floats(weights, weights[:64]))
        weights = weights + way * random.normal(1, 0.2, size)
    return found


def none(digest: Digest) -> memoryview:
    raise AssertionError(f"{digest} was asked for")


def base(data: memoryview) -> Base:
    return Base(canonical.digest_bytes([data]), data)


def back(coded: Coded, length: int, *bases: Base) -> memoryview:
    known = {one.digest: one.data for one in bases}
    return decode(coded.coding, coded.data, length, known.__getitem__)


def same(data: memoryview, *bases: Base) -> Coded:
    """Return how ``data`` was coded, once it is known to come back."""
    coded = encode(data, bases)
    found = back(coded, len(data), *bases)
    assert found == memoryview(data).cast("B")
    assert found.readonly
    assert len(coded.data) <= len(data)
    return coded


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_bytes_come_back(data: bytes, times: int) -> None:
    same(memoryview(data * times))


@settings(max_examples=200)
@given(st.data())
def test_any_bits_of_any_type_come_back_beside_any_others(data: st.DataObject) -> None:
    dtypes = data.draw(st.lists(st.sampled_from(TYPES), max_size=3))
    counts = [data.draw(st.integers(0, 700)) for _ in dtypes]
    seeds = data.draw(st.lists(st.integers(0, 2**32), min_size=3, max_size=3))
    flips = data.draw(st.sampled_from([0.0, 0.001, 0.1, 1.0]))

    def bits(seed: int) -> memoryview:
        # The same noise for all, of which some bytes are then others: NaN, infinity and both zeros among them.
        common, own = np.random.default_rng(7), np.random.default_rng(seed)
        made = {}
        for number, (dtype, count) in enumerate(zip(dtypes, counts, strict=True)):
            noise = common.integers(0, 256, count * SIZES[dtype], dtype=np.uint8)
            where = own.random(noise.size) < flips
            noise[where] = own.integers(0, 256, int(where.sum()), dtype=np.uint8)
            made[f"t{number}"] = (dtype, noise.tobytes())
        return state(made)

    new, old, older = (bits(seed) for seed in seeds)
    same(new)
    same(new, base(old))
    same(new, base(old), base(older))


@pytest.mark.parametrize("values", [(0, 1), (0x7FC00000, 0x7FC00001), (0x80000000, 0), (0x7F800000, 0xFF800000)])
def test_a_bit_of_a_nan_a_zero_and_an_infinity_is_kept(values: tuple[int, int]) -> None:
    old, new = (state({"w": ("F32", np.full(4_000, value, "<u4").tobytes())}) for value in values)
    assert same(new, base(old)).coding.startswith(("delta.v1:", "planes.v1"))


def test_tensors_longer_than_a_portion_come_back() -> None:
    first, second, third = versions(3, size=(1 << 18) + 4_321)
    assert same(third, base(second), base(first)).coding.count(",") == 1
    assert bases_of(same(first).coding) == ()


def test_a_version_costs_less_beside_its_parent_and_less_beside_two() -> None:
    first, second, third = versions(3)
    alone, one, two = same(third), same(third, base(second)), same(third, base(second), base(first))
    assert alone.coding == "planes.v1"
    assert bases_of(alone.coding) == ()
    assert bases_of(one.coding) == (base(second).digest,)
    assert bases_of(two.coding) == (base(second).digest, base(first).digest)
    assert len(two.data) < 0.95 * len(one.data) < 0.6 * len(alone.data)


def test_a_chain_of_versions_comes_back_from_its_first() -> None:
    chain = versions(9)
    for number, data in enumerate(chain):
        before = [base(one) for one in chain[max(0, number - 2) : number]]
        same(data, *reversed(before))


def test_what_was_written_yesterday_is_read_tomorrow() -> None:
    # Written by the first version of each coding. To change what these bytes mean is to give a new name.
    old, older = state({"w": ("F32", bytes(64))}), state({"w": ("F32", b"\x01\0\0\0" * 16)})
    new = state({"w": ("F32", b"\x05\0\0\0" * 16)})
    bases = {"1" * 64: old, "2" * 64: older}
    for coding, stored in WRITTEN.items():
        assert decode(coding, bytes.fromhex(stored), len(new), lambda digest: bases[digest]) == new, coding


def test_a_parent_of_another_shape_is_not_used() -> None:
    new, old = floats(np.arange(3_000)), floats(np.arange(3_001))
    assert bases_of(same(new, base(old)).coding) == ()
    first, second, _ = versions(3)
    assert bases_of(same(second, base(first), base(old)).coding) == (base(first).digest,)


def test_an_unchanged_tensor_costs_some_bytes() -> None:
    weights = np.random.default_rng(SEED).normal(0, 1, 100_000)
    old, new = floats(weights, np.zeros(8)), floats(weights, np.ones(8))
    assert len(same(new, base(old)).data) < 100


def test_noise_stays_raw() -> None:
    noise = np.random.default_rng(SEED).integers(0, 256, 1 << 16, dtype=np.uint8).tobytes()
    assert same(memoryview(noise)).coding == RAW
    assert same(state({"w": ("U8", noise)})).coding == RAW
    assert same(memoryview(b"")).coding == RAW


def test_a_block_of_a_dataset_shrinks_by_the_width_of_its_numbers() -> None:
    table = pa.table({"a": np.arange(200_000), "b": np.arange(200_000) * 7.0})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    data = memoryview(sink.getvalue())
    coded = same(data)
    assert coded.coding == "zstd.v1"
    assert len(coded.data) < 0.5 * len(pa.compress(data, "zstd", asbytes=True))


def examples() -> list[tuple[Coded, int, tuple[Base, ...]]]:
    first, second, third = versions(3, size=1_500)
    text = memoryview(b'{"layers":{}}' * 300)
    cases: list[tuple[memoryview, tuple[Base, ...]]] = [
        (text, ()),
        (first, ()),
        (second, (base(first),)),
        (third, (base(second), base(first))),
    ]
    return [(same(data, *bases), len(data), bases) for data, bases in cases]


SORTS = ["zstd", "planes", "delta", "delta of two"]


@pytest.mark.parametrize("number", range(4), ids=SORTS)
def test_bytes_cut_off_or_too_many_are_refused(number: int) -> None:
    coded, length, bases = examples()[number]
    stored = bytes(coded.data)
    for end in [*range(0, len(stored), max(1, len(stored) // 200)), len(stored) - 1]:
        with pytest.raises(InvalidFile):
            back(Coded(coded.coding, stored[:end]), length, *bases)
    with pytest.raises(InvalidFile, match="follow its end"):
        back(Coded(coded.coding, stored + b"\0"), length, *bases)


@pytest.mark.parametrize("number", range(4), ids=SORTS)
@pytest.mark.parametrize("change", [-1, 1, -1000, 1000])
def test_another_length_than_the_catalog_says_is_refused(number: int, change: int) -> None:
    coded, length, bases = examples()[number]
    with pytest.raises(InvalidFile):
        back(coded, length + change, *bases)


def test_raw_bytes_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidFile, match="5 bytes is stored in 4"):
        decode(RAW, b"four", 5, none)
    with pytest.raises(InvalidFile, match="-1 bytes"):
        decode("zstd.v1", b"", -1, none)


@pytest.mark.parametrize("number", range(4), ids=SORTS)
@pytest.mark.parametrize("length", [1 << 40, 10**18, 1 << 70])
def test_a_length_that_cannot_be_is_refused_before_memory_is_asked_for(number: int, length: int) -> None:
    coded, _, bases = examples()[number]
    with pytest.raises(InvalidFile, match=r"cannot stand for|none of that length"):
        back(coded, length, *bases)


def test_zeros_are_short_and_comes_back() -> None:
    zeros = bytes(1 << 24)
    assert len(same(memoryview(zeros)).data) < 100
    assert len(same(state({"w": ("F32", zeros)})).data) < 1_000


def test_a_frame_that_unpacks_to_more_is_refused_before_it_does() -> None:
    bomb = pa.compress(bytes(1 << 28), "zstd", asbytes=True)
    stored = bytes((1, 2)) + len(bomb).to_bytes(4, "little") + bomb
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    with pytest.raises(InvalidFile, match="1,000 bytes expected"):
        decode("zstd.v1", stored, 1_000, none)
    assert pool.bytes_allocated() - before < 1 << 16


@pytest.mark.parametrize(
    "coding",
    [
        *["", "zstd", "zstd.v2", "zstd.v1\n", "planes.v1:", "RAW", "x" * 100_000, "delta.v1:", "delta.v1:../x"],
        *["delta.v1:" + "a" * 63, "delta.v1:" + "A" * 64, "delta.v1:" + "a" * 64 + ","],
        "delta.v1:" + ",".join(["a" * 64] * 3),
    ],
)
def test_a_coding_that_is_not_known_is_refused(coding: str) -> None:
    for read in (lambda: bases_of(coding), lambda: decode(coding, b"", 0, none)):
        with pytest.raises(Unsupported, match="not known") as caught:
            read()
        assert len(str(caught.value)) < 300


def test_what_a_base_raises_is_passed_on() -> None:
    def gone(digest: Digest) -> memoryview:
        raise FileNotFoundError(digest)

    with pytest.raises(FileNotFoundError):
        decode("delta.v1:" + "a" * 64, b"", 0, gone)


@pytest.mark.parametrize("wrong", [b"", b"not a state", bytes(floats(np.arange(9)))])
def test_a_base_that_is_no_state_of_that_length_is_refused(wrong: bytes) -> None:
    first, second = versions(2)
    coded = same(second, base(first))
    with pytest.raises(InvalidFile, match="base is none"):
        decode(coded.coding, coded.data, len(second), lambda _: memoryview(wrong))


def chain(count: int) -> tuple[list[Digest], dict[Digest, Stored]]:
    """Return versions by digest, the first whole and each other one a delta from the two before."""
    states = [base(data) for data in versions(count, size=1_500)]
    stored = {}
    for number, one in enumerate(states):
        coded = encode(one.data, states[max(0, number - 2) : number][::-1])
        stored[one.digest] = Stored(coded.coding, memoryview(coded.data), len(one.data))
    return [one.digest for one in states], stored


def test_a_chain_is_read_from_its_end_and_each_object_once() -> None:
    digests, stored = chain(30)
    asked: list[Digest] = []

    def find(digest: Digest) -> Stored:
        asked.append(digest)
        return stored[digest]

    assert canonical.digest_bytes([unpack(digests[-1], find)]) == digests[-1]
    assert sorted(asked) == sorted(digests)


def test_a_chain_that_is_too_long_or_comes_back_is_refused() -> None:
    def ring(digest: Digest) -> Stored:
        return Stored("delta.v1:" + ("b" if digest[0] == "a" else "a") * 64, memoryview(b""), 10)

    def endless(digest: Digest) -> Stored:
        return Stored(f"delta.v1:{int(digest, 16) + 1:064x}", memoryview(b""), 10)

    with pytest.raises(InvalidFile, match="coded against itself"):
        unpack(Digest("a" * 64), ring)
    with pytest.raises(InvalidFile, match="more than 64 others"):
        unpack(Digest("0" * 64), endless)


def test_a_chain_with_a_damaged_object_names_it() -> None:
    digests, stored = chain(4)
    first = stored[digests[0]]
    damaged = bytearray(first.data)
    damaged[-1] ^= 1
    stored[digests[0]] = Stored(first.coding, memoryview(damaged), first.length)
    with pytest.raises(Damaged, match=digests[0]):
        unpack(digests[-1], stored.__getitem__)


def mutate(random: np.random.Generator, stored: bytes) -> bytes:
    """Return bytes that are damaged in one of five ways."""
    damaged = bytearray(stored)
    where, way = int(random.integers(0, len(stored))), int(random.integers(0, 5))
    if random.random() < 0.3:
        where = int(random.integers(0, min(64, len(stored))))
    if way == 0:
        damaged[where] ^= 1 << int(random.integers(0, 8))
    elif way == 1:
        damaged[where] = int(random.choice([0, 1, 2, 3, 127, 128, 255]))
    elif way == 2:
        del damaged[where : where + int(random.integers(1, 9))]
    elif way == 3:
        damaged[where:where] = random.bytes(int(random.integers(1, 9)))
    else:
        damaged[where : where + 8] = random.bytes(8)
    return bytes(damaged)


def attempts(make: Callable[[np.random.Generator, bytes], bytes], count: int, seed: int) -> tuple[int, int, int]:
    """Return how many damaged objects were refused, how many gave bytes of the right length, and how many crashed."""
    random, cases = np.random.default_rng(seed), examples()
    refused = given_out = crashed = 0
    for turn in range(count):
        coded, length, bases = cases[turn % len(cases)]
        try:
            found = back(Coded(coded.coding, make(random, bytes(coded.data))), length, *bases)
        except LayerwiseError:
            refused += 1
        except Exception as error:
            crashed += 1
            print(f"turn {turn}: {type(error).__name__}: {error}")
        else:
            given_out += 1
            crashed += len(found) != length
    return refused, given_out, crashed


def test_damaged_bytes_are_refused_or_give_the_length_and_never_crash() -> None:
    # Damage inside a mantissa gives other numbers: the object's digest, which the store compares, finds those.
    start = time.perf_counter()
    refused, _, crashed = attempts(mutate, MUTANTS, SEED)
    report("coded objects damaged: crashes", MUTANTS, crashed, seed=SEED, seconds=time.perf_counter() - start)
    assert crashed == 0
    assert refused > MUTANTS // 20


def test_random_bytes_are_refused_and_never_crash() -> None:
    def noise(random: np.random.Generator, stored: bytes) -> bytes:
        return random.bytes(int(random.integers(0, len(stored))))

    start = time.perf_counter()
    refused, _, crashed = attempts(noise, MUTANTS, SEED)
    report("random bytes decoded: crashes", MUTANTS, crashed, seed=SEED, seconds=time.perf_counter() - start)
    assert (refused, crashed) == (MUTANTS, 0)


@pytest.mark.slow
def test_damaged_bytes_never_crash_many() -> None:
    count = int(os.environ.get("LAYERWISE_CODING_MUTANTS_LONG", "1000000"))
    start = time.perf_counter()
    _, _, crashed = attempts(mutate, count, SEED + 1)
    report("coded objects damaged: crashes", count, crashed, seed=SEED + 1, seconds=time.perf_counter() - start)
    assert crashed == 0
