"""Holds recurrent layers: a row's result is that of the row alone, whatever stands beside or behind it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from layerwise.errors import Invalid
from layerwise.graph.kinds import make
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port
from layerwise.layers.base import NeuralKind, Padded, Value

STEPS = Port("float32", (None, 4), padded=True)
CELLS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


def kind_of(name: str, **options: Any) -> NeuralKind:
    kind = make(name, options)
    assert isinstance(kind, NeuralKind)
    return kind


def tensor_of(value: Value) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def rows(lengths: list[int], longest: int) -> Padded:
    # The padding is loud: whoever reads it is heard.
    values = torch.full((len(lengths), longest, 4), 1e3)
    for row, length in enumerate(lengths):
        values[row, :length] = torch.randn(length, 4)
    return Padded(values, torch.tensor(lengths))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("learns", [False, True])
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    behind=st.integers(0, 3),
    layers=st.integers(1, 2),
)
@settings(max_examples=8)
def test_a_row_among_others_is_the_row_alone(
    cell: str, bidirectional: bool, learns: bool, lengths: list[int], behind: int, layers: int
) -> None:
    last = kind_of(f"torch.nn.{cell}", hidden_size=3, num_layers=layers, bidirectional=bidirectional)
    every = kind_of(f"torch.nn.{cell}", hidden_size=3, num_layers=layers, bidirectional=bidirectional, returns="all")
    module = last.build((STEPS,)).train(learns)
    padded = rows(lengths, max(lengths) + behind)
    found, outputs = tensor_of(last.call(module, padded)), every.call(module, padded)
    assert isinstance(outputs, Padded)
    for row, length in enumerate(lengths):
        alone, state = module(padded.values[row : row + 1, :length])
        hidden = state[0] if cell == "LSTM" else state
        end = torch.cat([hidden[-2], hidden[-1]], dim=1) if bidirectional else hidden[-1]
        torch.testing.assert_close(found[row], end[0])
        torch.testing.assert_close(outputs.values[row, :length], alone[0])
        assert not outputs.values[row, length:].any()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_a_row_has_the_same_bits_whatever_the_lengths_beside_it(cell: str, layers: int) -> None:
    torch.manual_seed(2)
    kind = kind_of(f"torch.nn.{cell}", hidden_size=13, num_layers=layers, bidirectional=True, returns="all")
    module = kind.build((STEPS,)).eval()
    one, found = rows([7], 20), []
    with torch.inference_mode():
        for place, beside in ((0, 20), (17, 1), (63, 9), (31, 7)):
            among = rows([(beside + at) % 20 for at in range(64)], 20)
            among.values[place], among.lengths[place] = one.values[0], 7
            left = kind.call(module, among)
            assert isinstance(left, Padded)
            found.append(left.values[place])
    assert all(torch.equal(other, found[0]) for other in found)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_row_of_no_steps_gives_zeros_and_a_gradient(bidirectional: bool) -> None:
    kind = kind_of("torch.nn.GRU", hidden_size=3, bidirectional=bidirectional)
    module = kind.build((STEPS,))
    found = tensor_of(kind.call(module, rows([0, 2], 3)))
    assert not found[0].any()
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.1}, {"bidirectional": True, "bias": False}])
def test_weights_and_answers_are_those_of_the_plain_class(cell: str, options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    plain = CELLS[cell](4, 3, batch_first=True, **options).eval()
    torch.manual_seed(1)
    kind = kind_of(f"torch.nn.{cell}", hidden_size=3, returns="all", **options)
    module = kind.build((STEPS,)).eval()
    assert list(module.state_dict()) == list(plain.state_dict())
    x = torch.randn(2, 5, 4)
    assert torch.equal(tensor_of(kind.call(module, x)), plain(x)[0])


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_plain_series_has_one_feature() -> None:
    kind = kind_of("torch.nn.LSTM", hidden_size=3, proj_size=2, activation="relu")
    port = Port("float32", (7,))
    assert kind.infer((port,)) == Port("float32", (2,))
    module = kind.build((port,))
    x = torch.randn(2, 7)
    state = module(x[..., None])[1][0]
    torch.testing.assert_close(tensor_of(kind.call(module, x)), state[0].relu())


def test_the_layer_goes_by_its_name_in_torch() -> None:
    layer = Layer("memory", nn.GRU, hidden_size=8, bidirectional=True, returns="all")
    assert layer.describe() == {"kind": "torch.nn.GRU", "hidden_size": 8, "bidirectional": True, "returns": "all"}
    assert Layer.from_description("memory", layer.describe()) == layer
    assert str(layer.action.infer((STEPS,))) == "float32[batch, ?, 16] padded"
    assert Layer("memory", nn.GRU, hidden_size=8, batch_first=True).options == {"hidden_size": 8}


@pytest.mark.parametrize(
    ("options", "port", "expected"),
    [
        ({}, None, "the option 'hidden_size' (a whole number) is missing: write hidden_size: …"),
        ({"hidden_size": 0}, None, "the option 'hidden_size' is 0; expected 1 or more"),
        (
            {"hidden_size": 3, "dropout": 0.5},
            None,
            "there is one layer; set num_layers: 2, or put a torch.nn.Dropout after it",
        ),
        ({"hidden_size": 3, "batch_first": False}, None, "values are batch-first everywhere: leave it out"),
        ({"hidden_size": 3, "returns": "first"}, None, "expected 'last' or 'all'"),
        ({"hidden_size": 3, "hiden": 3}, None, "there is no option 'hiden'"),
        (
            {"hidden_size": 3},
            Port("int64", (None,), padded=True, size=9),
            "put a torch.nn.Embedding or `scale` layer before it",
        ),
        (
            {"hidden_size": 3},
            Port("float32", (3, 4, 5)),
            "wants [batch, time, features] or [batch, time]; put a torch.nn.Flatten",
        ),
        ({"hidden_size": 3}, Port("float32", ()), "make a sequence of it first"),
        (
            {"hidden_size": 3, "input_size": 9},
            STEPS,
            "input_size is 9 and the input float32[batch, ?, 4] padded has 4 features",
        ),
        ({"hidden_size": 3, "activation": "relo"}, None, "Did you mean 'relu'?"),
    ],
)
def test_a_mistake_says_the_cure(options: dict[str, Any], port: Port | None, expected: str) -> None:
    with pytest.raises(Invalid) as caught:
        make("torch.nn.GRU", options).infer((port or STEPS,))
    assert expected in str(caught.value)


def test_unknown_features_are_said_before_it_is_built() -> None:
    with pytest.raises(Invalid, match="input_size is not known"):
        kind_of("torch.nn.GRU", hidden_size=3).build((Port("float32", (5, None)),))


@pytest.mark.parametrize("by", ["mean", "max", "last", "first"])
def test_pooling_reads_each_row_to_its_true_end(by: str) -> None:
    kind = kind_of("pool_over_time", by=by)
    padded = rows([1, 3, 0], 5)
    found = tensor_of(kind.call(kind.build((STEPS,)), padded))
    for row, length in enumerate([1, 3]):
        true = padded.values[row, :length]
        expected = {"mean": true.mean(0), "max": true.amax(0), "last": true[-1], "first": true[0]}[by]
        torch.testing.assert_close(found[row], expected)
    assert not found[2].any()
    assert kind.infer((STEPS,)) == Port("float32", (4,))
    plain = torch.randn(2, 3, 4)
    assert tensor_of(kind.call(kind.build((STEPS,)), plain)).shape == (2, 4)


def test_pooling_wants_a_sequence() -> None:
    with pytest.raises(Invalid, match="take `returns: all` of the layer before"):
        make("pool_over_time", {}).infer((Port("float32", (4,)),))
