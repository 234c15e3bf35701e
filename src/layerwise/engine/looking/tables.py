"""What left a layer as a table: a pandas frame with one column a number, and what each number is like."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from layerwise.engine.cells import aligned, as_html
from layerwise.engine.looking.asking import Looked, Looking
from layerwise.engine.recording.curves import LayerCurves, statistics_of
from layerwise.errors import InvalidData, Missing, NotFound
from layerwise.layers.base import Padded, Value, as_tensor

COLUMNS = 100_000
"""Most columns of a frame."""

SHOWN = 20
"""Units that a table of statistics prints."""


def names_of(layer: str, shape: Sequence[int]) -> list[str]:
    """Return the name of each number of a row, in order.

    >>> names_of("edges", (2, 1, 2))
    ['edges[0,0,0]', 'edges[0,0,1]', 'edges[1,0,0]', 'edges[1,0,1]']
    >>> names_of("price", ())
    ['price']
    """
    if not shape:
        return [layer]
    return [f"{layer}[{','.join(map(str, place))}]" for place in itertools.product(*map(range, shape))]


def as_frame(looked: Looked) -> Any:
    """Return what left a layer as a pandas frame, one column a number; behind a padded row's end is NaN.

    Raises:
        Missing: pandas is not installed.
        InvalidData: a row has more than ``COLUMNS`` numbers.
    """
    try:
        import pandas as pd
    except ImportError:
        raise Missing("a frame needs pandas: pip install 'layerwise[pandas]'") from None
    value, index = looked.values, pd.Index(looked.ids, name="row")
    if isinstance(value, pa.Array) and not isinstance(value.type, pa.FixedShapeTensorType):
        return pd.DataFrame({looked.layer: value.to_pandas().to_numpy()}, index=index)
    rows, shape = numbers_of(value)
    count = math.prod(shape)
    if count > COLUMNS:
        raise InvalidData(
            f"{looked.layer} gives {list(shape)}, {count:,} numbers a row, and a frame has at most {COLUMNS:,} "
            f"columns; take record(rows), a tensor"
        )
    return pd.DataFrame(rows.reshape(len(rows), -1), index=index, columns=names_of(looked.layer, shape))


def numbers_of(value: Value) -> tuple[np.ndarray[Any, Any], tuple[int, ...]]:
    """Return the numbers of a value, [rows, ...], and the shape of a row; NaN behind the ends of padded rows."""
    if isinstance(value, pa.Array):
        array = value.to_numpy_ndarray()
        return array, array.shape[1:]
    tensor = as_tensor(value)
    if isinstance(value, Padded):
        behind = torch.arange(tensor.shape[1]) >= value.lengths[:, None]
        wide = tensor if tensor.is_floating_point() else tensor.double()
        tensor = wide.masked_fill(behind.reshape(*behind.shape, *[1] * (wide.ndim - 2)), torch.nan)
    array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array, array.shape[1:]


@dataclass(frozen=True)
class UnitStats:
    """What each number that leaves a layer is like over some rows; arrays [numbers], float64.

    Attributes:
        names: of the numbers, ``edges[3,1,0]``.
        mean, spread, least, most: of the finite ones; the spread is the standard deviation.
        zeros: the share that is 0.
        nonfinite: how many are NaN or infinite.
    """

    names: tuple[str, ...]
    mean: np.ndarray[Any, Any]
    spread: np.ndarray[Any, Any]
    least: np.ndarray[Any, Any]
    most: np.ndarray[Any, Any]
    zeros: np.ndarray[Any, Any]
    nonfinite: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def cells(self) -> list[list[str]]:
        """The head and one line a number, as text; the first of many."""
        heads = ["mean", "spread", "least", "most", "zeros", "nonfinite"]
        columns = [getattr(self, head) for head in heads]
        lines = [[name, *(f"{column[at]:.4g}" for column in columns)] for at, name in enumerate(self.names[:SHOWN])]
        more = [[f"… and {len(self) - SHOWN:,} more", *[""] * len(heads)]] if len(self) > SHOWN else []
        return [["", *heads], *lines, *more]


@dataclass(frozen=True)
class LayerStats:
    """What a layer looked like along the training, and what its numbers are like for some rows.

    Attributes:
        layer: the layer's path.
        curves: the statistics of the run by name and epoch; None where none were taken.
        looked: the rows that ``units`` is of.
    """

    layer: str
    curves: LayerCurves | None
    looked: Looked

    @functools.cached_property
    def units(self) -> UnitStats:
        """What each number is like, computed when first asked for. Raises InvalidData where there are no numbers."""
        if isinstance(self.looked.values, pa.Array) and not isinstance(
            self.looked.values.type, pa.FixedShapeTensorType
        ):
            raise InvalidData(f"{self.layer} gives {self.looked.values.type}; numbers have means: ask a later layer")
        return unit_stats(self.layer, self.looked.values)

    def __str__(self) -> str:
        along = f"{self.layer} at the end of the training\n{self.curves}\n\n" if self.curves is not None else ""
        return f"{along}{self.looked}\n{aligned(self.units.cells)}"

    def _repr_html_(self) -> str:
        return as_html(self.units.cells)


def stats_of(looking: Looking, looked: Looked) -> LayerStats:
    """Return the statistics of a layer along the run that made the version, with rows to ask of each unit."""
    curves, run = None, looking.opened.manifest.run
    if run:
        try:
            curves = statistics_of(looking.opened.repo, run).layer(looked.layer)
        except NotFound:
            curves = None
    return LayerStats(looked.layer, curves, looked)


def unit_stats(layer: str, value: Value) -> UnitStats:
    """Return what each number of a value is like over its rows.

    >>> unit_stats("x", torch.tensor([[0.0, 2.0], [4.0, 2.0]])).spread.tolist()
    [2.0, 0.0]
    """
    array, shape = numbers_of(value)
    flat = array.reshape(len(array), -1).astype(np.float64)
    finite = np.isfinite(flat)
    count = np.maximum(finite.sum(0), 1)
    kept = np.where(finite, flat, 0.0)
    mean = kept.sum(0) / count
    spread = np.sqrt(np.where(finite, np.square(flat - mean, where=finite, out=np.zeros_like(flat)), 0).sum(0) / count)
    none = ~finite.any(0)
    ranges = [
        np.where(none, np.nan, turn(np.where(finite, flat, fill), axis=0))
        for turn, fill in ((np.min, np.inf), (np.max, -np.inf))
    ]
    behind = np.isnan(flat).sum(0) if isinstance(value, Padded) else 0
    mean, spread = np.where(none, np.nan, mean), np.where(none, np.nan, spread)
    zeros, nonfinite = (flat == 0).sum(0) / len(flat), (~finite).sum(0) - behind
    return UnitStats(tuple(names_of(layer, shape)), mean, spread, ranges[0], ranges[1], zeros, nonfinite)
