"""A run: check, fit, settle, train, commit. ``lw.train`` is here."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from layerwise.canonical import digest_value, encode
from layerwise.data.dataset import Dataset
from layerwise.data.schema import type_text
from layerwise.data.split import split_rows
from layerwise.engine.checkpoint import Checkpoints
from layerwise.engine.determinism import choose_device, settled_torch
from layerwise.engine.environment import Environment, capture
from layerwise.engine.evaluate import Live, measure
from layerwise.engine.events import Observer, Phase, RunEnded, RunStarted
from layerwise.engine.learner import Learner, Truth, derived
from layerwise.engine.loop import Loop, Outcome
from layerwise.engine.model import Model
from layerwise.engine.ports import ports_of
from layerwise.engine.rows import Rows, fit
from layerwise.engine.settle import Settled, fit_answer, settle
from layerwise.engine.tensors import digest_tensors, to_raw
from layerwise.engine.training import Training, at_setting
from layerwise.engine.version import Version
from layerwise.errors import InvalidConfig, InvalidData, InvalidGraph, LayerwiseError, NotFound
from layerwise.graph import shapes
from layerwise.graph.graph import Graph
from layerwise.graph.layer import at_layer
from layerwise.layers.base import AnswerKind, State
from layerwise.layers.network import build, layer_states
from layerwise.layers.wrap import Wrapped
from layerwise.repo import LayerState, Repository, default_repository, now
from layerwise.store.rows import check_text
from layerwise.versions.manifest import Manifest

Positions = Mapping[str, np.ndarray[Any, Any]]


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


@dataclass(frozen=True)
class Prepared:
    """A run before its first step."""

    model: Model
    dataset: Dataset
    training: Training
    positions: Positions
    states: Mapping[str, State]
    truth: Truth
    settled: Settled
    live: Live

    def rows(self, split: str) -> Tensor:
        """Return the positions of a split's rows."""
        return torch.from_numpy(np.asarray(self.positions[split], dtype=np.int64))

    @property
    def key(self) -> dict[str, Any]:
        """What a run depends on: equal keys make equal bits."""
        layers = dict(self.model.walk())
        return {
            "graph": self.model.digest,
            "code": {path: layer.action.code for path, layer in layers.items() if layer.action.code},
            "data": self.dataset.digest,
            "start": digest_tensors(self.live.network.state_dict()),
            "training": {**self.training.to_json(), "checkpoint": None},
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "blas": os.environ.get("MKL_CBWR", ""),
            "device": str(self.live.device),
        }


