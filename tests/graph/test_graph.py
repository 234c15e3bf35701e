"""A graph: how layers are wired, what is refused and how that is said, and what its digest hangs on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.canonical import decode, encode
from layerwise.errors import Invalid, InvalidGraph, InvalidLayer, InvalidName, LayerwiseError
from layerwise.graph.graph import Graph
from layerwise.graph.kinds import register
from layerwise.graph.layer import Layer, at_layer, qualified_name


def source(name: str = "pixels") -> Layer:
    """Return a layer that reads a column."""
    return Layer(name, "column", column="image")


def join(name: str, *inputs: str, **said: Any) -> Layer:
    """Return a layer that takes any number of inputs."""
    return Layer(name, "join", inputs=inputs or None, **said)


def test_a_layer_takes_the_previous_one_unless_it_says_otherwise() -> None:
    graph = Graph("m", [source("a"), join("b"), join("c", "a", "b"), join("d")])
    assert graph.wiring == {"a": (), "b": ("a",), "c": ("a", "b"), "d": ("c",)}


def test_one_input_may_be_said_without_a_list() -> None:
    assert Layer("b", "join", inputs="a").inputs == ("a",)


def test_layers_run_in_an_order_that_follows_the_wires_and_else_what_is_written() -> None:
    graph = Graph("m", [join("c", "b"), source("x"), join("b", "a"), source("a"), join("d", "c", "x")])
    assert list(graph.wiring) == ["x", "a", "b", "c", "d"]
    assert list(graph.by_name) == list(graph.wiring)


@given(st.permutations([("a", ()), ("b", ("a",)), ("c", ("a", "b")), ("d", ("c", "b")), ("e", ("d", "a"))]))
def test_every_order_of_writing_runs_inputs_first(layers: list[tuple[str, tuple[str, ...]]]) -> None:
    graph = Graph("m", [join(name, *inputs) if inputs else source(name) for name, inputs in layers])
    order = list(graph.wiring)
    assert all(order.index(taken) < order.index(name) for name, inputs in layers for taken in inputs)


def test_the_way_round_a_cycle_is_told() -> None:
    with pytest.raises(InvalidGraph) as caught:
        Graph("m", [source("a"), join("b", "a", "d"), join("c", "b"), join("d", "c")])
    way = str(caught.value).split(": ")[1].split(". ")[0].split(" → ")
    assert way[0] == way[-1]
    assert set(way) == {"b", "c", "d"}
    wires = {"b": ("a", "d"), "c": ("b",), "d": ("c",)}
    assert all(one in wires[other] for one, other in itertools.pairwise(way)), "each is an input of the next"
    assert caught.value.layer in way
    assert "Take one of these inputs away" in str(caught.value)


def test_a_layer_that_takes_itself_is_a_cycle_and_one_in_a_block_names_the_block() -> None:
    with pytest.raises(InvalidGraph, match="a cycle in the model: b → b"):
        Graph("m", [source("a"), join("b", "b")])
    with pytest.raises(InvalidGraph, match="a cycle in the block 'block'") as caught:
        Graph("m", [source("a"), Layer("block", "block", layers=[join("x", "y"), join("y", "x")])])
    assert caught.value.layer in ("block.x", "block.y")


BAD: list[tuple[Callable[[], list[Layer]], str]] = [
    (list, "the model 'm' has no layers; give it at least a column and an answer"),
    (lambda: [source("a"), join("b", "aa")], "layer 'b' (join.v1): the input 'aa' is no layer here. Did you mean 'a'?"),
    (lambda: [source("a"), source("a")], "layer 'a' (column.v1): the name is given twice"),
    (lambda: [join("a")], "layer 'a' (join.v1): it has 0 inputs and takes at least 1; put a layer before it"),
    (
        lambda: [source("a"), Layer("b", "scale", inputs=["a", "a"])],
        "it has 2 inputs and takes 1; put a `join` before it",
    ),
    (lambda: [source("a"), Layer("b", "column", column="x", inputs=["a"])], "it reads the dataset and takes no inputs"),
    (lambda: [source("a"), join("b", "input")], "the input 'input' is no layer here"),
    (
        lambda: [source("a"), Layer("b", "block", layers=[join("input")])],
        "layer 'b.input' (join.v1): 'input' is what layers in a block call the block's input; choose another name",
    ),
    (
        lambda: [source("a"), Layer("b", "block", layers=[join("x"), join("x")])],
        "layer 'b.x' (join.v1): the name is given twice",
    ),
    (
        lambda: [source("a"), Layer("b", "block", layers=[join("x", "a")])],
        "layer 'b.x' (join.v1): the input 'a' is no layer here. There is: input.",
    ),
    (
        lambda: [source("a"), join("b"), Layer("c", "scale")],
        "layer 'c' (scale.v1): a data layer cannot take the neural layer 'b'; put it before",
    ),
    (
        lambda: [source("a"), Layer("b", "classes", target="t"), join("c", "b")],
        "layer 'c' (join.v1): it takes the answer layer 'b'; nothing comes after an answer",
    ),
    (
        lambda: [source("a"), Layer("b", "classes", target="t"), Layer("c", "classes", target="u", inputs="a")],
        "layer 'c' (classes.v1): the model has 2 answer layers (b, c); keep one",
    ),
]


@pytest.mark.parametrize(("layers", "said"), BAD, ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_what_makes_no_graph_is_told_with_the_layer_and_the_cure(layers: Callable[[], list[Layer]], said: str) -> None:
    with pytest.raises(InvalidGraph) as caught:
        Graph("m", layers())
    assert said in str(caught.value)


def test_a_layer_called_input_is_fine_outside_a_block() -> None:
    assert Graph("m", [source("input"), join("b", "input")]).wiring["b"] == ("input",)


BAD_LAYERS: list[tuple[dict[str, Any], type[Invalid], str]] = [
    ({"name": "a.b", "kind": "join"}, InvalidName, "layer 'a.b': 'a.b' is not a layer's name"),
    ({"name": "a" * 10_000, "kind": "join"}, InvalidName, "(10,000 characters)"),
    ({"name": "a\x1b[0m", "kind": "join"}, InvalidName, "\\x1b"),
    ({"name": "\u202ea", "kind": "join"}, InvalidName, "\\u202e"),
    ({"name": 7, "kind": "join"}, InvalidName, "must be text, found int"),
    ({"name": "a", "kind": 7}, InvalidLayer, "a kind is a class, a kind with options or a name; found 7"),
    ({"name": "a", "kind": "join", "inputs": []}, InvalidGraph, "inputs must be a list of layer names, found []"),
    ({"name": "a", "kind": "join", "inputs": 3}, InvalidGraph, "inputs must be a list of layer names, found 3"),
    ({"name": "a", "kind": "join", "inputs": [3]}, InvalidName, "must be text, found int"),
    ({"name": "a", "kind": "join", "inputs": ["../b"]}, InvalidName, "'../b' is not a layer's name"),
    ({"name": "a", "kind": "join", "owner": ""}, InvalidLayer, "the owner must be a short text, found ''"),
    ({"name": "a", "kind": "join", "owner": "x" * 201}, InvalidLayer, "the owner must be a short text"),
    ({"name": "a", "kind": "join", "owner": "a\nb"}, InvalidLayer, "the owner must be a short text"),
    ({"name": "a", "kind": "join", "sensitivity": 3}, InvalidLayer, "the sensitivity must be a short text"),
    ({"name": "a", "kind": "join", "frozen": "yes"}, InvalidLayer, "the option 'frozen' is 'yes'"),
    ({"name": "a", "kind": "join", "units": 3}, InvalidLayer, "there is no option 'units'. It takes none."),
]


@pytest.mark.parametrize(
    ("said", "error", "text"), BAD_LAYERS, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_a_layer_that_cannot_be_made_is_named(said: dict[str, Any], error: type[Invalid], text: str) -> None:
    with pytest.raises(error) as caught:
        Layer(said.pop("name"), said.pop("kind"), **said)
    assert str(caught.value).startswith("layer ")
    assert text in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def digits() -> Graph:
    """Return a model with a block, several inputs, an owner and a frozen layer."""
    inner = [Layer("conv1", "dense", units=8), join("sum", "input", "conv1")]
    return Graph(
        "digits",
        [
            source(),
            Layer("scaled", "scale", by=16),
            Layer("edges", "dense", units=8, owner="maria", sensitivity="personal", frozen=True),
            Layer("stage", "block", layers=inner),
            join("both", "scaled", "stage"),
            Layer("digit", "classes", target="digit"),
        ],
        data="digits-data",
        train={"epochs": 10, "lr": 1e-3},
    )


def test_a_description_is_taken_back_without_loss() -> None:
    graph = digits()
    for again in (Graph.from_description(graph.describe()), Graph.from_json(graph.to_json())):
        assert again == graph
        assert again.digest == graph.digest
        assert again.describe() == graph.describe()
        assert hash(again) == hash(graph)


def test_the_order_of_layers_outlives_json_with_sorted_keys() -> None:
    graph = digits()
    again = Graph.from_json(decode(encode(graph.to_json()), "x"))
    assert [path for path, _ in again.walk()] == [path for path, _ in graph.walk()]
    assert again == graph


def test_the_digest_stays_what_it_is() -> None:
    # Records are found again by it: a change here computes everything anew.
    assert digits().digest == "5ca7f21ffd828ade39dd763d8abd7e4a39455c5852e02c8b3366d965e141b9a4"


CHANGES: list[tuple[tuple[str, ...], Any]] = [
    (("pixels", "column"), "picture"),
    (("scaled", "by"), 16.5),
    (("edges", "kind"), "dense.v2"),
    (("edges", "activation"), "relu"),
    (("edges", "inputs"), ["pixels"]),
    (("edges", "owner"), "karl"),
    (("edges", "sensitivity"), "public"),
    (("edges", "frozen"), False),
    (("stage", "layers", "conv1", "units"), 9),
    (("stage", "layers", "sum", "inputs"), ["conv1", "input"]),
    (("both", "inputs"), ["stage", "scaled"]),
    (("digit", "target"), "letter"),
]


@pytest.mark.parametrize(
    ("path", "value"), CHANGES, ids=lambda value: ".".join(value) if isinstance(value, tuple) else ""
)
def test_whatever_is_said_of_a_layer_changes_the_digest(path: tuple[str, ...], value: Any) -> None:
    from_before = digits()
    changed = from_before.describe()
    if value == "dense.v2":
        register("dense", 2)(type("BetterDense", (type(from_before.layer("edges").action),), {}))
    inner: Any = changed["layers"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert Graph.from_description(changed).digest != from_before.digest


def test_a_new_name_and_a_new_order_change_the_digest() -> None:
    graph = digits()
    renamed = graph.describe()
    renamed["layers"] = {("pixel" if name == "pixels" else name): said for name, said in renamed["layers"].items()}
    assert Graph.from_description(renamed).digest != graph.digest
    turned = Graph("m", [source("a"), source("b"), join("c", "a", "b")])
    assert turned.digest != Graph("m", [source("b"), source("a"), join("c", "a", "b")]).digest


def test_the_models_name_its_data_and_training_are_not_part_of_the_digest() -> None:
    graph = digits()
    other = Graph("other", graph.layers, data="other-data@2", train={"epochs": 1})
    assert other.digest == graph.digest
    assert other != graph


BAD_DESCRIPTIONS: list[tuple[Any, str]] = [
    (None, "a model is a mapping with the keys model, data, layers, train; found NoneType"),
    ([], "found list"),
    ({}, "a model needs the key 'model'; found nothing: write model: NAME"),
    ({"model": "m"}, "a model needs the key 'layers'; found nothing: write layers: {NAME: {kind: …}, …}"),
    ({"model": 3, "layers": {}}, "a model needs the key 'model'; found 3"),
    ({"model": "m", "layers": []}, "a model needs the key 'layers'; found []"),
    ({"model": "m", "layers": {}}, "has no layers"),
    ({"model": "m", "layer": {}}, "no key 'layer'. Did you mean 'layers'?"),
    ({"model": "../m", "layers": {"a": {"kind": "column", "column": "x"}}}, "'../m' is not a model's name"),
    ({"model": "m", "layers": {"a": None}}, "layer 'a': expected a mapping with a kind, found nothing; write {kind:"),
    ({"model": "m", "layers": {"a": {}}}, "layer 'a': the kind is missing"),
    ({"model": "m", "layers": {"a": {"kind": 3}}}, "layer 'a': the kind is 3: write kind: NAME"),
    ({"model": "m", "layers": {"a": {"kind": "nothing"}}}, "layer 'a': there is no kind 'nothing'"),
    ({"model": "m", "layers": {"a": {"kind": "block", "layers": [1]}}}, "layer 'a': layers must be a mapping"),
    ({"model": "m", "layers": {3: {"kind": "join"}}}, "must be text, found int"),
    (
        {"model": "m", "layers": {"a": {"kind": "block", "layers": {"b": {"kind": "block", "layers": {"c": {}}}}}}},
        "layer 'a.b.c': the kind is missing",
    ),
    (
        {"model": "m", "layers": {"a": {"kind": "block", "layers": {"b": {"kind": "dense", "units": "x"}}}}},
        "layer 'a.b': the option 'units' is 'x'",
    ),
    (
        {"model": "m", "layers": {"a": {"kind": "block", "layers": {"b-": {"kind": "join"}}}}},
        "layer 'a.b-': 'b-' is not a layer's name",
    ),
    ({"model": "m", "data": 3, "layers": {"a": {"kind": "column", "column": "x"}}}, "data must be a dataset's name"),
    ({"model": "m", "train": [1], "layers": {"a": {"kind": "column", "column": "x"}}}, "train must be a mapping"),
]


@pytest.mark.parametrize(
    ("description", "said"), BAD_DESCRIPTIONS, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_a_description_that_is_none_is_told_with_the_full_path(description: Any, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        Graph.from_description(description)
    assert said in str(caught.value)


def refusal(make: Callable[[Any], Graph], said: Any) -> str:
    """Return how ``said`` is refused, or nothing where it is taken."""
    try:
        make(said)
    except LayerwiseError as error:
        return str(error)
    return ""


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "layers", "inputs", "owner", "frozen", "units", "name"]) | st.text(),
            inner,
            max_size=4,
        )
        | st.fixed_dictionaries({"kind": st.sampled_from(["join", "dense", "column", "block", "anything"])})
    ),
    max_leaves=10,
)


@given(JSON, st.dictionaries(st.sampled_from(["a", "b", "input"]) | st.text(), JSON, max_size=3), st.lists(JSON))
def test_no_description_gets_anything_but_a_layerwise_error(value: Any, layers: dict[str, Any], listed: Any) -> None:
    for make, said in (
        (Graph.from_description, value),
        (Graph.from_description, {"model": "m", "layers": layers}),
        (Graph.from_description, {"model": "m", "layers": {"a": {"kind": "anything", "layers": layers}}}),
        (Graph.from_json, value),
        (Graph.from_json, {"model": "m", "layers": listed}),
    ):
        assert refusal(make, said).isprintable()


def test_a_layer_is_found_by_its_path_and_one_that_is_not_there_by_the_nearest() -> None:
    assert digits().layer("stage.conv1").name == "conv1"
    with pytest.raises(InvalidGraph, match=r"no layer 'stage\.conv'\. Did you mean 'stage\.conv1'\?"):
        digits().layer("stage.conv")


def test_the_answer_is_the_answer_layer_or_nothing() -> None:
    answer = digits().answer
    assert answer is not None
    assert answer.name == "digit"
    assert Graph("m", [source()]).answer is None


def test_a_layer_is_named_once_however_many_callers_name_it() -> None:
    with (
        pytest.raises(InvalidLayer, match=r"^layer 'a\.b' \(join\.v1\): it is wrong$") as caught,
        at_layer("a"),
        at_layer("a.b", "join.v1"),
    ):
        raise InvalidLayer("it is wrong")
    assert caught.value.layer == "a.b"


def test_a_bug_of_ours_is_not_dressed_as_a_users_mistake() -> None:
    with pytest.raises(ZeroDivisionError), at_layer("a"):
        1 / 0  # noqa: B018


def test_the_torch_modules_public_name_is_what_people_write() -> None:
    linear = type("Linear", (), {"__module__": "torch.nn.modules.linear"})
    assert qualified_name(linear) == "torch.nn.Linear"
    assert Layer("a", linear, out_features=3, kernel=(1, 2)).describe() == {
        "kind": "torch.nn.Linear",
        "out_features": 3,
        "kernel": [1, 2],
    }
