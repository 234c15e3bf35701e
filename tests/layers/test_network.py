"""Holds the network: to the bit what a person would have written by hand, under the same keys."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph import shapes
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded, Value
from layerwise.layers.columns import Column
from layerwise.layers.network import Network, build, layer_states, load_layer_states


class Twin(nn.Module):
    """What a person would write by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.shapes = nn.Conv2d(4, 4, 3, padding=1)
        self.drop = nn.Dropout(0.2)
        self.scores = nn.Linear(4 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        edges = self.norm(functional.relu(self.edges(x)))
        both = functional.relu(self.shapes(edges)) + edges
        left: Tensor = self.scores(self.drop(functional.max_pool2d(both, 2).flatten(1)))
        return left


def scans(**said: dict[str, Any]) -> Graph:
    def extra(name: str) -> dict[str, Any]:
        return said.get(name, {})

    return Graph(
        "digits",
        [
            Layer("pixels", Column("image", shape=(1, 8, 8))),
            Layer("edges", nn.Conv2d, out_channels=4, kernel_size=3, padding=1, activation="relu", **extra("edges")),
            Layer("norm", nn.BatchNorm2d, **extra("norm")),
            Layer("shapes", nn.Conv2d, out_channels=4, kernel_size=3, padding=1, activation="relu"),
            Layer("both", "add", inputs=["shapes", "norm"]),
            Layer("pooled", nn.MaxPool2d, kernel_size=2),
            Layer("flat", nn.Flatten),
            Layer("drop", nn.Dropout, p=0.2),
            Layer("scores", nn.Linear, out_features=3),
        ],
    )


def network_of(graph: Graph) -> Network:
    return build(graph, shapes.check(graph, None))


def seeded() -> tuple[Network, Twin]:
    torch.manual_seed(5)
    network = network_of(scans())
    torch.manual_seed(5)
    return network, Twin()


def test_weights_and_keys_are_those_of_the_hand_written_twin() -> None:
    network, twin = seeded()
    ours, theirs = network.state_dict(), twin.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("training", [False, True])
def test_answers_and_gradients_are_equal_to_the_bit(training: bool) -> None:
    network, twin = seeded()
    x = torch.randn(5, 1, 8, 8)
    found = []
    for module in (network.train(training), twin.train(training)):
        torch.manual_seed(1)
        answer = module(x)
        answer.square().sum().backward()
        found.append((answer.detach(), [parameter.grad for parameter in module.parameters()]))
    (ours, our_gradients), (theirs, their_gradients) = found
    assert torch.equal(ours, theirs)
    assert all(
        a is not None and b is not None and torch.equal(a, b)
        for a, b in zip(our_gradients, their_gradients, strict=True)
    )


def test_a_chain_is_a_sequential() -> None:
    graph = Graph(
        "chain",
        [
            Layer("x", Column("x", shape=(4,))),
            *(Layer(str(at), nn.Linear, out_features=size) for at, size in enumerate((5, 6, 2))),
        ],
    )
    torch.manual_seed(0)
    ours = network_of(graph).state_dict()
    torch.manual_seed(0)
    theirs = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 2)).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_what_enters_and_what_leaves_have_names() -> None:
    network = network_of(scans())
    assert (network.entries, network.exit) == (("pixels",), "scores")
    network.eval()
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(network({"pixels": x}), network(x))
    assert network.plain is network
    with pytest.raises(InvalidShape, match=r"takes 1 inputs \(pixels\) and got 2"):
        network(x, x)
    with pytest.raises(InvalidShape, match=r"takes 1 inputs \(pixels\) and got 0"):
        network({"pixel": x})


def test_an_answer_that_takes_an_inner_layer_gets_it() -> None:
    layers = [*scans().layers, Layer("digit", "classes", target="digit", inputs=["flat"])]
    network = network_of(Graph("digits", layers))
    assert network.exit == "flat"
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 64)


def test_a_model_without_neural_layers_passes_on() -> None:
    graph = Graph("plain", [Layer("x", Column("x", shape=(3,))), Layer("y", "value", target="y")])
    network = network_of(graph)
    x = torch.randn(2, 3)
    assert network.entries == ("x",)
    assert network(x) is x
    assert layer_states(network) == {}


def test_looking_changes_nothing_and_sees_all() -> None:
    network = network_of(scans()).train()
    x = torch.randn(4, 1, 8, 8)
    before = copy.deepcopy(network)
    seen: dict[str, Value] = {}
    torch.manual_seed(2)
    watched = network(x, observe=lambda path, value: seen.__setitem__(path, value))
    torch.manual_seed(2)
    assert torch.equal(watched, before(x))
    assert list(seen) == ["edges", "norm", "shapes", "both", "pooled", "flat", "drop", "scores"]
    edges = seen["edges"]
    assert isinstance(edges, Tensor)
    assert edges.min() >= 0, "what left the layer is told after its activation"


def test_what_the_observer_returns_takes_the_values_place() -> None:
    network = network_of(scans()).eval()
    x = torch.randn(2, 1, 8, 8)

    def silence(path: str, value: Value) -> Value | None:
        return torch.zeros_like(value) if path == "flat" and isinstance(value, Tensor) else None

    assert torch.equal(network(x, observe=silence), network.get_submodule("scores").bias.expand(2, 3))  # type: ignore[operator]


