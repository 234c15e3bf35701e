"""Holds wrapping: a module that exists is a model as it is, and each of its submodules is a layer."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerwise.engine.model import wrap
from layerwise.errors import Invalid, InvalidGraph, InvalidLayer, InvalidShape
from layerwise.graph import shapes
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded
from layerwise.layers.columns import Column
from layerwise.layers.network import Network, build, layer_states, load_layer_states
from layerwise.layers.wrap import Wrapped, parts, with_instance, wrapped


class Stage(nn.Module):
    """A residual stage of a small ResNet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        left: Tensor = self.relu(self.bn1(self.conv1(x)) + x)
        return left


class Residual(nn.Module):
    """A small ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(Stage(3), Stage(3))
        self.fc = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, image: Tensor) -> Tensor:
        left: Tensor = self.fc(self.layer1(image).mean((2, 3))) * self.scale
        return left


class Twice(nn.Module):
    """One layer used twice, and a way that depends on the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.step(x).relu()
        x = self.step(x)
        left: Tensor = self.other(x) if x.sum() > 0 else x
        return left


class Recurrent(nn.Module):
    """A recurrent network that answers with everything it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.memory = nn.GRU(6, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        outputs, state = self.memory(self.embed(tokens))
        return self.head(outputs[:, -1]), state


class Encoder(nn.Module):
    """A transformer encoder."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"scores": self.head(self.encoder(x).mean(1))}


