"""Metrics are what scikit-learn and the papers say, to the last digits, and never a warning."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle
from torch import Tensor

from layerwise.layers import metrics


def random_scores(rows: int, classes: int, *, seed: int, ties: bool = False) -> tuple[Tensor, Tensor]:
    """Return scores [rows, classes] and the truth [rows], where every class occurs."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    truth = torch.cat([torch.arange(classes), torch.randint(classes, (rows - classes,), generator=generator)])
    return (scores * 2).round() / 2 if ties else scores, truth


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_classes_agree_with_scikit_learn(classes: int, ties: bool) -> None:
    scores, truth = random_scores(300, classes, seed=classes, ties=ties)
    chances, answers = scores.softmax(1), scores.argmax(1)
    counts = metrics.tally(answers, truth, classes=classes)
    assert metrics.accuracy(counts) == pytest.approx(oracle.accuracy_score(truth, answers), rel=1e-12)
    wanted = oracle.precision_recall_fscore_support(truth, answers, average=None)
    for found, right in zip(
        (metrics.precision(counts), metrics.recall(counts), metrics.f1(counts)), wanted, strict=False
    ):
        np.testing.assert_allclose(found, right, rtol=1e-12)
    recalls = metrics.mean_defined(metrics.recall(counts))
    assert recalls == pytest.approx(oracle.balanced_accuracy_score(truth, answers), rel=1e-12)
    loss = metrics.log_loss(scores.log_softmax(1), truth)
    assert loss == pytest.approx(oracle.log_loss(truth, chances), rel=1e-9)


def test_macro_f1_leaves_out_classes_that_are_nowhere() -> None:
    answers, truth = torch.tensor([0, 2, 2, 0]), torch.tensor([0, 2, 0, 4])
    found = metrics.mean_defined(metrics.f1(metrics.tally(answers, truth, classes=6)))
    assert found == pytest.approx(oracle.f1_score(truth, answers, average="macro"), rel=1e-12)


