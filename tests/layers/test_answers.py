"""Classes keep their labels' type and order, weigh as scikit-learn does, and say what is wrong with a target."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional

from layerwise.errors import Invalid, InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port
from layerwise.layers.answers import Classes
from layerwise.layers.base import State
from layerwise.layers.metrics import METRICS, find_metric
from layerwise.layers.targets import label_text

ANIMALS = pa.array(["dog", "cat", "dog", "emu", "dog", "cat"])


def fitted(kind: Classes, *arrays: pa.Array) -> State:
    """Return what ``kind`` learns from one column, batch by batch."""
    return kind.fit((array,) for array in arrays)


@pytest.mark.parametrize(
    ("array", "labels"),
    [
        (ANIMALS, ["cat", "dog", "emu"]),
        (ANIMALS.dictionary_encode(), ["cat", "dog", "emu"]),
        (ANIMALS.cast(pa.large_string()), ["cat", "dog", "emu"]),
        (pa.array([10, 9, 10], pa.int16()), [9, 10]),
        (pa.array([True, False]), [False, True]),
    ],
)
def test_labels_are_sorted_and_keep_their_type(array: pa.Array, labels: list[Any]) -> None:
    kind = Classes("animal")
    state = fitted(kind, array[:1], array[1:])
    truth = kind.encode(array, state=state)
    assert truth.dtype == torch.int64
    outputs = functional.one_hot(truth, len(labels)).float() * 9
    answered = kind.decode(outputs, state)
    assert answered["animal"].to_pylist() == array.to_pylist()
    assert answered.column_names == ["animal", "probability", *(f"p({label_text(label)})" for label in labels)]
    assert kind.metrics(outputs, truth, state)["accuracy"] == 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.just(0), min_size=2, max_size=30), st.integers(1, 5))
def test_what_is_learned_does_not_depend_on_batches(values: list[int], size: int) -> None:
    kind = Classes("n", labels=tuple(sorted({*values, 1, 2})))
    array = pa.array(values, pa.int64())
    one, many = (
        fitted(kind, array),
        fitted(kind, *(array[start : start + size] for start in range(0, len(values), size))),
    )
    assert {name: tensor.tolist() for name, tensor in one.items()} == {
        name: tensor.tolist() for name, tensor in many.items()
    }
    assert kind.decode(functional.one_hot(kind.encode(array, state=one), len(one["counts"])).float(), one)[
        "n"
    ] == pa.chunked_array([array])


def test_balanced_weights_are_scikit_learns() -> None:
    wanted = compute_class_weight("balanced", classes=np.array(["cat", "dog", "emu"]), y=np.array(ANIMALS))
    assert fitted(Classes("animal", weights="balanced"), ANIMALS)["weights"].tolist() == pytest.approx(wanted)


def test_a_label_without_training_rows_can_be_given() -> None:
    kind = Classes("animal", labels=("fox", "emu", "dog", "cat"), weights="balanced")
    state = fitted(kind, ANIMALS)
    assert state["counts"].tolist() == [0, 1, 3, 2]
    assert state["weights"][0] == 1
    assert kind.encode(pa.array(["fox"]), state=state).tolist() == [0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, {"cat": 2.0, "emu": 0.5}])
def test_the_loss_is_torchs(weights: dict[str, float] | None, smoothing: float) -> None:
    kind = Classes("animal", weights=weights, smoothing=smoothing)
    state = fitted(kind, ANIMALS)
    outputs, truth = torch.randn(6, 3), kind.encode(ANIMALS, state=state)
    tensor = None if weights is None else torch.tensor([2.0, 1.0, 0.5])
    wanted = functional.cross_entropy(outputs, truth, weight=tensor, label_smoothing=smoothing)
    assert torch.equal(kind.loss(outputs, truth, state), wanted)


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_one_score_is_enough_for_two_classes(shape: tuple[int, ...]) -> None:
    kind = Classes("ill")
    truth = torch.arange(40) % 2
    state = fitted(kind, pa.array(truth.numpy() == 1))
    outputs = torch.randn(shape, requires_grad=True)
    loss = kind.loss(outputs, truth, state)
    torch.testing.assert_close(loss, functional.binary_cross_entropy_with_logits(outputs.flatten(), truth.float()))
    loss.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    two = torch.stack([torch.zeros(40), outputs.detach().flatten()], 1)
    assert kind.metrics(outputs, truth, state) == kind.metrics(two, truth, state)
    assert kind.decode(outputs, state).equals(kind.decode(two, state))
    assert kind.decode(outputs, state)["ill"].to_pylist() == (outputs.flatten() > 0).tolist()


def test_half_precision_scores_are_lost_in_single() -> None:
    kind = Classes("animal")
    state = fitted(kind, ANIMALS)
    outputs, truth = torch.randn(6, 3).bfloat16(), kind.encode(ANIMALS, state=state)
    assert torch.equal(kind.loss(outputs, truth, state), functional.cross_entropy(outputs.float(), truth))


def test_the_positive_class_is_the_second_unless_named() -> None:
    outputs, column = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]]), pa.array(["ill", "well", "well", "well"])
    found = {}
    for positive in (None, "well", "ill"):
        kind = Classes("state", positive=positive)
        state = fitted(kind, column)
        found[positive] = kind.metrics(outputs, kind.encode(column, state=state), state)
    assert found[None] == found["well"]
    assert (found["well"]["precision"], found["well"]["recall"]) == pytest.approx((1, 2 / 3))
    assert (found["ill"]["precision"], found["ill"]["recall"]) == (0.5, 1)


def test_metrics_that_are_not_defined_are_left_out() -> None:
    kind = Classes("ill")
    state = fitted(kind, pa.array([True, False]))
    found = kind.metrics(torch.tensor([-3.0, -1.0]), torch.tensor([0, 0]), state)
    assert not {"auc", "precision", "recall", "f1"} & set(found)
    assert found["accuracy"] == 1
    assert kind.metrics(torch.zeros(0), torch.zeros(0, dtype=torch.int64), state) == {}


def test_every_metric_is_in_the_table_with_its_direction() -> None:
    kind = Classes("ill")
    truth = torch.tensor([0, 1, 0, 1])
    found = kind.metrics(torch.tensor([-1.0, 2, 1, 3]), truth, fitted(kind, pa.array([True, False])))
    assert len(found) == 9
    for name in found:
        metric = find_metric(name)
        assert metric is not None
        assert (metric.better == "higher") == (name in kind.higher_is_better)
    assert kind.higher_is_better <= set(METRICS)


def test_more_than_a_hundred_classes_get_no_column_each() -> None:
    kind = Classes("n")
    state = fitted(kind, pa.array(range(101)))
    assert kind.decode(torch.eye(101), state).column_names == ["n", "probability"]


def test_balance_makes_classes_equally_frequent() -> None:
    kind = Classes("animal")
    state = fitted(kind, ANIMALS)
    truth = kind.encode(ANIMALS, state=state)
    weights = kind.balance(truth, state)
    assert torch.zeros(3, dtype=torch.float64).index_add(0, truth, weights).tolist() == pytest.approx([1 / 3] * 3)
    some = kind.balance(truth[:2], state)
    assert some.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("shape", "column", "words"),
    [
        ((10,), pa.array(range(11)), "input has 10 values, the column 'digit' has 11 classes; set out_features to 11"),
        ((1,), pa.array(range(3)), "input has 1 value, "),
        ((), pa.array(range(3)), "input has 1 value, "),
        ((3,), pa.array(range(2)), "set out_features to 2 "),
        ((4, 4), pa.array(range(2)), "expected [batch, 2]: put torch.nn.Flatten"),
    ],
)
def test_outputs_that_are_not_one_a_class_are_refused(shape: tuple[int, ...], column: pa.Array, words: str) -> None:
    kind = Classes("digit")
    with pytest.raises(InvalidShape, match=words.replace("[", r"\[")):
        kind.infer((Port("float32", shape),), fitted(kind, column))


@pytest.mark.parametrize(("width", "count"), [(2, 2), (1, 2), (None, 2), (5, 5)])
def test_outputs_that_fit_pass(width: int | None, count: int) -> None:
    kind, port = Classes("digit"), Port("float32", (width,))
    assert kind.infer((port,), fitted(kind, pa.array(range(count)))) == port
    assert kind.infer((port,)) == port


def test_a_sequence_must_be_pooled_first() -> None:
    with pytest.raises(InvalidShape, match="pool it over the sequence"):
        Classes("digit").infer((Port("float32", (None, 4), padded=True),))


FIT: tuple[tuple[Classes, pa.Array, str], ...] = (
    (Classes("x"), pa.array(["a", None, "b", None]), "2 of 4 values of the column 'x' are missing"),
    (Classes("x"), pa.array([None, None]), "2 of 2 values"),
    (Classes("x"), pa.array([1.5, 2.5]), "the column 'x' is double; labels are text, whole numbers or truth values"),
    (Classes("x"), pa.array([["a"]]), "the column 'x' is list"),
    (Classes("x"), pa.array([2**64 - 1, 0], pa.uint64()), "above 2**63; make them text"),
    (Classes("x"), pa.array(["a", "a"]), "has one label, 'a', in the training rows"),
    (Classes("x"), pa.array([], pa.string()), "has no rows"),
    (Classes("x", labels=("a", "b")), pa.array(["a", "bb"]), "'bb' of the column 'x' (1 rows) was never seen"),
    (Classes("x", labels=(1, 2)), pa.array(["1", "2"]), "holds text and the labels are whole numbers"),
    (Classes("x", labels=(True, False)), pa.array(["yes"]), "in YAML, quote"),
    (Classes("x", weights={"c": 2.0}), pa.array(["a", "b"]), "'weights' names 'c', which is no label"),
    (Classes("x", positive="c"), pa.array(["a", "b"]), "'positive' names 'c', which is no label"),
    (Classes("x", positive="c"), pa.array(["a", "b", "c"]), "for two classes; 'x' has 3"),
)


@pytest.mark.parametrize(("kind", "array", "words"), FIT)
def test_a_target_that_cannot_be_used_is_refused(kind: Classes, array: pa.Array, words: str) -> None:
    with pytest.raises(InvalidData) as caught:
        fitted(kind, array)
    assert words in str(caught.value)


def test_a_label_that_was_never_seen_is_named_with_its_nearest() -> None:
    kind = Classes("animal")
    with pytest.raises(InvalidData) as caught:
        kind.encode(pa.array(["dgo", "dgo", "cat", "yak"]), state=fitted(kind, ANIMALS))
    message = str(caught.value)
    assert "'dgo' of the column 'animal' (2 rows) (and 1 other labels) was never seen" in message
    assert "Did you mean 'dog'?" in message
    assert "among `labels`" in message


def test_a_column_of_another_type_is_not_a_label_never_seen() -> None:
    kind = Classes("n")
    with pytest.raises(InvalidData, match="holds text and the labels are whole numbers"):
        kind.encode(pa.array(["1"]), state=fitted(kind, pa.array([1, 2])))


OPTIONS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"target": ""}, "'target' is empty"),
    ({"target": "probability"}, "rename it"),
    ({"target": "p(a)"}, "rename it"),
    ({"smoothing": 1.0}, "'smoothing' is 1.0"),
    ({"smoothing": -0.1}, "'smoothing' is -0.1"),
    ({"smoothing": "much"}, "'smoothing' is 'much'"),
    ({"weights": "even"}, "'weights' is 'even'"),
    ({"weights": {"a": -1}}, "the weight of 'a' is -1"),
    ({"weights": {"a": "2"}}, "the weight of 'a' is '2'"),
    ({"weights": {"a": float("inf")}}, "the weight of 'a' is inf"),
    ({"labels": ["a", 1]}, "mixes text and whole numbers"),
    ({"labels": [1, True]}, "mixes truth values and whole numbers"),
    ({"labels": ["a", "a"]}, "'a' twice"),
    ({"labels": []}, "is empty"),
    ({"label": "a"}, "Did you mean 'labels'?"),
)


@pytest.mark.parametrize(("options", "words"), OPTIONS)
def test_an_option_that_cannot_be_used_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        make("classes", {"target": "x", **options})
    assert words in str(caught.value)


def test_a_description_read_back_is_equal() -> None:
    kind = Classes("x", weights={1: 2, 0: 0.5}, labels=(0, 1), smoothing=0.1, positive=0)
    layer = Layer("digit", kind)
    described = json.loads(json.dumps(layer.describe()))
    assert Layer.from_description("digit", described).action == kind
    assert described["weights"] == {"1": 2.0, "0": 0.5}
    assert fitted(kind, pa.array([0, 1]))["weights"].tolist() == [0.5, 2]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "use", [lambda k, o, s: k.decode(o, s), lambda k, o, s: k.metrics(o, torch.zeros(3).long(), s)]
)
def test_scores_that_are_not_finite_are_refused(bad: float, use: Callable[[Classes, Tensor, State], object]) -> None:
    kind = Classes("animal")
    outputs = torch.zeros(3, 3)
    outputs[1, 2] = bad
    with pytest.raises(Invalid, match="1 of 9 scores are NaN or infinite: training diverged"):
        use(kind, outputs, fitted(kind, ANIMALS))
