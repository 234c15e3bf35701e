"""Metrics: pure functions on tensors, in float64, each with its source, and the table that explains them.

A metric that is not defined on the given rows (AUC with one class present) is NaN, without a warning;
``defined`` leaves it out.

>>> truth = torch.tensor([0, 1, 1])
>>> round(accuracy(tally(torch.tensor([0, 1, 0]), truth, classes=2)), 3)
0.667
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

BINS = 15
"""Bins of confidence of the calibration error, as in Guo et al. (2017)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric says: its name, which way is better, and one sentence with the unit."""

    name: str
    better: Literal["higher", "lower"]
    meaning: str


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("loss", "lower", "What training makes smaller, a row on average."),
        Metric("accuracy", "higher", "Share of rows whose likeliest class is the true one (0 to 1)."),
        Metric("balanced_accuracy", "higher", "Recall of each class that occurs, averaged over classes (0 to 1)."),
        Metric("precision", "higher", "Share of the rows answered positive that are positive (0 to 1)."),
        Metric("recall", "higher", "Share of the positive rows that are answered positive (0 to 1)."),
        Metric("f1", "higher", "Harmonic mean of precision and recall of the positive class (0 to 1)."),
        Metric("macro_f1", "higher", "F1 of each class that occurs, averaged over classes (0 to 1)."),
        Metric("micro_f1", "higher", "F1 over all pairs of a row and a label together (0 to 1)."),
        Metric("subset_accuracy", "higher", "Share of rows whose labels are all right and complete (0 to 1)."),
        Metric(
            "auc",
            "higher",
            "Chance that a row of the class scores above a row of another; 0.5 is guessing (0 to 1); "
            "over several classes the mean of each against the rest.",
        ),
        Metric("log_loss", "lower", "Mean of -log of the probability given to the truth, in nats (0 to infinity)."),
        Metric(
            "calibration_error",
            "lower",
            "Mean gap between confidence and accuracy over 15 bins of confidence (0 to 1).",
        ),
        Metric("mae", "lower", "Mean absolute error, in the target's unit."),
        Metric("rmse", "lower", "Root of the mean squared error, in the target's unit."),
        Metric(
            "r2", "higher", "Share of the target's variance that is explained; 0 is as good as its mean (1 at most)."
        ),
        Metric("hit_rate@k", "higher", "Share of rows whose true item is among the first k (0 to 1)."),
        Metric("ndcg@k", "higher", "1/log2(1 + rank) of the true item where it is among the first k, else 0 (0 to 1)."),
        Metric("mrr", "higher", "Mean of 1/rank of the true item (0 to 1)."),
    )
}
"""Every metric that our answer layers return; ``@k`` stands for any number."""


def find_metric(name: str) -> Metric | None:
    """Return what ``name`` means, or None for a metric of somebody else's.

    >>> find_metric("ndcg@10").better
    'higher'
    """
    return METRICS.get(re.sub(r"@\d+\Z", "@k", name))


def better_higher(*names: str) -> frozenset[str]:
    """Return those of our metrics' ``names`` that are better when larger."""
    found = {name: find_metric(name) for name in names}
    return frozenset(name for name, metric in found.items() if metric and metric.better == "higher")


