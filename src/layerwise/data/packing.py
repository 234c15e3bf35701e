"""Puts the blocks of a large dataset into the store, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

from layerwise.store.objects import PackWriter
from layerwise.store.store import Store
from layerwise.words import Digest

WAITING_BYTES = 16 << 20
"""A pack is written when this much waits: a writer holds its pack in memory, and little is promised."""


class Packing:
    """Pack writers, one after another, used like one: inside a ``with``, by ``put``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stack = ExitStack()
        self._before = (0, 0)

    def __enter__(self) -> Packing:
        self._writer = self._stack.enter_context(self._store.objects.writing())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def new_bytes(self) -> int:
        """Bytes of the objects that were not in the store."""
        return self._before[0] + self._writer.new_bytes

    @property
    def new_objects(self) -> int:
        """How many objects were not in the store."""
        return self._before[1] + self._writer.new_objects

    def put(self, chunks: Sequence[memoryview | bytes]) -> Digest:
        """Put one object, the concatenation of ``chunks``, and return its digest."""
        digest = self._writer.put(chunks)
        if self._writer.new_bytes >= WAITING_BYTES:
            self._before = self.new_bytes, self.new_objects
            self._writer = self._next()
        return digest

    def _next(self) -> PackWriter:
        self._stack.close()
        return self._stack.enter_context(self._store.objects.writing())
