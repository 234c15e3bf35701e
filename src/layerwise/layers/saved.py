"""Numbers of a checkpoint as JSON and back, and the sentence for a checkpoint of something else.

>>> from_json(to_json((0.9, float("inf"))), current=())
(0.9, inf)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from layerwise.errors import InvalidConfig

_SPECIAL = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def hold_same(what: str, saved: Any, wanted: Any) -> None:
    """Raise InvalidConfig where what a checkpoint was made of is not what the run has."""
    if saved != wanted:
        raise InvalidConfig(
            f"the checkpoint's {what} is {_shown(saved)}, the run's {_shown(wanted)}; "
            "go on with the settings that it was made with, or start the run anew"
        )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


def is_plain(value: Any) -> bool:
    """Tell whether a value is a scalar of JSON, or a list of them."""
    if isinstance(value, list | tuple):
        return all(is_plain(inner) and not isinstance(inner, list | tuple) for inner in value)
    return value is None or isinstance(value, bool | int | float | str)


def to_json(value: Any) -> Any:
    """Return a scalar, list or tuple as JSON, to the bit; infinities and NaN as ``{"float": "inf"}``."""
    if isinstance(value, list | tuple):
        return [to_json(inner) for inner in value]
    # JSON has no infinity, and ReduceLROnPlateau begins with it.
    return {"float": repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def from_json(value: Any, current: Any) -> Any:
    """Return what ``to_json`` wrote; a list is a tuple again where ``current`` is one."""
    if isinstance(value, list):
        inner = [from_json(item, None) for item in value]
        return tuple(inner) if isinstance(current, tuple) else inner
    if isinstance(value, Mapping):
        return _SPECIAL[str(value.get("float"))]
    return value
