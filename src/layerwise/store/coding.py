"""How cold objects are coded."""

from __future__ import annotations

from collections.abc import Callable

from layerwise.errors import Unsupported
from layerwise.words import Digest


def decode(coding: str, stored: memoryview, length: int, base: Callable[[Digest], memoryview]) -> memoryview:
    """Return the object that ``stored`` stands for."""
    raise Unsupported(f"the coding {coding!r} of an object is not known; install a newer Layerwise")
