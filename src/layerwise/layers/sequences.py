"""What came before a row: a window over a time series, or the history of a user. The order is the table's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import TEXT, Port
from layerwise.layers.base import DataKind, Padded, State, Value, as_tensor, rows_of
from layerwise.layers.lists import relist, spans
from layerwise.layers.lookup import plain_array
from layerwise.layers.numeric import Numbers, exact, hold_numbers


@dataclass(frozen=True)
class _Past(DataKind):
    # The options of Window and Sequence, and which rows are the past of a row.

    length: int
    horizon: int = 1

    couples_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 1:
            raise InvalidLayer(f"the option 'length' is {self.length}; expected 1 or more")
        if self.horizon < 0:
            raise InvalidLayer(f"the option 'horizon' is {self.horizon}; expected 0 (with the row itself) or more")

    def _past(self, rows: int, groups: Value | None) -> tuple[Numbers, Numbers]:
        # The rows of every row's past, one row after the other and the newest last; and how many each has.
        keys = np.zeros(rows, np.int64) if groups is None else _keys(groups)
        order = np.argsort(keys, kind="stable")
        position, place = np.empty(rows, np.int64), np.arange(rows)
        position[order] = place
        first = np.zeros(rows, np.int64)
        begins = np.flatnonzero(np.diff(keys[order], prepend=-1))
        first[order] = np.repeat(begins, np.diff(begins, append=rows))
        stop = np.maximum(position - self.horizon + 1, first)
        start = np.maximum(stop - self.length, first)
        return order[spans(start, stop - start)], stop - start


def _keys(groups: Value) -> Numbers:
    array = plain_array(groups)
    if array.null_count:
        raise InvalidData(
            f"{array.null_count:,} group keys of {len(array):,} are missing; leave the rows out, or put a `fill` before"
        )
    codes: Numbers = array.dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _hold_keys(port: Port, what: str) -> None:
    if port.dtype not in {TEXT, "unknown"} and (not port.numeric or port.shape or port.padded):
        raise InvalidShape(f"the {what} are {port}; expected one text or whole number a row")


@register("window")
@dataclass(frozen=True)
class Window(_Past):
    """The values of the rows before each row, in the table's order: padded [batch, length, features], float32.

    Row t gets the rows from t - horizon - length + 1 to t - horizon, the newest last; rows near the start get fewer,
    and one of zeros where there is none. A second input (text or whole numbers) says which series a row belongs to,
    and no window crosses from one to another.

    Args:
        length: the most rows in a window.
        horizon: how far ahead the row is: 1 is the row after its window, 0 puts the row itself into it.

    Example:
        >>> values, lengths = Window(2).run(torch.tensor([1.0, 2.0, 3.0]), state={})
        >>> values[:, :, 0].tolist(), lengths.tolist()
        ([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]], [1, 1, 2])
    """

    arity: ClassVar[tuple[int, int | None]] = (1, 2)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return a padded float32 [length, features]."""
        port = hold_numbers(inputs[0])
        if port.padded:
            raise InvalidShape(f"its input is {port}, a sequence already; take one value or vector a row")
        if len(inputs) > 1:
            _hold_keys(inputs[1], "groups")
        features = (None,) if port.dtype == "unknown" else port.shape or (1,)
        return Port("float32", (self.length, *features), padded=True)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return windows [batch, length, features] and how many rows each holds, [batch]."""
        values = exact(inputs[0]).float()
        values = values if values.dim() > 1 else values[:, None]
        rows = len(values)
        past, lengths = self._past(rows, inputs[1] if len(inputs) > 1 else None)
        found = torch.zeros(rows, self.length, *values.shape[1:])
        places = torch.from_numpy(spans(np.arange(rows) * self.length, lengths))
        found.view(-1, *values.shape[1:])[places] = values[torch.from_numpy(past)]
        return Padded(found, torch.from_numpy(np.maximum(lengths, 1)))


@register("sequence")
@dataclass(frozen=True)
class Sequence(_Past):
    """The items of a user's earlier rows, in the table's order, as a list a row: for a vocabulary and a pad behind it.

    The inputs are the items and the users (text or whole numbers both).

    Args:
        length: the most items; of a longer past the newest stay. The newest comes last.
        horizon: how far ahead the row is: 1 takes the rows before it, 0 puts the row's own item in.

    Example:
        >>> items, users = pa.array(["a", "b", "c"]), pa.array([7, 9, 7])
        >>> Sequence(5).run(items, users, state={}).to_pylist()
        [[], [], ['a']]
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 2)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return lists of the items."""
        items, users = inputs
        _hold_keys(items, "items")
        _hold_keys(users, "users")
        return Port("unknown" if items.dtype == "unknown" else f"list<{items.dtype}>", size=items.size)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return a list of items a row, of the items' type."""
        items = _array(inputs[0])
        past, lengths = self._past(rows_of(items), inputs[1])
        return relist(items.take(pa.array(past)), lengths)


def _array(value: Value) -> pa.Array:
    if isinstance(value, pa.Array):
        return value
    tensor: Tensor = as_tensor(value)
    if tensor.dim() != 1:
        raise InvalidShape(f"the items are of shape {['batch', *tensor.shape[1:]]}; expected one a row")
    return pa.array(tensor.numpy())
