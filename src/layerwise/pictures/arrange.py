"""Many pictures in an order: a trace from top to bottom, a layer's rows side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from layerwise.errors import InvalidData
from layerwise.pictures.colours import extent
from layerwise.pictures.sampling import as_numbers, sampled
from layerwise.pictures.shown import Shown, Sort
from layerwise.pictures.wording import clean, plural

MOST = 200
"""Most pictures of one sheet or page."""

_CARDS: dict[Sort, int] = {
    "image": 132, "maps": 300, "scalar": 200, "vector": 300, "answer": 300, "ranking": 300, "matrix": 300,
}  # fmt: skip
"""How wide one row's picture is, beside those of other rows; other sorts take the whole width."""

_COLOURED = ("image", "maps", "series", "vector", "matrix")
"""Sorts whose rows are drawn on one scale."""

SEEN = 1 << 18
"""Most numbers of a row that are read to find the scale of many rows."""


def held(pictures: Sequence[Shown]) -> tuple[list[Shown], str]:
    """Return the pictures that are drawn, and what is said of those that are not.

    Raises:
        InvalidData: there are none.
    """
    if not pictures:
        raise InvalidData("there is nothing to draw; give the pictures of one layer or row at least")
    left_out = len(pictures) - MOST
    return list(pictures[:MOST]), f"{plural(left_out, 'more picture')} not drawn" if left_out > 0 else ""


def on_one_scale(pictures: Sequence[Shown]) -> list[Shown]:
    """Return the rows of one layer with one scale of colours, so that equal colours are equal values."""
    if len({(shown.layer, shown.sort) for shown in pictures}) != 1 or pictures[0].sort not in _COLOURED:
        return list(pictures)
    arrays = [as_numbers(shown.value) for shown in pictures]
    if pictures[0].sort == "image" and all(array.dtype.kind in "bu" for array in arrays):
        high = max((int(array.max()) for array in arrays if array.size), default=1)
        ends = (0.0, 255.0 if 63 < high <= 255 else float(max(high, 1)))
    else:
        ends = extent(sampled(array, SEEN) for array in arrays)
    return [shown if shown.limits else replace(shown, limits=ends) for shown in pictures]


def card_width(pictures: Sequence[Shown], width: int, gap: int) -> tuple[int, int]:
    """Return how many rows' pictures stand side by side on a sheet ``width`` wide, and how wide each is."""
    first = pictures[0]
    wanted = _CARDS.get(first.sort, width)
    if first.sort == "vector" and np.size(first.value) <= 6:
        wanted = 132
    across = max(1, (width + gap) // (wanted + gap))
    # What is left over goes into the cards, so that the right edge is as straight as the left.
    return across, (width - gap * (across - 1)) // across


def head(shown: Shown) -> tuple[str, str, str]:
    """Return what stands beside a picture: the layer, what it does, and its shape, each clean."""
    kind = clean(shown.kind, 48).removeprefix("torch.nn.")
    stem, _, version = kind.rpartition(".v")
    return clean(shown.layer, 80), stem if stem and version.isdecimal() else kind, clean(shown.shape, 40)
