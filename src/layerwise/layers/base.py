"""What every family of layers is written in: the values on wires, learned state, and the three kinds of kind."""

from __future__ import annotations

import abc
import dataclasses
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from layerwise.canonical import decode, encode
from layerwise.errors import InvalidData, InvalidShape
from layerwise.graph.kinds import Kind, Role, fit_type
from layerwise.graph.ports import Port


class Padded(NamedTuple):
    """Rows of different lengths in one tensor.

    Attributes:
        values: [batch, longest, ...]; what lies behind a row's length is padding.
        lengths: [batch], int64, the true lengths.

    Example:
        >>> rows = Padded(torch.tensor([[5, 6, 0], [7, 0, 0]]), torch.tensor([2, 1]))
        >>> rows.values.shape, rows_of(rows)
        (torch.Size([2, 3]), 2)
    """

    values: Tensor
    lengths: Tensor


Value: TypeAlias = Tensor | Padded | pa.Array
"""What travels on a wire: batch-first tensors, or Arrow arrays until something encodes them."""

State: TypeAlias = Mapping[str, Tensor]
"""What a layer has learned, by name. It is kept as one safetensors object a layer."""


def fit_options(kind: Kind) -> None:
    """Hold the options of a kind made in Python to their types, as those of a file are, or raise InvalidLayer."""
    # Made in Python or read from a file, a kind has the same options: Scale(by=16) is {kind: scale, by: 16.0}.
    hints = typing.get_type_hints(type(kind))
    for field in dataclasses.fields(kind):
        object.__setattr__(kind, field.name, fit_type(getattr(kind, field.name), hints[field.name], field.name))


@dataclass(frozen=True)
class DataKind(Kind):
    """A layer that runs on rows before anything learns by gradient: abstract.

    Class attributes:
        learns: ``fit`` reads the training rows and returns a state.
        couples_rows: a row's output depends on other rows (a window over time), so it runs on whole tables in order.
        live: ``draw`` changes the value anew at each training step (augmentation); ``run`` passes it on.

    Example:
        >>> @lw.register("celsius")
        ... @dataclass(frozen=True)
        ... class Celsius(lw.DataKind):
        ...     offset: float = 32.0
        ...     def infer(self, inputs, state=None):
        ...         return inputs[0]
        ...     def run(self, *inputs, state):
        ...         return (as_tensor(inputs[0]) - self.offset) / 1.8
        >>> Celsius().run(torch.tensor([212.0]), state={})
        tensor([100.])
    """

    role: ClassVar[Role] = "data"
    learns: ClassVar[bool] = False
    couples_rows: ClassVar[bool] = False
    live: ClassVar[bool] = False

    def __post_init__(self) -> None:
        fit_options(self)

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the state learned from the training rows, given batch by batch (each a tuple of the inputs)."""
        return {}

    @abc.abstractmethod
    def run(self, *inputs: Value, state: State) -> Value:
        """Return what leaves the layer for a batch of rows: the same for a row whatever its neighbours."""

    def draw(self, value: Value, generator: torch.Generator) -> Value:
        """Return ``value`` changed at random (only where ``live``), drawing from ``generator`` alone."""
        return value


@dataclass(frozen=True)
class NeuralKind(Kind):
    """A layer that is an ``nn.Module``: abstract. Its weights keep the module's own ``state_dict`` keys.

    Example:
        >>> @lw.register("bottleneck")
        ... @dataclass(frozen=True)
        ... class Bottleneck(lw.NeuralKind):
        ...     width: int
        ...     def infer(self, inputs, state=None):
        ...         return inputs[0]
        ...     def build(self, inputs):
        ...         size = inputs[0].shape[-1]
        ...         return nn.Sequential(nn.Linear(size, self.width), nn.Linear(self.width, size))
        >>> Bottleneck(width=2).build((lw.Port("float32", (8,)),))(torch.zeros(3, 8)).shape
        torch.Size([3, 8])
    """

    role: ClassVar[Role] = "neural"

    @abc.abstractmethod
    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Return a new module for inputs of these ports, on torch's default device; sizes follow from the ports."""

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return what leaves the layer: the module, then the activation. Overridden where lengths matter."""
        return module(*inputs)


@dataclass(frozen=True)
class AnswerKind(Kind):
    """The layer that owns loss, metrics and decoding: abstract.

    Class attributes:
        monitor: the metric that early stopping and "the best so far" look at unless the run says otherwise.
        higher_is_better: of the metrics, by name, those that are better when larger.

    Example:
        >>> answer = lw.Classes("species")
        >>> state = answer.fit([(pa.array(["ant", "bee", "ant"]),)])
        >>> answer.encode(pa.array(["bee"]), state=state)
        tensor([1])
        >>> answer.decode(torch.tensor([[9.0, 0.0]]), state).column("species")[0].as_py()
        'ant'
    """

    role: ClassVar[Role] = "answer"
    monitor: ClassVar[str] = "loss"
    higher_is_better: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        fit_options(self)

    @property
    @abc.abstractmethod
    def targets(self) -> tuple[str, ...]:
        """The dataset's columns that hold the truth."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The targets: what a dataset needs for training, and not for answering."""
        return self.targets

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the port of the outputs as they came, checked against what was learned once something was."""
        self.check(inputs, state or {})
        return inputs[0]

    @abc.abstractmethod
    def fit(self, batches: Iterable[tuple[pa.Array, ...]]) -> State:
        """Return what is learned from the targets of the training rows (the classes and how many of each …)."""

    @abc.abstractmethod
    def encode(self, *targets: pa.Array, state: State) -> Tensor:
        """Return the truth as the loss wants it, [batch, ...]. Raises InvalidData for a label never seen."""

    @abc.abstractmethod
    def check(self, inputs: tuple[Port, ...], state: State) -> None:
        """Raise InvalidShape where what arrives cannot answer for this state (10 outputs for 11 classes).

        Before anything is learned the state is empty, and only the form is held.
        """

    @abc.abstractmethod
    def loss(self, outputs: Tensor, truth: Tensor, state: State) -> Tensor:
        """Return the mean loss of a batch, a scalar."""

    @abc.abstractmethod
    def metrics(self, outputs: Tensor, truth: Tensor, state: State) -> dict[str, float]:
        """Return the metrics over all given rows, by name, without the loss."""

    @abc.abstractmethod
    def decode(self, outputs: Tensor, state: State) -> pa.Table:
        """Return one row of answer for each row, in the user's own words (labels, units, items)."""

    def balance(self, truth: Tensor, state: State) -> Tensor:
        """Return a sampling weight a row, [rows], float64, that makes the classes equally frequent."""
        return torch.ones(len(truth), dtype=torch.float64)


