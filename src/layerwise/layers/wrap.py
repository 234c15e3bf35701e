"""An ``nn.Module`` that exists becomes a model: it runs by its own ``forward``, and every submodule is a layer.

>>> from torch import nn
>>> column, body = layers_of(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), torch.zeros(1, 4))
>>> column.name, body.name, [part.name for part in body.layers]
('input', 'body', ['0', '1', '2'])
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from layerwise.errors import Invalid, InvalidGraph, InvalidLayer, InvalidShape, nearest
from layerwise.graph.kinds import register
from layerwise.graph.layer import Layer, at_layer, qualified_name
from layerwise.graph.ports import NUMBERS, Port
from layerwise.layers.base import NeuralKind, Padded, Value
from layerwise.layers.classes import source_of, takes_lengths
from layerwise.layers.columns import Column
from layerwise.layers.probe import first_line, port_of, probe
from layerwise.words import parse_layer_name, shorten

BODY = "body"
"""The layer that holds a wrapped model's module."""


@register("wrapped")
@dataclass(frozen=True)
class Wrapped(NeuralKind):
    """A module instance as a layer. The description says what it is; the code and the instance come from the program.

    Args:
        of: the class's qualified name.
        dtypes: the dtypes of its inputs, as in the example; what arrives is turned into them. As they come where empty.
        output: what to take of a tuple (a position) or a mapping (a key) that it answers with.
        transparent: its submodules and tensors go by their own names, without this layer's in front.
        instance: the module; not part of the description.
    """

    described: ClassVar[bool] = True
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    of: str
    dtypes: tuple[str, ...] = ()
    output: int | str | None = None
    transparent: bool = False
    instance: nn.Module | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for dtype in self.dtypes:
            if dtype not in NUMBERS:
                raise InvalidLayer(f"the option 'dtypes' names {shorten(dtype)}; expected e.g. 'float32'")

    def __deepcopy__(self, memo: dict[int, Any]) -> Wrapped:
        # A description is a value: a copy of a network must not copy the weights a second time.
        return self

    def options(self) -> dict[str, Any]:
        """Return the options, without the instance."""
        return {name: value for name, value in super().options().items() if name != "instance"}

    @property
    def code(self) -> dict[str, str]:
        """The source of every class of the user's in the module, where the instance is here."""
        classes = dict.fromkeys(type(part) for part in self.instance.modules()) if self.instance is not None else {}
        return {name: source for cls in classes for name, source in source_of(cls).items()}

    @property
    def module(self) -> nn.Module:
        """The instance. Raises InvalidLayer where there is none, with the cure."""
        if self.instance is None:
            raise InvalidLayer(
                f"it needs an instance of {self.of}, and code is never kept in a repository; "
                f"give one: lw.load(ADDRESS, module={self.of.rpartition('.')[2]}(…))"
            )
        return self.instance

    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Return a copy of the instance with its present weights: training leaves the instance as it is."""
        try:
            return copy.deepcopy(self.module)
        except (RuntimeError, TypeError) as error:
            raise InvalidLayer(f"{self.of} cannot be copied: {first_line(error)}") from None

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the port of what leaves the module, found by running it without numbers where it can."""
        if any(port.dtype == "unknown" for port in inputs):
            return Port("unknown")
        module = self.module
        modes = [(part, part.training) for part in module.modules()]
        try:
            return probe(lambda _: module, self._try, inputs, cpu=True)
        except Invalid:
            raise
        except Exception as error:
            got = " and ".join(map(str, inputs))
            raise InvalidShape(
                f"it gets {got}, and {self.of} raised {type(error).__name__}: {first_line(error)}"
            ) from None
        finally:
            for part, mode in modes:
                part.training = mode

    def _try(self, module: nn.Module, *values: Tensor) -> Any:
        if values[0].device.type != "meta":
            return self.call(module, *values)
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        empty = {name: tensor.to("meta") for name, tensor in tensors.items()}
        return self._picked(functional_call(module, empty, tuple(self._cast(values))))

    def _cast(self, values: Sequence[Tensor]) -> list[Tensor]:
        if not self.dtypes:
            return list(values)
        return [value.to(getattr(torch, dtype)) for value, dtype in zip(values, self.dtypes, strict=False)]

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return what the module answers, or the part of it that ``output`` names."""
        padded = next((value for value in inputs if isinstance(value, Padded)), None)
        values = [value.values if isinstance(value, Padded) else value for value in inputs]
        lengths = {"lengths": padded.lengths} if padded is not None and takes_lengths(type(module)) else {}
        left: Value = self._picked(module(*self._cast(values), **lengths))
        return left

    def _picked(self, answer: Any) -> Any:
        if self.output is None:
            if isinstance(answer, tuple | list | Mapping) and not isinstance(answer, Padded):
                keys = list(answer) if isinstance(answer, Mapping) else list(range(len(answer)))
                raise InvalidShape(
                    f"{self.of} answers with a {type(answer).__name__}; say which part with output={keys[0]!r}"
                )
            return answer
        known = (
            dict(answer)
            if isinstance(answer, Mapping)
            else dict(enumerate(answer))
            if isinstance(answer, tuple | list)
            else {}
        )
        if hasattr(answer, "_fields"):
            known.update(zip(answer._fields, answer, strict=True))
        if self.output not in known:
            raise InvalidShape(f"{self.of} answers with {type(answer).__name__}, which has no {self.output!r}")
        return known[self.output]


@register("part")
@dataclass(frozen=True)
class Part(NeuralKind):
    """A submodule of a wrapped module: told of, and run by the module around it.

    Args:
        of: the class's qualified name.
        tensors: what it holds itself, e.g. ``weight 16×1×3×3``.
    """

    described: ClassVar[bool] = True

    of: str
    tensors: tuple[str, ...] = ()

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return an unknown port: only the module around it knows what it gets."""
        return Port("unknown")

    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Raise InvalidLayer: a part is made with the module around it."""
        raise InvalidLayer("a part belongs to a wrapped module and cannot be built by itself")


def wrapped(module: nn.Module, *, output: int | str | None = None, dtypes: Sequence[str] = ()) -> Wrapped:
    """Return the kind of a layer that is ``module``: ``Layer("body", wrapped(module))``.

    Args:
        module: the instance; its present weights are those that training starts from.
        output: what to take of a tuple or mapping that it answers with.
        dtypes: the dtypes of its inputs, where they must be turned into others.

    Example:
        >>> wrapped(nn.Linear(2, 3)).options()
        {'of': 'torch.nn.Linear'}
    """
    if not isinstance(module, nn.Module):
        raise InvalidLayer(f"expected an nn.Module instance, found {shorten(module)}")
    return Wrapped(qualified_name(type(module)), tuple(dtypes), output, instance=module)


def layers_of(
    module: nn.Module,
    example: Any,
    *,
    before: Sequence[Layer] | None = None,
    answer: Layer | None = None,
    output: int | str | None = None,
) -> list[Layer]:
    """Return the layers of a model whose neural part is ``module``, every submodule a layer under its own path.

    ``lw.wrap`` makes a model of them and explains the arguments.

    Raises:
        InvalidLayer, InvalidShape, InvalidGraph: what the example or the module says, naming the layer.
    """
    kind = wrapped(module, output=output)
    values = [torch.as_tensor(value) for value in (example if isinstance(example, tuple) else (example,))]
    ports = [port_of(value, len(value) if value.ndim else -1) for value in values]
    kind = Wrapped(kind.of, tuple(port.dtype for port in ports), output, transparent=True, instance=module)
    layers = list(before) if before is not None else _columns(module, ports)
    inside = parts(module)
    taken = {layer.name for layer in inside}
    for layer in [*layers, *([answer] if answer is not None else [])]:
        if layer.name in taken:
            raise InvalidGraph(f"layer {layer.name!r}: the module has a part of that name; choose another")
    own = BODY
    while own in taken or any(layer.name == own for layer in layers):
        own += "_"
    with at_layer(own, kind.title):
        kind.infer(tuple(ports))
    inputs = [layer.name for layer in layers][-len(values) :]
    body = Layer(own, kind, inputs=inputs, layers=inside)
    return [*layers, body, *([answer] if answer is not None else [])]


def _columns(module: nn.Module, ports: Sequence[Port]) -> list[Layer]:
    names = list(inspect.signature(module.forward).parameters)
    taken = set(module._modules)
    found = []
    for at, port in enumerate(ports):
        name = names[at] if at < len(names) and names[at] not in ("args", "input") else f"input{at or ''}"
        name = f"{name}_" if name in taken else name
        found.append(Layer(name, Column(name, shape=tuple(size or 1 for size in port.shape) or None)))
    return found


def parts(module: nn.Module) -> tuple[Layer, ...]:
    """Return a layer for every submodule, nested as they are; one whose name no layer can have is its parent's."""
    found = []
    for name, child in module._modules.items():
        if child is None or not _is_name(name):
            continue
        own = {**child._parameters, **child._buffers}
        tensors = tuple(
            f"{key} {'×'.join(map(str, held.shape)) or '1'}" for key, held in own.items() if held is not None
        )
        found.append(Layer(name, Part(qualified_name(type(child)), tensors), layers=parts(child)))
    return tuple(found)