@given(st.integers(2, 60), st.integers(0, 1000), st.integers(1, 8))
def test_auc_agrees_with_scikit_learn_however_many_scores_are_equal(rows: int, seed: int, levels: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(levels, (rows, 1), generator=generator).double() / levels
    truth = torch.rand(rows, generator=generator) < 0.5
    truth[0], truth[1] = True, False
    found = float(metrics.auc(scores, truth[:, None]))
    assert found == pytest.approx(oracle.roc_auc_score(truth, scores[:, 0]), abs=1e-12)


def test_auc_of_many_classes_is_the_mean_of_each_against_the_rest() -> None:
    scores, truth = random_scores(400, 5, seed=1, ties=True)
    chances = scores.softmax(1)
    found = metrics.mean_defined(metrics.auc(chances, truth[:, None] == torch.arange(5)))
    assert found == pytest.approx(oracle.roc_auc_score(truth, chances, multi_class="ovr"), rel=1e-12)


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_auc_is_not_defined_where_one_class_is_present(truth: list[bool]) -> None:
    found = metrics.auc(torch.tensor([[0.1], [0.9]], dtype=torch.float64), torch.tensor(truth)[:, None])
    assert math.isnan(metrics.mean_defined(found))


def test_several_labels_agree_with_scikit_learn() -> None:
    scores = random_scores(200, 6, seed=3)[0]
    truth = random_scores(200, 6, seed=4)[0] > 0.4
    answers = scores > 0
    counts = metrics.tally_labels(answers, truth)
    assert metrics.micro_f1(counts) == pytest.approx(oracle.f1_score(truth, answers, average="micro"), rel=1e-12)
    macro = metrics.mean_defined(metrics.f1(counts))
    assert macro == pytest.approx(oracle.f1_score(truth, answers, average="macro"), rel=1e-12)
    auc = metrics.mean_defined(metrics.auc(scores, truth))
    assert auc == pytest.approx(oracle.roc_auc_score(truth, scores, average="macro"), rel=1e-12)
    chances = scores.sigmoid()
    wanted = np.mean([oracle.log_loss(truth[:, place], chances[:, place]) for place in range(6)])
    assert metrics.log_loss_labels(scores, truth) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("values", [1, 3])
def test_values_agree_with_scikit_learn(values: int) -> None:
    answers, truth = random_scores(100, values, seed=5)[0], random_scores(100, values, seed=6)[0]
    assert metrics.mae(answers, truth) == pytest.approx(oracle.mean_absolute_error(truth, answers), rel=1e-12)
    assert metrics.rmse(answers, truth) == pytest.approx(oracle.root_mean_squared_error(truth, answers), rel=1e-12)
    assert metrics.r2(answers, truth) == pytest.approx(oracle.r2_score(truth, answers), rel=1e-12)


def test_r2_is_not_defined_where_the_truth_does_not_vary() -> None:
    truth = torch.full((7, 1), 0.1, dtype=torch.float64)
    assert math.isnan(metrics.r2(truth + 1, truth))


def naive_calibration_error(chances: Tensor, truth: Tensor) -> float:
    """The formula of Guo et al. (2017), bin by bin."""
    confidence, answers = chances.max(1)
    total = 0.0
    for low, high in zip(np.linspace(0, 1, 16)[:-1], np.linspace(0, 1, 16)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            right = (answers[inside] == truth[inside]).double().mean()
            total += float((right - confidence[inside].mean()).abs() * inside.sum() / len(truth))
    return total


@pytest.mark.parametrize("classes", [2, 7])
def test_the_calibration_error_is_the_papers(classes: int) -> None:
    scores, truth = random_scores(500, classes, seed=9)
    chances = (scores * 2).softmax(1)
    assert metrics.calibration_error(chances, truth) == pytest.approx(
        naive_calibration_error(chances, truth), rel=1e-12
    )


def test_a_sure_and_right_answer_has_no_calibration_error() -> None:
    chances = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert metrics.calibration_error(chances, torch.tensor([0, 1])) == 0


def test_ranks_agree_with_sorting() -> None:
    scores, truth = random_scores(200, 30, seed=2)
    order = scores.argsort(dim=1, descending=True)
    wanted = (order == truth[:, None]).nonzero()[:, 1] + 1
    assert metrics.ranks(scores, truth).tolist() == wanted.tolist()
    relevant = torch.nn.functional.one_hot(truth, 30)
    for k in (1, 5, 30):
        found = metrics.ndcg(metrics.ranks(scores, truth), k)
        assert found == pytest.approx(oracle.ndcg_score(relevant, scores, k=k), rel=1e-9)
        hits = oracle.top_k_accuracy_score(truth, scores, k=k, labels=range(30)) if k < 30 else 1.0
        assert metrics.hit_rate(metrics.ranks(scores, truth), k) == pytest.approx(hits)
    assert metrics.mrr(wanted.double()) == pytest.approx(oracle.label_ranking_average_precision_score(relevant, scores))


def test_equal_scores_gain_nothing_and_an_unknown_item_is_a_miss() -> None:
    ranks = metrics.ranks(torch.zeros(2, 9), torch.tensor([0, -1]))
    assert ranks.tolist() == [5.0, math.inf]
    assert metrics.hit_rate(ranks, 4) == 0
    assert metrics.hit_rate(ranks, 5) == metrics.ndcg(ranks, 9) * math.log2(6) == 0.5
    assert metrics.mrr(ranks) == 0.1


def test_ranks_are_the_same_block_by_block() -> None:
    scores, truth = torch.randn(50, 200_000, generator=torch.Generator().manual_seed(0)), torch.arange(50)
    wanted = (scores > scores.gather(1, truth[:, None])).sum(1) + 1
    assert metrics.ranks(scores, truth).tolist() == wanted.tolist()


def test_the_table_says_what_each_metric_means() -> None:
    for name, metric in metrics.METRICS.items():
        assert metric.name == name
        assert metric.meaning.endswith(".")
    found = metrics.find_metric("hit_rate@25")
    assert found is metrics.METRICS["hit_rate@k"]
    assert metrics.find_metric("hit_rate@") is None
    assert metrics.better_higher("loss", "auc", "ndcg@3", "mine") == {"auc", "ndcg@3"}
