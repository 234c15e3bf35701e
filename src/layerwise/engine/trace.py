"""A row followed through every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch

from layerwise.engine.answers import MISSING, Answers, cell
from layerwise.engine.evaluate import CANONICAL, Live
from layerwise.engine.rows import ready, run_data
from layerwise.engine.settle import index, settled_layers
from layerwise.graph.graph import Graph
from layerwise.layers.base import AnswerKind, State, Value, as_tensor
from layerwise.layers.columns import port_of


@dataclass(frozen=True)
class Passage:
    """What left one layer for the row: a tensor, a padded one, or an Arrow value not yet encoded."""

    layer: str
    kind: str
    value: Value

    @property
    def shape(self) -> str:
        """The shape without the batch, as a person writes it."""
        if isinstance(self.value, pa.Array):
            return port_of(self.value.type).dtype
        return "×".join(str(size) for size in as_tensor(self.value).shape[1:]) or "1"

    @property
    def missing(self) -> bool:
        """Whether nothing is there: no value, or no number but NaN."""
        if isinstance(self.value, pa.Array):
            return cell(self.value[0].as_py()) == MISSING
        numbers = as_tensor(self.value)[0]
        return bool(numbers.numel() and numbers.isnan().all())

    @property
    def summary(self) -> str:
        """Short values in full, large ones by mean, range and share of zeros; — where something is missing."""
        if self.missing:
            return f"{MISSING} missing"
        if isinstance(self.value, pa.Array):
            return cell(self.value[0].as_py())
        tensor = as_tensor(self.value)[0].to(torch.float64).flatten()
        if tensor.numel() <= 10:
            return "  ".join(cell(number) for number in tensor.tolist())
        there = tensor[~tensor.isnan()]
        zeros = float((there == 0).double().mean())
        about = f"mean {there.mean():.4g}, {there.min():.4g} to {there.max():.4g}, {zeros:.0%} zeros"
        return about if len(there) == len(tensor) else f"{about}, {len(tensor) - len(there):,} missing"


@dataclass(frozen=True)
class Trace:
    """A row on its way through a version, layer by layer, and the answer at the end."""

    version: str
    passages: tuple[Passage, ...]
    answers: Answers

    def __getitem__(self, layer: str) -> Value:
        return next(passage.value for passage in self.passages if passage.layer == layer)

    def __str__(self) -> str:
        rows = [(passage.layer, passage.kind, passage.shape, passage.summary) for passage in self.passages]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d}" for a, b, c, d in rows]
        return "\n".join([*lines, "", str(self.answers)])


def follow(version: str, live: Live, table: pa.Table, answer: AnswerKind, state: State) -> Trace:
    """Return the trace of a table's last row (its only one, unless the model looks at rows before it)."""
    graph = live.graph
    names = [name for name in graph.wiring if graph.by_name[name].action.role == "data"]
    data = run_data(graph, table, live.states, names)
    last = torch.tensor([table.num_rows - 1])
    seen: dict[str, Value] = {name: _one(value, last) for name, value in data.items()}
    settled = {name: index(ready(graph, name, data[name]), last.expand(CANONICAL)) for name in settled_layers(graph)}
    outputs = _observed(live, settled, seen)
    layers = dict(graph.walk())
    passages = tuple(Passage(path, _kind(layers, path), value) for path, value in _in_order(graph, seen))
    return Trace(version, passages, Answers(version, answer.decode(outputs[:1], state)))


def _observed(live: Live, settled: dict[str, Value], seen: dict[str, Value]) -> torch.Tensor:
    first = torch.tensor([0])

    def observe(path: str, value: Value) -> None:
        seen[path] = index(value, first)

    with torch.inference_mode():
        return as_tensor(live.network(*live.inputs(settled), observe=observe))


def _one(value: Value, row: torch.Tensor) -> Value:
    return value.slice(int(row), 1) if isinstance(value, pa.Array) else index(value, row)


def _kind(layers: dict[str, Any], path: str) -> str:
    return layers[path].kind if path in layers else ""


def _in_order(graph: Graph, seen: dict[str, Value]) -> list[tuple[str, Value]]:
    position = {path: place for place, (path, _) in enumerate(graph.walk())}
    return sorted(seen.items(), key=lambda item: position.get(item[0], len(position)))
