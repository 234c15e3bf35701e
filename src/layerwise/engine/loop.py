"""From epoch to epoch: measure, keep the best, stop early, save so that a killed run goes on, stop cleanly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from layerwise.engine.checkpoint import Checkpoint, Checkpoints
from layerwise.engine.events import EpochEnded, Observer, Step, tell
from layerwise.engine.journal import Journal
from layerwise.engine.learner import Learner
from layerwise.engine.tensors import digest_tensors
from layerwise.engine.training import Training
from layerwise.errors import InvalidConfig, InvalidData, nearest
from layerwise.layers.network import Network, layer_states
from layerwise.words import Digest, shorten


class TrainEpoch(Protocol):
    """One pass over the training rows; returns the mean loss."""

    def __call__(self, number: int, *, each: Callable[[int, int], None]) -> float: ...


@dataclass(frozen=True)
class Outcome:
    """How a loop ended: ``how``, the epoch that is kept, its metrics, and all epochs' metrics.

    ``learned`` has the digest of each layer's tensors by path: before the first epoch, then after each.
    """

    how: str
    best: int
    metrics: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]
    resumed: int
    checkpoints: Checkpoints
    learned: tuple[Mapping[str, Digest], ...] = ()


@dataclass
class Loop:
    """The epochs of one run.

    Attributes:
        learner: network and optimizer.
        training: the settings.
        train_epoch: takes one pass over the training rows.
        validate: measures the validation rows; an empty mapping where there are none.
        observers: told of every step and epoch.
        journal: keeps the metrics of the epochs.
        checkpoints: where a killed run goes on from.
    """

    learner: Learner
    training: Training
    train_epoch: TrainEpoch
    validate: Callable[[], dict[str, float]]
    observers: Sequence[Observer]
    journal: Journal
    checkpoints: Checkpoints
    epoch: int = 0
    best: int = 0
    resumed: int = 0
    history: list[Mapping[str, float]] = field(default_factory=list)
    learned: list[Mapping[str, Digest]] = field(default_factory=list)
    kept: dict[str, Tensor] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        """The network that learns."""
        return self.learner.live.network

    def hold_monitor(self) -> None:
        """Raise InvalidConfig where the run is to monitor a metric that its validation rows do not have."""
        if self.training.monitor is not None:
            self._hold_monitor({f"validation/{name}": value for name, value in self.validate().items()})

    def start(self, *, resume: bool) -> None:
        """Go on from the checkpoint of the same run, if there is one and it is wanted."""
        found = self.checkpoints.load() if resume else None
        if found is None:
            self.learned = [digests_of(self.network)]
            return
        parts = split_prefix(found.tensors)
        self.network.load_state_dict(parts.get("weights", {}))
        self.kept = parts.get("kept", {})
        self.learner.load(parts.get("optimizer", {}), found.progress["learner"])
        self.epoch = self.resumed = found.progress["epoch"]
        self.best = found.progress["best"]
        self.history = [restored(metrics) for metrics in found.progress["history"]]
        self.learned = found.progress["learned"]
        for number, metrics in enumerate(self.history, start=1):
            self.journal.note(number, metrics)

    def run(self) -> Outcome:
        """Run the epochs that are left and leave the network with the weights that are kept."""
        with self.journal:
            how = self._epochs()
        self.network.load_state_dict(self.kept)
        return Outcome(
            how, self.best, self.history[self.best - 1], tuple(self.history), self.resumed, self.checkpoints,
            tuple(self.learned),
        )  # fmt: skip

    def _epochs(self) -> str:
        saved = time.perf_counter()
        try:
            while self.epoch < self.training.epochs and not self._tired():
                self._one()
                if time.perf_counter() - saved >= self.training.checkpoint and self.epoch < self.training.epochs:
                    self.save()
                    saved = time.perf_counter()
        except KeyboardInterrupt:
            if not self.best:
                raise
            return "stopped"
        return "stopped early" if self.epoch < self.training.epochs else "done"

    def _one(self) -> None:
        started = time.perf_counter()
        number = self.epoch + 1
        try:
            loss = self.train_epoch(number, each=lambda step, rows: tell(self.observers, Step(number, step, rows)))
        except InvalidData:
            # What was seen of the layers until then says where it came from.
            self.journal.note(number, self._layers(number))
            raise
        validation = self.validate()
        self.learner.after_epoch(validation)
        metrics = {"train/loss": loss, **{f"validation/{name}": value for name, value in validation.items()}}
        self.history.append(metrics)
        self.learned.append(digests_of(self.network))
        self.epoch = number
        best = self.leader == number
        if self._is_kept(metrics, best=best):
            # The copy first: Ctrl-C may come between the two.
            self.kept = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
            self.best = number
        self.journal.note(number, {**metrics, **self._layers(number)})
        tell(self.observers, EpochEnded(number, metrics, best, time.perf_counter() - started))

    def _layers(self, number: int) -> Mapping[str, float]:
        return {} if self.learner.watch is None else self.learner.watch.ended(number)

    @property
    def leader(self) -> int:
        """The first epoch, from 1, with the best of the metric that the run looks at; 0 while there is none."""
        name, sign = f"validation/{self.learner.monitor}", 1 if self.learner.higher_is_better else -1
        values = [sign * metrics.get(name, math.nan) for metrics in self.history]
        there = [value for value in values if not math.isnan(value)]
        return values.index(max(there)) + 1 if there else 0

    def _is_kept(self, metrics: Mapping[str, float], *, best: bool) -> bool:
        if not self.best:
            self._hold_monitor(metrics)
        return best or self.training.keep == "last" or len(metrics) == 1 or not self.best

    def _hold_monitor(self, metrics: Mapping[str, float]) -> None:
        known = [name.removeprefix("validation/") for name in metrics if name.startswith("validation/")]
        monitor = self.learner.monitor
        if known and monitor not in known:
            raise InvalidConfig(f"train: monitor: there is no metric {shorten(monitor)}.{nearest(monitor, known)}")

    def _tired(self) -> bool:
        patience = self.training.patience
        return patience is not None and bool(self.best) and self.epoch - (self.leader or self.best) >= patience

    def save(self) -> None:
        """Save what a killed run goes on from."""
        tensors = {
            **prefixed("weights", self.network.state_dict()),
            **prefixed("kept", self.kept),
            **prefixed("optimizer", self.learner.tensors()),
        }
        progress: dict[str, Any] = {
            "epoch": self.epoch,
            "best": self.best,
            "history": [stored(metrics) for metrics in self.history],
            "learned": [dict(layers) for layers in self.learned],
            "learner": self.learner.numbers(),
        }
        self.checkpoints.save(Checkpoint(tensors, progress))


def digests_of(network: Network) -> dict[str, Digest]:
    """Return the digest of each layer's tensors, by path."""
    return {path: digest_tensors(tensors) for path, tensors in layer_states(network).items()}


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with ``prefix/`` before their names."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def split_prefix(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return tensors by prefix, the prefix taken off: the other way round of ``prefixed``."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        prefix, _, rest = name.partition("/")
        found.setdefault(prefix, {})[rest] = tensor
    return found


def stored(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as JSON holds them: what is not a number is null."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def restored(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Return metrics as they were before ``stored``."""
    return {name: math.nan if value is None else value for name, value in metrics.items()}
