"""A run: check, fit, settle, train, commit. ``lw.train`` is here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from layerwise.canonical import digest_value
from layerwise.data.dataset import Dataset
from layerwise.engine.checkpoint import Checkpoints
from layerwise.engine.commit import commit
from layerwise.engine.determinism import choose_device, settled_torch
from layerwise.engine.environment import capture
from layerwise.engine.evaluate import measure
from layerwise.engine.events import Observer, RunEnded, RunStarted, tell
from layerwise.engine.journal import Journal
from layerwise.engine.learner import Learner
from layerwise.engine.loop import Loop, Outcome
from layerwise.engine.model import Model
from layerwise.engine.prepare import Prepared, find_dataset, prepare
from layerwise.engine.recording.recorded import LiveLayer, recorded
from layerwise.engine.recording.running import RunRecording, asked_for
from layerwise.engine.training import Training, at_setting
from layerwise.engine.version import Version
from layerwise.errors import InvalidGraph, LayerwiseError
from layerwise.graph.graph import Graph
from layerwise.repo import Repository, default_repository
from layerwise.store.rows import check_text


@dataclass(frozen=True)
class Run:
    """A run that is over.

    Attributes:
        id: the run's name in the catalog.
        version: what it made.
        outcome: ``done``, ``stopped early`` (no better epoch for ``patience`` epochs) or ``stopped`` (Ctrl-C).
        epoch: the epoch whose weights the version has, from 1.
        history: the metrics of every epoch by ``split/name``.
        seconds: how long it took.
        resumed: the epoch after which it went on from a checkpoint; 0 for a run in one piece.

    Example:
        >>> run = lw.train(model, scans, epochs=10, seed=7)  # doctest: +SKIP
        >>> run.outcome, run.epoch, run.metrics["test/accuracy"]  # doctest: +SKIP
        ('done', 9, 0.98)
    """

    id: str
    version: Version
    outcome: str
    epoch: int
    history: tuple[Mapping[str, float], ...] = field(repr=False)
    seconds: float
    resumed: int = 0

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the kept epoch, those on the test rows among them."""
        return self.version.metrics

    def recorded(self, layer: str) -> LiveLayer:
        """Return what left a layer while the model trained (``record="all"``), or raise NotFound."""
        return recorded(self.id, layer, repo=self.version.repo)


def train(
    model: Model,
    data: Dataset | str | None = None,
    *,
    repo: Repository | None = None,
    observers: Sequence[Observer] = (),
    message: str = "",
    resume: bool = True,
    record: object = None,
    **settings: Any,
) -> Run:
    """Train a model on a dataset and keep the result as a new version.

    Args:
        model: the model; its ``train`` settings hold where ``settings`` say nothing.
        data: the dataset or its address; the model's own where not given.
        repo: the repository; the one that ``find_folder`` finds where not given.
        observers: called with every event of the run (``layerwise.engine.events``); they change nothing.
        message: why, to be kept with the version.
        resume: whether to go on from the checkpoint of the same run that was broken off.
        record: what is kept of what leaves the layers (``Recording``): ``sample:256`` (so many validation rows as the
            version answers them, and statistics along the run), ``all`` (and what left each layer for every training
            row while it trained), ``stats`` or ``off``; what stands under ``train:`` in the model where not given.
            No bit of the result depends on it.
        **settings: any field of ``Training``: ``epochs=10``, ``lr=1e-3``, ``seed=7`` …

    Raises:
        Invalid: what cannot be used, before anything is written.

    Example:
        >>> run = lw.train(model, scans, epochs=10, seed=7)  # doctest: +SKIP
        >>> run.version, run.metrics["test/accuracy"]  # doctest: +SKIP
    """
    if not isinstance(model, Graph):
        raise InvalidGraph(
            f"a model is trained, found {type(model).__name__}; "
            f"take lw.Model.from_yaml(FILE), or that of a version: lw.load(ADDRESS).model"
        )
    door = repo or default_repository()
    check_text(message, "a message")
    training = Training.from_mapping({**model.train, **settings})
    asked = asked_for(record, model)
    dataset = find_dataset(door, model, data)
    started = time.perf_counter()
    with ExitStack() as stack:
        with at_setting("device"):
            device = choose_device(training.device)
        stack.enter_context(settled_torch(training, device))
        prepared = prepare(door, model, dataset, training, device, observers)
        environment = capture(device)
        run = f"r-{secrets.token_hex(6)}"
        recording = RunRecording(door, asked, run, observers)
        loop = _loop(door, prepared, recording)
        settings = {"data": dataset.address, "training": training.to_json()}
        door.start_run(run, model.name, {"model": model.to_json(), **settings})
        with _told_if_failed(door, run):
            outcome = _trained(loop, prepared, run, observers, resume=resume)
            version = commit(door, prepared, run, outcome, environment, message)
    recording.keep(version, prepared)
    seconds = time.perf_counter() - started
    tell(observers, RunEnded(outcome.how, outcome.best, seconds))
    return Run(run, version, outcome.how, outcome.best, outcome.history, seconds, outcome.resumed)


@contextmanager
def _told_if_failed(door: Repository, run: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # What went wrong is what counts, not that this could not be written down either.
        with suppress(OSError, LayerwiseError):
            door.finish_run(run, "failed", None)
        raise


def _trained(loop: Loop, prepared: Prepared, run: str, observers: Sequence[Observer], *, resume: bool) -> Outcome:
    loop.start(resume=resume)
    tell(observers, _started(prepared, run, loop))
    return loop.run()


def _steps(prepared: Prepared) -> int:
    return max(1, -(-len(prepared.positions["train"]) // prepared.training.batch))


def _loop(door: Repository, prepared: Prepared, recording: RunRecording) -> Loop:
    checkpoints = Checkpoints(door.store.disk, digest_value("run.v1", prepared.key))
    return loop_of(prepared, Journal(partial(door.log_metrics, recording.run)), checkpoints, recording)


def loop_of(
    prepared: Prepared, journal: Journal, checkpoints: Checkpoints, recording: RunRecording | Sequence[Observer]
) -> Loop:
    """Return the epochs of a run that is prepared, before the first of them; recorded, or observed alone."""
    steps = _steps(prepared)
    watch = recording.watch(prepared, steps) if isinstance(recording, RunRecording) else None
    learner = Learner(prepared.live, prepared.truth, prepared.training, steps=steps, watch=watch)
    validation = prepared.rows("validation")
    loop = Loop(
        learner=learner,
        training=prepared.training,
        train_epoch=partial(learner.epoch, settled=prepared.settled, rows=prepared.rows("train")),
        validate=partial(
            measure, prepared.live, prepared.truth.kind, prepared.truth.state, prepared.settled, validation
        ),
        observers=recording.observers if isinstance(recording, RunRecording) else recording,
        journal=journal,
        checkpoints=checkpoints,
    )
    loop.hold_monitor()
    return loop


def _started(prepared: Prepared, run: str, loop: Loop) -> RunStarted:
    return RunStarted(
        run, prepared.model.name, prepared.dataset.address, loop.epoch + 1, prepared.training.epochs, _steps(prepared),
        rows={name: len(found) for name, found in prepared.positions.items()},
        parameters=sum(parameter.numel() for parameter in prepared.live.network.parameters()),
        device=str(prepared.live.device),
    )  # fmt: skip
