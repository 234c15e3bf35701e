"""Schedules of the learning rate, by torch's names, and their state for a checkpoint.

Make the optimizer, then the schedule, then load both.

>>> import torch
>>> weights = [torch.nn.Parameter(torch.zeros(2))]
>>> schedule = make_schedule("StepLR", torch.optim.SGD(weights), epochs=5, steps=10)
Traceback (most recent call last):
layerwise.errors.InvalidConfig: StepLR needs the option 'step_size': a whole number
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from layerwise.errors import InvalidConfig
from layerwise.layers.choices import Settings, find, fitted, hints_of, made, named, schedules
from layerwise.layers.saved import from_json, hold_same, is_plain, to_json
from layerwise.words import shorten

_EVERY_STEP = {"OneCycleLR", "CyclicLR"}


@dataclass(frozen=True)
class Schedule:
    """A schedule of the learning rate, and when it moves.

    Attributes:
        scheduler: torch's own, bound to its optimizer.
        every: whether it moves after each ``step`` of the optimizer or after each ``epoch``.
    """

    scheduler: LRScheduler
    every: Literal["step", "epoch"]

    def after_step(self) -> None:
        """Move on after a step of the optimizer, where the schedule moves by steps.

        Raises:
            InvalidConfig: the schedule is at its end, or its options let it divide by zero.
        """
        if self.every == "step":
            self._move()

    def after_epoch(self, monitored: float | None = None) -> None:
        """Move on after an epoch, where the schedule moves by epochs.

        Args:
            monitored: the metric that ReduceLROnPlateau looks at; others need none.

        Raises:
            InvalidConfig: as ``after_step``, or ReduceLROnPlateau has nothing to look at.
        """
        if not isinstance(self.scheduler, ReduceLROnPlateau):
            if self.every == "epoch":
                self._move()
        elif monitored is None:
            raise InvalidConfig("ReduceLROnPlateau has nothing to look at: train with validation rows")
        else:
            self.scheduler.step(monitored)

    def _move(self) -> None:
        try:
            self.scheduler.step()
        except (ArithmeticError, ValueError) as error:
            raise InvalidConfig(f"the schedule {type(self.scheduler).__name__} cannot go on: {error}") from None


def make_schedule(
    settings: Settings | None, optimizer: Optimizer, *, epochs: int, steps: int, higher_is_better: bool = False
) -> Schedule | None:
    """Return a schedule by name, or None where ``settings`` is None.

    Args:
        settings: a name of ``torch.optim.lr_scheduler``, or ``{"kind": …}`` with options and ``every``: ``step`` or
            ``epoch`` (each step for OneCycleLR and CyclicLR, else each epoch).
        optimizer: what the schedule drives.
        epochs: how many epochs the run has.
        steps: how many steps of the optimizer an epoch has.
        higher_is_better: of the monitored metric; ReduceLROnPlateau's ``mode`` follows from it.

    Raises:
        InvalidConfig: unknown name or option, with the nearest; a value that the schedule does not take.

    Example:
        >>> import torch
        >>> weights = [torch.nn.Parameter(torch.zeros(2))]
        >>> made = make_schedule("cosineannealinglr", torch.optim.SGD(weights), epochs=5, steps=10)
        >>> made.scheduler.T_max
        5
    """
    if settings is None:
        return None
    name, options = named(settings, "schedule")
    cls = find(name, schedules(), "schedule")
    every = options.pop("every", "step" if cls.__name__ in _EVERY_STEP else "epoch")
    if every not in ("step", "epoch"):
        raise InvalidConfig(f"the schedule's option 'every' is {shorten(every)}; expected 'step' or 'epoch'")
    if issubclass(cls, ReduceLROnPlateau) and every == "step":
        raise InvalidConfig("ReduceLROnPlateau looks at the validation rows, once an epoch; set every: epoch")
    moves = epochs if every == "epoch" else epochs * steps
    rates = [group["lr"] for group in optimizer.param_groups]
    follow: dict[str, Any] = {"T_max": moves, "total_steps": moves, "max_lr": rates}
    if issubclass(cls, ReduceLROnPlateau):
        follow["mode"] = "max" if higher_is_better else "min"
    hints = hints_of(cls)
    given = {**{key: value for key, value in follow.items() if key in hints}, **options}
    return Schedule(made(cls, {"optimizer": optimizer}, fitted(cls, given), "schedule"), every)


def schedule_state(schedule: Schedule) -> dict[str, Any]:
    """Return what a schedule has counted, as JSON; its options are in the run's settings and make it anew."""
    saved = {key: value for key, value in schedule.scheduler.state_dict().items() if is_plain(value)}
    name = type(schedule.scheduler).__name__
    return {"schedule": name, "state": {key: to_json(value) for key, value in saved.items()}}


def load_schedule(schedule: Schedule, saved: Mapping[str, Any]) -> None:
    """Put back what ``schedule_state`` returned, into a new schedule with the same settings.

    Raises:
        InvalidConfig: it is of another schedule.
    """
    hold_same("schedule", saved.get("schedule"), type(schedule.scheduler).__name__)
    whole, found = schedule.scheduler.state_dict(), dict(saved.get("state") or {})
    hold_same("schedule's state", sorted(found), sorted(key for key, value in whole.items() if is_plain(value)))
    state = {key: from_json(value, whole[key]) for key, value in found.items()}
    schedule.scheduler.load_state_dict({**whole, **state})
