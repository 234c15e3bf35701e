"""Several inputs made one: added, multiplied, laid side by side. And the order of dimensions changed."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.activations import activate
from layerwise.layers.base import Padded, Value
from layerwise.layers.neural import FieldKind


def tensors(values: tuple[Value, ...]) -> tuple[list[Tensor], Tensor | None]:
    """Return the tensors [batch, ...] of values, and the lengths of the first that is padded."""
    lengths = next((value.lengths for value in values if isinstance(value, Padded)), None)
    return [value.values if isinstance(value, Padded) else value for value in values], lengths


def _folded(operation: Callable[[Tensor, Tensor], Tensor], *values: Value) -> Value:
    found, lengths = tensors(values)
    total = functools.reduce(operation, found)
    return total if lengths is None else Padded(total, lengths)


def added(*values: Value) -> Value:
    """Return the sum of values [batch, ...], added from the first to the last; lengths are kept.

    Example:
        >>> added(torch.ones(1, 2), torch.ones(1, 2))
        tensor([[2., 2.]])
    """
    return _folded(operator.add, *values)


@dataclass(frozen=True)
class _Elementwise(FieldKind):
    arity: ClassVar[tuple[int, int | None]] = (2, None)
    operation: ClassVar[Callable[[Tensor, Tensor], Tensor]]
    verb: ClassVar[str]

    activation: str | None = None

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the common port: equal shapes, or a 1 where another input has more."""
        if any(port.dtype == "unknown" for port in inputs):
            return Port("unknown")
        first = inputs[0]
        shape = first.shape
        for other in inputs[1:]:
            if other.dtype != first.dtype:
                raise InvalidShape(f"it gets {first} and {other}; only one dtype can be {self.verb}")
            joined = _common(shape, other.shape)
            if joined is None:
                raise InvalidShape(
                    f"it gets {first} and {other}; only equal shapes can be {self.verb}, so make one like the other "
                    f"(a torch.nn.Linear or a torch.nn.Conv2d with kernel_size: 1 before it)"
                )
            shape = joined
        return Port(first.dtype, shape, padded=any(port.padded for port in inputs))

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the inputs combined from the first to the last, after the activation."""
        return activate(self.activation, _folded(type(self).operation, *inputs))


def _common(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> tuple[int | None, ...] | None:
    if len(one) != len(other):
        return None
    sizes: list[int | None] = []
    for a, b in zip(one, other, strict=True):
        if a is not None and b is not None and a != b and 1 not in (a, b):
            return None
        sizes.append(a if b == 1 or b is None else b if a == 1 or a is None else a)
    return tuple(sizes)


@register("add")
@dataclass(frozen=True)
class Add(_Elementwise):
    """The sum of its inputs, number by number.

    It takes two inputs or more of one shape and dtype (a size may be 1 where another input has more), and gives that
    shape.

    Args:
        activation: the function after it.

    Raises:
        InvalidShape: inputs that cannot be added, with the cure.

    Example:
        >>> str(lw.Add().infer((lw.Port("float32", (8, 4, 4)), lw.Port("float32", (8, 1, 1)))))
        'float32[batch, 8, 4, 4]'
        >>> lw.Layer("joined", lw.Add(activation="relu"), inputs=["body", "shortcut"]).inputs
        ('body', 'shortcut')
    """

    operation: ClassVar[Callable[[Tensor, Tensor], Tensor]] = operator.add
    verb: ClassVar[str] = "added"


@register("multiply")
@dataclass(frozen=True)
class Multiply(_Elementwise):
    """The product of its inputs, number by number: a gate or a mask.

    It takes two inputs or more of one shape and dtype (a size may be 1 where another input has more), and gives that
    shape.

    Args:
        activation: the function after it.

    Raises:
        InvalidShape: inputs that cannot be multiplied, with the cure.

    Example:
        >>> str(lw.Multiply().infer((lw.Port("float32", (20, 8)), lw.Port("float32", (20, 1)))))
        'float32[batch, 20, 8]'
    """

    operation: ClassVar[Callable[[Tensor, Tensor], Tensor]] = operator.mul
    verb: ClassVar[str] = "multiplied"


@register("concatenate")
@dataclass(frozen=True)
class Concatenate(FieldKind):
    """Its inputs side by side.

    Args:
        dim: the dimension that grows, counted without the batch, from 0; negative from the end. Where not given, the
            channels of images and volumes (three dimensions or more), else the last.
        activation: the function after it.

    Raises:
        InvalidLayer: a ``dim`` that the inputs do not have.
        InvalidShape: inputs that differ in another size than that of ``dim``, or in their dtype.

    Example:
        >>> str(lw.Concatenate().infer((lw.Port("float32", (16, 8, 8)), lw.Port("float32", (4, 8, 8)))))
        'float32[batch, 20, 8, 8]'
    """

    arity: ClassVar[tuple[int, int | None]] = (2, None)

    dim: int | None = None
    activation: str | None = None

    def _dim(self, rank: int) -> int:
        dim = (0 if rank >= 3 else -1) if self.dim is None else self.dim
        if not -rank <= dim < rank:
            raise InvalidLayer(
                f"the option 'dim' is {dim} and its inputs have {rank} dimension{'' if rank == 1 else 's'} without the "
                f"batch; expected {-rank} to {rank - 1}"
            )
        return dim % rank

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the port whose ``dim`` is the sum of the inputs'."""
        if any(port.dtype == "unknown" for port in inputs):
            return Port("unknown")
        first = inputs[0]
        if not first.shape:
            raise InvalidShape(f"it gets {first}, one number a row, and wants lists; say shape: [1] at the column")
        dim = self._dim(len(first.shape))
        for other in inputs[1:]:
            if other.dtype != first.dtype or len(other.shape) != len(first.shape) or not self._fits(first, other, dim):
                raise InvalidShape(
                    f"it gets {first} and {other}; all sizes but that of dimension {dim} must be equal, and the dtype: "
                    f"put a torch.nn.Flatten or a torch.nn.Linear before one of them"
                )
        padded = any(port.padded for port in inputs)
        if padded and dim == 0:
            raise InvalidShape(f"it gets {first}, and rows of different lengths cannot be joined in time; use dim: -1")
        sizes = [port.shape[dim] for port in inputs]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        return Port(first.dtype, (*first.shape[:dim], total, *first.shape[dim + 1 :]), padded=padded)

    def _fits(self, one: Port, other: Port, dim: int) -> bool:
        pairs = zip(one.shape, other.shape, strict=True)
        return all(at == dim or None in (a, b) or a == b for at, (a, b) in enumerate(pairs))

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the inputs side by side, after the activation."""
        found, lengths = tensors(inputs)
        joined = torch.cat(found, dim=1 + self._dim(found[0].ndim - 1))
        return activate(self.activation, joined if lengths is None else Padded(joined, lengths))


@register("permute")
@dataclass(frozen=True)
class Permute(FieldKind):
    """The same numbers with their dimensions in another order: [time, features] to [features, time] for a Conv1d.

    Args:
        dims: the dimensions as they leave, counted without the batch, from 0.

    Raises:
        InvalidLayer: ``dims`` that does not name each dimension once.
        InvalidShape: an input with more or fewer dimensions.

    Example:
        >>> str(lw.Permute(dims=(1, 0)).infer((lw.Port("float32", (20, 8)),)))
        'float32[batch, 8, 20]'
    """

    dims: tuple[int, ...] = (1, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if sorted(self.dims) != list(range(len(self.dims))):
            raise InvalidLayer(
                f"the option 'dims' is {list(self.dims)}; expected each of 0 to {len(self.dims) - 1} once"
            )

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the port with its sizes in the new order; lengths are kept only where time stays first."""
        port = inputs[0]
        if port.dtype == "unknown":
            return port
        if len(port.shape) != len(self.dims):
            raise InvalidShape(f"it gets {port} and dims says {list(self.dims)}; name every dimension but the batch")
        return replace(
            port, shape=tuple(port.shape[dim] for dim in self.dims), padded=port.padded and self.dims[0] == 0
        )

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the value with its dimensions in the new order."""
        found, lengths = tensors(inputs)
        moved = found[0].permute(0, *(1 + dim for dim in self.dims))
        return Padded(moved, lengths) if lengths is not None and self.dims[0] == 0 else moved
