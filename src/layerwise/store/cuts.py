"""Where blocks of rows end: the content says, so inserting a row changes one block.

A row ends a block when its digest, read as a number, falls under a threshold in proportion to the row's own
size. So the rule needs no look at the whole table, large rows make blocks of few rows, small rows of many,
and the same rows are cut in the same places wherever they stand.

>>> Cutter().feed(np.array([9, 9], dtype=np.uint64), np.array([100, 100]))
[]
"""

from __future__ import annotations

from typing import Any

import numpy as np

MIN_BLOCK = 256 << 10
"""No block is ended by its content below this many bytes."""

MEAN_BLOCK = 768 << 10
"""Mean bytes from MIN_BLOCK to the row that ends a block: blocks are 1 MiB in the mean."""

MAX_BLOCK = 4 << 20
"""A block is ended before it passes this many bytes, unless one row alone does."""

Numbers = np.ndarray[tuple[int], np.dtype[Any]]


class Cutter:
    """Says, as rows stream by, after which of them a block ends."""

    def __init__(self) -> None:
        self._pending = 0

    def feed(self, digests: Numbers, sizes: Numbers) -> list[int]:
        """Take the next rows; return the counts of them after which a block ends, ascending.

        A count of 0 says that the block ended with the rows fed before.

        Args:
            digests: the first 8 bytes of each row's digest, unsigned, shape [n].
            sizes: bytes of each row, shape [n].
        """
        sizes = np.asarray(sizes, dtype=np.int64)
        ends = self._pending + np.cumsum(sizes)
        natural = np.flatnonzero(digests < np.minimum(sizes / MEAN_BLOCK, 1.0) * 2.0**64)
        cuts: list[int] = []
        start = 0
        while (cut := _next_cut(ends, sizes, natural, start, cuts[-1] if cuts else 0)) is not None:
            cuts.append(cut)
            start = int(ends[cut - 1]) if cut else self._pending
        self._pending = (int(ends[-1]) if len(ends) else self._pending) - start
        return cuts


def _next_cut(ends: Numbers, sizes: Numbers, natural: Numbers, start: int, taken: int) -> int | None:
    # `start` is where the open block begins, in bytes; `taken` is how many fed rows earlier blocks have.
    enough = max(int(np.searchsorted(ends, start + MIN_BLOCK)), taken)
    too_much = int(np.searchsorted(ends, start + MAX_BLOCK, side="right"))
    place = int(np.searchsorted(natural, enough))
    if place < len(natural) and natural[place] < too_much:
        return int(natural[place]) + 1
    if too_much == len(ends):
        return None
    # A row that is too much by itself is a block by itself.
    alone = int(ends[too_much] - sizes[too_much]) == start
    return too_much + 1 if alone else too_much
