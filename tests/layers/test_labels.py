"""Labels answers several labels at once, from lists or from columns of truth values, and both ways are the same."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import torch
from sklearn import metrics as oracle
from torch.nn import functional

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.labels import Labels
from layerwise.layers.metrics import find_metric

FINDINGS = pa.array([["mass"], [], ["scar", "mass"], ["scar"]])
COLUMNS = (pa.array([True, False, True, False]), pa.array([False, False, True, True]))
TRUTH = [[1, 0], [0, 0], [1, 1], [0, 1]]


@pytest.mark.parametrize(
    "kind", [FINDINGS.type, pa.large_list(pa.string()), pa.list_(pa.dictionary(pa.int32(), pa.string()))]
)
def test_lists_and_columns_are_the_same_truth(kind: pa.DataType) -> None:
    lists, columns = Labels("findings"), Labels(("mass", "scar"))
    array = pa.array(FINDINGS.to_pylist(), type=kind)
    learned = lists.fit([(array[:2],), (array[2:],)]), columns.fit([COLUMNS])
    for state in learned:
        assert state["counts"].tolist() == [2, 2]
        assert state["rows"].tolist() == [4]
    assert torch.equal(learned[0]["labels"], learned[1]["labels"])
    assert lists.encode(array, state=learned[0]).tolist() == TRUTH
    assert columns.encode(*COLUMNS, state=learned[1]).tolist() == TRUTH


def test_a_slice_of_a_column_is_its_own_rows() -> None:
    kind = Labels("findings")
    state = kind.fit([(FINDINGS,)])
    assert kind.encode(FINDINGS[2:3], state=state).tolist() == [[1, 1]]
    assert kind.encode(FINDINGS[1:2], state=state).tolist() == [[0, 0]]


def test_whole_numbers_are_labels_and_a_list_may_be_empty_throughout() -> None:
    kind = Labels("tags", labels=(7, 3))
    state = kind.fit([(pa.array([[], []], pa.list_(pa.int64())),)])
    assert kind.encode(pa.array([[3], []]), state=state).tolist() == [[0, 1], [0, 0]]
    assert kind.decode(torch.ones(1, 2), state)["tags"].to_pylist() == [[7, 3]]


def test_the_loss_is_torchs() -> None:
    kind = Labels("findings")
    state = kind.fit([(FINDINGS,)])
    truth, outputs = kind.encode(FINDINGS, state=state), torch.randn(4, 2)
    wanted = functional.binary_cross_entropy_with_logits(outputs, truth)
    assert torch.equal(kind.loss(outputs, truth, state), wanted)
    assert kind.loss(outputs.bfloat16(), truth, state).dtype == torch.float32


def test_metrics_agree_with_scikit_learn_and_are_in_the_table() -> None:
    kind = Labels("findings", threshold=0.4)
    state = kind.fit([(FINDINGS,)])
    outputs, truth = torch.tensor([[2.0, -1.0], [-0.2, -3.0], [1.0, 0.5], [-2.0, 0.1]]), torch.tensor(TRUTH).float()
    found = kind.metrics(outputs, truth, state)
    answers = (outputs.sigmoid() > 0.4).numpy()
    assert found["subset_accuracy"] == oracle.accuracy_score(TRUTH, answers)
    assert found["micro_f1"] == pytest.approx(oracle.f1_score(TRUTH, answers, average="micro"))
    assert found["macro_f1"] == pytest.approx(oracle.f1_score(TRUTH, answers, average="macro"))
    assert found["auc"] == pytest.approx(oracle.roc_auc_score(TRUTH, outputs, average="macro"))
    assert found["log_loss"] == pytest.approx(float(functional.binary_cross_entropy_with_logits(outputs, truth)))
    for name in found:
        metric = find_metric(name)
        assert metric is not None
        assert (metric.better == "higher") == (name in kind.higher_is_better)


def test_metrics_that_are_not_defined_are_left_out() -> None:
    kind = Labels("findings")
    state = kind.fit([(FINDINGS,)])
    assert set(kind.metrics(-torch.ones(2, 2), torch.zeros(2, 2), state)) == {"subset_accuracy", "log_loss"}
    assert kind.metrics(torch.ones(0, 2), torch.zeros(0, 2), state) == {}


def test_answers_are_lists_or_columns_as_the_truth_is() -> None:
    outputs = torch.tensor([[2.0, -2.0], [-1.0, -1.0], [1.0, 1.0]])
    lists, columns = Labels("findings"), Labels(("mass", "scar"))
    table = lists.decode(outputs, lists.fit([(FINDINGS,)]))
    assert table.column_names == ["findings", "probabilities", "p(mass)", "p(scar)"]
    assert table["findings"].to_pylist() == [["mass"], [], ["mass", "scar"]]
    assert table["probabilities"].to_pylist()[0] == [table["p(mass)"].to_pylist()[0]]
    table = columns.decode(outputs, columns.fit([COLUMNS]))
    assert table.column_names == ["mass", "scar", "p(mass)", "p(scar)"]
    assert table["scar"].to_pylist() == [False, False, True]


def test_outputs_that_are_not_one_a_label_are_refused() -> None:
    kind = Labels("findings")
    state = kind.fit([(FINDINGS,)])
    assert kind.infer((Port("float32", (2,)),), state) == Port("float32", (2,))
    with pytest.raises(
        InvalidShape, match="input has 5 values, the column 'findings' has 2 labels; set out_features to 2"
    ):
        kind.infer((Port("float32", (5,)),), state)


BAD: tuple[tuple[Labels, tuple[pa.Array, ...], str], ...] = (
    (Labels("x"), (pa.array(["a|b"]),), "the column 'x' is string; several labels a row are a column of lists"),
    (Labels("x"), (pa.array([["a"], None]),), "1 of 2 lists of the column 'x' are missing; write an empty list"),
    (Labels("x"), (pa.array([["a", None]]),), "1 of 2 values of the column 'x' are missing"),
    (Labels("x"), (pa.array([[0.5]]),), "the column 'x' is double; labels are"),
    (Labels("x"), (pa.array([[], []]),), "the column 'x' has no label in 2 training rows"),
    (Labels("x", labels=("a",)), (pa.array([["b"]]),), "the label 'b' of the column 'x' (1 rows) was never seen"),
    (Labels(("x", "y")), (pa.array([True]), pa.array([1])), "the column 'y' is int64; expected truth values"),
    (
        Labels(("x", "y")),
        (pa.array([True]), pa.array([None], pa.bool_())),
        "1 of 1 values of the column 'y' are missing",
    ),
)


@pytest.mark.parametrize(("kind", "arrays", "words"), BAD)
def test_a_target_that_cannot_be_used_is_refused(kind: Labels, arrays: tuple[pa.Array, ...], words: str) -> None:
    with pytest.raises(InvalidData) as caught:
        kind.fit([arrays])
    assert words in str(caught.value)


def test_a_label_that_was_never_seen_is_named_with_its_nearest() -> None:
    kind = Labels("findings")
    with pytest.raises(InvalidData, match=r"'mas' of the column 'findings' .* Did you mean 'mass'"):
        kind.encode(pa.array([["mas"]]), state=kind.fit([(FINDINGS,)]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": []}, "name each column once"),
        ({"target": ["a", "a"]}, "name each column once"),
        ({"target": "probabilities"}, "rename it"),
        ({"threshold": 0}, "'threshold' is 0.0"),
        ({"threshold": 1.5}, "'threshold' is 1.5"),
        ({"target": ["a", "b"], "labels": ["a"]}, "for one column of lists"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        make("labels", {"target": "x", **options})
    assert words in str(caught.value)


def test_scores_that_are_not_finite_are_refused() -> None:
    kind = Labels("findings")
    with pytest.raises(InvalidData, match="1 of 2 scores are NaN or infinite"):
        kind.decode(torch.tensor([[0.0, float("nan")]]), kind.fit([(FINDINGS,)]))
