"""Metrics on their way to the catalog: a thread of its own waits for the disk, so that training does not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Self

PAUSE = 1.0
"""Seconds between two writings. Whoever looks at a run meanwhile is at most this far behind."""

Metrics = Mapping[str, float]


class Journal:
    """Takes the metrics of epochs and passes them on, all that came in a pause together.

    While it is open as a context manager, a thread of its own does so. What goes wrong there is raised by the next
    ``note`` or ``flush``. At the end it is flushed; an error of the block counts more than one of the flushing.

    Args:
        keep: takes metrics by epoch and makes them durable; never called twice at a time.
        pause: seconds between two writings.

    Example:
        >>> kept = {}
        >>> with Journal(kept.update) as journal:
        ...     journal.note(1, {"loss": 0.5})
        >>> kept
        {1: {'loss': 0.5}}
    """

    def __init__(self, keep: Callable[[Mapping[int, Metrics]], None], pause: float = PAUSE) -> None:
        self._keep, self._pause = keep, pause
        self._noted: SimpleQueue[tuple[int, Metrics]] = SimpleQueue()
        self._waiting: dict[int, Metrics] = {}
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._failed: Exception | None = None
        self._writer = threading.Thread(target=self._write_on, name="layerwise-journal", daemon=True)

    def note(self, epoch: int, metrics: Metrics) -> None:
        """Take the metrics of an epoch; nothing is waited for."""
        self._hold_kept()
        self._noted.put((epoch, metrics))

    def flush(self) -> None:
        """Pass on all that was noted, and return when it is durable."""
        self._hold_kept()
        self._write()

    def __enter__(self) -> Self:
        self._writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        self._writer.join()
        with contextlib.suppress(Exception) if kind is not None else contextlib.nullcontext():
            self.flush()

    def _hold_kept(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _write_on(self) -> None:
        try:
            while not self._ended.wait(self._pause):
                self._write()
        except Exception as error:
            self._failed = error

    def _write(self) -> None:
        with self._writing:
            while not self._noted.empty():
                epoch, metrics = self._noted.get()
                self._waiting[epoch] = metrics
            if self._waiting:
                self._keep(self._waiting)
                self._waiting = {}
