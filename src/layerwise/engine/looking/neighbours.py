"""The rows that are nearest to one as they leave a layer: exact, whatever is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.engine.cells import aligned, as_html
from layerwise.engine.looking.asking import Looked, Looking
from layerwise.engine.looking.kept import opened as opened_raw
from layerwise.engine.looking.rows import Chosen, Positions
from layerwise.engine.looking.truth import truth_of
from layerwise.engine.looking.units import ranked_cells
from layerwise.errors import InvalidData, nearest
from layerwise.layers.base import Padded, Value, as_tensor, rows_of
from layerwise.records.nearby import neighbours
from layerwise.records.reading import LayerRecord
from layerwise.words import shorten

METRICS = ("euclidean", "cosine")
"""How far two rows are apart."""

AT_ONCE = 1 << 14
"""Rows whose distances are computed at a time, in float64."""


@dataclass(frozen=True)
class Neighbours:
    """The rows nearest to one, the nearest first; of equals the one that comes first in the dataset.

    Attributes:
        layer: the layer's path.
        ids: the rows' ids.
        distances: float64, [k].
        positions: where they are in the dataset, [k]; None for rows from elsewhere.
        truth: their true answers, where they are known.
        metric: ``euclidean`` or ``cosine``.
        among: how many rows were looked through.
        source: ``kept`` or ``computed``.
    """

    layer: str
    ids: tuple[str, ...]
    distances: tuple[float, ...]
    positions: Positions | None
    truth: tuple[str, ...]
    metric: str
    among: int
    source: str

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def cells(self) -> list[list[str]]:
        """The head and one line a row, as text."""
        return ranked_cells(self.ids, self.distances, self.truth, f"{self.metric} by {self.layer}")

    def __str__(self) -> str:
        return aligned(self.cells)

    def _repr_html_(self) -> str:
        return as_html(self.cells)


def nearest_rows(
    looking: Looking, path: str, row: Any, k: int, *, metric: str = "euclidean", among: Any = None
) -> Neighbours:  # fmt: skip
    """Return the ``k`` rows nearest to ``row``; it is not its own neighbour."""
    if metric not in METRICS:
        raise InvalidData(f"rows are not compared by {shorten(metric)}.{nearest(str(metric), METRICS)}")
    if not isinstance(k, int) or k < 1:
        raise InvalidData(f"{shorten(k)} rows were asked for; expected 1 or more")
    asked = looking.choose(row)
    if len(asked) != 1:
        raise InvalidData(f"neighbours are of one row; found {len(asked):,}")
    query = looking.look(path, asked)
    point = _point(looking, query)
    record = looking.widest(path) if among is None else None
    if record is not None and record.track.type != "arrow":
        itself = record.slot(int(asked.positions[0])) if asked.positions is not None else -1
        slots, distances = _kept(looking, record, point, k + (itself >= 0), metric)
        keep = np.flatnonzero(slots != itself)[:k]
        return _found(
            looking, path, looking.of_record(record, slots[keep]), distances[keep], metric, record.rows, "kept"
        )
    looked = looking.look(path, looking.rows(path) if among is None else looking.choose(among))
    distances = _distances(_flat(looking, looked), point, metric)
    places = np.flatnonzero(~np.isnan(distances))
    if asked.positions is not None and looked.positions is not None:
        places = places[looked.positions[places] != asked.positions[0]]
    order = places[np.argsort(distances[places], kind="stable")[:k]]
    return _found(looking, path, looked.chosen.at(order), distances[order], metric, len(looked), looked.source)


def _found(
    looking: Looking, path: str, chosen: Chosen, distances: Any, metric: str, among: int, source: str
) -> Neighbours:  # fmt: skip
    truth = tuple(truth_of(looking.opened, chosen)) if len(chosen) else ()
    ids = tuple(chosen.ids) if len(chosen) else ()
    return Neighbours(path, ids, tuple(distances.tolist()), chosen.positions, truth, metric, among, source)


def _kept(looking: Looking, record: LayerRecord, point: Tensor, k: int, metric: str) -> tuple[Any, Any]:
    if metric == "euclidean":
        query = point.reshape(record.track.shape).to(torch.float64 if point.dtype == torch.float64 else torch.float32)
        found = neighbours(looking.opened.repo.store, record).nearest(query.numpy(), k)
        return found.slots, found.values
    slots, distances = [], []
    for number in range(len(record.track.chunks)):
        some = _distances(flat(opened_raw(record.chunk(number))), point, metric)
        there = np.flatnonzero(~np.isnan(some))
        best = there[np.argsort(some[there], kind="stable")[:k]]
        slots.append(best + number * record.track.rows_per_chunk)
        distances.append(some[best])
    every, apart = np.concatenate(slots), np.concatenate(distances)
    order = np.lexsort((every, apart))[:k]
    return every[order], apart[order]


def _point(looking: Looking, query: Looked) -> Tensor:
    point = _flat(looking, query)[0]
    if not bool(torch.isfinite(point.double()).all()):
        raise InvalidData(f"{query.layer}: the row has values that are not finite; distances to it mean nothing")
    return point


def _flat(looking: Looking, looked: Looked) -> Tensor:
    if isinstance(looked.values, pa.Array):
        raise InvalidData(
            f"{looking.opened.address}/{looked.layer} gives {looked.values.type}, which has no distances; ask a layer "
            f"that gives numbers"
        )
    return flat(looked.values)


def flat(value: Value) -> Tensor:
    """Return the rows of a value as vectors, [rows, numbers]; what lies behind a padded row's end is zero.

    >>> flat(Padded(torch.tensor([[1, 2], [3, 4]]), torch.tensor([2, 1]))).tolist()
    [[1, 2], [3, 0]]
    """
    tensor = as_tensor(value)
    if isinstance(value, Padded):
        behind = torch.arange(tensor.shape[1]) >= value.lengths[:, None]
        tensor = tensor.masked_fill(behind.reshape(*behind.shape, *[1] * (tensor.ndim - 2)), 0)
    return tensor.reshape(rows_of(value), -1)


def _distances(rows: Tensor, point: Tensor, metric: str) -> np.ndarray[Any, Any]:
    """Return how far each row is from a point, [rows], float64: from the differences, or from the cosine."""
    found = np.empty(len(rows), np.float64)
    exact = point.double()
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE].double()
        if metric == "euclidean":
            apart = (some - exact).square().sum(1).sqrt()
        else:
            apart = 1 - (some @ exact) / (some.norm(dim=1) * exact.norm())
        found[start : start + AT_ONCE] = apart.numpy()
    return found
