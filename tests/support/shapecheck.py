"""How shapes and types are checked while tests run: jaxtyping calls this on everything in ``layerwise.layers``."""

from __future__ import annotations

from typing import Any

from beartype import BeartypeConf, beartype

# A whole number stands for a number, as everywhere in Python.
_CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(thing: Any) -> Any:
    """Return ``thing`` with its types checked. A kind's options are left out: it holds and converts them itself."""
    return thing if getattr(thing, "__name__", "") == "__init__" else _CHECK(thing)
