"""Arrow lists as their numbers and lengths: rows of different lengths without a loop over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from layerwise.layers.base import Value
from layerwise.layers.numeric import Numbers

MOST = 2**31 - 1
"""How many items Arrow's smaller lists can hold in one array."""


def is_list(value: Value) -> bool:
    """Return whether the value is an Arrow array of lists."""
    if not isinstance(value, pa.Array):
        return False
    kind = value.type
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def unlist(array: pa.Array) -> tuple[pa.Array, Numbers]:
    """Return the items of all lists one after the other, and the lists' lengths [rows], int64; a null list has none."""
    lengths: Any = pc.fill_null(pc.list_value_length(array), 0)
    return array.flatten(), lengths.to_numpy(zero_copy_only=False).astype(np.int64)


def relist(items: pa.Array, lengths: Numbers) -> pa.Array:
    """Return lists of these lengths over ``items``: what ``unlist`` takes apart."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    if offsets[-1] > MOST:
        return pa.LargeListArray.from_arrays(pa.array(offsets), items)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), items)


def spans(starts: Numbers, lengths: Numbers) -> Numbers:
    """Return the positions start, start + 1, … of every span one after the other, int64.

    >>> spans(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    before = np.cumsum(lengths) - lengths
    positions: Numbers = np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(starts - before, lengths)
    return positions