def defined(values: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics without those that are not defined on the given rows."""
    return {name: value for name, value in values.items() if not math.isnan(value)}


class Tally(NamedTuple):
    """Rows by class: how many were answered rightly, how often each was answered, how often it was true."""

    right: Float[Tensor, " classes"]
    answered: Float[Tensor, " classes"]
    actual: Float[Tensor, " classes"]


def tally(answers: Int64[Tensor, " rows"], truth: Int64[Tensor, " rows"], *, classes: int) -> Tally:
    """Return the counts behind accuracy, precision, recall and F1 of one class a row."""
    right = torch.bincount(truth[answers == truth], minlength=classes)
    counts = (right, torch.bincount(answers, minlength=classes), torch.bincount(truth, minlength=classes))
    return Tally(*(count.double() for count in counts))


def tally_labels(answers: Bool[Tensor, "rows labels"], truth: Bool[Tensor, "rows labels"]) -> Tally:
    """Return the same counts where a row has any number of labels."""
    return Tally((answers & truth).sum(0).double(), answers.sum(0).double(), truth.sum(0).double())


def accuracy(counts: Tally) -> float:
    """Return the share of rows answered rightly."""
    return float(counts.right.sum() / counts.actual.sum())


def precision(counts: Tally) -> Float[Tensor, " classes"]:
    """Return right / answered, by class; NaN where a class was never answered."""
    return counts.right / counts.answered


def recall(counts: Tally) -> Float[Tensor, " classes"]:
    """Return right / actual, by class; NaN where a class does not occur."""
    return counts.right / counts.actual


def f1(counts: Tally) -> Float[Tensor, " classes"]:
    """Return the harmonic mean of precision and recall, by class; NaN where a class neither occurs nor is answered."""
    return 2 * counts.right / (counts.answered + counts.actual)


def micro_f1(counts: Tally) -> float:
    """Return F1 over all classes' counts together."""
    return float(f1(Tally(*(count.sum(0, keepdim=True) for count in counts))))


def mean_defined(values: Float[Tensor, " classes"]) -> float:
    """Return the mean of the values that are not NaN; NaN where none is."""
    return float(values[~values.isnan()].mean()) if bool((~values.isnan()).any()) else math.nan


def auc(scores: Float[Tensor, "rows classes"], truth: Bool[Tensor, "rows classes"]) -> Float[Tensor, " classes"]:
    """Return the area under each class's ROC curve; NaN where all rows are of the class, or none.

    By ranks, ties at their mean rank: Mann and Whitney (1947), Hanley and McNeil (1982). O(n log n).
    """
    positives = truth.sum(0).double()
    negatives = len(truth) - positives
    ranks = _mean_ranks(scores.T.contiguous())
    above = (ranks * truth.T).sum(1) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def _mean_ranks(scores: Float[Tensor, "classes rows"]) -> Float[Tensor, "classes rows"]:
    # Equal scores share the mean of the first and the last of their places, so the order of rows does not matter.
    ordered, order = scores.sort(dim=1)
    places = torch.arange(1, scores.shape[1] + 1).expand_as(ordered)
    border = torch.ones(len(scores), 1, dtype=torch.bool)
    changes = ordered[:, 1:] != ordered[:, :-1]
    firsts = places.where(torch.cat([border, changes], 1), 0).cummax(1).values
    ends = places.where(torch.cat([changes, border], 1), scores.shape[1] + 1)
    lasts = ends.flip(1).cummin(1).values.flip(1)
    return torch.empty_like(scores).scatter_(1, order, (firsts + lasts).double() / 2)


def log_loss(log_probabilities: Float[Tensor, "rows classes"], truth: Int64[Tensor, " rows"]) -> float:
    """Return the mean of -log p(truth), in nats. No rows: NaN."""
    return -float(log_probabilities.gather(1, truth[:, None]).mean())


def log_loss_labels(scores: Float[Tensor, "rows labels"], truth: Bool[Tensor, "rows labels"]) -> float:
    """Return the mean over rows and labels of -log p(truth), from scores before the sigmoid, in nats."""
    return float(torch.nn.functional.softplus(scores.where(~truth, -scores)).mean())


def calibration_error(probabilities: Float[Tensor, "rows classes"], truth: Int64[Tensor, " rows"]) -> float:
    """Return the expected calibration error over 15 bins of equal width, (0, 1/15], (1/15, 2/15] …

    Guo, Pleiss, Sun and Weinberger: On Calibration of Modern Neural Networks (2017), https://arxiv.org/abs/1706.04599.
    """
    confidence, answers = probabilities.max(1)
    borders = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1]
    gaps = torch.zeros(BINS, dtype=torch.float64)
    gaps.index_add_(0, torch.bucketize(confidence, borders), (answers == truth).double() - confidence)
    return float(gaps.abs().sum() / len(truth))


def mae(answers: Float[Tensor, "rows values"], truth: Float[Tensor, "rows values"]) -> float:
    """Return the mean absolute error."""
    return float((answers - truth).abs().mean())


def rmse(answers: Float[Tensor, "rows values"], truth: Float[Tensor, "rows values"]) -> float:
    """Return the root of the mean squared error of each value, averaged over the values."""
    return float((answers - truth).square().mean(0).sqrt().mean())


def r2(answers: Float[Tensor, "rows values"], truth: Float[Tensor, "rows values"]) -> float:
    """Return 1 - squared error / variance, averaged over the values that vary; NaN where none does."""
    error = (answers - truth).square().sum(0)
    variance = (truth - truth.mean(0)).square().sum(0)
    varies = (truth != truth[:1]).any(0)
    return mean_defined((1 - error / variance).where(varies, math.nan))


def ranks(scores: Shaped[Tensor, "rows items"], truth: Int64[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """Return the true item's rank in each row, counted from 1; infinity where ``truth`` is -1 (an unknown item).

    Among equal scores it is the mean of the best and the worst rank, so equal scores everywhere gain nothing.
    """
    # A few million comparisons at a time: the whole table of them would be as large as the scores again.
    rows = max(1, (1 << 22) // max(1, scores.shape[1]))
    blocks = [slice(start, start + rows) for start in range(0, len(scores), rows)]
    return torch.cat([_ranks(scores[block], truth[block]) for block in blocks])


def _ranks(scores: Tensor, truth: Tensor) -> Tensor:
    own = scores.gather(1, truth.clamp(min=0)[:, None])
    found = (scores > own).sum(1) + ((scores == own).sum(1) + 1).double() / 2
    return found.where(truth >= 0, math.inf)


def hit_rate(ranks: Float[Tensor, " rows"], k: int) -> float:
    """Return the share of rows with rank k or better."""
    return float((ranks <= k).double().mean())


def ndcg(ranks: Float[Tensor, " rows"], k: int) -> float:
    """Return the normalised discounted cumulative gain at k with one right item a row.

    Järvelin and Kekäläinen: Cumulated gain-based evaluation of IR techniques (2002).
    """
    return float((1 / torch.log2(ranks + 1)).where(ranks <= k, 0).mean())


def mrr(ranks: Float[Tensor, " rows"]) -> float:
    """Return the mean reciprocal rank: Voorhees, The TREC-8 question answering track report (1999)."""
    return float((1 / ranks).mean())
