"""Shapes are checked through the whole graph before any row is read, and a message names the layer."""

from __future__ import annotations

import pytest

from layerwise.errors import InvalidData, InvalidShape
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port
from layerwise.graph.shapes import check

COLUMNS = {"image": Port("uint8"), "note": Port("string"), "digit": Port("int64")}


def pixels(*shape: int) -> Layer:
    """Return a layer that reads the images."""
    return Layer("pixels", "column", column="image", shape=list(shape))


def test_the_port_of_every_layer_is_known_before_a_row_is_read() -> None:
    inner = [Layer("first", "dense", units=4), Layer("sum", "join", inputs=["first", "input"])]
    layers = [pixels(4), Layer("stage", "block", layers=inner), Layer("digit", "classes", target="digit")]
    found = check(Graph("m", layers), COLUMNS)
    assert {path: str(port) for path, port in found.items()} == {
        "pixels": "uint8[batch, 4]",
        "stage.first": "float32[batch, 4]",
        "stage.sum": "float32[batch, 4]",
        "stage": "float32[batch, 4]",
        "digit": "string",
    }


def test_layers_in_a_block_run_in_the_order_of_their_wires() -> None:
    inner = [Layer("sum", "join", inputs=["first"]), Layer("first", "dense", inputs="input", units=3)]
    with_last = [*inner, Layer("last", "join", inputs="sum")]
    found = check(Graph("m", [pixels(3), Layer("stage", "block", layers=with_last, inputs="pixels")]), None)
    assert list(found)[1:4] == ["stage.first", "stage.sum", "stage.last"]


def test_without_a_dataset_layers_are_taken_at_their_word() -> None:
    assert check(Graph("m", [pixels(4), Layer("d", "dense", units=2)]), None)["d"] == Port("float32", (2,))


def test_what_a_layer_gets_and_what_it_wants_is_said_with_its_name() -> None:
    with pytest.raises(InvalidShape) as caught:
        check(Graph("m", [pixels(1, 8, 8), Layer("scores", "dense", units=10)]), COLUMNS)
    assert str(caught.value) == (
        "layer 'scores' (dense.v1): it gets uint8[batch, 1, 8, 8] and takes one dimension; flatten it first"
    )
    assert caught.value.layer == "scores"


def test_a_layer_in_a_block_is_named_by_its_path() -> None:
    graph = Graph("m", [pixels(1, 8), Layer("stage", "block", layers=[Layer("d", "dense", units=1)])])
    with pytest.raises(InvalidShape, match=r"^layer 'stage\.d' \(dense\.v1\): it gets"):
        check(graph, COLUMNS)


def test_a_column_that_is_not_there_is_answered_with_the_nearest() -> None:
    graph = Graph("m", [Layer("a", "column", column="imgae")])
    with pytest.raises(InvalidData, match=r"layer 'a' \(column\.v1\): the dataset has no column 'imgae'. Did you mean"):
        check(graph, COLUMNS)


def test_the_answers_target_must_be_a_column_too() -> None:
    graph = Graph("m", [pixels(4), Layer("d", "dense", units=2), Layer("answer", "classes", target="digits")])
    with pytest.raises(InvalidData, match=r"layer 'answer' \(classes\.v1\).*no column 'digits'\. Did you mean 'digit'"):
        check(graph, COLUMNS)
    assert check(graph, None)["answer"].dtype == "string"


def test_text_must_be_encoded_before_a_neural_layer() -> None:
    graph = Graph("m", [Layer("note", "column", column="note"), Layer("d", "dense", units=2)])
    with pytest.raises(InvalidShape, match=r"layer 'd' .*the input 'note' is string.*encode it first"):
        check(graph, COLUMNS)


def test_names_of_columns_never_act_on_the_terminal() -> None:
    graph = Graph("m", [Layer("a", "column", column="\x1b[31m" * 100)])
    with pytest.raises(InvalidData) as caught:
        check(graph, {"\x1b]0;x\x07": Port("string")})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("port", "text"),
    [
        (Port("float32"), "float32[batch]"),
        (Port("float32", (None, 3)), "float32[batch, ?, 3]"),
        (Port("int64", (7,), padded=True, size=100), "int64[batch, 7] padded of 100 values"),
        (Port("string"), "string"),
        (Port("list<string>", size=3), "list<string> of 3 values"),
    ],
)
def test_a_port_is_said_in_one_short_text(port: Port, text: str) -> None:
    assert str(port) == text
