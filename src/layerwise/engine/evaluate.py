"""Running a network over rows without learning, always in batches of one size, and what the answers are worth."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.engine.failing import explained
from layerwise.engine.rows import data_kind, live_layers
from layerwise.engine.settle import Settled, index
from layerwise.errors import LayerwiseError
from layerwise.graph.graph import Graph
from layerwise.graph.layer import at_layer
from layerwise.layers.base import AnswerKind, Padded, State, Value, as_tensor
from layerwise.layers.network import Network
from layerwise.layers.observed import Observe

CANONICAL = 64
"""Rows a batch when nothing learns, always. Torch's kernels add up in another order for another size, so one size for
all makes a row's bits the same wherever it is computed; a smaller batch is filled up."""


@dataclass(frozen=True)
class Live:
    """The live part of a model: data layers that run at every step, then the network."""

    graph: Graph
    network: Network
    states: Mapping[str, State]
    device: torch.device

    @functools.cached_property
    def order(self) -> list[str]:
        """The data layers that run at every step, in the order in which they run."""
        live = live_layers(self.graph)
        return [name for name in self.graph.wiring if name in live]

    def inputs(
        self, values: dict[str, Value], generator: torch.Generator | None = None, observe: Observe | None = None
    ) -> list[Value]:
        """Return what enters the network; with a generator, live layers draw; ``observe`` is told of them."""
        for name in self.order:
            kind = data_kind(self.graph.by_name[name])
            value = kind.run(*(values[source] for source in self.graph.wiring[name]), state=self.states.get(name, {}))
            values[name] = kind.draw(value, generator) if kind.live and generator is not None else value
            if observe is not None:
                observe(name, values[name])
        return [moved(values[name], self.device) for name in self.network.entries]

    def run(self, inputs: list[Value], observe: Observe | None = None) -> Tensor:
        """Return what leaves the network for what enters it, [batch, ...]; an error says in which layer it came."""
        try:
            return as_tensor(self.network(*inputs, observe=observe))
        except LayerwiseError:
            raise
        except Exception as error:
            raise explained(self.network, inputs, error) from error

    @torch.inference_mode()
    def outputs(self, values: Mapping[str, Value], rows: Tensor) -> Tensor:
        """Return what reaches the answer for some rows of settled values, [rows, ...] on the CPU, nothing learning."""
        was = self.network.training
        self.network.eval()
        try:
            found = [
                self.run(self.inputs({name: index(value, chunk) for name, value in values.items()}))
                for chunk in batches(rows)
            ]
            return torch.cat([part.cpu() for part in found])[: len(rows)]
        finally:
            self.network.train(was)


def moved(value: Value, device: torch.device) -> Value:
    """Return a value on ``device``."""
    if isinstance(value, Padded):
        return Padded(value.values.to(device), value.lengths)
    return as_tensor(value).to(device)


def batches(rows: Tensor) -> tuple[Tensor, ...]:
    """Return row positions in batches of one size; the last one is filled up with its last row."""
    missing = -len(rows) % CANONICAL
    return torch.split(torch.cat([rows, rows[-1:].expand(missing)]), CANONICAL)


def measure(live: Live, answer: AnswerKind, state: State, settled: Settled, rows: Tensor) -> dict[str, float]:
    """Return the loss and the metrics of some rows by name; nothing for no rows."""
    if not len(rows):
        return {}
    outputs, truth = live.outputs(settled.values, rows), settled.truth[rows]
    return score(live.graph, answer, state, outputs, truth)


def score(graph: Graph, answer: AnswerKind, state: State, outputs: Tensor, truth: Tensor) -> dict[str, float]:
    """Return the loss and the metrics of answers beside the truth."""
    layer = graph.answer
    assert layer is not None
    with at_layer(layer.name, layer.kind):
        return {"loss": float(answer.loss(outputs, truth, state)), **answer.metrics(outputs, truth, state)}
