"""What a place for immutable files offers: a folder (`Disk`) or a bucket of an object store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from layerwise.store.disk import Buffer


class Blobs(Protocol):
    """Immutable files by names that Layerwise made."""

    def publish(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Write a whole file, durably; nobody ever sees a part of it."""

    def read(self, name: str) -> memoryview:
        """Return the bytes of a file, or raise FileNotFoundError."""

    def read_range(self, name: str, begin: int, end: int) -> memoryview:
        """Return bytes ``begin`` to ``end`` of a file that never changes; fewer where it ends before."""

    def read_private(self, name: str) -> memoryview | None:
        """Return the bytes of a file, mapped, writable, for the caller alone; None where files cannot be mapped.

        Raises FileNotFoundError.
        """

    def forget(self, name: str) -> None:
        """Read a file anew the next time, where a copy or a view of it was kept."""

    def list(self, folder: str | None = None) -> Sequence[str]:
        """Return the names of what is in ``folder``, sorted."""

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""

    def move(self, source: str, target: str) -> None:
        """Give a file another name, durably; it is there under one of the two, or both, at any moment."""

    def discard(self, name: str) -> None:
        """Remove a file that may be gone already."""
