"""What looks on while a model learns: statistics of layers, warnings, live recordings. The learner knows this alone."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from layerwise.engine.evaluate import Live
from layerwise.engine.events import LayerWarned, Observer, RecordsLost, tell
from layerwise.engine.recording.live import LiveRecording
from layerwise.engine.recording.statistics import Sampler, as_metrics
from layerwise.engine.recording.warnings import Trouble, troubles
from layerwise.layers.base import Padded, Value
from layerwise.layers.network import layer_parameters
from layerwise.layers.observed import Observe


class Watch:
    """Looks on at every step of a run, draws nothing, and changes nothing.

    Args:
        live: the live part of the model.
        steps: steps of an epoch.
        observers: told of warnings, and of what is not recorded.
        recording: the live recording, where there is one.
    """

    def __init__(self, live: Live, steps: int, observers: Sequence[Observer], recording: LiveRecording | None) -> None:
        self._live, self._observers, self._recording = live, observers, recording
        self._sampler = Sampler(live.graph, live.network, steps)
        self._sizes = {path: sum(p.numel() for p in found) for path, found in layer_parameters(live.network).items()}
        self._looking = False
        self._epoch, self._wanted = 0, frozenset[int]()
        self._told: set[str] = set()
        self._warned: dict[str, float] = {}

    def begin(self, epoch: int, step: int, rows: Tensor) -> Observe | None:
        """Return what is to be told of what leaves layers in this step, or None where nobody wants to know."""
        if epoch != self._epoch:
            self._epoch, self._wanted = epoch, self._sampler.wanted(epoch)
        self._looking = step in self._wanted
        recording = None if self._recording is None or self._recording.stopped else self._recording
        if recording is not None:
            recording.begin(epoch, step, rows)
            return self._both if self._looking else recording
        return self._look if self._looking else None

    def computed(self, loss: Tensor, inputs: Sequence[Value]) -> None:
        """Take in the loss of a step before anything is learned from it."""
        # Elsewhere than on the processor every step would be waited for: there the steps that are looked at tell.
        if loss.device.type == "cpu" and not math.isfinite(loss.item()) and "nan" not in self._told:
            self._diagnose(inputs)

    def learned(self) -> None:
        """Take in that the gradients of a step are there, not yet clipped."""
        if self._looking:
            self._guarded(self._sampler.learned)

    def updated(self) -> None:
        """Take in that the weights of a step have changed."""
        if self._looking:
            self._guarded(self._sampler.updated)

    def ended(self, epoch: int) -> Mapping[str, float]:
        """Return what is kept of the layers in an epoch that is over, as metrics, and tell what went wrong."""
        found = self._sampler.ended()
        for trouble in troubles(found, self._sizes):
            self._warn(trouble)
        warned, self._warned = self._warned, {}
        return {**as_metrics(found), **warned}

    def _look(self, path: str, value: Value) -> None:
        self._guarded(lambda: self._sampler(path, value))

    def _both(self, path: str, value: Value) -> None:
        assert self._recording is not None
        self._recording(path, value)
        self._look(path, value)

    def _guarded(self, look: Callable[[], None]) -> None:
        # A value that nobody thought of must not end a run that would have gone on.
        try:
            look()
        except (RuntimeError, ValueError, TypeError, AttributeError, StopIteration) as error:
            self._looking = False
            if "statistics" not in self._told:
                self._told.add("statistics")
                tell(self._observers, RecordsLost(f"layers are not looked at as asked: {error}"))

    def _warn(self, trouble: Trouble) -> None:
        if trouble.what not in self._told:
            self._told.add(trouble.what)
            self._warned |= as_metrics({trouble.layer: {f"warning/{trouble.what}": 1.0}})
            tell(self._observers, LayerWarned(self._epoch, trouble.layer, trouble.what, trouble.text))

    def _diagnose(self, inputs: Sequence[Value]) -> None:
        """Say in which layer the first number came that is none: the step is run once more, and looked at."""
        found: dict[str, dict[str, float]] = {}

        def observe(path: str, value: Value) -> None:
            tensor = value.values if isinstance(value, Padded) else value
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                found[path] = {"nonfinite": float((~tensor.isfinite()).sum())}

        # What is drawn here is not to be missing from what is drawn after it.
        devices = [self._live.device] if self._live.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices), contextlib.suppress(Exception):
            self._live.network(*inputs, observe=observe)
        bad = [path for path, values in found.items() if values["nonfinite"]]
        inner = [path for path in bad if not any(other.startswith(f"{path}.") for other in bad)]
        if inner:
            self._warn(next(troubles({inner[0]: found[inner[0]]})))
