"""Numbers made fit for a network: scaled, standardised, clipped, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.base import DataKind, State, Value
from layerwise.layers.moments import moments, row_moments
from layerwise.layers.numeric import change, hold_numbers, learned


def _floats(inputs: tuple[Port, ...]) -> Port:
    port = hold_numbers(inputs[0])
    return port if port.dtype == "unknown" else replace(port, dtype="float32", size=None)


@register("scale")
@dataclass(frozen=True)
class Scale(DataKind):
    """Shift and divide by fixed numbers: ``(x - shift) / by``, as float32 of the same shape.

    Args:
        by: what to divide by; not zero.
        shift: what to take away first.

    Example:
        >>> Scale(by=16).run(torch.tensor([0, 8, 16], dtype=torch.uint8), state={})
        tensor([0.0000, 0.5000, 1.0000])
    """

    by: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by == 0:
            raise InvalidLayer("the option 'by' is 0; values cannot be divided by it")

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port with float32."""
        return _floats(inputs)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the scaled numbers, [batch, ...]. Missing ones stay missing."""
        return change(inputs[0], lambda x: (x - self.shift) / self.by)


@register("clip")
@dataclass(frozen=True)
class Clip(DataKind):
    """Bring numbers below ``low`` to ``low`` and above ``high`` to ``high``, as float32 of the same shape.

    Args:
        low: the least that is left, in the values' own unit; no bound where not given.
        high: the most that is left; no bound where not given.

    Raises:
        InvalidLayer: neither is given, or ``low`` is above ``high``.

    Example:
        >>> Clip(low=0, high=1).run(torch.tensor([-3.0, 0.5, 7.0]), state={})
        tensor([0.0000, 0.5000, 1.0000])
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low is None and self.high is None:
            raise InvalidLayer("neither 'low' nor 'high' is given; give one or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise InvalidLayer(f"the option 'low' is {self.low} and 'high' is {self.high}; low must not be above high")

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port with float32."""
        return _floats(inputs)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the clipped numbers, [batch, ...]. Missing ones stay missing."""
        return change(inputs[0], lambda x: x.clamp(self.low, self.high))


@register("log")
@dataclass(frozen=True)
class Log(DataKind):
    """The natural logarithm of ``x + offset``, as float32 of the same shape: for prices, counts and other long tails.

    Args:
        offset: added first, so that zero has a logarithm; every value must be above ``-offset``.

    Raises:
        InvalidData: values that have no logarithm, with the first of them and how many.

    Example:
        >>> Log().run(torch.tensor([0.0, 1.718281828]), state={})
        tensor([0., 1.])
    """

    offset: float = 1.0

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port with float32."""
        return _floats(inputs)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the logarithms, [batch, ...]. Missing values stay missing."""
        return change(inputs[0], self._log)

    def _log(self, x: Tensor) -> Tensor:
        low = x <= -self.offset
        if bool(low.any()):
            rows = int(low.reshape(len(x), -1).any(1).sum())
            raise InvalidData(
                f"{rows:,} rows of {len(x):,} hold a value of {-self.offset:g} or less, the first is {x[low][0]:g}; "
                f"log(x + {self.offset:g}) is not defined there: raise `offset` or put a `clip` before"
            )
        # log1p keeps the digits of small x when the offset is 1, as it mostly is.
        return torch.log1p(x.double() + (self.offset - 1))


@register("standardize")
@dataclass(frozen=True)
class Standardize(DataKind):
    """Take away the mean and divide by the spread (the standard deviation), both learned on the training rows.

    Args:
        per: what has a mean and spread of its own: ``feature`` (each place in a row; in padded rows each feature of
            a step), ``channel`` (the first dimension of a row: images) or ``all`` (one for everything). ``row`` takes
            each row by its own, as for pictures that were lit differently, and learns nothing.

    State ``mean`` and ``spread``, float64, shaped to fit a row. What never changes gets the spread 1. Missing values
    (null or NaN) are not counted and stay missing.

    Raises:
        InvalidData: a feature without any value, or infinite values.

    Example:
        >>> state = Standardize().fit([(torch.tensor([1.0, 3.0]),)])
        >>> Standardize().run(torch.tensor([1.0, 2.0, 3.0]), state=state)
        tensor([-1.,  0.,  1.])
    """

    per: Literal["feature", "channel", "all", "row"] = "feature"

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether the training rows are read: not where each row goes by its own mean and spread."""
        return self.per != "row"

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port with float32."""
        port = _floats(inputs)
        if self.per == "channel" and port.dtype != "unknown" and (len(port.shape) < 2 or port.padded):
            raise InvalidShape(f"its input is {port} and has no channels; take per: feature")
        if self.per == "row" and port.dtype != "unknown" and not port.shape:
            raise InvalidShape(f"its input is {port}, and one number has no spread of its own; take per: feature")
        return port

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the means and spreads of the training rows, in one pass."""
        if self.per == "row":
            return {}
        total, shape = moments((value for (value,) in batches), self.per)
        mean, spread = total.mean_and_spread()
        return {"mean": torch.from_numpy(mean.reshape(shape)), "spread": torch.from_numpy(spread.reshape(shape))}

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the standardised numbers, [batch, ...], float32."""
        if self.per == "row":
            mean, spread = map(torch.from_numpy, row_moments(inputs[0]))
        else:
            mean, spread = learned(state, "mean"), learned(state, "spread")
        return change(inputs[0], lambda x: (x.double() - mean) / spread)
