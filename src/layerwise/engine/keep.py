"""Keeping weights that a loop of the user's own has changed, as a new version."""

from __future__ import annotations

import dataclasses

from layerwise.canonical import encode
from layerwise.engine.environment import capture
from layerwise.engine.tensors import to_raw
from layerwise.engine.version import Version
from layerwise.layers.network import layer_states
from layerwise.repo import LayerState, now
from layerwise.store.rows import check_text
from layerwise.versions.manifest import LayerEntry, Manifest


def keep(version: Version, message: str = "", *, track: bool = False) -> Version:
    """Keep the weights of a version's module, as they are now, as a new version, and return it.

    After a training loop of your own on ``version.module()``: layers that did not change cost their digest and nothing
    else. Metrics are not measured: ``evaluate`` the new version.

    Args:
        version: a version whose ``module()`` was changed in place.
        message: why, to be kept with the new version.
        track: whether to believe PyTorch's count of writes instead of reading every byte. It misses what is written
            through ``.data`` or NumPy (`layerwise.engine.tracking`).

    Raises:
        Conflict: others moved the name at every attempt.

    Example:
        >>> version = lw.load("digits@3")  # doctest: +SKIP
        >>> fine_tune(version.module())  # doctest: +SKIP
        >>> lw.keep(version, "two more epochs of my own loop")  # doctest: +SKIP
        <Version digits@4>
    """
    check_text(message, "a message")
    states = layer_states(version.live.network)
    same = version.tracker.unchanged(states) if track else set()
    actions = dict(version.model.walk())
    layers: dict[str, LayerState | LayerEntry] = dict(version.manifest.layers)
    for path in states.keys() - same:
        layers[path] = LayerState(version.manifest.layers[path].kind, to_raw(states[path]), actions[path].action.code)
    made = now()

    def manifest(number: int, parent: int | None) -> Manifest:
        return dataclasses.replace(
            version.manifest, number=number, parent=parent, metrics={}, run="", outcome="kept", epoch=0, created=made,
            actor=version.repo.actor, message=message, key="", epochs=None,
        )  # fmt: skip

    extras = {"environment": encode(capture(version.live.device).to_json())}
    entry = version.repo.commit(manifest, layers, extras)
    return Version(version.repo, entry, version.repo.manifest(entry), version.module_given)
