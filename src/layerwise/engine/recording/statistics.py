"""What layers look like along a run, from a few steps of an epoch: means, zeros, dead units, norms, what is no number.

They are metrics of the run under ``layers/PATH/NAME``, so that they can be asked for while it runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.layers.base import Padded, Value
from layerwise.layers.network import Network, layer_parameters

PREFIX = "layers/"
"""What the keys of statistics begin with."""

NAMES = (
    "mean", "spread", "least", "most", "zeros", "dead", "saturated", "weights", "updates", "gradients", "nonfinite",
)  # fmt: skip
"""What is kept of a layer, in this order: of what left it mean, standard deviation and range, the share of zeros, of
units that were the same for every row looked at, and of values near the ends of a bounded activation; the norms of its
weights, of a step's change of them and of their gradient before it was clipped; and how many numbers were NaN or
infinite."""

APART = 128
"""There is a look every so many steps: it costs up to a third of a step where layers are small, and all looks together
must not cost a hundredth of the run."""

MOST = 4
"""Most looks of an epoch."""

FIRST = 3
"""So many epochs have a look however short they are. After them short ones are passed over, as ``APART`` says."""

NUMBERS = 1 << 15
"""About how many numbers of a layer's output are looked at in a step: whole rows, the batch's first ones, which are
drawn anew each epoch."""

FEWEST = 8
"""How many rows are looked at however large they are."""

UPDATED = 1 << 14
"""Of how many weights of a tensor a step's change is looked at, evenly spaced."""

LONGEST = 450
"""Longest key in characters: a longer one is no metric's, and a run must not fail for that."""

PASSES = 4
"""How many passes of a layer that runs again are looked at."""

_ENDS = {
    "tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "hardtanh": (-1.0, 1.0), "erf": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0), "hardsigmoid": (0.0, 1.0),
}  # fmt: skip
NEAR = 0.01
"""How near to an end of its range, as a share of it, a value is saturated: there tanh has 4 % of its slope."""


