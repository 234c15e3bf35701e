"""Ranking: which of many items comes next.

>>> purchase = Ranking("item", k=2)
>>> state = purchase.fit([(pa.array(["pen", "ink", "pen", "pad"]),)])
>>> purchase.decode(torch.tensor([[0.0, 2.0, 3.0]]), state).to_pylist()[0]["item"]
['pen', 'pad']
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional

from layerwise.errors import InvalidData, InvalidLayer
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers import metrics
from layerwise.layers.base import AnswerKind, State
from layerwise.layers.scores import finite, hold_width
from layerwise.layers.targets import (
    Label,
    hold_labels,
    hold_target,
    index_labels,
    keep_labels,
    kept_labels,
    learn_labels,
)

SEED = 7
"""Seed of the sampled negatives, so that a metric is the same whenever it is taken."""


@register("ranking")
@dataclass(frozen=True)
class Ranking(AnswerKind):
    """The next item, from one score an item.

    Learned: the items of the training rows, sorted, in their own type, and how often each is the target. An item that
    was never seen there cannot be found: its row has no part in the loss and counts as a miss in the metrics.

    Args:
        target: the column of items: text or whole numbers.
        k: how many items an answer has, and the k of the metrics.
        negatives: rank the true item among so many others drawn at random, as SASRec does (Kang and McAuley, 2018),
            in place of all. Quicker, and only good for comparison with papers: it can order models otherwise than
            the ranking among all items does (Krichene and Rendle, 2020).
        labels: all items in the order of the scores, where the training rows may not have all of them.

    Raises:
        InvalidLayer: an option out of its range.

    Example:
        >>> sorted(Ranking("item", k=5).higher_is_better)
        ['hit_rate@5', 'mrr', 'ndcg@5']
    """

    target: str
    k: int = 10
    negatives: int | None = None
    labels: tuple[Label, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        hold_target(self.target, ("scores",))
        hold_labels(self.labels)
        for option, value in (("k", self.k), ("negatives", self.negatives)):
            if value is not None and value < 1:
                raise InvalidLayer(f"the option {option!r} is {value}; expected 1 or more")
        # The names hold k, so they are the instance's.
        names = metrics.better_higher(f"hit_rate@{self.k}", f"ndcg@{self.k}", "mrr")
        object.__setattr__(self, "higher_is_better", names)

    @property
    def targets(self) -> tuple[str, ...]:
        """The column of items."""
        return (self.target,)

    def fit(self, batches: Iterable[tuple[pa.Array, ...]]) -> State:
        """Return ``labels`` (the items) and ``counts`` [items].

        Raises:
            InvalidData: missing items, a type that is no item's, fewer than two items.
        """
        learned = learn_labels((batch[0] for batch in batches), self.target, self.labels)
        if len(learned.labels) < 2:
            raise InvalidData(
                f"the column {self.target!r} has {len(learned.labels)} items in the training rows; expected two or more"
            )
        return {"labels": keep_labels(learned.labels), "counts": torch.tensor(learned.counts)}

    def encode(self, *targets: pa.Array, state: State) -> Tensor:
        """Return each row's item, [batch], int64; -1 for one that was never seen in training."""
        return index_labels(targets[0], kept_labels(state["labels"]), self.target, strict=False)

    def check(self, inputs: tuple[Port, ...], state: State) -> None:
        """Raise InvalidShape where the scores are not one an item."""
        count = len(state["counts"]) if state else 0
        said = f"the column {self.target!r} has {count:,} items"
        hold_width(inputs, {count} if count else set(), said, count or None)

    def loss(self, outputs: Tensor, truth: Tensor, state: State) -> Tensor:
        """Return the cross entropy over the rows whose item is known, in nats; 0 where none is."""
        scores = outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs
        total = functional.cross_entropy(scores, truth, ignore_index=-1, reduction="sum")
        return total / (truth >= 0).sum().clamp(min=1)

    def metrics(self, outputs: Tensor, truth: Tensor, state: State) -> dict[str, float]:
        """Return hit_rate@k, ndcg@k and mrr, among all items or among the sampled ones.

        Raises:
            InvalidData: scores that are not finite.
        """
        scores, truth = finite(outputs), truth.cpu()
        if not len(truth):
            return {}
        if self.negatives is not None and self.negatives < scores.shape[1] - 1:
            scores, truth = _sampled(scores, truth, self.negatives)
        found = metrics.ranks(scores, truth)
        return {
            f"hit_rate@{self.k}": metrics.hit_rate(found, self.k),
            f"ndcg@{self.k}": metrics.ndcg(found, self.k),
            "mrr": metrics.mrr(found),
        }

    def decode(self, outputs: Tensor, state: State) -> pa.Table:
        """Return the first k items of each row, best first, and their ``scores``, as lists.

        Raises:
            InvalidData: scores that are not finite.
        """
        scores = finite(outputs).float()
        best, places = scores.topk(min(self.k, scores.shape[1]), dim=1)
        # Among equal scores the first item in the list comes first, whatever the machine's topk does.
        places, order = places.sort(1)
        best, order = best.gather(1, order).sort(dim=1, descending=True, stable=True)
        places = places.gather(1, order)
        items = pa.array(kept_labels(state["labels"])).take(pa.array(places.flatten().numpy()))
        ends = pa.array(range(0, places.numel() + 1, places.shape[1]), type=pa.int32())
        lists = {self.target: items, "scores": pa.array(best.flatten().numpy())}
        return pa.table({name: pa.ListArray.from_arrays(ends, values) for name, values in lists.items()})


def _sampled(scores: Tensor, truth: Tensor, negatives: int) -> tuple[Tensor, Tensor]:
    """Return the true item's score first and then those of other items, drawn with replacement."""
    generator = torch.Generator().manual_seed(SEED)
    drawn = torch.randint(scores.shape[1] - 1, (len(scores), negatives), generator=generator)
    own = truth.clamp(min=0)[:, None]
    others = drawn + (drawn >= own)
    return scores.gather(1, torch.cat([own, others], 1)), truth.clamp(max=0)
