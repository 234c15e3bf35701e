"""Holds blocks: layers inside a layer, wired as written, with the block's input at hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from layerwise.errors import Invalid, InvalidGraph, InvalidLayer, InvalidShape
from layerwise.graph import shapes
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.layers.base import Value
from layerwise.layers.columns import Column
from layerwise.layers.network import Network, build


def built(*layers: Layer, shape: tuple[int, ...] = (6,)) -> Network:
    graph = Graph("test", [Layer("x", Column("x", shape=shape)), *layers])
    return build(graph, shapes.check(graph, None))


def tensor_of(value: Value) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def linear(name: str, size: int = 6, **said: object) -> Layer:
    return Layer(name, nn.Linear, out_features=size, **said)  # type: ignore[arg-type]


def test_a_block_is_its_layers_one_after_the_other() -> None:
    network = built(Layer("stage", "block", layers=[linear("one", 4), linear("two", 3)], activation="relu"))
    assert list(network.state_dict()) == ["stage.one.weight", "stage.one.bias", "stage.two.weight", "stage.two.bias"]
    x = torch.randn(2, 6)
    one, two = (network.get_submodule(f"stage.{name}") for name in ("one", "two"))
    assert torch.equal(network(x), two(one(x)).relu())


def test_layers_in_a_block_are_wired_as_written() -> None:
    inner = [linear("a"), linear("b", inputs="input"), Layer("both", "add", inputs=["a", "b", "input"])]
    network = built(Layer("stage", "block", layers=inner))
    x = torch.randn(2, 6)
    a, b = (network.get_submodule(f"stage.{name}") for name in "ab")
    assert torch.equal(network(x), (a(x) + b(x)) + x)


def test_a_residual_adds_what_it_got() -> None:
    network = built(Layer("stage", "residual", layers=[linear("a", activation="tanh"), linear("b")], activation="relu"))
    x = torch.randn(2, 6)
    a, b = (network.get_submodule(f"stage.{name}") for name in "ab")
    assert torch.equal(network(x), (b(a(x).tanh()) + x).relu())


def test_blocks_nest_and_every_layer_has_a_shape_and_is_seen() -> None:
    inner = Layer("inner", "residual", layers=[linear("a")])
    graph = Graph(
        "test", [Layer("x", Column("x", shape=(6,))), Layer("outer", "block", layers=[inner, linear("b", 2)])]
    )
    ports = shapes.check(graph, None)
    assert {path: port.shape for path, port in ports.items()} == {
        "x": (6,),
        "outer.inner.a": (6,),
        "outer.inner": (6,),
        "outer.b": (2,),
        "outer": (2,),
    }
    seen: dict[str, torch.Size] = {}
    network = build(graph, ports)
    network(torch.randn(2, 6), observe=lambda path, value: seen.update({path: tensor_of(value).shape}))
    assert {path: shape[1:] for path, shape in seen.items()} == {p: port.shape for p, port in ports.items() if p != "x"}


def test_a_block_of_several_inputs_has_them_all_as_its_input() -> None:
    graph = Graph(
        "test",
        [
            Layer("x", Column("x", shape=(6,))),
            Layer("y", Column("y", shape=(6,))),
            Layer("join", "block", inputs=["x", "y"], layers=[Layer("sum", "add"), linear("out", 2)]),
            Layer("again", "block", inputs=["y", "x", "join"], layers=[Layer("all", "concatenate", inputs=["input"])]),
        ],
    )
    network = build(graph, shapes.check(graph, None))
    x, y = torch.randn(2, 2, 6)
    made = network.get_submodule("join.out")(x + y)
    assert network.entries == ("x", "y")
    assert torch.equal(network(x, y), torch.cat([y, x, made], dim=1))


def test_another_shape_cannot_be_added_and_the_cure_is_told() -> None:
    with pytest.raises(InvalidShape) as caught:
        built(Layer("stage", "residual", layers=[linear("a", 5)]))
    assert str(caught.value).startswith(
        "layer 'stage' (residual.v1): the layers inside make float32[batch, 5] of float32[batch, 6]"
    )
    assert "write a block with an `add` of two ways" in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "error", "expected"),
    [
        (lambda: Layer("stage", "block"), InvalidShape, "a block needs layers inside it; write them under `layers`"),
        (lambda: Layer("stage", "residual"), InvalidShape, "a residual needs layers inside it"),
        (
            lambda: Layer("stage", nn.Linear, out_features=2, layers=[linear("a")]),
            InvalidLayer,
            "takes no layers inside; use a `block` or `residual`",
        ),
        (
            lambda: Layer("stage", "block", inputs=["x", "x"], layers=[linear("a")]),
            InvalidGraph,
            "it gets 2 inputs from the block around it and takes 1",
        ),
        (
            lambda: Layer("stage", "block", layers=[Layer("s", "add")]),
            InvalidGraph,
            "it gets 1 input from the block around it and takes at least 2",
        ),
        (
            lambda: Layer("stage", "add", layers=[Layer("s", "add")], inputs=["x", "x"]),
            InvalidLayer,
            "takes no layers inside",
        ),
        (
            lambda: Layer("stage", "block", layers=[linear("a"), Layer("s", "scale", by=2.0)]),
            InvalidGraph,
            "cannot stand inside a block",
        ),
        (
            lambda: Layer("stage", "block", layers=[linear("a")], activation="relo"),
            InvalidLayer,
            "Did you mean 'relu'?",
        ),
    ],
)
def test_a_mistake_names_the_layer_and_the_cure(layer: object, error: type[Invalid], expected: str) -> None:
    with pytest.raises(error) as caught:
        built(layer())  # type: ignore[operator]
    assert "layer 'stage" in str(caught.value)
    assert expected in str(caught.value)


def test_an_inner_error_names_the_inner_layer() -> None:
    with pytest.raises(InvalidShape, match=r"layer 'stage\.a' \(torch\.nn\.Linear\): in_features is 9"):
        built(Layer("stage", "block", layers=[linear("a", in_features=9)]))


def test_a_layer_inside_that_is_frozen_stays() -> None:
    network = built(Layer("stage", "block", layers=[linear("a", frozen=True), linear("b")]))
    named = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    assert named == {"stage.a.weight": False, "stage.a.bias": False, "stage.b.weight": True, "stage.b.bias": True}
