"""What happens during a run, as values. Recording, progress and metrics observe; the loop knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins, or goes on at ``epoch`` after it was broken off.

    ``rows`` says how many rows train, validate and test; ``steps`` how many steps an epoch has.
    """

    run: str
    model: str
    data: str
    epoch: int
    epochs: int
    steps: int
    rows: Mapping[str, int]
    parameters: int
    device: str


@dataclass(frozen=True, slots=True)
class Phase:
    """Something that takes a while begins, e.g. ``fitting 3 layers on 1,258 rows``."""

    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the optimizer is done."""

    epoch: int
    step: int
    rows: int


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """An epoch is over: its metrics (``train/loss``, ``validation/accuracy`` …) and whether it is the best so far."""

    epoch: int
    metrics: Mapping[str, float]
    best: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class LayerWarned:
    """Something goes wrong in a layer: ``dead``, ``exploding``, ``vanishing``, ``saturated`` or ``nan``.

    ``layer`` is the first one in the model's order in which it appeared, in ``epoch``; ``text`` says what was found,
    and what to do.
    """

    epoch: int
    layer: str
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class RecordsLost:
    """Something that was to be recorded is not, and why. The run goes on, and its result is what it would have been."""

    text: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over. ``outcome`` is ``done``, ``stopped early`` or ``stopped``; ``best`` the epoch that is kept."""

    outcome: str
    best: int
    seconds: float


Event: TypeAlias = RunStarted | Phase | Step | EpochEnded | LayerWarned | RecordsLost | RunEnded
Observer: TypeAlias = Callable[[Event], None]


def tell(observers: Sequence[Observer], event: Event) -> None:
    """Tell every observer of an event, in order."""
    for observer in observers:
        observer(event)
