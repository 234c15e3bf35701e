"""A network run from a cut gives the bits of a whole run, and runs no more than it has to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from layerwise.graph import shapes
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.layers.base import Value
from layerwise.layers.cut import every_layer, route
from layerwise.layers.network import Network, build
from layerwise.layers.parts import chain
from layerwise.layers.wrap import layers_of
from tests.support.any_modules import KINDS


def deep() -> Network:
    """Return a network with a branch, a residual block, a plain block and one inside another."""
    inner = [
        Layer("one", "torch.nn.Linear", out_features=8, activation="relu"),
        Layer("two", "torch.nn.Linear", out_features=6),
    ]
    nested = [
        Layer("deep", "block", layers=[Layer("a", "torch.nn.Linear", out_features=4)]),
        Layer("b", "torch.nn.ReLU"),
    ]
    graph = Graph("deep", [
        Layer("x", "column", column="x", shape=(6,)),
        Layer("y", "column", column="y", shape=(3,)),
        Layer("left", "residual", layers=inner, inputs=["x"], activation="tanh"),
        Layer("right", "block", layers=nested, inputs=["y"]),
        Layer("both", "concatenate", inputs=["left", "right"]),
        Layer("scores", "torch.nn.Linear", out_features=2),
    ])  # fmt: skip
    torch.manual_seed(1)
    return build(graph, shapes.check(graph, None)).eval()


def body(name: str) -> Network:
    """Return the network of a module that knows nothing of Layerwise."""
    kind = KINDS[name]
    example = torch.from_numpy(kind.values(2))
    graph = Graph("m", layers_of(kind.module(), example, output=kind.output))
    return build(graph, shapes.check(graph, None)).eval()


def inputs_of(network: Network, name: str | None = None) -> dict[str, Value]:
    torch.manual_seed(2)
    if name is not None:
        return {network.entries[0]: torch.from_numpy(KINDS[name].values(64))}
    return {"x": torch.randn(64, 6), "y": torch.randn(64, 3)}


def seen_of(network: Network, inputs: dict[str, Value]) -> tuple[dict[str, Value], Value]:
    seen: dict[str, Value] = {}

    def observe(path: str, value: Value) -> None:
        seen[path] = value.clone() if isinstance(value, Tensor) else value

    with torch.inference_mode():
        left = network(*(inputs[name] for name in network.entries), observe=observe)
    return seen, left


PATHS = ["left", "left.one", "left.two", "right", "right.deep", "right.deep.a", "right.b", "both"]


@pytest.mark.parametrize("cut", PATHS)
def test_from_any_layer_on_the_bits_are_those_of_a_whole_run(cut: str) -> None:
    network = deep()
    inputs = inputs_of(network)
    seen, whole = seen_of(network, inputs)
    way = route(network, given=frozenset({cut}), wanted=frozenset())
    ran: list[str] = []
    with torch.inference_mode():
        left = way.run({name: inputs[name] for name in way.entries}, {cut: seen[cut]}, lambda path, _: ran.append(path))
    assert isinstance(left, Tensor)
    assert isinstance(whole, Tensor)
    assert torch.equal(left, whole)
    assert cut not in ran
    assert way.uses == {cut}
    assert set(ran) <= way.runs


NEEDS = [
    ({"both"}, set(), {"scores"}, set()),
    ({"left", "right"}, set(), {"both", "scores"}, set()),
    ({"left.two"}, {"left"}, {"left"}, {"x"}),
    ({"right.deep.a"}, {"right"}, {"right", "right.deep", "right.b"}, set()),
    (set(), {"right.deep.a"}, {"right", "right.deep", "right.deep.a"}, {"y"}),
    ({"left"}, {"left.one"}, {"left", "left.one"}, {"x"}),
    (set(), {"left.two", "right"}, {"left", "left.one", "left.two", "right", "right.deep", "right.deep.a", "right.b"},
     {"x", "y"}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "wanted", "runs", "enters"), NEEDS)
def test_only_what_is_needed_runs(given: set[str], wanted: set[str], runs: set[str], enters: set[str]) -> None:
    network = deep()
    way = route(network, given=frozenset(given), wanted=frozenset(wanted))
    assert way.runs == runs
    assert way.entries == enters
    inputs = inputs_of(network)
    seen, _ = seen_of(network, inputs)
    found: dict[str, Value] = {}
    with torch.inference_mode():
        way.run({name: inputs[name] for name in enters}, {path: seen[path] for path in given}, found.__setitem__)
    for path in wanted - given:
        assert torch.equal(torch.as_tensor(found[path]), torch.as_tensor(seen[path]))


def test_what_is_given_takes_the_place_of_what_would_have_left_and_is_not_written_to() -> None:
    network = deep()
    inputs, zeros = inputs_of(network), torch.zeros(64, 6)
    way = route(network, given=frozenset({"left.two"}), wanted=frozenset({"left"}))
    found: dict[str, Value] = {}
    way.run({"x": inputs["x"]}, {"left.two": zeros}, found.__setitem__)
    assert torch.equal(torch.as_tensor(found["left"]), torch.as_tensor(inputs["x"]).tanh())
    assert not zeros.any()


def test_what_is_told_can_be_replaced() -> None:
    network = deep()
    way = route(network, given=frozenset(), wanted=frozenset())
    left = way.run(inputs_of(network), {}, lambda path, value: torch.zeros(64, 2) if path == "scores" else None)
    assert not torch.as_tensor(left).any()


@pytest.mark.parametrize("name", KINDS)
def test_a_part_of_any_module_can_be_given(name: str) -> None:
    network, kind = body(name), KINDS[name]
    inputs = inputs_of(network, name)
    seen, whole = seen_of(network, inputs)
    assert kind.layer in seen
    way = route(network, given=frozenset({kind.layer}), wanted=frozenset())
    with torch.inference_mode():
        left = way.run(inputs, {kind.layer: seen[kind.layer]}, lambda path, value: None)
        moved = way.run(inputs, {kind.layer: torch.as_tensor(seen[kind.layer]) + 1}, lambda path, value: None)
    assert torch.equal(torch.as_tensor(left), torch.as_tensor(whole))
    assert not torch.equal(torch.as_tensor(moved), torch.as_tensor(whole))


@pytest.mark.parametrize("name", ["twice", "resnet"])
def test_a_later_pass_is_given_by_its_number(name: str) -> None:
    network = body(name)
    inputs = inputs_of(network, name)
    path = f"{KINDS[name].passes[0][0]}:2"
    seen, _ = seen_of(network, inputs)
    way = route(network, given=frozenset({path}), wanted=frozenset(), shows=True)
    found: dict[str, Value] = {}
    with torch.inference_mode():
        way.run(inputs, {path: torch.zeros_like(torch.as_tensor(seen[path]))}, found.__setitem__)
    first = path.partition(":")[0]
    assert torch.equal(torch.as_tensor(found[first]), torch.as_tensor(seen[first]))
    assert path not in found


def test_a_module_stops_once_what_was_wanted_of_it_was_seen() -> None:
    network = body("resnet")
    inputs, ran = inputs_of(network, "resnet"), []
    way = route(network, given=frozenset(), wanted=frozenset({"layer1.0.conv1"}))
    with torch.inference_mode():
        assert way.run(inputs, {}, lambda path, _: ran.append(path)) is None
    assert ran[-1] == "layer1.0.conv1"
    assert "layer2" not in ran


class Counts(nn.Module):
    """Counts how often it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        return x * 2


