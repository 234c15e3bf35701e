"""Classes: each row is one of several, with a probability for each.

>>> digit = Classes("digit")
>>> state = digit.fit([(pa.array([3, 1, 3]),)])
>>> digit.decode(torch.tensor([[0.0, 2.0]]), state).to_pylist()[0]["digit"]
3
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional

from layerwise.errors import InvalidData, InvalidLayer
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers import metrics
from layerwise.layers.base import AnswerKind, State
from layerwise.layers.scores import finite, flat, hold_width
from layerwise.layers.targets import (
    Label,
    find_label,
    hold_labels,
    hold_target,
    index_labels,
    keep_labels,
    kept_labels,
    label_text,
    learn_labels,
)
from layerwise.words import shorten

MAX_COLUMNS = 100
"""Most classes of which the answer has a column of probabilities each."""


@register("classes")
@dataclass(frozen=True)
class Classes(AnswerKind):
    """One class a row, from one score a class; of two classes one score is enough (the log-odds of the second).

    Learned: the labels of the training rows, sorted, in their own type, and how many rows each has.

    Args:
        target: the column of labels: text, whole numbers or truth values.
        weights: how much a row of a class counts in the loss: a number a label (1 where not named), or ``balanced``:
            rows / (classes x rows of the class).
        smoothing: share of the truth spread evenly over all classes, 0 to below 1 (Szegedy et al., 2016).
        labels: all labels in the order of the scores, where the training rows may not have all of them.
        positive: of two classes, the one that precision, recall and F1 speak of; the second unless given.

    Raises:
        InvalidLayer: an option out of its range.

    Example:
        >>> Classes("digit", weights="balanced").targets
        ('digit',)
    """

    higher_is_better: ClassVar[frozenset[str]] = metrics.better_higher(
        "accuracy", "balanced_accuracy", "macro_f1", "auc", "f1", "precision", "recall"
    )

    target: str
    weights: Literal["balanced"] | Mapping[Any, Any] | None = None
    smoothing: float = 0.0
    labels: tuple[Label, ...] | None = None
    positive: Label | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        hold_target(self.target, ("probability",))
        hold_labels(self.labels)
        if not 0 <= self.smoothing < 1:
            raise InvalidLayer(f"the option 'smoothing' is {self.smoothing}; expected a share from 0 to below 1")
        if isinstance(self.weights, Mapping):
            # By the labels' texts, as JSON keeps them, so that a description read back is equal.
            weights = {label_text(label): _weight(label, weight) for label, weight in self.weights.items()}
            object.__setattr__(self, "weights", weights)

    @property
    def targets(self) -> tuple[str, ...]:
        """The column of labels."""
        return (self.target,)

    def fit(self, batches: Iterable[tuple[pa.Array, ...]]) -> State:
        """Return ``labels``, ``counts`` [classes] and, where asked for, ``weights`` [classes].

        Raises:
            InvalidData: missing labels, fewer than two, or an option that names a label that is not there.
        """
        learned = learn_labels((batch[0] for batch in batches), self.target, self.labels)
        if len(learned.labels) < 2:
            found = f"one label, {shorten(label_text(learned.labels[0]))}" if learned.labels else "no rows"
            raise InvalidData(
                f"the column {self.target!r} has {found}, in the training rows; expected two labels or more. "
                "Use a column that tells rows apart, or a split that has them all"
            )
        counts = torch.tensor(learned.counts)
        if self.positive is not None:
            find_label(self.positive, learned.labels, "positive")
            if len(learned.labels) > 2:
                raise InvalidData(f"the option 'positive' is for two classes; {self.target!r} has {len(counts):,}")
        state = {"labels": keep_labels(learned.labels), "counts": counts}
        return state if self.weights is None else {**state, "weights": self._weights(learned.labels, counts)}

    def _weights(self, labels: tuple[Label, ...], counts: Tensor) -> Tensor:
        weights = torch.ones(len(labels), dtype=torch.float64)
        if isinstance(self.weights, Mapping):
            for label, weight in self.weights.items():
                weights[find_label(label, labels, "weights")] = weight
            return weights
        present = counts > 0
        weights[present] = counts.sum() / (present.sum() * counts[present].double())
        return weights

    def encode(self, *targets: pa.Array, state: State) -> Tensor:
        """Return each row's class, [batch], int64."""
        return index_labels(targets[0], kept_labels(state["labels"]), self.target)

    def check(self, inputs: tuple[Port, ...], state: State) -> None:
        """Raise InvalidShape where the scores are not one a class."""
        count = len(state["counts"]) if state else 0
        widths = set() if not count else {1, 2} if count == 2 else {count}
        hold_width(inputs, widths, f"the column {self.target!r} has {count:,} classes", count or None)

    def loss(self, outputs: Tensor, truth: Tensor, state: State) -> Tensor:
        """Return the cross entropy, weighted and smoothed as asked, in nats."""
        scores = _scores(outputs)
        weights = state["weights"].to(scores) if "weights" in state else None
        return functional.cross_entropy(scores, truth, weight=weights, label_smoothing=self.smoothing)

    def metrics(self, outputs: Tensor, truth: Tensor, state: State) -> dict[str, float]:
        """Return the metrics of classes; of two classes also those of the positive one.

        Raises:
            InvalidData: scores that are not finite.
        """
        scores, truth = _scores(finite(outputs)).double(), truth.cpu()
        if not len(truth):
            return {}
        logs, classes = scores.log_softmax(1), scores.shape[1]
        chances, counts = logs.exp(), metrics.tally(scores.argmax(1), truth, classes=classes)
        found = {
            "accuracy": metrics.accuracy(counts),
            "balanced_accuracy": metrics.mean_defined(metrics.recall(counts)),
            "macro_f1": metrics.mean_defined(metrics.f1(counts)),
            "auc": metrics.mean_defined(_auc(chances, truth)),
            "log_loss": metrics.log_loss(logs, truth),
            "calibration_error": metrics.calibration_error(chances, truth),
        }
        if classes == 2:
            place = self._positive(state)
            for name, measure in (("precision", metrics.precision), ("recall", metrics.recall), ("f1", metrics.f1)):
                found[name] = float(measure(counts)[place])
        return metrics.defined(found)

    def _positive(self, state: State) -> int:
        labels = kept_labels(state["labels"])
        return 1 if self.positive is None else find_label(self.positive, labels, "positive")

    def decode(self, outputs: Tensor, state: State) -> pa.Table:
        """Return the likeliest label, its ``probability``, and ``p(label)`` of each of up to 100 classes.

        Raises:
            InvalidData: scores that are not finite.
        """
        labels = kept_labels(state["labels"])
        chances = _scores(finite(outputs)).double().softmax(1)
        best, places = chances.max(1)
        columns = {self.target: pa.array(labels).take(pa.array(places.numpy())), "probability": best.numpy()}
        if len(labels) <= MAX_COLUMNS:
            columns |= {f"p({label_text(label)})": chances[:, place].numpy() for place, label in enumerate(labels)}
        return pa.table(columns)

    def balance(self, truth: Tensor, state: State) -> Tensor:
        """Return a sampling weight a row, [rows], that makes the classes among these rows equally frequent; sum 1."""
        counts = torch.bincount(truth, minlength=len(state["counts"]))
        return 1 / ((counts > 0).sum() * counts[truth].double())


def _weight(label: object, weight: object) -> float:
    number = float(weight) if isinstance(weight, int | float) and not isinstance(weight, bool) else math.nan
    if not 0 <= number < math.inf:
        raise InvalidLayer(f"the weight of {shorten(label)} is {shorten(weight)}; expected a number, 0 or more")
    return number


def _scores(outputs: Tensor) -> Tensor:
    # One score is the second class's log-odds: beside a score of 0 for the first, all that follows is the same.
    scores = flat(outputs)
    scores = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
    return torch.cat([torch.zeros_like(scores), scores], 1) if scores.shape[1] == 1 else scores


def _auc(chances: Tensor, truth: Tensor) -> Tensor:
    if chances.shape[1] == 2:
        return metrics.auc(chances[:, 1:], truth[:, None] == 1)
    return metrics.auc(chances, truth[:, None] == torch.arange(chances.shape[1]))
