"""Buckets: a number becomes the index of the range that it falls in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.base import DataKind, Padded, State, Value
from layerwise.layers.numeric import exact, hold_numbers, hold_present, learned, no_rows


@register("bucket")
@dataclass(frozen=True)
class Bucket(DataKind):
    """The index of the range that a number falls in, int64: an age becomes an age group.

    Args:
        edges: the borders, rising; a number on a border belongs to the range above it.
        count: in place of ``edges``: how many ranges, with borders at the quantiles of the training rows. Equal
            borders become one, so there may be fewer. All training values are held in memory to find them.

    State ``edges``, float64, where they are learned.

    Raises:
        InvalidData: missing values.

    Example:
        >>> Bucket(edges=(18, 65)).run(torch.tensor([7.0, 18.0, 80.0]), state={})
        tensor([0, 1, 2])
    """

    edges: tuple[float, ...] | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.edges is None) == (self.count is None):
            raise InvalidLayer("give either 'edges' or 'count', and not both")
        if self.edges is not None and (not self.edges or list(self.edges) != sorted(set(self.edges))):
            raise InvalidLayer(f"the option 'edges' is {list(self.edges)[:10]}; expected rising numbers, at least one")
        if self.count is not None and self.count < 2:
            raise InvalidLayer(f"the option 'count' is {self.count}; expected 2 or more")

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether the borders come from the training rows."""
        return self.edges is None

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port with int64 and the number of ranges."""
        port = hold_numbers(inputs[0])
        if port.dtype == "unknown":
            return Port("int64")
        if self.edges is None and (port.shape or port.padded):
            raise InvalidShape(
                f"its input is {port}; borders are learned for one number a row: a bucket layer for each, or `edges`"
            )
        size = len(self._edges(state or {})) + 1 if self.edges is not None or state else None
        return replace(port, dtype="int64", size=size)

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the quantiles of the training rows."""
        if self.count is None:
            return {}
        parts = []
        for (value,) in batches:
            hold_present(value)
            parts.append(exact(value).double().numpy())
        if not sum(map(len, parts)):
            raise no_rows()
        inner = np.linspace(0, 1, self.count + 1)[1:-1]
        return {"edges": torch.from_numpy(np.unique(np.quantile(np.concatenate(parts), inner)))}

    def _edges(self, state: State) -> torch.Tensor:
        return learned(state, "edges") if self.edges is None else torch.tensor(self.edges, dtype=torch.float64)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the indices, int64, of the shape of the input; padding is 0."""
        (value,) = inputs
        hold_present(value)
        found = torch.bucketize(exact(value).double(), self._edges(state), right=True)
        if not isinstance(value, Padded):
            return found
        inside = torch.arange(found.shape[1]) < value.lengths[:, None]
        return Padded(found * inside.reshape(*inside.shape, *(1 for _ in found.shape[2:])), value.lengths)
