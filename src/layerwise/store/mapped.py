"""Files that never change, each mapped once for all who read it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

MAPPED_FILES = 256
"""Most files kept mapped: each takes a file descriptor while a view of it lives."""


class MappedFiles:
    """Keeps what ``read`` gives by name; those go first that were not asked for longest. Safe across threads."""

    def __init__(self, read: Callable[[str], memoryview]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._files: OrderedDict[str, memoryview] = OrderedDict()

    def get(self, name: str) -> memoryview:
        """Return a file's bytes."""
        with self._lock:
            data = self._files.get(name)
            if data is None:
                data = self._files[name] = self._read(name)
            self._files.move_to_end(name)
            if len(self._files) > MAPPED_FILES:
                self._files.popitem(last=False)
            return data

    def forget(self, name: str | None = None) -> None:
        """Read a file anew the next time, or every file; views that were handed out stay good."""
        with self._lock:
            if name is None:
                self._files.clear()
            else:
                self._files.pop(name, None)
