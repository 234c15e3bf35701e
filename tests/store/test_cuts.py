"""Where blocks end: by content alone, within bounds, whatever the portions in which rows arrive."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.store.cuts import MAX_BLOCK, MIN_BLOCK, Cutter, Numbers


def rows(count: int, size: int, seed: int = 0) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(seed)
    return random.integers(0, 2**64, count, dtype=np.uint64), np.full(count, size)


def lengths(cuts: list[int], total: int) -> list[int]:
    return [end - start for start, end in pairwise([0, *cuts, total])]


@given(st.lists(st.integers(0, 20_000), max_size=6), st.sampled_from([50, 700, 90_000, 5 << 20]))
def test_portions_do_not_matter(breaks: list[int], size: int) -> None:
    digests, sizes = rows(20_000 if size < 1000 else 200, size)
    whole = Cutter().feed(digests, sizes)
    cutter, found, start = Cutter(), [], 0
    for stop in [*sorted(breaks), len(digests)]:
        stop = min(stop, len(digests))
        found += [start + cut for cut in cutter.feed(digests[start:stop], sizes[start:stop])]
        start = stop
    assert found == whole


@pytest.mark.parametrize("size", [40, 900, 30_000])
def test_blocks_are_about_a_mebibyte(size: int) -> None:
    count = (60 << 20) // size
    digests, sizes = rows(count, size)
    found = np.array(lengths(Cutter().feed(digests, sizes), count)[:-1]) * size
    assert found.min() >= MIN_BLOCK
    assert found.max() <= MAX_BLOCK
    assert 0.6 < found.mean() / (1 << 20) < 1.5


def test_a_row_larger_than_a_block_stands_alone() -> None:
    digests = np.full(4, 2**64 - 1, dtype=np.uint64)
    sizes = np.array([100, 5 << 20, 5 << 20, 100])
    assert Cutter().feed(digests, sizes) == [1, 2, 3]


def test_equal_rows_are_cut_too() -> None:
    digests, sizes = np.full(100_000, 2**63, dtype=np.uint64), np.full(100_000, 100)
    assert max(lengths(Cutter().feed(digests, sizes), 100_000)) * 100 <= MAX_BLOCK


def test_an_inserted_row_moves_few_cuts() -> None:
    digests, sizes = rows(100_000, 500)
    before = set(Cutter().feed(digests, sizes))
    after = Cutter().feed(np.insert(digests, 50_000, 2**63), np.insert(sizes, 50_000, 500))
    moved = {cut if cut <= 50_000 else cut - 1 for cut in after}
    assert len(before ^ moved) <= 4
    assert len(before) > 30
