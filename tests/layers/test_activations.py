"""Holds activations: each is torch's own function, and a wrong name leads to the right one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from layerwise.errors import InvalidLayer
from layerwise.layers.activations import ACTIVATIONS, activate, hold_activation
from layerwise.layers.base import Padded

TWINS: dict[str, nn.Module] = {
    "celu": nn.CELU(),
    "elu": nn.ELU(),
    "gelu": nn.GELU(),
    "glu": nn.GLU(),
    "hardshrink": nn.Hardshrink(),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardswish": nn.Hardswish(),
    "hardtanh": nn.Hardtanh(),
    "leaky_relu": nn.LeakyReLU(),
    "log_softmax": nn.LogSoftmax(-1),
    "logsigmoid": nn.LogSigmoid(),
    "mish": nn.Mish(),
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "selu": nn.SELU(),
    "sigmoid": nn.Sigmoid(),
    "silu": nn.SiLU(),
    "softmax": nn.Softmax(-1),
    "softmin": nn.Softmin(-1),
    "softplus": nn.Softplus(),
    "softshrink": nn.Softshrink(),
    "softsign": nn.Softsign(),
    "tanh": nn.Tanh(),
    "tanhshrink": nn.Tanhshrink(),
}
PLAIN = {"abs", "atan", "cos", "erf", "exp", "sin", "square"}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_each_is_torchs_own_function(name: str) -> None:
    x = torch.randn(3, 4, 6)
    twin = TWINS[name] if name in TWINS else getattr(torch, name)
    assert torch.equal(ACTIVATIONS[name](x), twin(x))


def test_every_activation_has_a_twin() -> None:
    assert set(ACTIVATIONS) == set(TWINS) | PLAIN


def test_every_class_of_torch_that_activates_has_a_name_or_a_reason() -> None:
    named = {type(twin).__name__ for twin in TWINS.values()}
    others = {"MultiheadAttention", "PReLU", "RReLU", "Softmax2d", "Threshold"}
    assert set(torch.nn.modules.activation.__all__) == named | others


def test_lengths_are_kept() -> None:
    padded = Padded(torch.randn(2, 3), torch.tensor([1, 3]))
    found = activate("relu", padded)
    assert isinstance(found, Padded)
    assert torch.equal(found.values, padded.values.relu())
    assert found.lengths is padded.lengths


def test_no_activation_is_the_value_itself() -> None:
    x = torch.randn(2)
    assert activate(hold_activation("none"), x) is x
    assert hold_activation(None) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rleu", "there is no activation 'rleu'. Did you mean 'relu'?"),
        ("ReLU", "Did you mean 'relu'?"),
        ("swish", "Did you mean 'silu'?"),
        ("prelu", "the activation 'prelu' learns a slope; make it a layer: torch.nn.PReLU"),
        ("rrelu", "draws at random; make it a layer: torch.nn.RReLU"),
        ("threshold", "make it a layer: torch.nn.Threshold"),
        (3, "expected the name of one, e.g. 'relu'"),
    ],
)
def test_a_wrong_name_leads_to_the_right_one(name: object, expected: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        hold_activation(name)
    assert expected in str(caught.value)
