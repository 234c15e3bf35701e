"""Value: each row is a quantity, in the user's unit.

>>> price = Value("price", unit="EUR")
>>> state = price.fit([(pa.array([10.0, 30.0]),)])
>>> price.decode(torch.tensor([[1.0]]), state).to_pylist()
[{'price': 30.0}]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional

from layerwise.errors import InvalidData
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers import metrics
from layerwise.layers.base import AnswerKind, State
from layerwise.layers.scores import finite, flat, hold_width
from layerwise.layers.targets import hold_target, read_numbers

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}


@register("value")
@dataclass(frozen=True)
class Value(AnswerKind):
    """One number a row, or one vector of a fixed length.

    The network learns the target less its mean, over its spread, so that a price in millions trains like one in
    cents; metrics and answers are in the user's unit. Learned: ``mean`` and ``spread``, float64.

    Args:
        target: the column of numbers, or of lists of one length.
        unit: what the numbers count (``EUR``, ``mmHg``); answers carry it in the column's metadata.
        objective: what training makes smaller, on the standardised target: squared error, absolute error, or Huber's
            (squared up to one spread, absolute beyond).
        standardize: False trains on the numbers as they are.

    Example:
        >>> Value("price", objective="mae").higher_is_better
        frozenset({'r2'})
    """

    higher_is_better: ClassVar[frozenset[str]] = metrics.better_higher("mae", "rmse", "r2")

    target: str
    unit: str = ""
    objective: Literal["mse", "mae", "huber"] = "mse"
    standardize: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        hold_target(self.target, ())

    @property
    def targets(self) -> tuple[str, ...]:
        """The column of numbers."""
        return (self.target,)

    def fit(self, batches: Iterable[tuple[pa.Array, ...]]) -> State:
        """Return ``mean`` and ``spread`` (the standard deviation; 1 where the target never changes), [] or [values].

        Raises:
            InvalidData: no rows, another type, missing or infinite values.
        """
        parts = [read_numbers(batch[0], self.target) for batch in batches]
        if not sum(map(len, parts)):
            raise InvalidData(f"the column {self.target!r} has no training rows; a value needs one or more")
        if len({part.shape[1:] for part in parts}) > 1:
            raise InvalidData(f"the column {self.target!r} has vectors of different lengths; give all one length")
        numbers = np.concatenate(parts)
        mean, spread = numbers.mean(0), numbers.std(0)
        # Rounding leaves a trace of spread in equal numbers; to divide by it would blow it up.
        varies = (numbers != numbers[0]).any(0) & (spread > 0)
        if not self.standardize:
            mean, varies = np.zeros_like(mean), np.zeros_like(varies)
        return {"mean": torch.as_tensor(mean), "spread": torch.as_tensor(np.where(varies, spread, 1.0))}

    def encode(self, *targets: pa.Array, state: State) -> Tensor:
        """Return the standardised truth, float32, [batch] or [batch, values]."""
        numbers = torch.from_numpy(read_numbers(targets[0], self.target).copy())
        if numbers.shape[1:] != state["mean"].shape:
            found, wanted = (list(tensor.shape) or "single numbers" for tensor in (numbers[0], state["mean"]))
            raise InvalidData(f"the column {self.target!r} has {found} a row; trained on {wanted}")
        return ((numbers - state["mean"].cpu()) / state["spread"].cpu()).float()

    def check(self, inputs: tuple[Port, ...], state: State) -> None:
        """Raise InvalidShape where a row of the input is not as many numbers as the target."""
        width = state["mean"].numel() if state else 0
        said = f"the column {self.target!r} has {width:,}" if width > 1 else f"the column {self.target!r} is one number"
        hold_width(inputs, {width} if width else set(), said, width or None)

    def loss(self, outputs: Tensor, truth: Tensor, state: State) -> Tensor:
        """Return the mean error as ``objective`` says, in spreads (squared for ``mse``)."""
        scores = outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs
        return _LOSSES[self.objective](scores.reshape(truth.shape), truth.to(scores.dtype))

    def metrics(self, outputs: Tensor, truth: Tensor, state: State) -> dict[str, float]:
        """Return mae, rmse and r2, in the user's unit; of a vector the mean over its values.

        Raises:
            InvalidData: outputs that are not finite.
        """
        answers, right = self._plain(finite(outputs), state), self._plain(truth.cpu(), state)
        if not len(right):
            return {}
        found = {"mae": metrics.mae, "rmse": metrics.rmse, "r2": metrics.r2}
        return metrics.defined({name: measure(answers, right) for name, measure in found.items()})

    def _plain(self, outputs: Tensor, state: State) -> Tensor:
        return flat(outputs).double() * state["spread"].cpu() + state["mean"].cpu()

    def decode(self, outputs: Tensor, state: State) -> pa.Table:
        """Return the target's column, float64 or lists of it; the field's metadata holds the ``unit``.

        Raises:
            InvalidData: outputs that are not finite.
        """
        numbers = self._plain(finite(outputs), state)
        column = pa.array(numbers.flatten().numpy())
        if state["mean"].ndim:
            column = pa.FixedSizeListArray.from_arrays(column, numbers.shape[1])
        metadata = {"unit": self.unit} if self.unit else None
        return pa.table([column], schema=pa.schema([pa.field(self.target, column.type, metadata=metadata)]))
