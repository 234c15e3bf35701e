"""What goes wrong in a layer, and in which layer first: dead, exploding, vanishing, saturated, no number.

>>> found = {"a": {"dead": 0.1}, "b": {"dead": 0.9}, "c": {"dead": 1.0}}
>>> [(warning.layer, warning.what) for warning in troubles(found)]
[('b', 'dead')]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

DEAD = 0.5
"""A layer is dead where at least half of its units made the same number for every row looked at. Fewer are usual: a
unit may be for rows that are rare."""

SATURATED = 0.5
"""A layer is saturated where at least half of its numbers are within a hundredth of the ends of its activation's range:
what comes back through them is less than a twentieth."""

EXPLODING = 1e3
"""A layer explodes where the norm of its gradient is a thousand times that of its weights (or of 1, where they are
smaller): at a learning rate of 0.001 a step then replaces them."""

VANISHING = 1e-6
"""A gradient vanishes where a weight's is on average less than a millionth of that in the layer where it is largest: at
the same learning rate this layer stands still while that one learns."""

Found = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong, the first layer in which it does, and what to do, in a sentence."""

    what: str
    layer: str
    text: str


def troubles(found: Found, sizes: Mapping[str, int] | None = None) -> Iterator[Trouble]:
    """Yield what goes wrong in an epoch, each with the first layer in which it appeared.

    Args:
        found: the statistics of the epoch by layer, in the model's order.
        sizes: how many weights each layer has.
    """
    average = {
        layer: values["gradients"] / math.sqrt((sizes or {}).get(layer, 1))
        for layer, values in found.items()
        if math.isfinite(values.get("gradients", math.nan))
    }
    largest = max(average.values(), default=0.0)
    checks: dict[str, tuple[Callable[[str, Mapping[str, float]], bool], Callable[[Mapping[str, float]], str]]] = {
        "nan": (lambda layer, values: values.get("nonfinite", 0) > 0, _nan),
        "dead": (lambda layer, values: values.get("dead", 0) >= DEAD, _dead),
        "exploding": (lambda layer, values: _explodes(values), _exploding),
        "vanishing": (lambda layer, values: average.get(layer, math.inf) < VANISHING * largest, _vanishing),
        "saturated": (lambda layer, values: values.get("saturated", 0) >= SATURATED, _saturated),
    }
    for what, (wrong, said) in checks.items():
        first = next((layer for layer, values in found.items() if wrong(layer, values)), None)
        if first is not None:
            yield Trouble(what, first, said(found[first]))


def _explodes(values: Mapping[str, float]) -> bool:
    return values.get("gradients", 0.0) > EXPLODING * max(values.get("weights", 1.0), 1.0)


def _nan(values: Mapping[str, float]) -> str:
    return f"{values['nonfinite']:,.0f} of its numbers are NaN or infinite; use a smaller lr, or clip the gradients"


def _dead(values: Mapping[str, float]) -> str:
    return f"{values['dead']:.0%} of its units make the same for every row; use a smaller lr, or leaky_relu or gelu"


def _exploding(values: Mapping[str, float]) -> str:
    norms = f"{values['gradients']:.3g} beside {values.get('weights', 0.0):.3g} of its weights"
    return f"the norm of its gradient is {norms}; clip the gradients (clip: 1.0), or use a smaller lr"


def _vanishing(values: Mapping[str, float]) -> str:
    cure = "use relu or gelu in the layers behind it, a residual block, or a normalisation"
    return f"its gradient is {values['gradients']:.3g}, next to nothing beside other layers'; {cure}"


def _saturated(values: Mapping[str, float]) -> str:
    return f"{values['saturated']:.0%} of its numbers are at the ends of its range; normalise what it gets, or scale it"
