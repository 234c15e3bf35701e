"""What left a layer becomes a picture of its sort, with the names that belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from layerwise.engine.answers import Answers
from layerwise.engine.looking.names import column_names, decoded, inputs_of
from layerwise.engine.looking.shown import one_row, show_answer, show_rows, show_trace, show_value
from layerwise.engine.rows import run_data
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.layers.base import AnswerKind, DataKind, Padded, State, Value
from layerwise.pictures import Shown, draw_svg, draw_text


@dataclass(frozen=True)
class Left:
    """What left one layer."""

    layer: str
    kind: str
    value: Value
    source: str = "computed"


TABLE = pa.table({
    "age": [30.0, 50.0, 40.0],
    "income": [1.0, None, 3.0],
    "city": ["Ulm", "Bonn", "Ulm"],
    "pet": ["cat", "dog", "cat"],
    "said": ["to be or not", "not to be", "or"],
    "scan": pa.FixedSizeListArray.from_arrays(pa.array(range(48), pa.uint8()), 16),
})  # fmt: skip

GRAPH = Graph(
    "all",
    [
        Layer("numbers", "columns", columns=("age", "income")),
        Layer("filled", "fill", value=0.0),
        Layer("even", "standardize"),
        Layer("texts", "columns", columns=("city", "pet")),
        Layer("texts_are", "one_hot", unknown="other"),
        Layer("person", "join", inputs=("even", "texts_are")),
        Layer("said", "column", column="said"),
        Layer("words", "tokens"),
        Layer("known", "vocabulary"),
        Layer("row", "pad", length=6),
        Layer("pixels", "column", column="scan", shape=(1, 4, 4)),
        Layer("deep", "block", inputs=("pixels",), layers=[
            Layer("edges", "torch.nn.Conv2d", out_channels=2, kernel_size=3),
            Layer("flat", "torch.nn.Flatten"),
            Layer("dropped", "torch.nn.Dropout"),
        ]),
        Layer("meaning", "torch.nn.Embedding", inputs=("row",), embedding_dim=3),
        Layer("scores", "torch.nn.Linear", inputs=("deep",), out_features=2),
        Layer("pet", "classes", target="pet"),
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def states() -> dict[str, State]:
    """Return what every data layer learns from the table."""
    found: dict[str, State] = {}
    for name, layer in GRAPH.by_name.items():
        if isinstance(layer.action, DataKind):
            values = run_data(GRAPH, TABLE, found, list(GRAPH.wiring[name]))
            taken = tuple(values[source] for source in GRAPH.wiring[name])
            found[name] = layer.action.fit([taken]) if layer.action.learns else {}
    answer = GRAPH.by_name["pet"].action
    assert isinstance(answer, AnswerKind)
    return found | {"pet": answer.fit([(TABLE["pet"].combine_chunks(),)])}


@pytest.fixture(scope="module")
def pictures(states: dict[str, State]) -> dict[str, Shown]:
    """Return the pictures of the table's first row, by layer."""
    names = [name for name, layer in GRAPH.by_name.items() if layer.action.role == "data"]
    data = run_data(GRAPH, TABLE.slice(0, 1), states, names)
    edges = torch.arange(8.0).reshape(1, 2, 2, 2)
    neural = {
        "deep": edges.flatten(1),
        "deep.edges": edges,
        "deep.flat": edges.flatten(1),
        "deep.dropped": edges.flatten(1),
        "meaning": Padded(torch.ones(1, 6, 3), torch.tensor([4])),
        "scores": torch.tensor([[1.0, 2.0]]),
    }
    layers = dict(GRAPH.walk())
    passages = [Left(name, layers[name].kind, value) for name, value in {**data, **neural}.items()]
    table = pa.table({"pet": ["dog"], "probability": [0.75], "p(cat)": [0.25], "p(dog)": [0.75]})
    found = show_trace(GRAPH, states, passages, Answers("all@1", table), truth="cat")
    assert [shown.layer for shown in found] == [*data, *neural, "pet"]
    return {shown.layer: shown for shown in found}