class Towers(nn.Module):
    """Two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        left: Tensor = self.left(user) * self.right(item)
        return left


class Pair(NamedTuple):
    """What some models answer with."""

    scores: Tensor
    hidden: Tensor


class Named(nn.Module):
    """Answers with a named tuple."""

    def forward(self, x: Tensor) -> Pair:
        return Pair(x[:, :2], x)


MODELS: dict[str, tuple[Any, Any, int | str | None]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2)),
        torch.randn(3, 4),
        None,
    ),
    "resnet": (Residual, torch.randn(3, 3, 6, 6), None),
    "twice": (Twice, torch.randn(3, 4), None),
    "gru": (Recurrent, torch.randint(0, 20, (3, 7)), 0),
    "encoder": (Encoder, torch.randn(3, 5, 8), "scores"),
    "towers": (Towers, (torch.randn(3, 3), torch.randn(3, 4)), None),
    "named": (Named, torch.randn(3, 4), "scores"),
    "one layer": (lambda: nn.GRU(4, 3, batch_first=True), torch.randn(3, 5, 4), 0),
}


def network_of(graph: Graph, **columns: Port) -> Network:
    return build(graph, shapes.check(graph, columns or None))


def picked(answer: Any, output: int | str | None) -> Any:
    if output is None:
        return answer
    return getattr(answer, str(output)) if isinstance(answer, Pair) else answer[output]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["train", "eval", "inference"])
def test_a_wrapped_module_answers_to_the_bit_as_it_did(name: str, mode: str) -> None:
    make, example, output = MODELS[name]
    torch.manual_seed(4)
    module = make()
    network = network_of(wrap(module, example, name="model", output=output))
    inputs = example if isinstance(example, tuple) else (example,)
    assert list(network.state_dict()) == list(module.state_dict())
    assert [key for key, _ in network.named_parameters()] == [key for key, _ in module.named_parameters()]
    module.train(mode == "train")
    network.train(mode == "train")
    seen: list[str] = []
    with torch.set_grad_enabled(mode != "inference"):
        torch.manual_seed(9)
        expected = picked(module(*inputs), output)
        torch.manual_seed(9)
        assert torch.equal(network(*inputs), expected)
        torch.manual_seed(9)
        watched = network(*inputs, observe=lambda path, value: seen.append(path))
        if mode != "train" or name != "resnet":
            assert torch.equal(watched, expected)
    assert seen[-1] == "body"


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_belongs_to_a_layer_and_comes_back(name: str) -> None:
    make, example, output = MODELS[name]
    module = make()
    graph = wrap(module, example, name="model", output=output)
    network = network_of(graph)
    states = layer_states(network)
    known = dict(graph.walk())
    assert set(states) <= set(known)
    assert sum(len(tensors) for tensors in states.values()) == len(module.state_dict())
    other = network_of(wrap(make(), example, name="model", output=output))
    load_layer_states(other, states)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in module.state_dict().items())


def test_every_submodule_is_a_layer_under_its_own_path() -> None:
    graph = wrap(Residual(), torch.randn(2, 3, 6, 6))
    assert graph.name == "residual"
    assert [path for path, _ in graph.walk()] == [
        "image",
        "body",
        "layer1",
        "layer1.0",
        "layer1.0.conv1",
        "layer1.0.bn1",
        "layer1.0.relu",
        "layer1.1",
        "layer1.1.conv1",
        "layer1.1.bn1",
        "layer1.1.relu",
        "fc",
    ]
    conv = graph.layer("layer1.0.conv1")
    assert conv.describe() == {"kind": "part.v1", "of": "torch.nn.Conv2d", "tensors": ["weight 3×3×3×3"]}
    assert "class Residual" in graph.layer("body").action.code[f"{__name__}.Residual"]
    assert "class Stage" in graph.layer("body").action.code[f"{__name__}.Stage"]
    assert shapes.check(graph, None)["body"] == Port("float32", (2,))


def test_the_description_goes_through_json_and_asks_for_the_module() -> None:
    module = Residual()
    graph = wrap(module, torch.randn(2, 3, 6, 6))
    again = Graph.from_json(graph.to_json())
    assert again == graph
    assert again.layer("body").action == graph.layer("body").action
    with pytest.raises(InvalidLayer) as caught:
        shapes.check(again, None)
    assert str(caught.value).endswith(
        f"it needs an instance of {__name__}.Residual, and code is never kept in a repository; "
        f"give one: lw.load(ADDRESS, module=Residual(…))"
    )
    given = Graph(again.name, with_instance(again.layers, module))
    assert network_of(given).state_dict().keys() == module.state_dict().keys()
    with pytest.raises(InvalidLayer, match=r"it needs an instance of .*Residual, found torch\.nn\.Linear"):
        with_instance(again.layers, nn.Linear(1, 1))
    with pytest.raises(InvalidLayer, match="no layer of this model is a wrapped module"):
        with_instance(again.layers[:1], module)


def test_training_leaves_the_users_instance_as_it_is() -> None:
    module = Residual()
    before = copy.deepcopy(module.state_dict())
    norm = module.get_submodule("layer1.0.bn1").eval()
    network = network_of(wrap(module, torch.randn(2, 3, 6, 6)))
    assert module.training
    assert not norm.training
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in before.items())
    assert network.plain.state_dict().keys() == module.state_dict().keys()


def test_what_runs_again_is_told_again_under_a_number() -> None:
    network = network_of(wrap(Twice(), torch.randn(2, 4)))
    seen: list[str] = []
    network(torch.full((2, 4), 0.0), observe=lambda path, value: seen.append(path))
    assert seen[:2] == ["step", "step:2"]
    assert seen[-1] == "body"


def test_parts_are_seen_only_where_they_hold_the_batch() -> None:
    network = network_of(wrap(Recurrent(), torch.randint(0, 20, (3, 7)), output=0), tokens=Port("int64", (7,)))
    seen: dict[str, tuple[int, ...]] = {}
    network(torch.randint(0, 20, (3, 7)), observe=lambda path, value: seen.update({path: tuple(value.shape)}))
    assert seen == {"embed": (3, 7, 6), "memory": (3, 7, 5), "head": (3, 3), "body": (3, 3)}


def test_what_the_observer_returns_takes_a_parts_place() -> None:
    network = network_of(wrap(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.randn(2, 4)))
    found = network(torch.randn(2, 4), observe=lambda path, value: torch.full((2, 3), 7.0) if path == "0" else None)
    assert found.tolist() == [[7.0] * 3] * 2


def test_frozen_parts_stay() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    graph = wrap(module, torch.randn(2, 4))
    body = graph.layers[-1]
    inside = [Layer(part.name, part.action, frozen=part.name != "2") for part in body.layers]
    frozen = Graph("model", [graph.layers[0], Layer("body", body.action, layers=inside)])
    network = network_of(frozen).train()
    assert [name for name, parameter in network.named_parameters() if parameter.requires_grad] == ["2.weight", "2.bias"]
    assert not network.get_submodule("1").training
    whole = Graph("model", [graph.layers[0], Layer("body", body.action, layers=body.layers, frozen=True)])
    assert not any(parameter.requires_grad for parameter in network_of(whole).parameters())


def test_a_copy_and_a_change_of_precision_reach_the_module() -> None:
    network = network_of(wrap(nn.GRU(4, 3, batch_first=True), torch.randn(2, 5, 4), output=0))
    other = copy.deepcopy(network)
    assert other.plain is not network.plain
    assert dict(other.plain.named_parameters()).keys() == dict(other.named_parameters()).keys()
    assert all(a is b for a, b in zip(other.parameters(), other.plain.parameters(), strict=True))
    assert torch.equal(other(torch.ones(2, 5, 4)), network(torch.ones(2, 5, 4)))
    assert all(parameter.dtype == torch.float64 for parameter in network.double().plain.parameters())


def test_a_module_is_one_layer_among_others() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
    graph = Graph(
        "mixed",
        [
            Layer("x", Column("x", shape=(4,))),
            Layer("features", wrapped(module)),
            Layer("head", nn.Linear, out_features=2),
        ],
    )
    network = network_of(graph)
    assert list(network.state_dict()) == ["features.0.weight", "features.0.bias", "head.weight", "head.bias"]
    assert {path: list(tensors) for path, tensors in layer_states(network).items()} == {
        "features": ["0.weight", "0.bias"],
        "head": ["weight", "bias"],
    }
    x = torch.randn(2, 4)
    seen: list[str] = []
    found = network(x, observe=lambda path, value: seen.append(path))
    assert torch.equal(found, network.get_submodule("head")(module(x)))
    assert seen == ["features.0", "features.1", "features", "head"]


def test_columns_before_and_an_answer_after() -> None:
    before = [Layer("raw", Column("image", shape=(3, 6, 6))), Layer("scaled", "scale", by=255.0)]
    graph = wrap(
        Residual(), np.zeros((2, 3, 6, 6), np.float32), before=before, answer=Layer("label", "classes", target="y")
    )
    assert list(graph.wiring.items()) == [
        ("raw", ()),
        ("scaled", ("raw",)),
        ("body", ("scaled",)),
        ("label", ("body",)),
    ]
    assert graph.answer is not None
    towers = wrap(Towers(), (torch.randn(2, 3), torch.randn(2, 4)))
    assert towers.wiring["body"] == ("user", "item")


def test_what_arrives_is_turned_into_the_examples_dtype() -> None:
    network = network_of(wrap(nn.Linear(4, 2), torch.randn(2, 4)), input=Port("uint8", (4,)))
    assert network(torch.ones(2, 4, dtype=torch.uint8)).dtype == torch.float32


def test_parts_with_names_that_no_layer_can_have_are_their_parents() -> None:
    odd = nn.ModuleDict({"a-b": nn.Linear(2, 2), "c": nn.Linear(2, 2)})
    assert [layer.name for layer in parts(odd)] == ["c"]


class Broken(nn.Module):
    """Says no."""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no vectors today")


class Uncopied(nn.Module):
    """Holds a tensor that cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.derived = self.weight * 2

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: wrap(Recurrent(), torch.randint(0, 20, (3, 7))), "answers with a tuple; say which part with output=0"),
        (lambda: wrap(Encoder(), torch.randn(3, 5, 8)), "answers with a dict; say which part with output='scores'"),
        (lambda: wrap(Encoder(), torch.randn(3, 5, 8), output="logits"), "which has no 'logits'"),
        (lambda: wrap(Broken(), torch.randn(3, 4)), "it gets float32[batch, 4], and"),
        (lambda: wrap(Broken(), torch.randn(3, 4)), "Broken raised RuntimeError: no vectors today"),
        (lambda: wrap(nn.Linear(5, 2), torch.randn(3, 4)), "torch.nn.Linear raised RuntimeError"),
        (lambda: wrap(nn.Linear(5, 2), torch.tensor(1.0)), "first dimension must stay the batch"),
        (
            lambda: wrap(Residual(), torch.randn(2, 3, 6, 6), before=[Layer("fc", Column("x"))]),
            "layer 'fc': the module has a part of that name",
        ),
        (lambda: network_of(wrap(Uncopied(), torch.randn(3, 4))), "cannot be copied"),
        (lambda: Wrapped("torch.nn.Linear", ("text",)), "the option 'dtypes' names 'text'"),
        (lambda: parts(nn.Sequential(nn.ReLU()))[0].action.build(()), "a part belongs to a wrapped module"),  # type: ignore[attr-defined]
    ],
)
def test_a_mistake_says_the_cure(make: Any, expected: str) -> None:
    with pytest.raises(Invalid) as caught:
        make()
    assert expected in str(caught.value)