def texts_to_tensor(texts: Iterable[str]) -> Tensor:
    """Return texts as one uint8 tensor (canonical JSON), so that a vocabulary is kept as safetensors."""
    return torch.from_numpy(np.frombuffer(encode(list(texts)), dtype=np.uint8).copy())


def tensor_to_texts(tensor: Tensor) -> list[str]:
    """Return the texts that ``texts_to_tensor`` kept."""
    values: Any = decode(tensor.cpu().numpy().tobytes(), "a list of texts in a layer's state")
    return [str(value) for value in values]


def rows_of(value: Value) -> int:
    """Return how many rows a value holds."""
    return len(value.lengths) if isinstance(value, Padded) else len(value)


def as_tensor(value: Value) -> Tensor:
    """Return a value as a tensor: of a padded one its values, of an Arrow column of numbers its numbers.

    Floating columns become float32 with NaN where a value is missing, whole numbers int64, truth values bool.

    Raises:
        InvalidShape: text, bytes or another column that something must encode first.
        InvalidData: whole numbers or truth values with missing ones among them.
    """
    if isinstance(value, Padded):
        return value.values
    if isinstance(value, Tensor):
        return value
    array = value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
    kind = array.type
    if pa.types.is_floating(kind):
        return torch.from_numpy(array.to_numpy(zero_copy_only=False).astype(np.float32))
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise InvalidShape(f"expected numbers, got {kind}: encode it first (category, one_hot, tokens, image)")
    if array.null_count:
        raise InvalidData(
            f"{array.null_count:,} values of {len(array):,} are missing; put a `fill` layer before this one"
        )
    wide = np.bool_ if pa.types.is_boolean(kind) else np.int64
    return torch.from_numpy(array.to_numpy(zero_copy_only=False).astype(wide))
