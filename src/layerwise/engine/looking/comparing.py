"""Two rows beside each other, as they leave every layer: how far apart they are, and where they part most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.engine.answers import Answers
from layerwise.engine.cells import as_html
from layerwise.engine.looking.asking import Looking
from layerwise.engine.looking.rows import Chosen
from layerwise.engine.looking.truth import truth_of
from layerwise.errors import InvalidData
from layerwise.graph.layer import at_layer
from layerwise.layers.base import Padded, Value, as_tensor
from layerwise.words import visible


@dataclass(frozen=True)
class Beside:
    """Two rows as they leave one layer.

    Attributes:
        layer: the layer's path.
        kind: what it does.
        distance: Euclidean, relative to the mean of the two rows' lengths: 0 where they are the same, 2 where they are
            opposite; of what is no number, 0 or 1. NaN where numbers are missing.
        cosine: of the angle between them, 1 where they point the same way; NaN where one is all zeros, or no number.
        parted: how much farther apart they are than the layers before it had them.
    """

    layer: str
    kind: str
    distance: float
    cosine: float
    parted: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """Two rows through every layer of a version.

    Attributes:
        version: the version's address.
        ids: what the two are called.
        layers: in the order in which they stand in the model.
        answers: both answers, in their order.
        truth: the true answers, where they are known.
    """

    version: str
    ids: tuple[str, str]
    layers: tuple[Beside, ...]
    answers: Answers
    truth: tuple[str, ...] = ()

    @property
    def parted(self) -> Beside | None:
        """The layer that takes the two rows farthest apart from what they were before it; None where none does."""
        found = max(self.layers, key=lambda one: one.parted, default=None)
        return found if found is not None and found.parted > 0 else None

    def __getitem__(self, layer: str) -> Beside:
        return next(one for one in self.layers if one.layer == layer)

    @property
    def cells(self) -> list[list[str]]:
        """The head and one line a layer, as text."""
        lines = [[one.layer, _number(one.distance), _number(one.cosine), self._mark(one)] for one in self.layers]
        return [["layer", "distance", "cosine", ""], *lines]

    def _mark(self, one: Beside) -> str:
        return "parts most" if one is self.parted else ""

    def __str__(self) -> str:
        rows = self.cells
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in rows]
        first, second = (visible(name) for name in self.ids)
        return "\n".join([f"{first} and {second}", *lines, "", str(self.answers)])

    def _repr_html_(self) -> str:
        title = " and ".join(escape(visible(name)) for name in self.ids)
        return f"<b>{title}</b>{as_html(self.cells)}{self.answers._repr_html_()}"


def _number(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.4g}"


def compare(looking: Looking, a: Any, b: Any) -> Comparison:
    """Return two rows beside each other through every layer.

    Raises:
        NotFound, InvalidData: a row is not there, is not one, or does not fit what the version was trained on.
    """
    pair = [looking.choose(row) for row in (a, b)]
    for chosen in pair:
        if len(chosen) != 1:
            raise InvalidData(f"two rows are compared, each given as one; found {len(chosen):,}")
    found = [looking.computer.passed(chosen) for chosen in pair]
    opened = looking.opened
    place = {path: at for at, (path, _) in enumerate(opened.model.walk())}
    kinds = {path: layer.kind for path, layer in opened.model.walk()}
    layers = []
    for path in (path for path in found[0] if path in found[1]):
        distance, cosine = between(found[0][path], found[1][path])
        layers.append(Beside(path, kinds.get(path.partition(":")[0], ""), distance, cosine))
    ids, truth = _names(pair), [text for chosen in pair for text in truth_of(opened, chosen)]
    known = tuple(truth) if len(truth) == 2 else ()
    parted = sorted(_parted(looking, layers), key=lambda one: place.get(one.layer.partition(":")[0], len(place)))
    return Comparison(opened.address, ids, tuple(parted), _answers(looking, found), known)


def _names(pair: Sequence[Chosen]) -> tuple[str, str]:
    first, second = (chosen.ids[0] for chosen in pair)
    return (first, second) if first != second or pair[0].positions is not None else ("a", "b")


def _answers(looking: Looking, found: Sequence[dict[str, Value]]) -> Answers:
    opened, layer = looking.opened, looking.opened.model.answer
    kind = opened.answer
    with at_layer(layer.name if layer is not None else "", kind.title):
        exit = opened.model.wiring[layer.name][0] if layer is not None else ""
        reaches = torch.cat([as_tensor(values[exit]) for values in found])
        return Answers(opened.address, kind.decode(reaches, opened.answer_state))


def _parted(looking: Looking, layers: Sequence[Beside]) -> list[Beside]:
    """Return the layers, in the order in which they ran, with how much farther apart the rows are than before each."""
    distances = {one.layer: one.distance for one in layers}
    wiring = looking.opened.model.wiring
    found, last = [], 0.0
    for one in layers:
        # Inside blocks and modules, what ran before stands before it; the outermost layers say what they take.
        before = max((distances.get(name, 0.0) for name in wiring.get(one.layer, ())), default=last)
        grown = one.distance - before if one.layer not in wiring or wiring[one.layer] else 0.0
        found.append(Beside(one.layer, one.kind, one.distance, one.cosine, 0.0 if math.isnan(grown) else grown))
        last = one.distance
    return found


def between(one: Value, other: Value) -> tuple[float, float]:
    """Return the relative distance and the cosine of two rows, each [1, ...].

    Example:
        >>> between(torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]]))[1]
        0.96
    """
    if isinstance(one, pa.Array) or isinstance(other, pa.Array):
        numbers = [_cell(value) for value in (one, other)]
        if numbers[0] is None or numbers[1] is None:
            return (0.0 if one == other else 1.0), math.nan
        return between(numbers[0], numbers[1])
    a, b = (_flat(value) for value in (one, other))
    if len(a) != len(b):
        # Padding behind the shorter of two rows says nothing: they are compared as far as the longer one goes.
        size = max(len(a), len(b))
        a, b = (torch.nn.functional.pad(value, (0, size - len(value))) for value in (a, b))
    lengths = float(a.norm()), float(b.norm())
    apart, mean = float((a - b).norm()), sum(lengths) / 2
    cosine = float(a @ b) / (lengths[0] * lengths[1]) if all(lengths) else math.nan
    return (apart / mean if mean else apart), round(max(-1.0, min(1.0, cosine)), 12) if not math.isnan(
        cosine
    ) else cosine


def _cell(value: Value) -> Tensor | None:
    if not isinstance(value, pa.Array):
        return as_tensor(value)
    if isinstance(value.type, pa.FixedShapeTensorType):
        return torch.from_numpy(np.array(value.to_numpy_ndarray())) if not value.null_count else None
    if pa.types.is_integer(value.type) or pa.types.is_floating(value.type) or pa.types.is_boolean(value.type):
        return torch.tensor([float(value[0].as_py())]) if not value.null_count else None
    return None


def _flat(value: Value) -> Tensor:
    return (
        (value.values[0, : int(value.lengths[0])] if isinstance(value, Padded) else as_tensor(value)).double().flatten()
    )
