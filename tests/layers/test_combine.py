"""Holds what makes one value of several: the shapes that fit, and what is said of those that do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from layerwise.errors import Invalid
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import NeuralKind, Padded, Value
from layerwise.layers.probe import port_of


def run(name: str, options: dict[str, Any], *values: Value) -> Value:
    kind = make(name, options)
    assert isinstance(kind, NeuralKind)
    ports = tuple(port_of(value, 2) for value in values)
    found = kind.call(kind.build(ports), *values)
    inferred = kind.infer(ports)
    assert inferred == port_of(found, 2), "what is said of the shape is what comes"
    return found


def test_numbers_are_added_and_multiplied_from_the_first_to_the_last() -> None:
    a, b, c = torch.randn(3, 2, 4)
    assert torch.equal(run("add", {"activation": "relu"}, a, b, c), ((a + b) + c).relu())  # type: ignore[arg-type]
    assert torch.equal(run("multiply", {}, a, b, c), (a * b) * c)  # type: ignore[arg-type]


def test_a_gate_of_one_number_a_channel_reaches_the_whole_channel() -> None:
    image, gate = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 1, 1)
    assert torch.equal(run("multiply", {}, image, gate), image * gate)  # type: ignore[arg-type]
    assert torch.equal(run("multiply", {}, gate, image), image * gate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shapes", "options", "expected"),
    [
        ([(3,), (4,)], {}, (7,)),
        ([(3, 5, 5), (4, 5, 5), (1, 5, 5)], {}, (8, 5, 5)),
        ([(6, 3), (6, 4)], {}, (6, 7)),
        ([(6, 3), (2, 3)], {"dim": 0}, (8, 3)),
        ([(3, 5, 5), (3, 5, 2)], {"dim": -1, "activation": "tanh"}, (3, 5, 7)),
    ],
)
def test_values_are_laid_side_by_side(
    shapes: list[tuple[int, ...]], options: dict[str, Any], expected: tuple[int, ...]
) -> None:
    found = run("concatenate", options, *(torch.randn(2, *shape) for shape in shapes))
    assert isinstance(found, Tensor)
    assert tuple(found.shape[1:]) == expected


@pytest.mark.parametrize("name", ["add", "multiply", "concatenate"])
def test_lengths_are_kept(name: str) -> None:
    padded = Padded(torch.randn(2, 5, 3), torch.tensor([2, 5]))
    found = run(name, {}, torch.randn(2, 5, 3), padded)
    assert isinstance(found, Padded)
    assert torch.equal(found.lengths, padded.lengths)


def test_dimensions_take_another_order() -> None:
    x = torch.randn(2, 5, 3)
    assert torch.equal(run("permute", {}, x), x.transpose(1, 2))  # type: ignore[arg-type]
    kept = run("permute", {"dims": [0, 2, 1]}, Padded(torch.randn(2, 5, 3, 4), torch.tensor([2, 5])))
    assert isinstance(kept, Padded)
    assert kept.values.shape == (2, 5, 4, 3)
    assert str(make("permute", {}).infer((Port("float32", (None, 3), padded=True),))) == "float32[batch, 3, ?]"


def test_sizes_that_are_not_known_yet_stay_open() -> None:
    one, other = Port("float32", (None, 3)), Port("float32", (6, 3))
    assert make("add", {}).infer((one, other)).shape == (6, 3)
    assert make("concatenate", {"dim": 0}).infer((one, other)).shape == (None, 3)
    assert make("add", {}).infer((Port("unknown"), other)) == Port("unknown")


MISTAKES: tuple[tuple[str, dict[str, Any], tuple[Port, ...], str], ...] = (
    (
        "add",
        {},
        (Port("float32", (3,)), Port("float32", (4,))),
        "it gets float32[batch, 3] and float32[batch, 4]; only equal shapes can be added",
    ),
    ("multiply", {}, (Port("float32", (3,)), Port("float32", (3, 1))), "only equal shapes can be multiplied"),
    ("add", {}, (Port("float32", (3,)), Port("int64", (3,))), "only one dtype can be added"),
    (
        "concatenate",
        {},
        (Port("float32", (3, 4, 4)), Port("float32", (3, 5, 4))),
        "all sizes but that of dimension 0 must be equal",
    ),
    (
        "concatenate",
        {"dim": 2},
        (Port("float32", (3,)), Port("float32", (3,))),
        "the option 'dim' is 2 and its inputs have 1 dimension without the batch; expected -1 to 0",
    ),
    ("concatenate", {}, (Port("float32"), Port("float32")), "say shape: [1] at the column"),
    (
        "concatenate",
        {"dim": 0},
        (Port("float32", (None, 3), padded=True), Port("float32", (2, 3))),
        "cannot be joined in time; use dim: -1",
    ),
    ("permute", {"dims": [0, 2]}, (Port("float32", (3, 4)),), "expected each of 0 to 1 once"),
    ("permute", {}, (Port("float32", (3, 4, 5)),), "name every dimension but the batch"),
    ("add", {"activation": "relo"}, (Port("float32", (3,)),), "Did you mean 'relu'?"),
)


@pytest.mark.parametrize(("name", "options", "ports", "expected"), MISTAKES)
def test_a_mistake_says_both_shapes_and_the_cure(
    name: str, options: dict[str, Any], ports: tuple[Port, ...], expected: str
) -> None:
    with pytest.raises(Invalid) as caught:
        make(name, options).infer(ports)
    assert expected in str(caught.value)