def test_frozen_layers_learn_nothing_and_stay_as_they_answer() -> None:
    network = network_of(scans(edges={"frozen": True}, norm={"frozen": True}))
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    assert frozen == ["edges.weight", "edges.bias", "norm.weight", "norm.bias"]
    network.train()
    norm = network.get_submodule("norm")
    assert (network.training, norm.training) == (True, False)
    before = copy.deepcopy(norm.state_dict())
    network(torch.randn(4, 1, 8, 8)).sum().backward()
    assert all(torch.equal(value, norm.state_dict()[key]) for key, value in before.items())


def test_states_are_cut_by_layer_and_loaded_again() -> None:
    network, other = network_of(scans()), network_of(scans())
    states = layer_states(network)
    assert {path: list(tensors) for path, tensors in states.items()} == {
        "edges": ["weight", "bias"],
        "norm": ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"],
        "shapes": ["weight", "bias"],
        "scores": ["weight", "bias"],
    }
    load_layer_states(other, states)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_states_of_nested_layers_belong_to_the_innermost() -> None:
    inner = [
        Layer("a", nn.Linear, out_features=4),
        Layer("b", "residual", layers=[Layer("c", nn.Linear, out_features=4)]),
    ]
    graph = Graph("nested", [Layer("x", Column("x", shape=(4,))), Layer("stage", "block", layers=inner)])
    states = layer_states(network_of(graph))
    assert {path: list(tensors) for path, tensors in states.items()} == {
        "stage.a": ["weight", "bias"],
        "stage.b.c": ["weight", "bias"],
    }


Changed = dict[str, dict[str, Tensor]]


def without_layer(states: Changed) -> Changed:
    return {path: tensors for path, tensors in states.items() if path != "shapes"}


def with_layer(states: Changed) -> Changed:
    return {**states, "scorse": {"weight": torch.zeros(1)}}


def without_tensor(states: Changed) -> Changed:
    return {**states, "edges": {"weight": states["edges"]["weight"]}}


def with_tensor(states: Changed) -> Changed:
    return {**states, "edges": {**states["edges"], "gain": torch.zeros(1)}}


def of_another_shape(states: Changed) -> Changed:
    return {**states, "edges": {**states["edges"], "weight": torch.zeros(2, 1, 3, 3)}}


def of_another_dtype(states: Changed) -> Changed:
    return {**states, "edges": {**states["edges"], "bias": torch.zeros(4, dtype=torch.float64)}}


@pytest.mark.parametrize(
    ("change", "error", "expected"),
    [
        (without_layer, InvalidLayer, "the network has the layer 'shapes' and the state does not"),
        (with_layer, InvalidLayer, "the state has the layer 'scorse' and the network does not. Did you mean 'scores'?"),
        (without_tensor, InvalidLayer, "layer 'edges' has the tensor 'bias' and the state does not"),
        (with_tensor, InvalidLayer, "the state has the tensor 'gain' and layer 'edges' does not"),
        (
            of_another_shape,
            InvalidShape,
            "layer 'edges': 'weight' is float32[2, 1, 3, 3] in the state and float32[4, 1, 3, 3] in the model",
        ),
        (
            of_another_dtype,
            InvalidShape,
            "layer 'edges': 'bias' is float64[4] in the state and float32[4] in the model",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused_whole(change: Any, error: type[Exception], expected: str) -> None:
    network, other = network_of(scans()), network_of(scans())
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(error) as caught:
        load_layer_states(other, change(layer_states(network)))
    assert expected in str(caught.value)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in before.items())


def test_a_copy_is_a_network_of_its_own() -> None:
    network = network_of(scans()).eval()
    other = copy.deepcopy(network)
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(network(x), other(x))
    with torch.no_grad():
        next(other.parameters()).zero_()
    assert not torch.equal(network(x), other(x))


def test_layers_may_have_any_name() -> None:
    names = ("type", "train", "output", "forward", "weight")
    graph = Graph(
        "odd", [Layer("x", Column("x", shape=(3,))), *(Layer(name, nn.Linear, out_features=3) for name in names)]
    )
    network = network_of(graph)
    assert list(layer_states(network)) == list(names)
    assert network.train().eval()(torch.randn(2, 3)).shape == (2, 3)
    assert torch.equal(network.double()(torch.zeros(1, 3).double()), copy.deepcopy(network)(torch.zeros(1, 3).double()))


def test_lengths_travel_from_layer_to_layer() -> None:
    graph = Graph(
        "texts",
        [
            Layer("words", Column("words", shape=(6,))),
            Layer("meaning", nn.Embedding, num_embeddings=9, embedding_dim=4),
            Layer("order", "positions"),
            Layer("memory", nn.GRU, hidden_size=3),
        ],
    )
    network = build(graph, shapes.check(graph, {"words": Port("int64", (6,), size=9)}))
    words, lengths = torch.randint(0, 9, (2, 6)), torch.tensor([2, 6])
    found = network(Padded(words, lengths))
    torch.testing.assert_close(found[:1], network(words[:1, :2]))


def test_a_network_is_exported_as_it_is() -> None:
    network = network_of(scans()).eval()
    x = torch.randn(2, 1, 8, 8)
    program = torch.export.export(network, (x,))
    torch.testing.assert_close(program.module()(x), network(x))
    assert set(program.state_dict) == set(network.state_dict())