def train(
    model: Model,
    data: Dataset | str | None = None,
    *,
    repo: Repository | None = None,
    observers: Sequence[Observer] = (),
    message: str = "",
    resume: bool = True,
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
    dataset = _dataset(door, model, data)
    started = time.perf_counter()
    with ExitStack() as stack:
        with at_setting("device"):
            device = choose_device(training.device)
        stack.enter_context(settled_torch(training, device))
        prepared = prepare(door, model, dataset, training, device, observers)
        environment = capture(device)
        run = f"r-{secrets.token_hex(6)}"
        loop = _loop(door, prepared, run, observers)
        settings = {"data": dataset.address, "training": training.to_json()}
        door.start_run(run, model.name, {"model": model.to_json(), **settings})
        try:
            outcome = _trained(loop, prepared, run, observers, resume=resume)
            version = _commit(door, prepared, run, outcome, environment, message)
        except BaseException:
            # What went wrong is what counts, not that this could not be written down either.
            with suppress(OSError, LayerwiseError):
                door.finish_run(run, "failed", None)
            raise
    seconds = time.perf_counter() - started
    _tell(observers, RunEnded(outcome.how, outcome.best, seconds))
    return Run(run, version, outcome.how, outcome.best, outcome.history, seconds, outcome.resumed)


def _trained(loop: Loop, prepared: Prepared, run: str, observers: Sequence[Observer], *, resume: bool) -> Outcome:
    loop.start(resume=resume)
    _tell(observers, _started(prepared, run, loop))
    return loop.run()


def _dataset(door: Repository, model: Model, data: object) -> Dataset:
    if isinstance(data, Dataset):
        return data
    if data is not None and not isinstance(data, str):
        found = type(data).__name__
        raise InvalidConfig(f"data is a dataset or its address, found {found}; keep it first: lw.dataset(NAME, data)")
    if data is not None:
        return door.dataset(data)
    if model.data is None:
        raise InvalidConfig(f"the model {model.name!r} names no dataset; give one: lw.train(model, data) or data: NAME")
    try:
        return door.dataset(model.data)
    except NotFound as error:
        raise InvalidConfig(f"data: {error}") from None


def prepare(
    door: Repository, model: Model, dataset: Dataset, training: Training, device: torch.device,
    observers: Sequence[Observer] = (),
) -> Prepared:  # fmt: skip
    """Check shapes, split, fit what learns on the training rows, settle what cannot change, and build the network."""
    columns = ports_of(dataset.schema)
    shapes.check(model, columns)
    layer, answer = _answer(model)
    with at_setting("split"):
        positions = split_rows(training.split, dataset)
    if not len(positions["train"]):
        raise InvalidData(f"no row of {dataset.address} is left to train on; look at train: split and at the dataset")
    chosen = Rows(model, dataset, positions["train"])
    _tell(observers, Phase(f"fitting the data layers on {len(positions['train']):,} rows"))
    states = fit(chosen)
    truth = Truth(layer.name, answer, fit_answer(chosen, answer))
    states = {**states, layer.name: truth.state}
    ports = shapes.check(model, columns, states)
    with at_layer(layer.name, layer.kind):
        answer.check(tuple(ports[source] for source in model.wiring[layer.name]), truth.state)
    _tell(observers, Phase(f"settling what cannot change, {len(dataset):,} rows"))
    settled = settle(Rows(model, dataset), states, answer, truth.state, disk=door.store.disk)
    torch.manual_seed(derived(training.seed, "weights"))
    network = build(model, ports).to(device)
    return Prepared(model, dataset, training, positions, states, truth, settled, Live(model, network, states, device))


def _answer(model: Model) -> tuple[Any, AnswerKind]:
    layer = model.answer
    if layer is None or not isinstance(layer.action, AnswerKind):
        raise InvalidGraph(
            f"the model {model.name!r} has no answer layer; end it with one, e.g. Classes(target=COLUMN)"
        )
    return layer, layer.action


def _tell(observers: Sequence[Observer], event: Any) -> None:
    for observer in observers:
        observer(event)


def _steps(prepared: Prepared) -> int:
    return max(1, -(-len(prepared.positions["train"]) // prepared.training.batch))


def _loop(door: Repository, prepared: Prepared, run: str, observers: Sequence[Observer]) -> Loop:
    training, train_rows = prepared.training, prepared.rows("train")
    learner = Learner(prepared.live, prepared.truth, training, steps=_steps(prepared))
    validation = prepared.rows("validation")
    loop = Loop(
        learner=learner,
        training=training,
        train_epoch=partial(learner.epoch, settled=prepared.settled, rows=train_rows),
        validate=partial(
            measure, prepared.live, prepared.truth.kind, prepared.truth.state, prepared.settled, validation
        ),
        observers=observers,
        log=partial(door.log_metrics, run),
        checkpoints=Checkpoints(door.store.disk, digest_value("run.v1", prepared.key)),
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


def _commit(
    door: Repository, prepared: Prepared, run: str, outcome: Outcome, environment: Environment, message: str
) -> Version:
    answer, state = prepared.truth.kind, prepared.truth.state
    metrics = dict(outcome.metrics)
    tested = measure(prepared.live, answer, state, prepared.settled, prepared.rows("test"))
    metrics.update({f"test/{name}": value for name, value in tested.items()})
    made = now()

    def manifest(number: int, parent: int | None) -> Manifest:
        return Manifest(
            model=prepared.model.name, number=number, parent=parent, graph=prepared.model.to_json(), layers={},
            data=_data(prepared), training=prepared.training.to_json(), metrics=metrics, run=run, outcome=outcome.how,
            epoch=outcome.best, created=made, actor=door.actor, message=message,
        )  # fmt: skip

    extras = {"environment": encode(environment.to_json())}
    entry = door.commit(manifest, _layers(prepared), extras)
    door.finish_run(run, "stopped" if outcome.how == "stopped" else "done", entry.number)
    outcome.checkpoints.clear()
    return Version(door, entry, door.manifest(entry), _instance(prepared.model))


def _instance(model: Model) -> nn.Module | None:
    # Code is never loaded from a repository, but here the wrapped module is at hand.
    return next((layer.action.instance for layer in model.layers if isinstance(layer.action, Wrapped)), None)


def _data(prepared: Prepared) -> dict[str, Any]:
    dataset = prepared.dataset
    return {
        "name": dataset.name,
        "number": dataset.number,
        "digest": dataset.digest,
        "columns": {field.name: type_text(field.type) for field in dataset.schema},
        "split": prepared.training.split.to_json(),
        "rows": {name: len(rows) for name, rows in prepared.positions.items()},
    }


def _layers(prepared: Prepared) -> dict[str, LayerState]:
    neural = layer_states(prepared.live.network)
    found = {}
    for path, layer in prepared.model.walk():
        tensors = neural.get(path) or prepared.states.get(path) or {}
        found[path] = LayerState(layer.kind, to_raw(tensors), layer.action.code)
    return found
