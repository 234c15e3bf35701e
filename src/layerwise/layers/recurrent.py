"""Recurrent layers under their names in ``torch.nn``, and pooling over time. Lengths are exact: padding is never read.

>>> from layerwise.graph.kinds import make
>>> str(make("torch.nn.GRU", {"hidden_size": 8}).infer((Port("float32", (None, 4), padded=True),)))
'float32[batch, 8]'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.kinds import Kind, register
from layerwise.graph.ports import Port
from layerwise.layers.activations import activate
from layerwise.layers.base import Padded, Value
from layerwise.layers.masks import fill_padding
from layerwise.layers.neural import FieldKind
from layerwise.layers.wants import INTEGERS


@dataclass(frozen=True)
class Recurrent(FieldKind):
    """A recurrent layer: abstract. Takes [batch, time, features], or [batch, time] as series of one feature.

    Args:
        hidden_size: numbers in the state.
        returns: ``last`` gives the state after each row's true last step, [batch, directions × hidden]; of two
            directions each one's own last. ``all`` gives every step, [batch, time, directions × hidden].
        input_size: features a step; follows from the input.
        num_layers, bias, dropout, bidirectional: as in torch. Dropout works between layers.
        activation: the function after it.
    """

    module: ClassVar[type[nn.RNNBase]]

    hidden_size: int
    returns: Literal["last", "all"] = "last"
    input_size: int | None = None
    num_layers: int = 1
    bias: bool = True
    dropout: float = 0.0
    bidirectional: bool = False
    activation: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hidden_size", "num_layers"):
            if getattr(self, name) < 1:
                raise InvalidLayer(f"the option {name!r} is {getattr(self, name)}; expected 1 or more")
        if self.dropout and self.num_layers == 1:
            raise InvalidLayer(
                f"dropout is {self.dropout} between layers and there is one layer; "
                f"set num_layers: 2, or put a torch.nn.Dropout after it"
            )

    @property
    def title(self) -> str:
        """The class's name in ``torch.nn``."""
        return self.name

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Kind:
        """Return the kind with these options; ``batch_first: true`` is what is so anyway."""
        said = dict(options)
        if said.pop("batch_first", True) is not True:
            raise InvalidLayer("the option 'batch_first' is false; values are batch-first everywhere: leave it out")
        return super().from_options(said)

    @property
    def width(self) -> int:
        """Numbers that leave it, a step."""
        return (getattr(self, "proj_size", 0) or self.hidden_size) * (2 if self.bidirectional else 1)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return float32[batch, width], or [batch, time, width] with the lengths that arrived."""
        port = inputs[0]
        if port.dtype == "unknown":
            return port
        if port.dtype in INTEGERS:
            raise InvalidShape(f"it gets {port} and wants float32; put a torch.nn.Embedding or `scale` layer before it")
        if port.dtype != "float32":
            raise InvalidShape(f"it gets {port} and wants float32; put a `scale` layer before it")
        if len(port.shape) not in (1, 2):
            cure = (
                "put a torch.nn.Flatten(start_dim=2) before it"
                if len(port.shape) > 2
                else "make a sequence of it first"
            )
            raise InvalidShape(f"it gets {port} and wants [batch, time, features] or [batch, time]; {cure}")
        features = self._features(port)
        if None not in (features, self.input_size) and features != self.input_size:
            raise InvalidShape(
                f"input_size is {self.input_size} and the input {port} has {features} features a step; "
                f"leave it out or set it to {features}"
            )
        shape = (self.width,) if self.returns == "last" else (port.shape[0], self.width)
        return Port("float32", shape, padded=port.padded and self.returns == "all")

    def _features(self, port: Port) -> int | None:
        return port.shape[1] if len(port.shape) == 2 else 1

    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Return the torch module, batch first."""
        features = self.input_size if self.input_size is not None else self._features(inputs[0])
        if features is None:
            raise InvalidShape(
                f"it gets {inputs[0]}, so input_size is not known; fit the data layers before it, or set input_size"
            )
        ours = ("returns", "activation", "input_size")
        said = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ours}
        try:
            return self.module(input_size=features, batch_first=True, **said)
        except ValueError as error:
            raise InvalidLayer(f"{self.name} says: {error}") from None

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the last true state or all of them, after the activation."""
        padded = inputs[0] if isinstance(inputs[0], Padded) else None
        values = inputs[0].values if isinstance(inputs[0], Padded) else inputs[0]
        values = values.unsqueeze(-1) if values.ndim == 2 else values
        if padded is None:
            outputs = module(values)[0]
            lengths = None
        else:
            lengths = padded.lengths.to(values.device)
            outputs = self._steps(module, values, padded.lengths)
        if self.returns == "all":
            left = outputs if lengths is None else Padded(fill_padding(Padded(outputs, lengths)), lengths)
        else:
            left = self._last(outputs, lengths)
        return activate(self.activation, left)

    def _steps(self, module: nn.Module, values: Tensor, lengths: Tensor) -> Tensor:
        if not self.bidirectional:
            # Forward in time, padding comes after everything that counts: it cannot reach a true step.
            outputs: Tensor = module(values)[0]
            return outputs
        if isinstance(module, nn.RNNBase) and not module.training and values.device.type == "cpu":
            return _both_ways(module, values, lengths.clamp(min=1))
        # The way back begins at each row's true end. A row of no steps is run as one and cleared afterwards.
        packed = pack_padded_sequence(values, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        unpacked, _ = pad_packed_sequence(module(packed)[0], batch_first=True, total_length=values.shape[1])
        return unpacked

    def _last(self, outputs: Float[Tensor, "batch time width"], lengths: Tensor | None) -> Float[Tensor, "batch width"]:
        if lengths is None:
            ahead = outputs[:, -1]
        else:
            rows = torch.arange(len(outputs), device=outputs.device)
            ahead = outputs[rows, lengths.clamp(min=1) - 1]
        if self.bidirectional:
            half = outputs.shape[-1] // 2
            ahead = torch.cat([ahead[:, :half], outputs[:, 0, half:]], dim=1)
        return ahead if lengths is None else ahead * (lengths > 0)[:, None]


def _both_ways(module: nn.RNNBase, values: Tensor, lengths: Tensor) -> Tensor:
    """Return what the module makes of rows of different lengths, each direction by itself over the whole batch.

    A packed sequence has fewer rows at each later step, and torch adds up in another order for another number of rows:
    a row's bits would depend on its neighbours' lengths.
    """
    places = torch.arange(values.shape[1], device=values.device).expand(len(values), -1)
    # Turned twice, a row is as it was; the padding stays behind it.
    turned = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    weights = module.all_weights
    for ahead, back in zip(weights[::2], weights[1::2], strict=True):
        there = _one_way(module, values, ahead)
        values = torch.cat([there, _turn(_one_way(module, _turn(values, turned), back), turned)], dim=2)
    return values


def _turn(values: Tensor, places: Tensor) -> Tensor:
    return values.gather(1, places[:, :, None].expand(-1, -1, values.shape[2]))


_RUNS: Mapping[str, Callable[..., Any]] = {
    "GRU": torch.gru, "LSTM": torch.lstm, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu,
}  # fmt: skip


def _one_way(module: nn.RNNBase, values: Tensor, weights: Sequence[Tensor]) -> Tensor:
    run = _RUNS[module.mode]
    start = values.new_zeros(1, len(values), module.proj_size or module.hidden_size)
    state = (start, values.new_zeros(1, len(values), module.hidden_size)) if module.mode == "LSTM" else start
    # After the bias: layers, dropout, learning, two directions, batch first.
    found: Tensor = run(values, state, weights, module.bias, 1, 0.0, False, False, True)[0]
    return found


@register("torch.nn.RNN")
@dataclass(frozen=True)
class Rnn(Recurrent):
    """The plain recurrent layer of torch.

    Args:
        nonlinearity: the function of the state.
    """

    module: ClassVar[type[nn.RNNBase]] = nn.RNN
    nonlinearity: Literal["tanh", "relu"] = "tanh"


@register("torch.nn.GRU")
@dataclass(frozen=True)
class Gru(Recurrent):
    """The gated recurrent layer of torch."""

    module: ClassVar[type[nn.RNNBase]] = nn.GRU


@register("torch.nn.LSTM")
@dataclass(frozen=True)
class Lstm(Recurrent):
    """The long short-term memory of torch.

    Args:
        proj_size: how many numbers leave it a step, where its state is projected; 0 for none.
    """

    module: ClassVar[type[nn.RNNBase]] = nn.LSTM
    proj_size: int = 0


@register("pool_over_time")
@dataclass(frozen=True)
class PoolOverTime(FieldKind):
    """Makes one value of a sequence: [batch, time, ...] to [batch, ...], over each row's true length.

    Args:
        by: ``mean``, ``max``, ``last`` or ``first``. A row of no steps gives zeros.

    Raises:
        InvalidShape: no sequence of float32 vectors, with the cure.

    Example:
        >>> two_rows = lw.Padded(torch.tensor([[[1.0], [3.0]], [[5.0], [0.0]]]), torch.tensor([2, 1]))
        >>> lw.PoolOverTime(by="mean").call(nn.Identity(), two_rows)
        tensor([[2.],
                [5.]])
    """

    by: Literal["mean", "max", "last", "first"] = "mean"

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port without time."""
        port = inputs[0]
        if port.dtype == "unknown":
            return port
        if len(port.shape) < 2 or port.dtype != "float32":
            cure = (
                "put a torch.nn.Embedding before it"
                if port.dtype in INTEGERS
                else "take `returns: all` of the layer before"
            )
            raise InvalidShape(f"it gets {port} and wants float32[batch, time, features]; {cure}")
        return Port(port.dtype, port.shape[1:])

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the pooled value [batch, ...]."""
        value = inputs[0]
        if not isinstance(value, Padded):
            tensor = value
            lengths = torch.full((len(tensor),), tensor.shape[1], device=tensor.device)
            value = Padded(tensor, lengths)
        values, lengths = value.values, value.lengths.to(value.values.device)
        some = lengths.clamp(min=1)
        if self.by == "mean":
            return fill_padding(value).sum(1) / some.view(-1, *(1,) * (values.ndim - 2))
        if self.by == "max":
            found = fill_padding(value, float("-inf")).amax(1)
        else:
            rows = torch.arange(len(values), device=values.device)
            found = values[rows, some - 1] if self.by == "last" else values[:, 0]
        return torch.where((lengths > 0).view(-1, *(1,) * (found.ndim - 1)), found, torch.zeros_like(found))