def test_a_wrapped_model_stands_alone() -> None:
    graph = wrap(nn.Linear(4, 2), torch.randn(2, 4))
    with pytest.raises(InvalidGraph, match=r"make it one layer among them: lw.wrapped\(module\)"):
        network_of(Graph("model", [*graph.layers, Layer("more", nn.Linear, out_features=2)]))


def test_a_padded_input_loses_its_lengths_unless_they_are_asked_for() -> None:
    class Sums(nn.Module):
        def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
            return x.sum(1) if lengths is None else x.sum(1) / lengths[:, None]

    kind = wrapped(Sums())
    padded = Padded(torch.ones(2, 3, 4), torch.tensor([1, 3]))
    found = kind.call(kind.build(()), padded)
    assert isinstance(found, Tensor)
    assert found[:, 0].tolist() == [3.0, 1.0]


def test_unknown_inputs_give_unknown_outputs() -> None:
    assert wrapped(nn.Linear(4, 2)).infer((Port("unknown"),)) == Port("unknown")
    with pytest.raises(InvalidShape):
        wrapped(nn.Linear(4, 2)).infer((Port("float32", (None,)),))
    assert wrapped(nn.Conv2d(1, 2, 3)).infer((Port("float32", (1, None, None)),)).shape == (2, None, None)
