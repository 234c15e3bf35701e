"""Ranking finds the next item, counts an unknown one as a miss, and breaks ties the same way everywhere."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import torch
from torch.nn import functional

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.metrics import find_metric
from layerwise.layers.ranking import Ranking

ITEMS = pa.array(["pen", "ink", "pad", "pen"])


def test_items_keep_their_type_and_an_unknown_one_is_minus_one() -> None:
    for array, unknown in ((ITEMS, "cup"), (pa.array([30, 20, 10, 30]), 99)):
        kind = Ranking("item", k=2)
        state = kind.fit([(array[:3],), (array[3:],)])
        assert state["counts"].tolist() == [1, 1, 2]
        assert kind.encode(pa.array([unknown, *array.to_pylist()]), state=state)[0] == -1
        best = kind.decode(torch.tensor([[0.0, 2.0, 1.0]]), state).to_pylist()[0]
        assert best == {"item": [sorted(array.to_pylist())[1], sorted(array.to_pylist())[2]], "scores": [2, 1]}


def test_the_loss_leaves_unknown_items_out() -> None:
    kind = Ranking("item")
    state = kind.fit([(ITEMS,)])
    outputs = torch.randn(4, 3, requires_grad=True)
    truth = torch.tensor([0, -1, 2, -1])
    wanted = functional.cross_entropy(outputs[[0, 2]], truth[[0, 2]])
    torch.testing.assert_close(kind.loss(outputs, truth, state), wanted)
    nothing = kind.loss(outputs, torch.full((4,), -1), state)
    nothing.backward()  # type: ignore[no-untyped-call]
    assert nothing == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_metrics_are_named_with_their_k_and_are_in_the_table() -> None:
    kind = Ranking("item", k=1)
    state = kind.fit([(ITEMS,)])
    found = kind.metrics(torch.tensor([[3.0, 2, 1], [3, 2, 1], [3, 2, 1]]), torch.tensor([0, 1, -1]), state)
    assert found == pytest.approx({"hit_rate@1": 1 / 3, "ndcg@1": 1 / 3, "mrr": 0.5})
    for name in found:
        metric = find_metric(name)
        assert metric is not None
        assert (metric.better == "higher") == (name in kind.higher_is_better)
    assert kind.metrics(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), state) == {}


def test_sampled_negatives_are_the_same_each_time_and_never_the_truth() -> None:
    array = pa.array(range(500))
    kind = Ranking("item", negatives=20)
    state = kind.fit([(array,)])
    generator = torch.Generator().manual_seed(1)
    outputs, truth = torch.randn(300, 500, generator=generator), torch.randint(500, (300,), generator=generator)
    found = kind.metrics(outputs, truth, state)
    assert found == kind.metrics(outputs, truth, state)
    # A true item among 20 others is one of the first 10 in 10 of 21 rows, by chance.
    assert found["hit_rate@10"] == pytest.approx(10 / 21, abs=0.1)
    sure = functional.one_hot(truth, 500).float()
    assert kind.metrics(sure, truth, state) == {"hit_rate@10": 1, "ndcg@10": 1, "mrr": 1}
    assert kind.metrics(sure, torch.full((300,), -1), state) == {"hit_rate@10": 0, "ndcg@10": 0, "mrr": 0}


def test_more_negatives_than_items_are_all_items() -> None:
    outputs, truth = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    state = Ranking("item").fit([(ITEMS,)])
    assert Ranking("item", negatives=2).metrics(outputs, truth, state) == Ranking("item").metrics(outputs, truth, state)


def test_equal_scores_come_in_the_items_order() -> None:
    kind = Ranking("item", k=10)
    state = kind.fit([(ITEMS,)])
    table = kind.decode(torch.tensor([[1.0, 1.0, 1.0], [0.0, 2.0, 2.0]]), state)
    assert table["item"].to_pylist() == [["ink", "pad", "pen"], ["pad", "pen", "ink"]]


def test_outputs_that_are_not_one_an_item_are_refused() -> None:
    kind = Ranking("item")
    state = kind.fit([(ITEMS,)])
    assert kind.infer((Port("float32", (3,)),), state) == Port("float32", (3,))
    with pytest.raises(InvalidShape, match="input has 9 values, the column 'item' has 3 items; set out_features to 3"):
        kind.infer((Port("float32", (9,)),), state)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (pa.array(["a", None]), "1 of 2 values of the column 'item' are missing"),
        (pa.array(["a"]), "has 1 items in the training rows"),
        (pa.array([], pa.string()), "has 0 items in the training rows"),
        (pa.array([0.5, 1.5]), "the column 'item' is double"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused(array: pa.Array, words: str) -> None:
    with pytest.raises(InvalidData) as caught:
        Ranking("item").fit([(array,)])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 0}, "'k' is 0"),
        ({"negatives": 0}, "'negatives' is 0"),
        ({"target": "scores"}, "rename it"),
        ({"k": 1.5}, "'k' is"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        make("ranking", {"target": "x", **options})
    assert words in str(caught.value)


def test_scores_that_are_not_finite_are_refused() -> None:
    kind = Ranking("item")
    with pytest.raises(InvalidData, match="1 of 3 scores are NaN or infinite"):
        kind.decode(torch.tensor([[0.0, float("inf"), 1.0]]), kind.fit([(ITEMS,)]))