def looks(epoch: int, steps: int) -> frozenset[int]:
    """Return in which steps, from 1, of an epoch of so many steps layers are looked at.

    >>> sorted(looks(1, 20)), sorted(looks(4, 20)), sorted(looks(9, 300))
    ([11], [], [76, 226])
    """
    if epoch > FIRST and (epoch - 1) * steps // APART == (epoch - 2) * steps // APART:
        return frozenset()
    count = min(max(steps // APART, 1), MOST)
    return frozenset((2 * at + 1) * steps // (2 * count) + 1 for at in range(count))


def key_of(layer: str, name: str) -> str:
    """Return the key of a layer's statistic among the metrics of a run.

    >>> key_of("stage.conv", "mean")
    'layers/stage.conv/mean'
    """
    return f"{PREFIX}{layer}/{name}"


@dataclass
class Gathered:
    """What was seen of one layer in an epoch."""

    ends: tuple[float, float] | None
    unit: int
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    zeros: int = 0
    saturated: int = 0
    nonfinite: int = 0
    least: Tensor | None = None
    most: Tensor | None = None
    norms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, values: Tensor) -> None:
        """Take in the values of some rows, [rows, ...]."""
        if not values.is_floating_point() or values.dtype in (torch.float16, torch.bfloat16):
            values = values.float()
        flat = values.reshape(-1)
        squares = float(torch.dot(flat, flat))
        if not math.isfinite(squares):
            values, flat, squares = self._finite(values)
        self.count += flat.numel()
        self.total += float(flat.sum())
        self.squares += squares
        # NumPy counts truths many times faster than torch does.
        self.zeros += int(np.count_nonzero(flat.eq(0).numpy()))
        if self.ends is not None:
            low, high = self.ends
            near = NEAR * (high - low)
            self.saturated += int(np.count_nonzero((flat.lt(low + near) | flat.gt(high - near)).numpy()))
        self._range(values)

    def _finite(self, values: Tensor) -> tuple[Tensor, Tensor, float]:
        good = values.isfinite()
        self.nonfinite += values.numel() - int(good.sum())
        values = torch.where(good, values, torch.zeros_like(values)).double()
        flat = values.reshape(-1)
        return values, flat, float(torch.dot(flat, flat))

    def _range(self, values: Tensor) -> None:
        # torch finds the largest along outer dimensions or inner ones fast, and slowly both at once.
        whole = values.unsqueeze(1) if values.ndim == 1 else values
        if self.unit == 1 and whole.ndim > 2:
            inner = whole.flatten(2)
            least, most = inner.amin(2).amin(0), inner.amax(2).amax(0)
        else:
            rows = whole.reshape(-1, whole.shape[-1])
            least, most = rows.amin(0), rows.amax(0)
        if self.least is None or self.most is None or self.least.shape != least.shape:
            self.least, self.most = least, most
        else:
            self.least, self.most = torch.minimum(self.least, least), torch.maximum(self.most, most)

    def norm(self, name: str, value: float) -> None:
        """Take in a norm, and that it is no number where it is none."""
        self.norms.setdefault(name, []).append(value)
        self.nonfinite += not math.isfinite(value)

    def result(self) -> dict[str, float]:
        """Return the statistics by name; what was not seen is left out."""
        found: dict[str, float] = {}
        if self.count and self.least is not None and self.most is not None:
            mean = self.total / self.count
            found = {
                "mean": mean,
                "spread": math.sqrt(max(self.squares / self.count - mean * mean, 0.0)),
                "least": float(self.least.min()),
                "most": float(self.most.max()),
                "zeros": self.zeros / self.count,
                "dead": float((self.least == self.most).float().mean()),
            }
            if self.ends is not None:
                found["saturated"] = self.saturated / self.count
        for name, values in self.norms.items():
            # The largest: what goes wrong in one step of several must show.
            found[name] = max(values, key=lambda value: value if math.isfinite(value) else math.inf)
        return {**found, "nonfinite": float(self.nonfinite)}


class Sampler:
    """Looks at the layers of a network in some steps of a run.

    Args:
        graph: the model.
        network: its network.
        steps: steps of an epoch.
    """

    def __init__(self, graph: Graph, network: Network, steps: int) -> None:
        self._layers = dict(graph.walk())
        self._parameters = layer_parameters(network)
        self._steps = steps
        self._seen: dict[str, Gathered] = {}
        self._before: list[Tensor] = []

    def wanted(self, epoch: int) -> frozenset[int]:
        """Return the steps, from 1, of an epoch, from 1, that are looked at."""
        return looks(epoch, self._steps)

    def __call__(self, path: str, value: Value) -> None:
        """Look at what left a layer."""
        plain, _, visit = path.partition(":")
        if plain not in self._layers or (visit and int(visit) > PASSES):
            return
        values = (value.values if isinstance(value, Padded) else value).detach()
        if not values.numel() or values.is_complex():
            return
        rows = min(len(values), max(FEWEST, NUMBERS * len(values) // values.numel()))
        self._of(path, plain).add(values[:rows].cpu())

    @torch.no_grad()
    def learned(self) -> None:
        """Look at gradients, and at weights before they change."""
        for path, parameters in self._parameters.items():
            self._of(path, path).norm("weights", _norm(parameters))
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            if gradients:
                self._of(path, path).norm("gradients", _norm(gradients))
        self._before = [part.clone() for part in self._some()]

    @torch.no_grad()
    def updated(self) -> None:
        """Look at how far a step moved the weights."""
        moved = iter([after - before for after, before in zip(self._some(), self._before, strict=True)])
        self._before = []
        for path, parameters in self._parameters.items():
            learning = [parameter for parameter in parameters if parameter.requires_grad]
            if learning:
                squares = (
                    float(torch.dot(d, d)) * p.numel() / d.numel() for p, d in zip(learning, moved, strict=False)
                )
                self._of(path, path).norm("updates", _root(squares))

    def ended(self) -> dict[str, dict[str, float]]:
        """Return the statistics of the epoch that is over, by layer, in the order of the model; a new one begins."""
        order = {path: place for place, path in enumerate(self._layers)}
        found = sorted(self._seen.items(), key=lambda item: order.get(item[0].partition(":")[0], len(order)))
        self._seen = {}
        return {path: gathered.result() for path, gathered in found}

    def _of(self, path: str, plain: str) -> Gathered:
        if path not in self._seen:
            layer = self._layers.get(plain)
            self._seen[path] = Gathered(ends_of(layer), unit_of(layer))
        return self._seen[path]

    def _some(self) -> list[Tensor]:
        learning = (p for parameters in self._parameters.values() for p in parameters if p.requires_grad and p.numel())
        return [p.detach().reshape(-1)[:: -(-p.numel() // UPDATED)].float() for p in learning]


def ends_of(layer: Layer | None) -> tuple[float, float] | None:
    """Return the ends of the range of what leaves a layer, or None where its activation has none that is known."""
    if layer is None:
        return None
    said = getattr(layer.action, "activation", None) or layer.options.get("activation")
    last = layer.kind.rpartition(".")[2].lower()
    if last == "rnn" and layer.options.get("nonlinearity", "tanh") == "tanh" and said is None:
        return _ENDS["tanh"]
    return _ENDS.get(str(said).lower()) or (_ENDS.get(last) if said is None else None)


def unit_of(layer: Layer | None) -> int:
    """Return which dimension tells units apart: 1 for channels, -1 for features, which come last.

    Of images the first one after the batch is the channels'; of sequences it is so for what is called ``…1d``.
    """
    kind = layer.kind.rpartition(".")[2].lower() if layer is not None else ""
    return 1 if kind.endswith(("1d", "2d", "3d")) else -1


def _norm(tensors: Iterable[Tensor]) -> float:
    return _root(float(torch.linalg.vector_norm(tensor)) ** 2 for tensor in tensors if tensor.numel())


def _root(squares: Iterable[float]) -> float:
    total = sum(squares)
    return math.sqrt(total) if math.isfinite(total) else total


def as_metrics(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return statistics by layer as metrics of a run; of a layer whose path is too long for a key there are none."""
    named = ((key_of(layer, name), value) for layer, values in found.items() for name, value in values.items())
    return {key: value for key, value in named if len(key) <= LONGEST}
