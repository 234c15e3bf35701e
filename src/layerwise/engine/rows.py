"""Running data layers over rows: in fitting, in training and in serving the same few lines (no skew)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.data.dataset import Dataset
from layerwise.errors import InvalidData, LayerwiseError, nearest
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer, at_layer
from layerwise.layers.base import DataKind, Padded, State, Value, as_tensor, rows_of

WHOLE = 256 << 20
"""Training rows up to this many bytes are read once and kept while layers are fitted."""


def data_kind(layer: Layer) -> DataKind:
    """Return the layer's kind as the data kind that it is."""
    return cast(DataKind, layer.action)


def ancestors(graph: Graph, wanted: Iterable[str]) -> list[str]:
    """Return ``wanted`` and every layer that they need, in the order in which they run."""
    needed: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(graph.wiring[name])
    return [name for name in graph.wiring if name in needed]


def live_layers(graph: Graph) -> set[str]:
    """Return the data layers that run at every training step: those that draw, and those behind them."""
    live: set[str] = set()
    for name, inputs in graph.wiring.items():
        kind = graph.by_name[name].action
        if isinstance(kind, DataKind) and (kind.live or live.intersection(inputs)):
            live.add(name)
    return live


def run_data(
    graph: Graph, table: pa.Table | pa.RecordBatch, states: Mapping[str, State], wanted: Sequence[str]
) -> dict[str, Value]:
    """Return what leaves the data layers ``wanted`` for the rows of ``table``.

    Raises:
        InvalidData: a column that is not there, a value that a layer cannot take (naming the layer).
    """
    found: dict[str, Value] = {}
    for name in ancestors(graph, wanted):
        layer = graph.by_name[name]
        with at_layer(name, layer.kind):
            inputs = [column(table, read) for read in layer.action.reads] or [found[i] for i in graph.wiring[name]]
            found[name] = run_layer(layer, inputs, states.get(name, {}))
    return {name: found[name] for name in wanted}


def run_layer(layer: Layer, inputs: Sequence[Value], state: State) -> Value:
    """Return what leaves one data layer, and hold it to one output a row."""
    try:
        value = data_kind(layer).run(*inputs, state=state)
    except (LayerwiseError, MemoryError):
        raise
    except (ValueError, TypeError, pa.ArrowException, RuntimeError) as error:
        raise InvalidData(f"it cannot take these rows: {error}") from error
    if rows_of(value) != rows_of(inputs[0]):
        raise InvalidData(f"it made {rows_of(value)} rows of {rows_of(inputs[0])}; a layer makes one for each")
    return value


def column(table: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    """Return a column as one array, or raise InvalidData with the nearest name."""
    if name not in table.schema.names:
        raise InvalidData(f"the rows have no column {name!r}.{nearest(name, table.schema.names)}")
    array = table.column(table.schema.names.index(name))
    if isinstance(array, pa.ChunkedArray):
        return array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    return array


@dataclass(frozen=True)
class Rows:
    """Some rows of a dataset, to be streamed through data layers: all of them, or those at ``positions``."""

    graph: Graph
    dataset: Dataset
    positions: np.ndarray[Any, Any] | None = None

    def stream(self, states: Mapping[str, State], wanted: Sequence[str]) -> Iterator[dict[str, Value]]:
        """Yield what leaves ``wanted``, block by block, in the order of the rows.

        Where a layer couples rows (a window over time), it sees the whole table in one piece.
        """
        needed = ancestors(self.graph, wanted)
        columns = self._columns(needed)
        if any(data_kind(self.graph.by_name[name]).couples_rows for name in needed):
            values = run_data(self.graph, self.dataset.table(columns), states, wanted)
            yield {name: self._chosen(value) for name, value in values.items()}
            return
        for table in self.tables(columns):
            yield run_data(self.graph, table, states, wanted)

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the chosen rows of these columns, block by block; blocks without a chosen row are left out."""
        start = 0
        for batch in self.dataset.blocks(columns):
            stop = start + batch.num_rows
            if self.positions is None:
                yield pa.Table.from_batches([batch])
            else:
                low, high = np.searchsorted(self.positions, [start, stop])
                if high - low == batch.num_rows:
                    yield pa.Table.from_batches([batch])
                elif high > low:
                    yield pa.Table.from_batches([batch]).take(pa.array(self.positions[low:high] - start))
            start = stop

    def _columns(self, needed: Iterable[str]) -> list[str]:
        reads = {read for name in needed for read in self.graph.by_name[name].action.reads}
        missing = sorted(reads.difference(self.dataset.schema.names))
        if missing:
            raise InvalidData(
                f"{self.dataset.address} has no column {missing[0]!r}.{nearest(missing[0], self.dataset.schema.names)}"
            )
        return sorted(reads)

    def _chosen(self, value: Value) -> Value:
        return value if self.positions is None else pick(value, self.positions)


def pick(value: Value, positions: np.ndarray[Any, Any]) -> Value:
    """Return some rows of a value."""
    if isinstance(value, pa.Array):
        return value.take(pa.array(positions))
    if isinstance(value, Padded):
        return Padded(value.values[positions], value.lengths[positions])
    return value[positions]


def fit(rows: Rows) -> dict[str, State]:
    """Return what the data layers learn from ``rows`` (the training rows, and no others), by name."""
    states: dict[str, State] = {}
    for name, inputs in rows.graph.wiring.items():
        layer = rows.graph.by_name[name]
        if isinstance(layer.action, DataKind) and layer.action.learns:
            with at_layer(name, layer.kind):
                batches = (tuple(values[i] for i in inputs) for values in rows.stream(states, inputs))
                states[name] = layer.action.fit(batches)
    return states


def ready(graph: Graph, name: str, value: Value) -> Value:
    """Return what leaves a data layer as what enters the live part: a tensor or a padded one, of finite numbers.

    Raises:
        InvalidData: a missing value, NaN or infinity, naming the layer.
    """
    with at_layer(name, graph.by_name[name].kind):
        usable = as_tensor(value) if isinstance(value, pa.Array) else value
        _hold_finite(as_tensor(usable))
        return usable


def _hold_finite(tensor: Tensor) -> None:
    # A sum is finite only where every number is, and ten times as fast as a look at each; one that is not may have
    # run over, so that each is looked at.
    if not tensor.is_floating_point() or torch.isfinite(tensor.sum()):
        return
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise InvalidData(
            f"{bad:,} of the {tensor.numel():,} values that leave it are missing, NaN or infinite, and what follows "
            f"cannot take them; put a `fill` layer before it (for missing values), or a `clip`"
        )