def _is_name(name: str) -> bool:
    try:
        parse_layer_name(name)
    except Invalid:
        return False
    return True


def with_instance(layers: Sequence[Layer], given: nn.Module | Mapping[str, nn.Module]) -> tuple[Layer, ...]:
    """Return the layers with instances for the wrapped ones among them.

    Args:
        layers: the layers of a model.
        given: the instance for the only wrapped layer, or instances by layer name.

    Raises:
        InvalidLayer: a layer that is not wrapped or has no instance, or an instance of another class.
    """
    wrapped = [layer.name for layer in layers if isinstance(layer.action, Wrapped)]
    if not wrapped:
        raise InvalidLayer("no layer of this model is a wrapped module; leave module= out")
    if isinstance(given, nn.Module):
        if len(wrapped) > 1:
            raise InvalidLayer(f"{len(wrapped)} layers are wrapped modules; give module={{{wrapped[0]!r}: …}} by name")
        given = {wrapped[0]: given}
    for name in given:
        if name not in wrapped:
            raise InvalidLayer(f"the layer {shorten(name)} is no wrapped module of this model.{nearest(name, wrapped)}")
    return tuple(_given(layer, given[layer.name]) if layer.name in given else layer for layer in layers)


def _given(layer: Layer, module: nn.Module) -> Layer:
    kind, title = layer.action, qualified_name(type(module))
    assert isinstance(kind, Wrapped)
    if kind.of != title:
        raise InvalidLayer(f"layer {layer.name!r}: it needs an instance of {kind.of}, found {title}")
    return Layer(
        layer.name,
        Wrapped(kind.of, kind.dtypes, kind.output, kind.transparent, instance=module),
        inputs=layer.inputs,
        owner=layer.owner,
        sensitivity=layer.sensitivity,
        frozen=layer.frozen,
        layers=layer.layers,
    )
