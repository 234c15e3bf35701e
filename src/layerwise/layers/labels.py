"""Labels: each row has any number of labels at once, each with a probability of its own.

>>> findings = Labels("findings")
>>> state = findings.fit([(pa.array([["mass"], [], ["mass", "scar"]]),)])
>>> findings.decode(torch.tensor([[2.0, -2.0]]), state).to_pylist()[0]["findings"]
['mass']
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.nn import functional

from layerwise.errors import InvalidData, InvalidLayer
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers import metrics
from layerwise.layers.answers import MAX_COLUMNS
from layerwise.layers.base import AnswerKind, State
from layerwise.layers.scores import finite, flat, hold_width
from layerwise.layers.targets import (
    Label,
    hold_labels,
    hold_present,
    hold_target,
    index_labels,
    keep_labels,
    kept_labels,
    label_text,
    learn_labels,
)


@register("labels")
@dataclass(frozen=True)
class Labels(AnswerKind):
    """Several labels at once, from one score a label (its log-odds).

    Learned: the labels, sorted, or the columns' names in their order, and how many training rows have each.

    Args:
        target: one column of lists of labels, or several columns of truth values, a label each.
        threshold: a row has the labels whose probability is above it.
        labels: all labels in the order of the scores, where the training rows may not have all of them.

    Raises:
        InvalidLayer: an option out of its range.

    Example:
        >>> Labels(("mass", "scar")).targets
        ('mass', 'scar')
    """

    higher_is_better: ClassVar[frozenset[str]] = metrics.better_higher("subset_accuracy", "micro_f1", "macro_f1", "auc")

    target: str | tuple[str, ...]
    threshold: float = 0.5
    labels: tuple[Label, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for target in self.targets:
            hold_target(target, ("probabilities",))
        if not self.targets or len(set(self.targets)) < len(self.targets):
            raise InvalidLayer(f"the option 'target' is {list(self.targets)}; name each column once")
        if not 0 < self.threshold < 1:
            raise InvalidLayer(f"the option 'threshold' is {self.threshold}; expected a probability between 0 and 1")
        if self.labels is not None and not isinstance(self.target, str):
            raise InvalidLayer(
                "the option 'labels' is for one column of lists; of several columns the names are the labels"
            )
        hold_labels(self.labels)

    @property
    def targets(self) -> tuple[str, ...]:
        """The column of lists, or the columns of truth values."""
        return (self.target,) if isinstance(self.target, str) else self.target

    def fit(self, batches: Iterable[tuple[pa.Array, ...]]) -> State:
        """Return ``labels``, ``counts`` [labels] and ``rows`` [1].

        Raises:
            InvalidData: a column of another type, missing lists or truth values, no label at all.
        """
        kept = list(batches)
        rows = torch.tensor([sum(len(batch[0]) for batch in kept)])
        if isinstance(self.target, str):
            lines = (_flatten(batch[0], self.target)[0] for batch in kept)
            learned = learn_labels(lines, self.target, self.labels)
            labels, counts = learned.labels, torch.tensor(learned.counts)
        else:
            labels, counts = self.targets, torch.zeros(len(self.targets), dtype=torch.int64)
            for batch in kept:
                counts += _columns(batch, self.targets).sum(0)
        if not labels:
            raise InvalidData(f"the column {self.target!r} has no label in {int(rows):,} training rows")
        return {"labels": keep_labels(labels), "counts": counts, "rows": rows}

    def encode(self, *targets: pa.Array, state: State) -> Tensor:
        """Return 1 where a row has a label, else 0: [batch, labels], float32."""
        if not isinstance(self.target, str):
            return _columns(targets, self.targets).float()
        values, parents = _flatten(targets[0], self.target)
        truth = torch.zeros(len(targets[0]), len(state["counts"]))
        truth[parents, index_labels(values, kept_labels(state["labels"]), self.target)] = 1
        return truth

    def check(self, inputs: tuple[Port, ...], state: State) -> None:
        """Raise InvalidShape where the scores are not one a label."""
        count = len(state["counts"]) if state else 0
        hold_width(inputs, {count} if count else set(), f"{self._said} {count:,} labels", count or None)

    @property
    def _said(self) -> str:
        return f"the column {self.target!r} has" if isinstance(self.target, str) else "the columns are"

    def loss(self, outputs: Tensor, truth: Tensor, state: State) -> Tensor:
        """Return the binary cross entropy, averaged over rows and labels, in nats."""
        scores = flat(outputs)
        scores = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        return functional.binary_cross_entropy_with_logits(scores, truth.to(scores.dtype))

    def metrics(self, outputs: Tensor, truth: Tensor, state: State) -> dict[str, float]:
        """Return subset accuracy, micro and macro F1, the mean AUC and the log loss.

        Raises:
            InvalidData: scores that are not finite.
        """
        scores, right = flat(finite(outputs)).double(), truth.cpu() > 0.5
        if not len(right):
            return {}
        answers = scores.sigmoid() > self.threshold
        counts = metrics.tally_labels(answers, right)
        found = {
            "subset_accuracy": float((answers == right).all(1).double().mean()),
            "micro_f1": metrics.micro_f1(counts),
            "macro_f1": metrics.mean_defined(metrics.f1(counts)),
            "auc": metrics.mean_defined(metrics.auc(scores, right)),
            "log_loss": metrics.log_loss_labels(scores, right),
        }
        return metrics.defined(found)

    def decode(self, outputs: Tensor, state: State) -> pa.Table:
        """Return the labels above the threshold and ``p(label)`` of each of up to 100.

        Of one column: its lists, and ``probabilities`` in the same order. Of several: truth values, a column each.

        Raises:
            InvalidData: scores that are not finite.
        """
        labels = kept_labels(state["labels"])
        chances = flat(finite(outputs)).double().sigmoid()
        chosen = chances > self.threshold
        columns = self._lists(labels, chances, chosen) if isinstance(self.target, str) else {}
        if not columns:
            columns = {name: chosen[:, place].numpy() for place, name in enumerate(self.targets)}
        if len(labels) <= MAX_COLUMNS:
            columns |= {f"p({label_text(label)})": chances[:, place].numpy() for place, label in enumerate(labels)}
        return pa.table(columns)

    def _lists(self, labels: list[Label], chances: Tensor, chosen: Tensor) -> dict[str, pa.Array]:
        ends = pa.array(np.concatenate([[0], chosen.sum(1).cumsum(0).numpy()]), type=pa.int32())
        names = pa.array(labels).take(pa.array(chosen.nonzero()[:, 1].numpy()))
        return {
            self.targets[0]: pa.ListArray.from_arrays(ends, names),
            "probabilities": pa.ListArray.from_arrays(ends, pa.array(chances[chosen].numpy())),
        }


def _flatten(array: pa.Array, column: str) -> tuple[pa.Array, Tensor]:
    """Return all labels in one line, and the row of each."""
    kind = array.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise InvalidData(
            f"the column {column!r} is {kind}; several labels a row are a column of lists. "
            "Split it into lists, or name several columns of truth values"
        )
    # A missing list may mean "none" or "nobody looked": only the user can say which.
    if array.null_count:
        raise InvalidData(
            f"{array.null_count:,} of {len(array):,} lists of the column {column!r} are missing; "
            "write an empty list for a row without labels, or leave the row out"
        )
    values = pc.list_flatten(array)
    # A list without any element in all rows has no type to hold.
    values = values.cast(pa.string()) if pa.types.is_null(values.type) and not len(values) else values
    return values, torch.from_numpy(pc.list_parent_indices(array).to_numpy().astype(np.int64))


def _columns(arrays: tuple[pa.Array, ...], names: tuple[str, ...]) -> Tensor:
    """Return columns of truth values side by side, [rows, labels], bool."""
    found = []
    for array, name in zip(arrays, names, strict=True):
        if not pa.types.is_boolean(array.type):
            raise InvalidData(f"the column {name!r} is {array.type}; expected truth values. Cast it to bool")
        hold_present(array.null_count, len(array), name)
        found.append(torch.from_numpy(array.to_numpy(zero_copy_only=False).astype(np.bool_)))
    return torch.stack(found, 1)