def chained() -> tuple[Network, list[Counts]]:
    module = nn.Sequential(Counts(), nn.Sequential(Counts(), nn.ReLU(inplace=True), Counts()), Counts())
    graph = Graph("chain", layers_of(module, torch.ones(2, 3)))
    network = build(graph, shapes.check(graph, None)).eval()
    counts = [part for part in network.plain.modules() if isinstance(part, Counts)]
    for one in counts:
        one.runs = 0
    return network, counts


@pytest.mark.parametrize(
    ("cut", "runs"), [("0", [0, 1, 1, 1]), ("1.0", [0, 0, 1, 1]), ("1", [0, 0, 0, 1]), ("2", [0, 0, 0, 0])]
)
def test_a_sequential_goes_on_from_any_of_its_parts(cut: str, runs: list[int]) -> None:
    network, counts = chained()
    x = torch.randn(64, 3)
    seen, whole = seen_of(network, {network.entries[0]: x})
    for one in counts:
        one.runs = 0
    way = route(network, given=frozenset({cut}), wanted=frozenset(), shows=True)
    assert way.entries == set()
    told: dict[str, Value] = {}
    left = way.run({}, {cut: seen[cut]}, lambda path, value: told.__setitem__(path, torch.as_tensor(value).clone()))
    assert torch.equal(torch.as_tensor(left), torch.as_tensor(whole))
    assert [one.runs for one in counts] == runs
    for path in told:
        assert torch.equal(torch.as_tensor(told[path]), torch.as_tensor(seen[path])), path


def test_a_container_that_is_given_wins_over_a_part_of_it() -> None:
    network, _ = chained()
    way = route(network, given=frozenset({"1.0", "1"}), wanted=frozenset())
    left = way.run({}, {"1.0": torch.ones(64, 3), "1": torch.full((64, 3), 5.0)}, lambda path, value: None)
    assert torch.equal(torch.as_tensor(left), torch.full((64, 3), 10.0))


def test_what_is_wanted_before_a_cut_is_computed() -> None:
    network, counts = chained()
    way = route(network, given=frozenset({"1"}), wanted=frozenset({"0", "2"}))
    found: dict[str, Value] = {}
    way.run({network.entries[0]: torch.ones(64, 3)}, {"1": torch.ones(64, 3)}, found.__setitem__)
    assert {"0", "2"} <= set(found)
    assert counts[0].runs == 1


def test_chains_are_told_from_other_modules() -> None:
    shared = nn.ReLU()
    assert chain(nn.Sequential(shared, shared)) == []
    hooked = nn.Sequential(nn.ReLU())
    hooked.register_forward_hook(lambda *_: None)
    assert chain(hooked) == []
    assert chain(KINDS["resnet"].module()) == []


def test_every_layer_that_the_network_runs_is_named() -> None:
    assert set(every_layer(deep())) == {*PATHS, "scores"}