def test_a_table_row_is_changed_cells_beside_the_raw_ones(pictures: dict[str, Shown]) -> None:
    assert pictures["numbers"].sort == "cells"
    assert pictures["numbers"].raw is None
    even = pictures["even"]
    assert (even.sort, list(even.names), list(even.raw or ())) == ("cells", ["age", "income"], [30.0, 1.0])
    assert draw_text(even)[0].startswith("age     30 → -1.2")
    assert draw_text(pictures["texts"]) == ["city  Ulm", "pet   cat"]


def test_a_one_hot_code_is_read_by_the_names_of_its_places(pictures: dict[str, Shown]) -> None:
    code = pictures["texts_are"]
    assert (code.sort, list(code.names)[:3]) == ("vector", ["city = other", "city = Bonn", "city = Ulm"])
    assert np.asarray(code.names)[np.asarray(code.value) == 1].tolist() == ["city = Ulm", "pet = cat"]
    assert list(pictures["person"].names)[:3] == ["age", "income", "city = other"]


def test_a_text_is_its_tokens_all_the_way(pictures: dict[str, Shown]) -> None:
    words = ["to", "be", "or", "not"]
    assert pictures["said"].sort == "text"
    for layer in ("words", "known", "meaning"):
        assert (pictures[layer].sort, list(pictures[layer].names)) == ("tokens", words)
    assert pictures["words"].raw is None
    assert list(pictures["known"].raw or ()) == ["5", "2", "4", "3"]
    assert pictures["row"].same_as == "known"
    assert np.shape(pictures["meaning"].value) == (4, 3)


def test_pixels_are_an_image_and_what_is_computed_of_them_is_maps(pictures: dict[str, Shown]) -> None:
    assert (pictures["pixels"].sort, pictures["pixels"].shape) == ("image", "1×4×4")
    assert (pictures["deep.edges"].sort, pictures["deep.edges"].shape) == ("maps", "2×2×2")


def test_what_passes_a_value_on_is_not_drawn_twice(pictures: dict[str, Shown]) -> None:
    assert pictures["deep.flat"].same_as == "deep.edges, in another shape"
    assert pictures["deep.dropped"].same_as == "deep.edges, in another shape"
    assert pictures["deep"].same_as == "deep.dropped, inside it"
    assert pictures["deep.edges"].same_as == ""


def test_the_scores_are_called_as_the_classes_are(pictures: dict[str, Shown]) -> None:
    assert list(pictures["scores"].names) == ["cat", "dog"]
    answer = pictures["pet"]
    assert (answer.sort, list(answer.names), answer.truth) == ("answer", ["cat", "dog"], "cat")


def test_every_picture_says_where_its_value_came_from(pictures: dict[str, Shown]) -> None:
    assert {shown.source for layer, shown in pictures.items() if layer != "pet"} == {"computed"}
    assert all(draw_svg(shown) for shown in pictures.values())


@pytest.mark.parametrize(
    ("value", "sort", "shape"),
    [
        (torch.zeros(2, 5), "vector", "5"),
        (torch.zeros(2), "scalar", "1"),
        (torch.zeros(2, 64, 1, 1), "vector", "64×1×1"),
        (torch.zeros(2, 4, 3, 8, 8), "maps", "4×3×8×8"),
        (torch.zeros(2, 6, 5), "matrix", "6×5"),
        (torch.zeros(2, 3, dtype=torch.bfloat16), "vector", "3"),
        (torch.zeros(2, 3, dtype=torch.bool), "vector", "3"),
        (Padded(torch.zeros(2, 9, 4), torch.tensor([9, 5])), "series", "5×4"),
        (Padded(torch.zeros(2, 9, 4), torch.tensor([9, 0])), "series", "0×4"),
        (pa.array(["a", None]), "scalar", ""),
        (pa.array([[1, 2], []]), "tokens", "0"),
        (pa.array([b"a", b"bc"]), "text", ""),
    ],
)
def test_any_value_of_a_layer_is_drawn(value: Value, sort: str, shape: str, states: dict[str, State]) -> None:
    shown = show_value(GRAPH, states, "scores:2", value, row=1, label="b")
    assert (shown.layer, shown.kind, shown.sort, shown.shape, shown.row) == (
        "scores:2", "torch.nn.Linear", sort, shape, "b",
    )  # fmt: skip
    assert draw_svg(shown)
    assert draw_text(shown)


