"""A run before its first step: checked, split, fitted, settled, built."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.data.dataset import Dataset
from layerwise.data.split import split_rows
from layerwise.engine.determinism import blank_memory, seed_torch
from layerwise.engine.evaluate import Live
from layerwise.engine.events import Observer, Phase, tell
from layerwise.engine.learner import Truth, derived
from layerwise.engine.model import Model
from layerwise.engine.ports import ports_of
from layerwise.engine.rows import Rows, fit
from layerwise.engine.settle import Settled, fit_answer, settle
from layerwise.engine.tensors import digest_tensors
from layerwise.engine.training import Training, at_setting
from layerwise.errors import InvalidConfig, InvalidData, InvalidGraph, NotFound
from layerwise.graph import shapes
from layerwise.graph.layer import Layer, at_layer
from layerwise.layers.base import AnswerKind, State
from layerwise.layers.network import build
from layerwise.repo import Repository

Positions = Mapping[str, np.ndarray[Any, Any]]


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


def find_dataset(door: Repository, model: Model, data: object) -> Dataset:
    """Return the dataset that is given, or that the model names; InvalidConfig where there is none."""
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
    ports = shapes.check(model, columns)
    layer, answer = _answer(model)
    with at_setting("split"):
        positions = split_rows(training.split, dataset)
    if not len(positions["train"]):
        raise InvalidData(f"no row of {dataset.address} is left to train on; look at train: split and at the dataset")
    chosen = Rows(model, dataset, positions["train"])
    tell(observers, Phase(f"fitting the data layers on {len(positions['train']):,} rows"))
    states = fit(chosen)
    truth = Truth(layer.name, answer, fit_answer(chosen, answer))
    if states:
        ports = shapes.check(model, columns, states)
    states = {**states, layer.name: truth.state}
    with at_layer(layer.name, layer.kind):
        answer.check(tuple(ports[source] for source in model.wiring[layer.name]), truth.state)
    tell(observers, Phase(f"settling what cannot change, {len(dataset):,} rows"))
    settled = settle(Rows(model, dataset), states, answer, truth.state, disk=door.store.disk)
    seed_torch(derived(training.seed, "weights"), device)
    with blank_memory(filled=True):
        network = build(model, ports).to(device)
    return Prepared(model, dataset, training, positions, states, truth, settled, Live(model, network, states, device))


def _answer(model: Model) -> tuple[Layer, AnswerKind]:
    layer = model.answer
    if layer is None or not isinstance(layer.action, AnswerKind):
        raise InvalidGraph(
            f"the model {model.name!r} has no answer layer; end it with one, e.g. Classes(target=COLUMN)"
        )
    return layer, layer.action
