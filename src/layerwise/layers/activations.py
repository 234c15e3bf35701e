"""Activations by name: torch's own functions that need nothing but the value and learn nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from layerwise.errors import InvalidLayer, nearest
from layerwise.layers.base import Padded, Value
from layerwise.words import shorten

Activation = Callable[[Tensor], Tensor]

_OF_FUNCTIONAL = (
    *("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid"),
    *("mish", "relu", "relu6", "selu", "silu", "softplus", "softshrink", "softsign", "tanhshrink"),
)
_OF_TORCH = ("abs", "atan", "cos", "erf", "exp", "sigmoid", "sin", "square", "tanh")
_OVER_THE_LAST = ("glu", "log_softmax", "softmax", "softmin")

ACTIVATIONS: dict[str, Activation] = {
    **{name: getattr(functional, name) for name in _OF_FUNCTIONAL},
    **{name: getattr(torch, name) for name in _OF_TORCH},
    # Values are batch-first, so "over the last dimension" means the same for every shape; torch's own default differs.
    **{name: partial(getattr(functional, name), dim=-1) for name in _OVER_THE_LAST},
}
"""Every activation by name. ``glu`` halves the last dimension, the rest keep the shape."""

SYNONYMS = {"swish": "silu", "linear": "none", "identity": "none", "lrelu": "leaky_relu", "logistic": "sigmoid"}

_AS_LAYERS = {
    "prelu": ("learns a slope", "PReLU"),
    "rrelu": ("draws at random", "RReLU"),
    "threshold": ("needs a threshold and a value", "Threshold"),
    "dropout": ("draws at random", "Dropout"),
}


def hold_activation(name: object) -> str | None:
    """Return ``name`` if it is an activation, None where it says there is none.

    Raises:
        InvalidLayer: an unknown name with the nearest right one, or one that must be a layer of its own.

    Example:
        >>> hold_activation("relu")
        'relu'
    """
    if name is None or name == "none":
        return None
    if not isinstance(name, str):
        raise InvalidLayer(f"the activation is {shorten(name)}; expected the name of one, e.g. 'relu'")
    lowered = name.lower()
    if lowered in _AS_LAYERS:
        reason, layer = _AS_LAYERS[lowered]
        raise InvalidLayer(f"the activation {name!r} {reason}; make it a layer: torch.nn.{layer}")
    if name not in ACTIVATIONS:
        known = SYNONYMS.get(lowered)
        cure = f" Did you mean {known!r}?" if known else nearest(name, ACTIVATIONS)
        raise InvalidLayer(f"there is no activation {shorten(name)}.{cure}")
    return name


def activate(name: str | None, value: Value) -> Value:
    """Return ``value`` [batch, ...] after the activation, or as it is where ``name`` is None; lengths are kept.

    Example:
        >>> activate("relu", torch.tensor([[-1.0, 2.0]]))
        tensor([[0., 2.]])
    """
    if name is None:
        return value
    if isinstance(value, Padded):
        return Padded(ACTIVATIONS[name](value.values), value.lengths)
    return ACTIVATIONS[name](value)
