"""Categories have the same indices whatever order the rows came in, and a value never seen is named."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from layerwise.errors import Invalid, InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import Value
from layerwise.layers.categories import Category, OneHot
from layerwise.layers.records import Columns


def run(kind: Category | OneHot, train: Value, rows: Value) -> list[Any]:
    """Return what the kind makes of ``rows`` after learning from ``train``."""
    found: list[Any] = torch.as_tensor(kind.run(rows, state=kind.fit([(train,)]))).tolist()
    return found


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), min_size=1, max_size=20), st.randoms())
def test_indices_are_scikit_learns_in_any_order(values: list[str], random: Any) -> None:
    shuffled = random.sample(values, len(values))
    column = [[value] for value in values]
    ordinal = OrdinalEncoder().fit_transform(column)[:, 0].tolist()
    assert run(Category(), pa.array(shuffled), pa.array(values)) == ordinal
    hot = OneHotEncoder(sparse_output=False).fit_transform(column).tolist()
    assert run(OneHot(), pa.array(shuffled), pa.array(values)) == hot


CASES: list[tuple[dict[str, Any], Value, Value, list[int]]] = [
    ({}, pa.array([30, 4, 30]), pa.array([4, 30]), [0, 1]),
    ({}, torch.tensor([30, 4]), torch.tensor([30]), [1]),
    ({}, pa.array([True, False]), pa.array([False, True]), [0, 1]),
    ({}, pa.array([1.0, None, 2.0]), pa.array([2.0, 1.0]), [1, 0]),
    ({"unknown": "other"}, pa.array(["b", "a"]), pa.array(["a", "z", "b"]), [1, 0, 2]),
    ({"missing": "own"}, pa.array(["b", None]), pa.array(["b", None]), [1, 0]),
    ({"missing": "own", "unknown": "other"}, pa.array(["b"]), pa.array(["b", None, "c"]), [2, 1, 0]),
    ({"values": ["no", "yes"]}, pa.array([], pa.string()), pa.array(["yes", "no"]), [1, 0]),
    ({"values": [True, False]}, pa.array([], pa.bool_()), pa.array([True, False]), [0, 1]),
    ({"values": [7, -1], "unknown": "other"}, pa.array([], pa.int64()), pa.array([-1, 7, 0]), [2, 1, 0]),
]


@pytest.mark.parametrize(("options", "train", "rows", "wanted"), CASES)
def test_options_place_values(options: dict[str, Any], train: Value, rows: Value, wanted: list[int]) -> None:
    kind = make("category", options)
    assert isinstance(kind, Category)
    assert run(kind, train, rows) == wanted
    port = kind.infer((Port("unknown"),), kind.fit([(train,)]))
    assert port.size is not None
    assert port.size > max(wanted)
    hot = make("one_hot", options)
    assert isinstance(hot, OneHot)
    assert [row.index(1.0) for row in run(hot, train, rows)] == wanted


def test_sizes_are_known_once_learned_or_given() -> None:
    text = (Port("string"),)
    assert Category().infer(text) == Port("int64")
    assert Category(values=("a", "b")).infer(text) == Port("int64", size=2)
    assert OneHot().infer(text) == Port("float32", (None,))
    assert OneHot().infer(text, OneHot().fit([(pa.array(["a", "b", "c"]),)])) == Port("float32", (3,))
    assert not Category(values=("a",)).learns


BAD: list[tuple[dict[str, Any], Value, Value, type[Invalid], str]] = [
    ({}, pa.array(["cat", "dog"]), pa.array(["dog", "cta", "cta"]), InvalidData,
     "2 values of 3 were never seen in training, the first is 'cta' in row 1. Did you mean 'cat'.*unknown: other"),
    ({}, pa.array([1, 2]), pa.array([9]), InvalidData, "the first is 9 in row 0. There is: 1, 2"),
    ({}, pa.array(["a"]), pa.array(["a", None]), InvalidData, "1 values of 2 are missing; .*missing: own"),
    ({}, pa.array(["a"]), pa.array([1]), InvalidData, "never seen in training, the first is 1"),
    ({}, pa.array([0.5]), pa.array([0.5]), InvalidData, "1 values have a fraction, the first is 0.5; .*`bucket`"),
    ({}, pa.array([b"a"]), pa.array([b"a"]), InvalidShape, "or truth values, found binary"),
    ({}, torch.ones(2, 2), torch.ones(2, 2), InvalidShape, "expected one value a row"),
    ({"values": ["a"]}, pa.array(["a"]), pa.array(["b"]), InvalidData, "the first is 'b'"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "train", "rows", "error", "message"), BAD)
def test_bad_values_are_named(
    options: dict[str, Any], train: Value, rows: Value, error: type[Invalid], message: str
) -> None:
    kind = make("category", options)
    assert isinstance(kind, Category)
    with pytest.raises(error, match=message):
        run(kind, train, rows)


def test_ports_that_are_no_categories_are_refused() -> None:
    for port in (Port("binary"), Port("float32", (3,)), Port("list<string>")):
        with pytest.raises(InvalidShape, match="it takes one text or whole number a row"):
            Category().infer((port,))


def test_texts_and_numbers_together_are_refused() -> None:
    with pytest.raises(InvalidData, match="some values are text and others are numbers"):
        Category().fit([(pa.array(["a"]),), (pa.array([1]),)])


def test_too_many_categories_do_not_become_vectors() -> None:
    kind, rows = OneHot(), torch.arange(10_001)
    with pytest.raises(InvalidData, match=r"10,001 categories.*use category and an embedding"):
        kind.run(rows[:1], state=kind.fit([(rows,)]))


def test_running_before_learning_says_so() -> None:
    with pytest.raises(InvalidData, match="has not learned its values yet"):
        Category().run(pa.array(["a"]), state={})


@pytest.mark.parametrize("options", [{"values": []}, {"values": ["a", "a"]}, {"values": ["a", 1]}, {"values": [0.5]},
                                     {"unknown": "drop"}, {"missing": "other"}])  # fmt: skip
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    for kind in ("category", "one_hot"):
        with pytest.raises(InvalidLayer, match=r"values|unknown|missing"):
            make(kind, options)


def test_a_record_is_one_vector_with_a_one_for_each_of_its_columns() -> None:
    """The same as ``one_hot`` of each column, joined, whatever batches the training rows came in."""
    colours, sizes = ["red", "blue", None, "red", "green"], ["s", "m", "l", "l", "s"]
    columns = Columns(("colour", "size"))
    record = columns.run(pa.array(colours), pa.array(sizes), state={})
    assert isinstance(record, pa.StructArray)
    kind = OneHot(unknown="other", missing="own")
    state = kind.fit([(record.slice(0, 2),), (record.slice(2),)])
    whole = torch.as_tensor(kind.run(record.slice(1, 3), state=state))
    each = [
        torch.as_tensor(kind.run(pa.array(values[1:4]), state=kind.fit([(pa.array(values),)])))
        for values in (colours, sizes)
    ]
    assert torch.equal(whole, torch.cat(each, dim=1))
    assert kind.infer((Port("record"),), state) == Port("float32", (5 + 5,))
    assert kind.infer((Port("record"),)) == Port("float32", (None,))


def test_a_record_names_the_column_of_a_value_that_is_wrong() -> None:
    kind, columns = OneHot(), Columns(("colour", "size"))

    def record(colour: str, size: str | None) -> Value:
        return columns.run(pa.array([colour]), pa.array([size], pa.string()), state={})

    state = kind.fit([(record("red", "s"),)])
    for wrong, message in (
        (record("red", "x"), "the column 'size': 1 values of 1 were never seen in training, the first is 'x'"),
        (record("red", None), "the column 'size': 1 values of 1 are missing; .*missing: own"),
    ):
        with pytest.raises(InvalidData, match=message):
            kind.run(wrong, state=state)
    with pytest.raises(InvalidData, match="the column 'colour': it has not learned its values yet"):
        kind.run(record("red", "s"), state={})
    for learn in (lambda: kind_of("a").fit([(record("red", "s"),)]), lambda: kind_of("a").infer((Port("record"),))):
        with pytest.raises(InvalidShape, match="take `values` away"):
            learn()
    with pytest.raises(InvalidShape, match="its input is record, and it takes one text or whole number a row"):
        Category().infer((Port("record"),))


def kind_of(*values: str) -> OneHot:
    """Return a kind with values of its own."""
    return OneHot(values=values)
