"""One short loop over what is live, and everything in it that changes from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from layerwise.canonical import digest
from layerwise.engine.determinism import seed_torch
from layerwise.engine.evaluate import Live
from layerwise.engine.failing import enough_memory
from layerwise.engine.recording.watch import Watch
from layerwise.engine.settle import Settled
from layerwise.engine.training import Training, at_setting
from layerwise.errors import InvalidData, InvalidGraph
from layerwise.graph.layer import at_layer
from layerwise.layers.base import AnswerKind, State
from layerwise.layers.observed import Observe
from layerwise.layers.optimizers import load_optimizer, make_optimizer, optimizer_tensors
from layerwise.layers.schedules import load_schedule, make_schedule, schedule_state


def derived(seed: int, *what: str | int) -> int:
    """Return the seed of one thing of a run, so that no draw depends on how many came before it.

    >>> derived(7, "order", 0) == derived(7, "order", 1)
    False
    """
    return int(digest("seed.v1", str(seed).encode(), *(str(part).encode() for part in what))[:15], 16)


@dataclass(frozen=True)
class Truth:
    """The answer layer of a run: its kind, what it has learned, and the name to say in messages."""

    name: str
    kind: AnswerKind
    state: State


class Learner:
    """Network, optimizer and schedule of a run, and what looks on while it learns."""

    def __init__(self, live: Live, truth: Truth, training: Training, *, steps: int, watch: Watch | None = None) -> None:
        named = [(name, parameter) for name, parameter in live.network.named_parameters() if parameter.requires_grad]
        if not named:
            raise InvalidGraph(
                f"the model {live.graph.name!r} has no weights to train: every layer is frozen or has none"
            )
        self.live, self.truth, self.training, self.watch = live, truth, training, watch
        # The loss is taken on the device; metrics and decoding are on the CPU, as in serving.
        self._state = {name: tensor.to(live.device) for name, tensor in truth.state.items()}
        self.parameters = [parameter for _, parameter in named]
        self.monitor = training.monitor or truth.kind.monitor
        self.higher_is_better = self.monitor in truth.kind.higher_is_better
        with at_setting("optimizer"):
            self.optimizer = make_optimizer(training.optimizer, named, training.lr)
        with at_setting("schedule"):
            self.schedule = make_schedule(
                training.schedule,
                self.optimizer,
                epochs=training.epochs,
                steps=steps,
                higher_is_better=self.higher_is_better,
            )

    def epoch(self, number: int, settled: Settled, rows: Tensor, *, each: Callable[[int, int], None]) -> float:
        """Take one pass over ``rows`` and return the mean loss.

        Args:
            number: which epoch, from 1; the order of rows and every draw follow from it and the seed alone, so a
                run that goes on after a kill draws what an unbroken one draws.
            settled: what enters the live part, for all rows.
            rows: the training rows, [rows].
            each: told the step and its rows.
        """
        seed_torch(derived(self.training.seed, "epoch", number), self.live.device)
        generator = torch.Generator().manual_seed(derived(self.training.seed, "draw", number))
        order = self._order(number, settled, rows)
        self.live.network.train()
        total = torch.zeros((), device=self.live.device)
        seen = 0
        with enough_memory(self.training.batch):
            for step, chunk in enumerate(steps_of(order, self.training.batch), start=1):
                observe = None if self.watch is None else self.watch.begin(number, step, chunk)
                total += self.step(settled, chunk, generator, observe) * len(chunk)
                seen += len(chunk)
                each(step, len(chunk))
        return self._finite(float(total) / max(seen, 1), number)

    def step(
        self, settled: Settled, chunk: Tensor, generator: torch.Generator, observe: Observe | None = None
    ) -> Tensor:
        """Take one step on a batch of rows and return its loss, a scalar tensor."""
        inputs = self.live.inputs(settled.take(chunk), generator, observe)
        outputs = self.live.run(inputs, observe)
        truth = settled.truth.index_select(0, chunk).to(self.live.device)
        loss = self.truth.kind.loss(outputs, truth, self._state)
        if self.watch is not None:
            self.watch.computed(loss, inputs)
        for parameter in self.parameters:  # zero_grad does this, at some cost around it
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        if self.watch is not None:
            self.watch.learned()
        if self.training.clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.training.clip)
        self.optimizer.step()
        if self.watch is not None:
            self.watch.updated()
        if self.schedule is not None:
            self.schedule.after_step()
        return loss.detach()

    def _order(self, number: int, settled: Settled, rows: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(derived(self.training.seed, "order", number))
        if self.training.sampling == "balanced":
            weights = self.truth.kind.balance(settled.truth[rows], self.truth.state)
            return rows[torch.multinomial(weights, len(rows), replacement=True, generator=generator)]
        return rows[torch.randperm(len(rows), generator=generator)]

    def _finite(self, loss: float, number: int) -> float:
        if not math.isfinite(loss):
            with at_layer(self.truth.name, self.truth.kind.title):
                raise InvalidData(
                    f"the loss of epoch {number} is {loss}: the training diverged. Use a smaller lr "
                    f"(it is {self.training.lr}) or clip the gradients (clip: 1.0)"
                )
        return loss

    def after_epoch(self, validation: Mapping[str, float]) -> None:
        """Move the schedule on after an epoch, given the metrics of the validation rows."""
        if self.schedule is not None:
            self.schedule.after_epoch(validation.get(self.monitor))

    def tensors(self) -> dict[str, Tensor]:
        """Return the optimizer's tensors for a checkpoint."""
        return optimizer_tensors(self.optimizer)[0]

    def numbers(self) -> dict[str, Any]:
        """Return the numbers of optimizer and schedule for a checkpoint, as JSON."""
        schedule = None if self.schedule is None else schedule_state(self.schedule)
        return {"optimizer": optimizer_tensors(self.optimizer)[1], "schedule": schedule}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Take up where the checkpoint was."""
        load_optimizer(self.optimizer, tensors, numbers["optimizer"])
        if self.schedule is not None:
            load_schedule(self.schedule, numbers["schedule"])


def steps_of(order: Tensor, batch: int) -> Iterator[Tensor]:
    """Yield the rows of each step. A single row left over joins the step before: batch statistics need two."""
    count = len(order)
    stops = list(range(batch, count, batch)) if batch < count else []
    if stops and count - stops[-1] == 1 and batch > 1:
        stops.pop()
    yield from torch.tensor_split(order, stops)
