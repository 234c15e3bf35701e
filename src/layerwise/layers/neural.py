"""Neural layers whose options are the fields of a dataclass: held to their types however they are made."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass

from torch import nn

from layerwise.graph.kinds import fit_type
from layerwise.graph.ports import Port
from layerwise.layers.activations import hold_activation
from layerwise.layers.base import NeuralKind


@dataclass(frozen=True)
class FieldKind(NeuralKind):
    """A neural layer described by its fields: abstract. A field called ``activation`` names the function after it."""

    def __post_init__(self) -> None:
        # Made in Python or read from a file, a kind has the same options.
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            fitted = fit_type(getattr(self, field.name), hints[field.name], field.name)
            object.__setattr__(self, field.name, hold_activation(fitted) if field.name == "activation" else fitted)

    def build(self, inputs: tuple[Port, ...]) -> nn.Module:
        """Return a module that holds nothing: the layer has no weights of its own."""
        return nn.Identity()
