"""Attention over sequences: self and cross attention, the transformer's block, and positions. Padding is left out.

>>> from layerwise.graph.kinds import make
>>> str(make("transformer", {"heads": 2}).infer((Port("float32", (None, 8), padded=True),)))
'float32[batch, ?, 8] padded'
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.activations import ACTIVATIONS, activate
from layerwise.layers.base import Padded, Value
from layerwise.layers.combine import tensors
from layerwise.layers.masks import inside
from layerwise.layers.neural import FieldKind
from layerwise.layers.wants import INTEGERS


def _hold_sequence(port: Port) -> None:
    if port.dtype in INTEGERS:
        raise InvalidShape(
            f"it gets {port} and wants float32[batch, time, features]; put a torch.nn.Embedding before it"
        )
    if port.dtype != "float32" or len(port.shape) != 2:
        cure = "take `returns: all` of the recurrent layer before, or put torch.nn.Unflatten before it"
        raise InvalidShape(f"it gets {port} and wants float32[batch, time, features]; {cure}")


def _hold_heads(heads: int, width: int | None) -> None:
    if heads < 1:
        raise InvalidLayer(f"the option 'heads' is {heads}; expected 1 or more")
    if width is not None and width % heads:
        near = [count for count in range(1, width + 1) if width % count == 0]
        raise InvalidShape(f"heads is {heads} and the input has {width} features a step; set heads to one of {near}")


def _width(port: Port) -> int:
    width = port.shape[-1]
    if width is None:
        raise InvalidShape(f"it gets {port}, whose features are not known; fit the data layers before it")
    return width


def _left_out(value: Value) -> Bool[Tensor, "batch longest"] | None:
    """Return where a padded value has padding, or None. A row of no steps keeps one, so that softmax has a sum."""
    if not isinstance(value, Padded):
        return None
    return ~inside(Padded(value.values, value.lengths.clamp(min=1)))


def _later(asks: int, answers: int, device: torch.device) -> Bool[Tensor, "asks answers"]:
    return torch.ones(asks, answers, dtype=torch.bool, device=device).triu(1)


@register("attention")
@dataclass(frozen=True)
class Attention(FieldKind):
    """Multi-head attention, ``torch.nn.MultiheadAttention``: [batch, time, features] as it arrives.

    One input attends to itself; with a second one, the first asks and the second answers (keys and values).

    Args:
        heads: how many; the features must be a multiple.
        dropout: of the attention weights, while training.
        bias: whether the projections have one.
        causal: no step sees a later one.
        activation: the function after it.

    Raises:
        InvalidLayer: fewer heads than one.
        InvalidShape: no sequence of float32 vectors, or features that are no multiple of ``heads``, with the cure.

    Example:
        >>> str(lw.Attention(heads=4).infer((lw.Port("float32", (20, 32), padded=True),)))
        'float32[batch, 20, 32] padded'
        >>> lw.Layer("asked", lw.Attention(heads=4), inputs=["question", "document"]).inputs
        ('question', 'document')
    """

    arity: ClassVar[tuple[int, int | None]] = (1, 2)

    heads: int
    dropout: float = 0.0
    bias: bool = True
    causal: bool = False
    activation: str | None = None

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the first input's port."""
        if any(port.dtype == "unknown" for port in inputs):
            return Port("unknown")
        for port in inputs:
            _hold_sequence(port)
        _hold_heads(self.heads, inputs[0].shape[-1])
        return Port("float32", inputs[0].shape, padded=inputs[0].padded)

    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Return the torch module, batch first."""
        width, other = _width(inputs[0]), _width(inputs[-1])
        beside = None if other == width else other
        return nn.MultiheadAttention(
            width, self.heads, dropout=self.dropout, bias=self.bias, kdim=beside, vdim=beside, batch_first=True
        )

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return what each step of the first input gathers, with the lengths that arrived."""
        found, _ = tensors(inputs)
        asks, answers = found[0], found[-1]
        mask = None
        if self.causal:
            mask = _later(asks.shape[1], answers.shape[1], asks.device)
        left = module(
            asks, answers, answers, key_padding_mask=_left_out(inputs[-1]), attn_mask=mask, need_weights=False
        )[0]
        if isinstance(inputs[-1], Padded):
            # Nothing was there to attend to: what was gathered of the one step that was kept does not count.
            left = left * (inputs[-1].lengths.to(left.device) > 0)[:, None, None]
        first = inputs[0]
        return activate(self.activation, Padded(left, first.lengths) if isinstance(first, Padded) else left)


