"""The gradient of each row's loss with respect to what left a layer: how the loss of a row would change with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from layerwise.engine.evaluate import Live, batches
from layerwise.engine.recording.asked import plain_path
from layerwise.engine.settle import index
from layerwise.layers.base import AnswerKind, Padded, State, Value, rows_of


def gradients_of(
    live: Live, values: Mapping[str, Value], truth: Tensor, answer: tuple[AnswerKind, State], chosen: frozenset[str]
) -> Iterator[tuple[str, Value]]:
    """Yield the gradients for some rows, batch by batch, by the path of the layer, [batch, ...] each.

    Args:
        live: the live part, answering.
        values: what enters it, [rows, ...] each.
        truth: the targets as the loss wants them, [rows, ...].
        answer: the answer layer's kind and what it has learned.
        chosen: the paths of the layers of the network.

    The loss of a row is the one that it has alone. No gradient of a weight is touched.
    """
    count = rows_of(next(iter(values.values())))
    for number, chunk in enumerate(batches(torch.arange(count))):
        start = number * len(chunk)
        inputs = live.inputs({name: index(value, chunk) for name, value in values.items()})
        part = truth[start : start + len(chunk)]
        yield from _of_batch(live, inputs, part, answer, chosen)


def _of_batch(
    live: Live, inputs: list[Value], truth: Tensor, answer: tuple[AnswerKind, State], chosen: frozenset[str]
) -> Iterator[tuple[str, Value]]:
    seen: dict[str, Value] = {}
    kind, state = answer

    def observe(path: str, value: Value) -> Value | None:
        tensor = value.values if isinstance(value, Padded) else value
        if plain_path(path) not in chosen or not isinstance(tensor, Tensor) or not tensor.requires_grad:
            return None
        seen[path] = value
        # What goes on is a copy of the same bits: a layer that writes into what it gets must not reach this one.
        return Padded(tensor.clone(), value.lengths) if isinstance(value, Padded) else tensor.clone()

    with torch.enable_grad():
        outputs = live.run([_followed(value) for value in inputs], observe).cpu()
        losses = [kind.loss(outputs[row : row + 1], truth[row : row + 1], state) for row in range(len(truth))]
        tensors = [value.values if isinstance(value, Padded) else value for value in seen.values()]
        if not tensors:
            return
        found = torch.autograd.grad(torch.stack(losses).sum(), tensors, allow_unused=True)
    for (path, value), tensor, gradient in zip(seen.items(), tensors, found, strict=True):
        left = (torch.zeros_like(tensor) if gradient is None else gradient).detach()[: len(truth)]
        yield path, Padded(left, value.lengths[: len(truth)]) if isinstance(value, Padded) else left


def _followed(value: Value) -> Value:
    # Layers before the first weight have a gradient too.
    if isinstance(value, Padded):
        return Padded(_leaf(value.values), value.lengths)
    return _leaf(value)


def _leaf(tensor: Tensor) -> Tensor:
    # A clone, not the leaf itself: what writes into what it gets may not write into a leaf.
    if not tensor.is_floating_point():
        return tensor
    return tensor.detach().clone().requires_grad_(True).clone()
