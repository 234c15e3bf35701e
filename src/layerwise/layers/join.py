"""Join: several columns of numbers side by side in one vector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from layerwise.errors import InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.base import DataKind, State, Value
from layerwise.layers.numeric import exact, hold_numbers


@register("join")
@dataclass(frozen=True)
class Join(DataKind):
    """Put numbers side by side in the order of the inputs: scalars and vectors [batch, n] become [batch, total].

    Raises:
        InvalidShape: text, images, sequences: these have no place in a vector.

    Example:
        >>> Join().run(torch.tensor([1, 2]), torch.tensor([[0.5, 0.0], [0.0, 0.5]]), state={})
        tensor([[1.0000, 0.5000, 0.0000],
                [2.0000, 0.0000, 0.5000]])
    """

    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return a float32 vector as wide as all inputs together."""
        widths = [self._width(place, port) for place, port in enumerate(inputs, 1)]
        known = [width for width in widths if width is not None]
        return Port("float32", (sum(known) if len(known) == len(widths) else None,))

    def _width(self, place: int, port: Port) -> int | None:
        if hold_numbers(port).dtype == "unknown":
            return None
        if len(port.shape) > 1 or port.padded:
            raise self._refused(place, str(port))
        return port.shape[0] if port.shape else 1

    def _refused(self, place: int, found: str) -> InvalidShape:
        return InvalidShape(
            f"input {place} is {found}, and it joins scalars and vectors; put a flatten or pooling layer behind it and "
            f"join there (concatenate)"
        )

    def run(self, *inputs: Value, state: State) -> Value:
        """Return all numbers of a row side by side, [batch, total], float32. Missing ones stay NaN."""
        return torch.cat([self._columns(place, value) for place, value in enumerate(inputs, 1)], dim=1)

    def _columns(self, place: int, value: Value) -> Tensor:
        numbers = exact(value).float()
        if isinstance(value, tuple) or numbers.dim() > 2:
            raise self._refused(place, f"of shape {['batch', *numbers.shape[1:]]}")
        return numbers if numbers.dim() == 2 else numbers[:, None]
