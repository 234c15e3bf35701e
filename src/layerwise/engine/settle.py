"""Settling: what leaves the data layers that cannot change in a run is computed once and read at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.engine.rows import Rows, column, live_layers, ready
from layerwise.errors import InvalidData
from layerwise.graph.graph import Graph
from layerwise.graph.layer import at_layer
from layerwise.layers.base import AnswerKind, Padded, State, Value, as_tensor
from layerwise.store.disk import Disk

IN_MEMORY = 512 << 20
"""A settled layer larger than this many bytes goes to a memory-mapped scratch file."""


@dataclass(frozen=True)
class Settled:
    """What enters the live part of a model, for every row of a dataset.

    Attributes:
        values: by layer name, tensors [rows, ...] or padded ones.
        truth: the targets as the loss wants them, [rows, ...].
    """

    values: Mapping[str, Value]
    truth: Tensor

    def take(self, rows: Tensor) -> dict[str, Value]:
        """Return the values of some rows, [len(rows), ...] each."""
        return {name: index(value, rows) for name, value in self.values.items()}


def index(value: Value, rows: Tensor) -> Value:
    """Return some rows of a tensor or padded value."""
    if isinstance(value, Padded):
        return Padded(value.values.index_select(0, rows), value.lengths.index_select(0, rows))
    return as_tensor(value).index_select(0, rows)


def settled_layers(graph: Graph) -> list[str]:
    """Return the data layers whose output is settled and enters the live part of the graph."""
    live = live_layers(graph)
    data = {name for name, layer in graph.by_name.items() if layer.action.role == "data"}
    wanted = {
        source
        for name, inputs in graph.wiring.items()
        if name in live or name not in data
        for source in inputs
        if source in data and source not in live
    }
    return [name for name in graph.wiring if name in wanted]


class Filling:
    """A value of all rows, filled block by block; kept in memory or, where large, in a scratch file."""

    def __init__(self, rows: int, disk: Disk) -> None:
        self.rows, self.disk = rows, disk
        self.parts: list[Tensor] = []
        self.filled = 0
        self.padded = False

    def add(self, value: Value) -> None:
        """Add the next rows."""
        parts = list(value) if isinstance(value, Padded) else [torch.as_tensor(value)]
        self.padded = isinstance(value, Padded)
        if not self.parts:
            self.parts = [self._empty(part) for part in parts]
        for whole, part in zip(self.parts, parts, strict=True):
            if part.shape[1:] != whole.shape[1:]:
                raise InvalidData(
                    f"rows differ in shape: {list(part.shape[1:])} after {list(whole.shape[1:])}; "
                    f"give it a fixed size (pad: length, image: size)"
                )
            whole[self.filled : self.filled + len(part)] = part
        self.filled += len(parts[0])

    def _empty(self, like: Tensor) -> Tensor:
        shape = (self.rows, *like.shape[1:])
        size = int(np.prod(shape, dtype=np.int64)) * like.element_size()
        if size <= IN_MEMORY:
            return torch.empty(shape, dtype=like.dtype)
        return torch.frombuffer(self.disk.scratch(size), dtype=like.dtype).view(shape)

    @property
    def value(self) -> Value:
        """The whole, once every row is there."""
        return Padded(*self.parts) if self.padded else self.parts[0]


def settle(rows: Rows, states: Mapping[str, State], truth: AnswerKind, state: State, *, disk: Disk) -> Settled:
    """Return what enters the live part and the truth for every row of the dataset, computed once.

    Raises:
        InvalidData: a value that a layer cannot take, or that is not a number where numbers are needed.
    """
    wanted = settled_layers(rows.graph)
    count = len(rows.dataset)
    filling = {name: Filling(count, disk) for name in wanted}
    for values in rows.stream(states, wanted) if wanted else ():
        for name, value in values.items():
            with at_layer(name, rows.graph.by_name[name].kind):
                filling[name].add(ready(rows.graph, name, value))
    targets = Filling(count, disk)
    for found in encoded(rows, truth, state):
        targets.add(found)
    return Settled({name: whole.value for name, whole in filling.items()}, _tensor(targets.value))


def encoded(rows: Rows, answer: AnswerKind, state: State) -> list[Tensor]:
    """Return the truth of the chosen rows as the loss wants it, block by block."""
    layer = rows.graph.answer
    assert layer is not None
    with at_layer(layer.name, layer.kind):
        return [answer.encode(*_targets(table, answer.targets), state=state) for table in rows.tables(answer.targets)]


def fit_answer(rows: Rows, answer: AnswerKind) -> State:
    """Return what the answer layer learns from the targets of ``rows`` (the training rows)."""
    layer = rows.graph.answer
    assert layer is not None
    with at_layer(layer.name, layer.kind):
        return answer.fit(_targets(table, answer.targets) for table in rows.tables(answer.targets))


def _targets(table: pa.Table, names: Sequence[str]) -> tuple[pa.Array, ...]:
    return tuple(column(table, name) for name in names)


def _tensor(value: Value) -> Tensor:
    assert isinstance(value, Tensor)
    return value
