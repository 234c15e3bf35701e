"""Fingerprints: whatever was seen before, the digest of bytes is that of those bytes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise import canonical
from layerwise.store import fingerprints
from layerwise.store.fingerprints import MANY_BYTES, SMALLEST, Fingerprints
from layerwise.store.store import Store
from layerwise.words import Digest
from tests.support.counts import report

Counted = Callable[[], int]


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Return how many contents were digested, not recognised, since the last call."""
    count = 0
    real = canonical.digest_bytes

    def digest(views: list[memoryview]) -> Digest:
        nonlocal count
        count += 1
        return real(views)

    def since() -> int:
        nonlocal count
        found, count = count, 0
        return found

    monkeypatch.setattr(canonical, "digest_bytes", digest)
    return since


def cut(data: bytes, places: list[int]) -> list[memoryview]:
    ends = sorted({place % (len(data) + 1) for place in places})
    return [memoryview(data)[begin:end] for begin, end in zip([0, *ends], [*ends, len(data)], strict=True)]


SIZES = st.integers(0, 300) | st.integers(SMALLEST - 2, SMALLEST + 700)
CONTENTS = st.tuples(st.integers(0, 3), SIZES).map(lambda it: random.Random(it[0]).randbytes(it[1]))


@settings(max_examples=40)
@given(st.lists(st.tuples(CONTENTS, st.lists(st.integers(0, 10**6), max_size=3)), max_size=8))
def test_the_digest_is_always_that_of_blake3(contents: list[tuple[bytes, list[int]]]) -> None:
    known = Fingerprints()
    for _ in range(2):
        for data, places in contents:
            assert known.digest(cut(data, places)) == canonical.digest_bytes([data])
        found = known.digest_all([cut(data, places) for data, places in contents])
        assert found == [canonical.digest_bytes([data]) for data, _ in contents]


def test_a_flipped_bit_is_seen_wherever_it_is() -> None:
    seed, size = 3, SMALLEST + 1021
    data = bytearray(random.Random(seed).randbytes(size))
    known = Fingerprints()
    whole = known.digest([memoryview(data)])
    places = [*range(0, 8 * size, 251), 8 * size - 1]
    bad = 0
    for bit in places:
        data[bit // 8] ^= 1 << bit % 8
        bad += known.digest([memoryview(data)]) == whole
        data[bit // 8] ^= 1 << bit % 8
    assert known.digest([memoryview(data)]) == whole
    report("flipped bits of a content of 65 KiB taken for what was there before", len(places), bad, seed=seed)
    assert bad == 0


def test_bytes_seen_before_are_recognised_not_digested(digested: Counted) -> None:
    known, data = Fingerprints(), bytes(SMALLEST)
    first = known.digest([memoryview(data)])
    assert digested() == 1
    assert known.digest([memoryview(data)[:70], memoryview(data)[70:]]) == first
    assert digested() == 0
    # As long as that it costs no more to digest it.
    short = memoryview(data)[:-1]
    assert known.digest([short]) == known.digest([short])
    assert digested() == 2


def test_a_reader_alone_teaches_nothing(tmp_path: Path, digested: Counted) -> None:
    """What is only read is not remembered: blocks of datasets would push the states of layers out."""
    data = random.Random(1).randbytes(2 * SMALLEST)
    with Store.open(tmp_path / "r") as store, store.objects.writing() as writer:
        digest = writer.put([data])
    with Store.open(tmp_path / "r") as store:
        store.objects.get(digest)
        digested()
        with store.objects.writing() as writer:
            writer.put_all([[data]])
        assert digested() == 1


def test_bytes_put_one_by_one_are_digested_each_time(tmp_path: Path, digested: Counted) -> None:
    """Blocks and manifests are named by a digest of what is there, never by a fingerprint."""
    data = bytes(SMALLEST)
    with Store.open(tmp_path / "r") as store, store.objects.writing() as writer:
        writer.put_all([[data]])
        digested()
        for _ in range(3):
            writer.put([data])
        assert digested() == 3


def test_memory_changed_in_place_after_a_put_is_seen_at_the_next(tmp_path: Path) -> None:
    layer = bytearray(random.Random(2).randbytes(3 * SMALLEST))
    others = [random.Random(seed).randbytes(MANY_BYTES // 4) for seed in range(3, 7)]
    with Store.open(tmp_path / "r") as store:
        for step in range(4):
            before = bytes(layer)
            with store.objects.writing() as writer:
                digest, *rest = writer.put_all([[layer], *([other] for other in others)])
            assert digest == canonical.digest_bytes([before])
            assert rest == [canonical.digest_bytes([other]) for other in others]
            assert bytes(store.objects.get(digest)) == before
            layer[(step * 7919) % len(layer)] ^= 1 << step


def test_what_is_forgotten_is_digested_again(monkeypatch: pytest.MonkeyPatch, digested: Counted) -> None:
    monkeypatch.setattr(fingerprints, "MOST", 3)
    known = Fingerprints()
    contents = [bytes([n]) * SMALLEST for n in range(5)]
    for data in contents:
        known.digest([memoryview(data)])
    assert len(known._known) == 3
    digested()
    assert [known.digest([memoryview(data)]) for data in contents] == [canonical.digest_bytes([d]) for d in contents]
    assert len(known._known) == 3


def test_each_has_a_key_of_its_own() -> None:
    data = memoryview(bytes(SMALLEST))
    keys: set[tuple[bytes, int]] = set()
    for _ in range(5):
        known = Fingerprints()
        known.digest([data])
        keys |= known._known.keys()
    assert len(keys) == 5


def test_threads_may_share_them() -> None:
    known = Fingerprints()
    contents = [random.Random(n % 5).randbytes(SMALLEST + n % 5) for n in range(20)]
    expected = [canonical.digest_bytes([data]) for data in contents]
    wrong: list[int] = []

    def work() -> None:
        for _ in range(10):
            found = known.digest_all([[memoryview(data)] for data in contents])
            if found != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert wrong == []
