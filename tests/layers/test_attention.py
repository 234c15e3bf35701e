"""Holds attention: padding is never attended to, and weights are torch's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from layerwise.errors import Invalid, InvalidData
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import NeuralKind, Padded, Value

STEPS = Port("float32", (None, 8), padded=True)
LENGTHS = [2, 5, 1]


def kind_of(name: str, **options: Any) -> NeuralKind:
    kind = make(name, options)
    assert isinstance(kind, NeuralKind)
    return kind


def rows(lengths: list[int], longest: int, width: int = 8) -> Padded:
    values = torch.full((len(lengths), longest, width), 1e3)
    for row, length in enumerate(lengths):
        values[row, :length] = torch.randn(length, width)
    return Padded(values, torch.tensor(lengths))


def values_of(value: Value) -> Tensor:
    assert isinstance(value, Padded | Tensor)
    return value.values if isinstance(value, Padded) else value


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("attention", {"heads": 2}),
        ("attention", {"heads": 4, "causal": True, "activation": "tanh"}),
        ("transformer", {"heads": 2, "dropout": 0.0}),
        ("transformer", {"heads": 2, "dropout": 0.0, "causal": True, "norm_first": True, "activation": "gelu"}),
        ("transformer", {"heads": 2, "dropout": 0.0, "activation": "silu", "feedforward": 5, "bias": False}),
        ("positions", {"by": "sinusoidal"}),
        ("positions", {"by": "learned", "length": 7}),
    ],
)
def test_a_row_among_others_is_the_row_alone(name: str, options: dict[str, Any], training: bool) -> None:
    kind = kind_of(name, **options)
    assert kind.infer((STEPS,)) == STEPS
    module = kind.build((STEPS,)).train(training)
    padded = rows(LENGTHS, 7)
    with torch.set_grad_enabled(training):
        found = kind.call(module, padded)
        assert isinstance(found, Padded)
        assert torch.equal(found.lengths, padded.lengths)
        for row, length in enumerate(LENGTHS):
            alone = values_of(kind.call(module, padded.values[row : row + 1, :length]))
            torch.testing.assert_close(found.values[row, :length], alone[0])


@pytest.mark.parametrize("name", ["attention", "transformer"])
def test_no_step_sees_a_later_one(name: str) -> None:
    kind = kind_of(name, heads=2, causal=True)
    module = kind.build((STEPS,)).eval()
    x = torch.randn(1, 6, 8)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = values_of(kind.call(module, x)), values_of(kind.call(module, changed))
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_a_second_input_is_what_is_attended_to() -> None:
    other = Port("float32", (None, 5), padded=True)
    kind = kind_of("attention", heads=2)
    assert kind.infer((STEPS, other)) == STEPS
    module = kind.build((STEPS, other))
    assert isinstance(module, nn.MultiheadAttention)
    asks, answers = torch.randn(3, 4, 8), rows([2, 0, 3], 6, width=5)
    found = values_of(kind.call(module, asks, answers))
    expected = module(asks[:1], answers.values[:1, :2], answers.values[:1, :2])[0]
    torch.testing.assert_close(found[:1], expected)
    assert not found[1].any(), "of nothing, nothing is gathered"


def test_weights_are_those_of_the_plain_classes() -> None:
    torch.manual_seed(2)
    plain = nn.TransformerEncoderLayer(8, 2, 32, batch_first=True)
    torch.manual_seed(2)
    module = kind_of("transformer", heads=2).build((STEPS,))
    ours, theirs = module.state_dict(), plain.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert "in_proj_weight" in kind_of("attention", heads=2).build((STEPS,)).state_dict()


def test_sinusoidal_positions_are_those_of_the_paper() -> None:
    kind = kind_of("positions")
    found = values_of(kind.call(kind.build((STEPS,)), torch.zeros(1, 5, 8)))[0]
    for step in range(5):
        for pair in range(4):
            angle = step / 10000 ** (2 * pair / 8)
            assert found[step, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[step, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_an_odd_width_has_positions_too() -> None:
    kind = kind_of("positions")
    assert values_of(kind.call(kind.build((STEPS,)), torch.zeros(2, 3, 5))).shape == (2, 3, 5)


def test_learned_positions_take_their_number_from_a_fixed_length() -> None:
    assert kind_of("positions", by="learned").build((Port("float32", (6, 8)),)).state_dict()["weight"].shape == (6, 8)


def test_a_row_longer_than_the_learned_positions_says_so() -> None:
    kind = kind_of("positions", by="learned", length=3)
    with pytest.raises(
        InvalidData, match="a row has 5 steps and there are 3 learned positions; set a greater `length`"
    ):
        kind.call(kind.build((STEPS,)), torch.zeros(1, 5, 8))


MISTAKES: tuple[tuple[str, dict[str, Any], Port, str], ...] = (
    (
        "attention",
        {"heads": 3},
        STEPS,
        "heads is 3 and the input has 8 features a step; set heads to one of [1, 2, 4, 8]",
    ),
    ("attention", {"heads": 0}, STEPS, "the option 'heads' is 0; expected 1 or more"),
    ("attention", {"heads": 2}, Port("int64", (5,), size=9), "put a torch.nn.Embedding before it"),
    ("transformer", {"heads": 2}, Port("float32", (8,)), "take `returns: all` of the recurrent layer before"),
    ("transformer", {"heads": 2, "activation": "gleu"}, STEPS, "Did you mean"),
    ("transformer", {"heads": 2, "activation": "none"}, STEPS, "a transformer needs one"),
    ("transformer", {"heads": 2, "feedforward": 0}, STEPS, "expected 1 or more"),
    (
        "positions",
        {"by": "learned", "length": 3},
        Port("float32", (5, 8)),
        "length is 3 and the input float32[batch, 5, 8] has 5 steps; set length: 5",
    ),
)


@pytest.mark.parametrize(("name", "options", "port", "expected"), MISTAKES)
def test_a_mistake_says_the_cure(name: str, options: dict[str, Any], port: Port, expected: str) -> None:
    with pytest.raises(Invalid) as caught:
        make(name, options).infer((port,))
    assert expected in str(caught.value)


def test_what_must_be_known_before_it_is_built() -> None:
    with pytest.raises(Invalid, match="how many positions to learn is not known; set `length`"):
        kind_of("positions", by="learned").build((STEPS,))
    with pytest.raises(Invalid, match="whose features are not known"):
        kind_of("attention", heads=1).build((Port("float32", (5, None)),))
