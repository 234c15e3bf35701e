"""Metrics on their way to the catalog: a writing waits for the disk, so there is one a second, not one an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

PAUSE = 1.0
"""Seconds between two writings. Whoever looks at a run meanwhile is at most this far behind."""


class Journal:
    """Takes the metrics of epochs and passes them on, at most once in ``PAUSE`` seconds and when it is flushed.

    Args:
        keep: takes metrics by epoch and makes them durable.

    Example:
        >>> kept = {}
        >>> journal = Journal(kept.update)
        >>> journal.note(1, {"loss": 0.5})
        >>> journal.flush()
        >>> kept
        {1: {'loss': 0.5}}
    """

    def __init__(self, keep: Callable[[Mapping[int, Mapping[str, float]]], None]) -> None:
        self._keep = keep
        self._waiting: dict[int, Mapping[str, float]] = {}
        self._last = time.monotonic()

    def note(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of an epoch."""
        self._waiting[epoch] = metrics
        if time.monotonic() - self._last >= PAUSE:
            self.flush()

    def flush(self) -> None:
        """Pass on what waits."""
        if self._waiting:
            self._keep(self._waiting)
            self._waiting = {}
        self._last = time.monotonic()
