"""Fewer numbers: what is too large to be drawn is thinned before anything is allocated for it.

The time and the memory depend on the picture, never on the value: of 10⁸ numbers about as many are read as are drawn,
times ``LOOKS``. A memory-mapped value stays on the disk but for those.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from layerwise.errors import InvalidData
from layerwise.pictures.shown import Array

LOOKS = 32
"""Most numbers of a line that one mark is the mean of."""


def as_numbers(value: Any) -> Array:
    """Return values as an array of numbers, not yet copied, or raise InvalidData."""
    array = np.asarray(value)
    if array.dtype == object:
        array = np.array([_number(inner) for inner in array.flat], dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "biufc":
        raise InvalidData(f"values of the type {array.dtype} are no numbers to draw; show them as text or cells")
    return array


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def floats(array: Array) -> Array:
    """Return numbers as float64, complex ones as their magnitude. Only what is to be drawn is brought here."""
    return np.abs(array).astype(np.float64) if array.dtype.kind == "c" else array.astype(np.float64)


def thinned(array: Array, most: int, looks: int = LOOKS) -> Array:
    """Return an array with at most ``most`` places along its first axis, as float64: each the mean of what it is for.

    Of very many, the mean is that of ``looks`` spread evenly among them.

    Example:
        >>> thinned(np.array([1.0, 3.0, 5.0, 7.0]), 2).tolist()
        [2.0, 6.0]
    """
    places, looks = _places(len(array), most, looks)
    # Picked by index and not with `take`, which copies an array that does not lie in one piece.
    return _pooled(floats(array if places is None else array[places]), 0, looks)


def thinned_table(array: Array, down: int, across: int, looks: int = 4) -> Array:
    """Return a table with at most ``down`` rows and ``across`` columns, as float64, thinned both ways.

    Example:
        >>> thinned_table(np.arange(16.0).reshape(4, 4), 2, 2).tolist()
        [[2.5, 4.5], [10.5, 12.5]]
    """
    rows, looks_down = _places(array.shape[0], down, looks)
    columns, looks_across = _places(array.shape[1], across, looks)
    rows = np.arange(array.shape[0]) if rows is None else rows
    columns = np.arange(array.shape[1]) if columns is None else columns
    return _pooled(_pooled(floats(array[np.ix_(rows, columns)]), 0, looks_down), 1, looks_across)


def _places(size: int, most: int, looks: int) -> tuple[Array | None, int]:
    """Return which places are read, and how many become one; None where all are and each stays one."""
    if size <= most:
        return None, 1
    looks = min(looks, -(-size // most))
    places = (np.arange(most * looks, dtype=np.float64) + 0.5) * size / (most * looks)
    return places.astype(np.int64), looks


def _pooled(values: Array, axis: int, looks: int) -> Array:
    if looks == 1:
        return values
    shape = (*values.shape[:axis], -1, looks, *values.shape[axis + 1 :])
    return mean(values.reshape(shape), axis + 1)


def mean(values: Array, axis: int) -> Array:
    """Return the mean of what is there; NaN where nothing is, infinite where anything is."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore", over="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # Of nothing there is no mean, and NaN says so.
        found: Array = np.nanmean(values, axis=axis)
    return found


def thinned_map(array: Array, most: int) -> Array:
    """Return a map [height, width] with at most ``most`` places each way, as float64, its proportions kept."""
    height, width = array.shape
    shrink = max(1.0, max(height, width) / most)
    rows = max(1, min(height, round(height / shrink)))
    across = max(1, min(width, round(width / shrink)))
    return thinned_table(array, rows, across, looks=3)


def sampled(array: Array, most: int) -> Array:
    """Return at most ``most`` of an array's numbers, spread evenly, in a line, as float64."""
    places, _ = _places(array.size, most, 1)
    return floats(array.reshape(-1) if places is None else array[np.unravel_index(places, array.shape)])


def count_odd(values: Array) -> tuple[int, int]:
    """Return how many of the values drawn are missing, and how many are infinite."""
    return int(np.isnan(values).sum()), int(np.isinf(values).sum())
