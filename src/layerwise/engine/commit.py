"""Keeping what a run made: objects, then the manifest, then the name."""

from __future__ import annotations

from typing import Any

from torch import nn

from layerwise.canonical import encode
from layerwise.data.schema import type_text
from layerwise.engine.environment import Environment
from layerwise.engine.evaluate import measure
from layerwise.engine.loop import Outcome
from layerwise.engine.model import Model
from layerwise.engine.prepare import Prepared
from layerwise.engine.tensors import to_raw
from layerwise.engine.version import Version
from layerwise.layers.network import layer_states
from layerwise.layers.wrap import Wrapped
from layerwise.repo import LayerState, Repository, now
from layerwise.versions.manifest import Manifest


def commit(
    door: Repository, prepared: Prepared, run: str, outcome: Outcome, environment: Environment, message: str
) -> Version:
    """Measure the test rows, keep the version durably, and return it, opened."""
    answer, state = prepared.truth.kind, prepared.truth.state
    metrics = dict(outcome.metrics)
    tested = measure(prepared.live, answer, state, prepared.settled, prepared.rows("test"))
    metrics.update({f"test/{name}": value for name, value in tested.items()})
    made = now()

    def manifest(number: int, parent: int | None) -> Manifest:
        return Manifest(
            model=prepared.model.name, number=number, parent=parent, graph=prepared.model.to_json(), layers={},
            data=_data(prepared), training=prepared.training.to_json(), metrics=metrics, run=run, outcome=outcome.how,
            epoch=outcome.best, created=made, actor=door.actor, message=message, key=outcome.checkpoints.key,
        )  # fmt: skip

    epochs = {"format": 1, "epochs": [dict(layers) for layers in outcome.learned]}
    extras = {"environment": encode(environment.to_json()), "epochs": encode(epochs)}
    status = "stopped" if outcome.how == "stopped" else "done"
    entry = door.commit(manifest, _layers(prepared), extras, status)
    outcome.checkpoints.clear()
    return Version(door, entry, door.manifest(entry), _instances(prepared.model))


def _instances(model: Model) -> dict[str, nn.Module] | None:
    # Code is never loaded from a repository, but here the wrapped modules are at hand.
    found = {layer.name: layer.action.module for layer in model.layers if isinstance(layer.action, Wrapped)}
    return found or None


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