def test_many_rows_are_named_and_cut(states: dict[str, State]) -> None:
    value = torch.arange(20.0).reshape(10, 2)
    found = show_rows(GRAPH, states, "scores", value, ids=[f"key {row}" for row in range(10)], source="kept", most=3)
    assert [(shown.row, shown.source) for shown in found] == [("key 0", "kept"), ("key 1", "kept"), ("key 2", "kept")]
    assert [shown.row for shown in show_rows(GRAPH, states, "scores", value)] == [str(row) for row in range(10)]


def test_numbers_of_a_vocabulary_are_read_without_the_text_before(states: dict[str, State]) -> None:
    numbers = run_data(GRAPH, TABLE, states, ["row"])["row"]
    (first, *_) = show_rows(GRAPH, states, "row", numbers)
    assert list(first.names) == ["to", "be", "or", "not"]
    assert decoded(GRAPH, states, "row", [0, 1, 999, -5]) == ["", "?", "?", "?"]
    assert decoded(GRAPH, states, "even", [1]) == []


def test_what_a_layer_takes_is_found_through_the_walls_of_a_block() -> None:
    assert inputs_of(GRAPH, "deep.edges") == ("pixels",)
    assert inputs_of(GRAPH, "deep.flat:2") == ("deep.edges",)
    assert inputs_of(GRAPH, "person") == ("even", "texts_are")
    assert inputs_of(GRAPH, "nowhere") == inputs_of(GRAPH, "no.where") == ()


def test_places_without_a_name_have_none(states: dict[str, State]) -> None:
    assert column_names(GRAPH, states, "scores") == ()
    assert column_names(GRAPH, {}, "texts_are") == ()


ANSWERS: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"pet": ["cat"], "probability": [0.5], "p(cat)": [0.5], "p(a)b)": [0.5]}, "answer", ["cat", "a)b"]),
    ({"pet": ["cat"], "probability": [0.5]}, "answer", ["cat"]),
    ({"item": [["pen", "ink"]], "scores": [[2.0, 1.0]]}, "ranking", ["pen", "ink"]),
    ({"finding": [[]], "probabilities": [[]]}, "ranking", []),
    ({"price": [1.5]}, "scalar", []),
    ({"place": [[1.5, 2.5]]}, "vector", []),
    ({"a": [1], "b": ["x"]}, "cells", ["a", "b"]),
]


@pytest.mark.parametrize(("cells", "sort", "names"), ANSWERS)
def test_any_answer_is_drawn(cells: dict[str, Any], sort: str, names: list[str]) -> None:
    shown = show_answer(GRAPH, Answers("all@1", pa.table(cells)))
    assert (shown.layer, shown.sort, list(shown.names)) == ("pet", sort, names)
    assert draw_svg(shown)
    assert draw_text(shown)


def test_a_value_has_its_unit() -> None:
    field = pa.field("price", pa.float64(), metadata={"unit": "EUR"})
    shown = show_answer(GRAPH, Answers("m@1", pa.table([pa.array([12.5])], schema=pa.schema([field]))), truth="13")
    assert draw_text(shown) == ["12.5 EUR (truth 13)"]


def test_one_row_is_a_copy_of_no_padding() -> None:
    assert one_row(Padded(torch.tensor([[1, 2, 0]]), torch.tensor([2])), 0).tolist() == [1, 2]
    assert one_row(pa.chunked_array([["a"], ["b"]]), 1) == "b"


def test_the_answers_of_every_kind_are_covered() -> None:
    kinds = {cls.__name__ for cls in AnswerKind.__subclasses__() if cls.__module__.startswith("layerwise.")}
    assert kinds == {"Classes", "Value", "Ranking", "Labels"}
