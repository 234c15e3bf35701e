"""What is shown: a value with its names, and the sort of picture it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from layerwise.errors import InvalidData
from layerwise.words import shorten

Sort: TypeAlias = Literal[
    "image", "maps", "cells", "tokens", "series", "vector", "matrix", "answer", "scalar", "ranking", "text"
]
"""The sorts of picture."""

Array: TypeAlias = np.ndarray[Any, Any]

CHANNELS = (1, 3, 4)
"""An image has one channel (grey), three (red, green, blue) or four (with opacity)."""

_DIMENSIONS: dict[str, tuple[int, ...]] = {
    "image": (2, 3), "maps": (3,), "series": (1, 2), "vector": (1,), "matrix": (2,), "answer": (1,),
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What left one layer for one row, ready to be drawn.

    Attributes:
        layer: the layer's path, e.g. ``stage1.edges``.
        kind: what the layer does, e.g. ``torch.nn.Conv2d``.
        value: what is drawn, by sort:
            ``image`` [height, width] or [channels, height, width]; ``maps`` [maps, height, width];
            ``cells`` one row's values in order; ``tokens`` nothing, [tokens] or [tokens, features] beside ``names``;
            ``series`` [steps] or [steps, channels]; ``vector`` [size]; ``matrix`` [rows, columns];
            ``answer`` [classes] probabilities beside ``names``; ``scalar`` one number or text;
            ``ranking`` nothing or [items] scores beside ``names``; ``text`` one text.
        sort: which picture it becomes; ``sort_of`` picks one.
        names: the columns, tokens, classes or items, in the order of the values.
        raw: what stands beside each value: of cells the raw ones (None where nothing stood there), of tokens their
            numbers in a vocabulary.
        truth: the true answer, where it is known.
        unit: what a number counts.
        shape: the value's shape as a person writes it, e.g. ``16×8×8``; found from the value where not given.
        note: one sentence more, e.g. how many rows this is one of.
        source: where the value comes from: ``kept`` or ``computed``.
        row: the row that this is of: a key or position; many rows of one layer are told apart by it.
        limits: the least and greatest value of the scale of colours; the value's own where not given.
        same_as: the layer whose value this one passes on unchanged, in place of a second picture of it.

    Raises:
        InvalidData: a sort that there is not, or a value whose dimensions are not that sort's.

    Example:
        >>> Shown("edges", "torch.nn.Conv2d", np.zeros((16, 8, 8)), "maps").shape
        '16×8×8'
    """

    layer: str
    kind: str
    value: Any
    sort: Sort
    names: Sequence[str] = ()
    raw: Sequence[Any] | None = None
    truth: str | None = None
    unit: str = ""
    shape: str = ""
    note: str = ""
    source: str = ""
    row: str = ""
    limits: tuple[float, float] | None = None
    same_as: str = ""

    def __post_init__(self) -> None:
        if self.sort not in get_args(Sort):
            raise InvalidData(f"there is no picture {shorten(self.sort)}; expected one of {', '.join(get_args(Sort))}")
        dimensions = _DIMENSIONS.get(self.sort)
        if dimensions is not None and np.ndim(self.value) not in dimensions:
            wanted = " or ".join(map(str, dimensions))
            raise InvalidData(
                f"layer {shorten(self.layer)}: a value of {np.ndim(self.value)} dimensions is no {self.sort}; "
                f"expected {wanted}: let `sort_of` choose"
            )
        if not self.shape and isinstance(self.value, np.ndarray):
            object.__setattr__(self, "shape", "×".join(map(str, self.value.shape)) or "1")


def sort_of(value: Any, *, role: str = "neural", names: Sequence[str] = (), sequence: bool = False) -> Sort:
    """Return the sort of picture that a value becomes.

    Args:
        value: one row's value: an array without the batch, or what is not encoded yet (text, a list, one cell).
        role: the layer's role: pixels are pixels before anything is computed of them (``data``), maps after.
        names: names of the tokens, where the value belongs to some.
        sequence: the first dimension is a sequence, whose rows have lengths of their own.

    Example:
        >>> sort_of(np.zeros((3, 32, 32)), role="data"), sort_of(np.zeros((16, 8, 8)))
        ('image', 'maps')
        >>> sort_of(np.zeros(10)), sort_of(["to", "be"]), sort_of("to be")
        ('vector', 'tokens', 'text')
    """
    if isinstance(value, str | bytes):
        return "text"
    if isinstance(value, list | tuple):
        return "tokens"
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return "scalar"
    if names and len(names) == len(value) and (sequence or value.ndim == 1):
        return "tokens"
    if value.ndim == 1:
        return "scalar" if len(value) == 1 else "series" if sequence else "vector"
    if value.ndim == 2:
        return "series" if sequence else "image" if role == "data" else "matrix"
    return "image" if role == "data" and value.ndim == 3 and len(value) in CHANNELS else "maps"
