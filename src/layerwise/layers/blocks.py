"""Blocks: layers inside a layer, and the block's own input added to what they make.

The layers inside are those of ``Layer.layers``. Each takes the one before it, or names others; ``input`` is what the
block gets, and the last one's output is what the block works with.

>>> from layerwise.graph.layer import Layer
>>> inner = [Layer("one", "torch.nn.Linear", out_features=4), Layer("two", "torch.nn.Linear", out_features=4)]
>>> [path for path, _ in Layer("stage", "residual", layers=inner, activation="relu").walk()]
['stage', 'stage.one', 'stage.two']
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import nn

from layerwise.errors import InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.activations import activate
from layerwise.layers.base import Value
from layerwise.layers.combine import added
from layerwise.layers.neural import FieldKind


@dataclass(frozen=True)
class BlockKind(FieldKind):
    """A layer of layers: abstract. ``infer`` and ``call`` get what the last one inside made, then the block's inputs.

    Args:
        activation: the function after it.
    """

    arity: ClassVar[tuple[int, int | None]] = (1, None)
    nests: ClassVar[bool] = True

    activation: str | None = None

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the port of what leaves the block."""
        if len(inputs) < 2:
            raise InvalidShape(f"a {self.name} needs layers inside it; write them under `layers`")
        return replace(self.joined(inputs[0], inputs[1:]), size=None)

    @abc.abstractmethod
    def joined(self, made: Port, inputs: tuple[Port, ...]) -> Port:
        """Return the port of the layers' output joined with the block's inputs."""


@register("block")
@dataclass(frozen=True)
class Block(BlockKind):
    """Layers under one name: what the last of them makes leaves the block.

    Args:
        activation: the function after it.

    Raises:
        InvalidShape: a block without layers inside it.

    Example:
        >>> inner = [lw.Layer("hidden", nn.Linear, out_features=8), lw.Layer("code", nn.Linear, out_features=2)]
        >>> [path for path, _ in lw.Layer("encoder", lw.Block(), layers=inner).walk()]
        ['encoder', 'encoder.hidden', 'encoder.code']
    """

    def joined(self, made: Port, inputs: tuple[Port, ...]) -> Port:
        """Return the last layer's port."""
        return made

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the first input, what the layers made, after the activation."""
        return activate(self.activation, inputs[0])


@register("residual")
@dataclass(frozen=True)
class Residual(BlockKind):
    """Layers whose output is added to the block's input: ``activation(inner(x) + x)``.

    Args:
        activation: the function after the sum.

    Raises:
        InvalidShape: layers inside that change the shape, with the cure.

    Example:
        >>> inner = [lw.Layer("conv", nn.Conv2d, out_channels=16, kernel_size=3, padding=1)]
        >>> model = lw.Model("m", [
        ...     lw.Layer("image", lw.Column("image", shape=(16, 8, 8))),
        ...     lw.Layer("stage", lw.Residual(activation="relu"), layers=inner),
        ... ])
        >>> str(model.check({"image": lw.Port("float32", (16, 8, 8))})["stage"])
        'float32[batch, 16, 8, 8]'
    """

    arity: ClassVar[tuple[int, int | None]] = (1, 1)

    def joined(self, made: Port, inputs: tuple[Port, ...]) -> Port:
        """Return the port of the sum. Raises InvalidShape where the two differ, with the cure."""
        before = inputs[0]
        if "unknown" in (made.dtype, before.dtype):
            return made
        if made.shape != before.shape or made.dtype != before.dtype:
            raise InvalidShape(
                f"the layers inside make {made} of {before}, and only equal shapes can be added; "
                f"make the last one keep the shape, or write a block with an `add` of two ways (inputs: "
                f"[inner, projection])"
            )
        return replace(made, padded=made.padded or before.padded)

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the sum of what the layers made and the block's input, after the activation."""
        made, before = inputs
        return activate(self.activation, added(made, before))
