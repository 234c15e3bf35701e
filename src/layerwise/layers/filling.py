"""Fill: missing values get one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from layerwise.errors import InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import TEXT, Port
from layerwise.layers.base import DataKind, Padded, State, Value, as_tensor
from layerwise.layers.lookup import count, keep, kept
from layerwise.layers.moments import moments, nothing_there, samples
from layerwise.layers.numeric import Numbers, exact, hold_numbers, learned, missing, no_rows

STATISTICS = ("mean", "median", "most_frequent")


@register("fill")
@dataclass(frozen=True)
class Fill(DataKind):
    """Give missing values (nulls and NaN) a value; a column stays a column and a tensor a tensor.

    Args:
        value: ``mean``, ``median`` or ``most_frequent`` of the training rows (each place in a row its own; of equally
            frequent values the smallest), or a fixed number or text. The texts ``mean``, ``median`` and
            ``most_frequent`` always mean the statistic. For ``median`` and ``most_frequent`` all training numbers are
            held in memory.
        indicator: also say where a number was missing: behind the numbers come as many of 0 and 1, so a scalar becomes
            [batch, 2] and a vector [batch, 2n], float32.

    State ``fill``, shaped to fit a row, or the most frequent text.

    Raises:
        InvalidData: a column or feature that is missing in all training rows.
        InvalidShape: a mean of text, a number for text, a text for numbers.

    Example:
        >>> fill = Fill("most_frequent")
        >>> fill.run(pa.array(["b", None]), state=fill.fit([(pa.array(["a", "b", "b"]),)])).to_pylist()
        ['b', 'b']
    """

    value: float | str = "mean"
    indicator: bool = False

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether the value comes from the training rows."""
        return self.value in STATISTICS

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port; whole numbers become float32 where the value may have a fraction."""
        port = inputs[0]
        if port.dtype == TEXT:
            self._hold_text()
            return port
        if hold_numbers(port).dtype == "unknown":
            return port
        self._hold_number(port.dtype)
        if not self.indicator:
            return replace(port, dtype="float32", size=None) if self._breaks(port.dtype) else port
        if len(port.shape) > 1 or port.padded:
            raise InvalidShape(f"its input is {port}, and `indicator` is for scalars and vectors; take it away")
        width = port.shape[0] if port.shape else 1
        return Port("float32", (None if width is None else 2 * width,))

    def _hold_text(self) -> None:
        if self.indicator or self.value in {"mean", "median"} or not isinstance(self.value, str):
            said = "indicator" if self.indicator else f"value: {self.value}"
            raise InvalidShape(
                f"its input is text, which {said} does not fit; take most_frequent or a text of your own"
            )

    def _hold_number(self, dtype: str) -> None:
        if isinstance(self.value, str) and self.value not in STATISTICS:
            raise InvalidShape(f"its input is {dtype} and the value is the text {self.value!r}; give a number")
        if dtype == "bool" and not self.indicator and self.value not in {"most_frequent", 0.0, 1.0}:
            raise InvalidShape(f"its input is bool and the value is {self.value}; take most_frequent, 0 or 1")

    def _breaks(self, dtype: str) -> bool:
        # Whether the value turns whole numbers of this dtype into ones with a fraction.
        fraction = self.value in {"mean", "median"} or (isinstance(self.value, float) and self.value % 1 != 0)
        return "int" in dtype and fraction

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the statistic of the training rows, in one pass."""
        if not self.learns:
            return {}
        stream = (value for (value,) in batches)
        first = next(stream, None)
        if first is None:
            raise no_rows()
        values = itertools.chain([first], stream)
        if _is_text(first):
            return self._commonest(values)
        if self.value == "mean":
            total, shape = moments(values, "feature")
            return {"fill": torch.from_numpy(total.mean_and_spread()[0].reshape(shape))}
        parts = [(_whole(value), ()) if _is_whole(value) else samples(value, "feature") for value in values]
        columns = np.concatenate([part for part, _ in parts]).T
        found = np.array([self._one(column, place, len(columns)) for place, column in enumerate(columns)])
        return {"fill": torch.from_numpy(found.reshape(parts[0][1]))}

    def _commonest(self, values: Iterable[Value]) -> State:
        self._hold_text()
        counts = count(value for value in values if isinstance(value, pa.Array))
        if not counts:
            raise nothing_there(np.zeros(1, np.int64), 1)
        return keep([min(counts, key=lambda value: (-counts[value], value))])

    def _one(self, column: Numbers, place: int, features: int) -> Any:
        there = column[~np.isnan(column)]
        if not len(there):
            raise nothing_there(np.array([place]), features)
        if self.value == "median":
            return np.median(there)
        values, counts = np.unique(there, return_counts=True)
        return values[counts.argmax()]

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the values without gaps: of the input's type and shape, twice as wide with ``indicator``."""
        (value,) = inputs
        if _is_text(value):
            self._hold_text()
            return pc.fill_null(value, next(iter(kept(state))) if self.learns else self.value)
        if self.indicator:
            parts = [self._filled(exact(value), state).float(), missing(value).float()]
            return torch.cat([part if part.dim() == 2 else part[:, None] for part in parts], dim=1)
        if isinstance(value, pa.Array):
            return self._filled_array(value, state)
        if isinstance(value, Padded):
            return Padded(self._filled(value.values, state), value.lengths)
        return self._filled(as_tensor(value), state)

    def _number(self, state: State) -> Tensor:
        return learned(state, "fill") if self.learns else torch.tensor(float(self.value), dtype=torch.float64)

    def _filled(self, values: Tensor, state: State) -> Tensor:
        if self._breaks(str(values.dtype)):
            values = values.float()
        if not values.is_floating_point():
            return values
        return torch.where(torch.isnan(values), self._number(state).to(values.dtype), values)

    def _filled_array(self, array: pa.Array, state: State) -> pa.Array:
        self._hold_number("bool" if pa.types.is_boolean(array.type) else str(array.type))
        if self._breaks(str(array.type)):
            array = array.cast(pa.float64())
        kind = array.type
        number: Any = self._number(state).item()
        number = (
            float(number) if pa.types.is_floating(kind) else bool(number) if pa.types.is_boolean(kind) else int(number)
        )
        return pc.if_else(pc.is_null(array, nan_is_null=pa.types.is_floating(kind)), pa.scalar(number, kind), array)


def _is_text(value: Value) -> bool:
    return isinstance(value, pa.Array) and bool(pa.types.is_string(value.type) or pa.types.is_large_string(value.type))


def _is_whole(value: Value) -> bool:
    return isinstance(value, pa.Array) and bool(pa.types.is_integer(value.type))


def _whole(value: Value) -> Numbers:
    # As int64 and not float64, so that long ids keep their last digits.
    assert isinstance(value, pa.Array)
    found: Numbers = value.drop_null().cast(pa.int64()).to_numpy().reshape(-1, 1)
    return found
