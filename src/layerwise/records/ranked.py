"""Rows in an order: what the questions about many rows answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerwise.records.chunks import Array
from layerwise.records.keys import Places


@dataclass(frozen=True)
class Ranked:
    """Some rows of a record, the first in the order asked for; of equals the one with the lower slot first.

    Attributes:
        slots: which [k], int64.
        values: what they were ordered by [k].
    """

    slots: Places
    values: Array

    def __len__(self) -> int:
        return len(self.slots)


def smallest(keys: Array, slots: Places, k: int) -> Array:
    """Return where the ``k`` smallest of ``keys`` [n] are, in order; of equals the lower slot first.

    >>> smallest(np.array([3, 1, 1, 2]), np.array([0, 9, 4, 5]), 3).tolist()
    [2, 1, 3]
    """
    found = np.arange(len(keys))
    if k < len(keys):
        found = np.flatnonzero(keys <= np.partition(keys, k - 1)[k - 1])
    order: Array = found[np.lexsort((slots[found], keys[found]))[:k]]
    return order
