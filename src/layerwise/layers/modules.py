"""The family of modules: every class of ``torch.nn`` by its name, and every module class of the running program.

>>> from layerwise.graph.kinds import make
>>> conv = make("torch.nn.Conv2d", {"out_channels": 16, "kernel_size": 3, "activation": "relu"})
>>> str(conv.infer((Port("float32", (1, 8, 8)),)))
'float32[batch, 16, 6, 6]'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from layerwise.errors import Invalid, InvalidLayer, InvalidShape
from layerwise.graph.kinds import Kind, plain, register_resolver
from layerwise.graph.layer import qualified_name
from layerwise.graph.ports import Port
from layerwise.layers.activations import activate, hold_activation
from layerwise.layers.arguments import SIZES, arguments_of, fit_options, is_torch, size_arguments
from layerwise.layers.base import NeuralKind, Padded, Value
from layerwise.layers.classes import arity_of, file_of, own_class, source_of, takes_lengths, torch_class
from layerwise.layers.formulas import Shape, shape_of
from layerwise.layers.masks import inside
from layerwise.layers.probe import STAND_INS, fill, first_line, probe, quiet, where_raised
from layerwise.layers.wants import INTEGERS, MOVERS, explain, hold_inputs
from layerwise.words import shorten

POSITIONWISE = frozenset(
    {"AlphaDropout", "Dropout", "Embedding", "Identity", "LayerNorm", "Linear", "RMSNorm"}
    | {name for name in torch.nn.modules.activation.__all__ if name not in ("MultiheadAttention", "Softmax2d", "PReLU")}
)
"""Modules that work on each position of a sequence by itself, so what leaves them has the lengths that arrived."""

SYNONYMS = {
    **dict.fromkeys(("dense", "linear", "fc", "fully_connected"), "torch.nn.Linear"),
    **dict.fromkeys(("conv", "conv2d", "convolution"), "torch.nn.Conv2d"),
    **{f"{name.lower()}": f"torch.nn.{name}" for name in ("Conv1d", "Conv3d", "LSTM", "GRU", "RNN", "Dropout", "ReLU")},
    **{
        f"{name.lower()}": f"torch.nn.{name}" for name in ("Embedding", "Flatten", "Softmax", "Sigmoid", "Tanh", "GELU")
    },
    **dict.fromkeys(("batchnorm", "batch_norm", "batchnorm2d"), "torch.nn.BatchNorm2d"),
    **dict.fromkeys(("layernorm", "layer_norm"), "torch.nn.LayerNorm"),
    **dict.fromkeys(("maxpool", "max_pool", "maxpool2d"), "torch.nn.MaxPool2d"),
    **dict.fromkeys(("avgpool", "avg_pool", "avgpool2d"), "torch.nn.AvgPool2d"),
    **dict.fromkeys(("globalavgpool", "global_average_pooling"), "torch.nn.AdaptiveAvgPool2d"),
    **dict.fromkeys(("sequential", "chain"), "block"),
    **dict.fromkeys(("multiheadattention", "self_attention"), "attention"),
    **dict.fromkeys(("transformerencoderlayer", "encoder"), "transformer"),
}


@dataclass(frozen=True)
class TorchModule(NeuralKind):
    """A layer that is an ``nn.Module`` class: torch's own, or one of the running program.

    Args:
        of: the class.
        arguments: what its constructor gets beside the sizes that follow from the inputs, in its order.
        activation: the function after the module.
    """

    of: type[nn.Module]
    arguments: tuple[tuple[str, Any], ...] = ()
    activation: str | None = None

    def __hash__(self) -> int:
        return hash((self.of, repr(self.arguments), self.activation))

    @property
    def title(self) -> str:
        """The class's qualified name, e.g. ``torch.nn.Conv2d``."""
        return qualified_name(self.of)

    @property
    def arity(self) -> tuple[int, int | None]:  # type: ignore[override]
        """Fewest and most inputs: what the class's ``forward`` takes."""
        return arity_of(self.of)

    @property
    def code(self) -> dict[str, str]:
        """The source of the class and of what it inherits, where it is not torch's."""
        return source_of(self.of)

    def options(self) -> dict[str, Any]:
        """Return the constructor's arguments and the activation as JSON values."""
        found = {name: plain(value) for name, value in self.arguments}
        return found if self.activation is None else {**found, "activation": self.activation}

    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Return a new module. Raises InvalidShape where a size is unknown, InvalidLayer where torch refuses."""
        return self._made(inputs)

    def _made(self, inputs: tuple[Port, ...], *, blank: bool = False) -> nn.Module:
        arguments = size_arguments(self.of, dict(self.arguments), inputs)
        try:
            if blank and self.of is nn.Embedding:
                # It draws its weights by a part of torch that takes a second to load; for its shape it needs none.
                arguments["_weight"] = torch.empty(arguments["num_embeddings"], arguments["embedding_dim"])
            return self.of(**arguments)
        except Invalid:
            raise
        except Exception as error:
            raise self._explained(error, None, inputs) from None

    def call(self, module: nn.Module, *inputs: Value) -> Value:
        """Return the activation of the module's output; lengths stay where it works position by position."""
        padded = None
        for value in inputs:
            if isinstance(value, Padded):
                padded = value
                break
        if padded is None:
            left = module(*inputs)
            return left if self.activation is None else activate(self.activation, left)
        if self.of is nn.EmbeddingBag:
            return activate(self.activation, _bags(module, padded))
        values = [value.values if isinstance(value, Padded) else value for value in inputs]
        lengths = {"lengths": padded.lengths} if takes_lengths(self.of) else {}
        left = activate(self.activation, module(*values, **lengths))
        return Padded(left, padded.lengths) if self._keeps(padded.values.ndim) else left  # type: ignore[arg-type]

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the port of what leaves the layer, found by running the class on the meta device."""
        if any(port.dtype == "unknown" for port in inputs):
            return Port("unknown")
        self._hold_arity(inputs)
        if is_torch(self.of):
            hold_inputs(self.of, inputs)
            if inputs[0].padded and self.of.__name__.startswith("Transformer"):
                raise InvalidShape(f"it gets {inputs[0]} and would read the padding; use the kind `transformer`")
        assumed = self._assumed(inputs)
        shape = self._by_formula(assumed)
        if shape is not None:
            dtype = inputs[0].dtype if self.of.__name__ in MOVERS else "float32"
            return self._described(Port(dtype, shape), inputs)
        made: list[nn.Module] = []

        def build(ports: tuple[Port, ...]) -> nn.Module:
            made.append(self.build(ports))
            return made[-1]

        try:
            found = probe(build, self._try, assumed, cpu=not is_torch(self.of))
        except Invalid:
            raise
        except Exception as error:
            raise self._explained(error, made[-1] if made else None, inputs) from None
        return self._described(found, inputs)

    def _by_formula(self, inputs: tuple[Port, ...]) -> Shape | None:
        if not is_torch(self.of) or len(inputs) != 1 or self.activation == "glu":
            return None
        known = tuple(fill(port, STAND_INS[0]) for port in inputs)
        with quiet(), torch.device("meta"):
            return shape_of(self._made(known, blank=True), inputs[0].shape)

    def _try(self, module: nn.Module, *values: Tensor) -> Any:
        lengths = {}
        if takes_lengths(self.of):
            lengths = {"lengths": torch.full((len(values[0]),), values[0].shape[1], dtype=torch.int64)}
        left = module(*values, **lengths)
        return activate(self.activation, left) if isinstance(left, Tensor | Padded) else left

    def _described(self, found: Port, inputs: tuple[Port, ...]) -> Port:
        if 0 in found.shape:
            got = " and ".join(map(str, inputs))
            raise InvalidShape(f"it gets {got} and makes {found}, in which there is nothing; look at its options")
        first = inputs[0]
        keeps = found.padded or (first.padded and self._keeps(len(first.shape) + 1))
        moved = self.of.__name__ in MOVERS and is_torch(self.of) and first.dtype in INTEGERS
        return replace(found, padded=keeps, size=first.size if moved else None)

    def _keeps(self, dimensions: int) -> bool:
        dim = dict(self.arguments).get("dim", -1)
        return is_torch(self.of) and self.of.__name__ in POSITIONWISE and dim in (-1, dimensions - 1)

    def _assumed(self, inputs: tuple[Port, ...]) -> tuple[Port, ...]:
        """Return the inputs with sizes that the options say in place of unknown ones."""
        if not is_torch(self.of) or not inputs:
            return inputs
        first = inputs[0]
        said = {name: value for name, value in self.arguments if name in SIZES and isinstance(value, int)}
        if self.of.__name__ in ("Embedding", "EmbeddingBag"):
            return (replace(first, size=first.size or said.get("num_embeddings", 1)), *inputs[1:])
        for name, value in said.items():
            if SIZES[name](inputs) is None and first.shape and name != "in2_features":
                at_front = name in ("in_channels", "num_channels", "num_features")
                shape = (value, *first.shape[1:]) if at_front else (*first.shape[:-1], value)
                return (replace(first, shape=shape), *inputs[1:])
        return inputs

    def _hold_arity(self, inputs: tuple[Port, ...]) -> None:
        fewest, most = self.arity
        if len(inputs) < fewest or (most is not None and len(inputs) > most):
            wanted = str(fewest) if most == fewest else f"{fewest} or more"
            raise InvalidShape(
                f"{self.title} takes {wanted} input{'' if wanted == '1' else 's'} and gets {len(inputs)}; "
                f"layers inside belong to a `block` or `residual`"
            )

    def _explained(self, error: Exception, module: nn.Module | None, inputs: tuple[Port, ...]) -> Exception:
        if is_torch(self.of):
            return explain(self.of, module, inputs, error)
        said = f"{type(error).__name__}: {first_line(error)}{where_raised(error, file_of(self.of))}"
        if module is None:
            return InvalidLayer(f"{self.title} cannot be made with {shorten(str(self.options()))}: {said}")
        return InvalidShape(f"it gets {' and '.join(map(str, inputs))}, and {self.title} raised {said}")


def _bags(module: nn.Module, padded: Padded) -> Tensor:
    """Return EmbeddingBag's [batch, dim] over each row's true length."""
    lengths = padded.lengths.to(padded.values.device)
    starts = torch.cumsum(lengths, 0) - lengths
    left: Tensor = module(padded.values[inside(padded)], starts)
    return left


_DOTTED = re.compile(r"[A-Za-z_]\w*(\.([A-Za-z_]\w*|<locals>))+\Z")
_VERSION = re.compile(r"\.v\d+\Z")


def resolve(title: str, options: Mapping[str, Any]) -> Kind | None:
    """Return the kind for a class of ``torch.nn`` or of the running program, or None where ``title`` names no class.

    Raises:
        InvalidLayer: a class that is no layer or not there, and what to do; options that it does not take.
    """
    if len(title) > 300 or not _DOTTED.match(title) or _VERSION.search(title):
        return None
    cls = torch_class(title) if title.startswith("torch.") else own_class(title)
    said = dict(options)
    own = "activation" in arguments_of(cls)
    activation = None if own else hold_activation(said.pop("activation", None))
    return TorchModule(cls, tuple(fit_options(cls, said).items()), activation)


register_resolver(resolve, SYNONYMS)