@register("transformer")
@dataclass(frozen=True)
class Transformer(FieldKind):
    """The transformer's encoder block, ``torch.nn.TransformerEncoderLayer``: [batch, time, features] as it arrives.

    Args:
        heads: how many; the features must be a multiple.
        feedforward: the inner width; four times the features where not given.
        dropout: while training.
        activation: the function between the two inner layers.
        norm_first: normalise before attention and feed-forward instead of after.
        causal: no step sees a later one.
        bias: whether linear layers and normalisations have one.

    Raises:
        InvalidLayer: no activation, or a size below 1.
        InvalidShape: no sequence of float32 vectors, or features that are no multiple of ``heads``, with the cure.

    Example:
        >>> block = lw.Transformer(heads=4, feedforward=64, activation="gelu", norm_first=True)
        >>> str(block.infer((lw.Port("float32", (20, 32), padded=True),)))
        'float32[batch, 20, 32] padded'
    """

    heads: int
    feedforward: int | None = None
    dropout: float = 0.1
    activation: str = "relu"
    norm_first: bool = False
    causal: bool = False
    bias: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation is None:
            raise InvalidLayer("the activation is 'none'; a transformer needs one, e.g. 'relu' or 'gelu'")
        if self.feedforward is not None and self.feedforward < 1:
            raise InvalidLayer(f"the option 'feedforward' is {self.feedforward}; expected 1 or more")

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port."""
        if inputs[0].dtype == "unknown":
            return inputs[0]
        _hold_sequence(inputs[0])
        _hold_heads(self.heads, inputs[0].shape[-1])
        return Port("float32", inputs[0].shape, padded=inputs[0].padded)

    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Return the torch module, batch first."""
        width = _width(inputs[0])
        return nn.TransformerEncoderLayer(
            width,
            self.heads,
            self.feedforward or 4 * width,
            dropout=self.dropout,
            activation=ACTIVATIONS[self.activation],
            norm_first=self.norm_first,
            bias=self.bias,
            batch_first=True,
        )

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the block's output with the lengths that arrived."""
        value = inputs[0]
        values = value.values if isinstance(value, Padded) else value
        steps = values.shape[1]
        mask = _later(steps, steps, values.device) if self.causal else None
        left = module(values, src_mask=mask, src_key_padding_mask=_left_out(value), is_causal=self.causal)
        return Padded(left, value.lengths) if isinstance(value, Padded) else left


class LearnedPositions(nn.Module):
    """One learned vector a position, added: ``weight`` [length, features]."""

    def __init__(self, length: int, width: int) -> None:
        """Draw the vectors as ``torch.nn.Embedding`` does, but smaller: they are added to what matters."""
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(length, width))

    def forward(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        """Return ``x`` with each position's vector added."""
        if x.shape[1] > len(self.weight):
            raise InvalidData(
                f"a row has {x.shape[1]} steps and there are {len(self.weight)} learned positions; "
                f"set a greater `length`, or cut the rows before"
            )
        return x + self.weight[: x.shape[1]]


class SinusoidalPositions(nn.Module):
    """Sines and cosines of falling frequency, added: nothing is learned, and every length is possible."""

    def forward(self, x: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        """Return ``x`` with each position's waves added: sines at even features, cosines at odd ones."""
        steps, width = x.shape[1:]
        even = torch.arange(0, width, 2, device=x.device, dtype=torch.float32)
        angles = torch.arange(steps, device=x.device)[:, None] * torch.exp(even * (-math.log(10000.0) / width))
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
        return x + waves.to(x.dtype)


@register("positions")
@dataclass(frozen=True)
class Positions(FieldKind):
    """Tells each step its place: [batch, time, features] with a vector a position added.

    Args:
        by: ``sinusoidal`` (nothing to learn) or ``learned``.
        length: the most steps, for learned ones; follows from the input where its length is fixed.

    Raises:
        InvalidShape: no sequence of float32 vectors, or more steps than learned positions.

    Example:
        >>> places = lw.Positions()
        >>> module = places.build((lw.Port("float32", (3, 4)),))
        >>> places.call(module, torch.zeros(1, 3, 4))[0, 0]
        tensor([0., 1., 0., 1.])
    """

    by: Literal["sinusoidal", "learned"] = "sinusoidal"
    length: int | None = None

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port."""
        port = inputs[0]
        if port.dtype == "unknown":
            return port
        _hold_sequence(port)
        steps = port.shape[0]
        if self.by == "learned" and steps is not None and self.length is not None and steps > self.length:
            raise InvalidShape(f"length is {self.length} and the input {port} has {steps} steps; set length: {steps}")
        return Port(port.dtype, port.shape, padded=port.padded)

    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Return the module that adds the positions."""
        if self.by == "sinusoidal":
            return SinusoidalPositions()
        length = self.length or inputs[0].shape[0]
        if length is None:
            raise InvalidShape(f"it gets {inputs[0]}, so how many positions to learn is not known; set `length`")
        return LearnedPositions(length, _width(inputs[0]))

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the value with its positions, and the lengths that arrived."""
        value = inputs[0]
        return Padded(module(value.values), value.lengths) if isinstance(value, Padded) else module(value)
