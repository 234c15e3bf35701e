"""Optimizers and schedules of torch as choices: their names, their options, and what is refused with a reason.

>>> options_of(torch.optim.SGD)["nesterov"]
'true or false'
"""

from __future__ import annotations

import functools
import inspect
import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from layerwise.errors import InvalidConfig, InvalidLayer, nearest
from layerwise.graph.kinds import describe_type, fit_type
from layerwise.words import shorten

Settings: typing.TypeAlias = str | Mapping[str, Any]
"""``"adam"``, or a name with options: ``{"kind": "sgd", "momentum": 0.9}``."""

REFUSED: Mapping[str, str] = {
    "LBFGS": "it runs the model several times a step (a closure), which a recorded run does not; use Adam or SGD",
    "SparseAdam": "it takes sparse gradients only, and layers here give dense ones; use Adam",
    "LambdaLR": "it takes a function, which a description cannot hold; use OneCycleLR or MultiStepLR",
    "MultiplicativeLR": "it takes a function, which a description cannot hold; use ExponentialLR",
    "SequentialLR": "it takes other schedules; use OneCycleLR, which warms up and then goes down",
    "ChainedScheduler": "it takes other schedules; use OneCycleLR, which warms up and then goes down",
}
"""What torch has and a run does not take, with the reason."""

# Set by the run itself, or of no use in it: capturable and differentiable change what a step may be part of.
_HIDDEN = {"params", "optimizer", "lr", "last_epoch", "capturable", "differentiable", "epochs", "steps_per_epoch"}

# torch's schedules import these for type checkers only.
_NAMES = {"Callable": Callable, "Iterable": Iterable, "Sequence": Sequence}


def optimizers() -> dict[str, type[Optimizer]]:
    """Return every optimizer that a run takes, by name.

    >>> "AdamW" in optimizers(), "LBFGS" in optimizers()
    (True, False)
    """
    return {name: cls for name, cls in _classes(torch.optim, Optimizer).items() if name not in REFUSED}


def schedules() -> dict[str, type[LRScheduler]]:
    """Return every schedule of the learning rate that a run takes, by name."""
    return {name: cls for name, cls in _classes(lr_scheduler, LRScheduler).items() if name not in REFUSED}


def _classes(module: types.ModuleType, base: type) -> dict[str, Any]:
    found = {name: thing for name, thing in sorted(vars(module).items()) if not name.startswith("_")}
    return {
        name: thing
        for name, thing in found.items()
        if isinstance(thing, type) and issubclass(thing, base) and thing is not base
    }


def options_of(cls: type) -> dict[str, str]:
    """Return the options of an optimizer or schedule, and what each takes, in words."""
    return {name: describe_type(hint) for name, hint in hints_of(cls).items()}


def named(settings: Settings, what: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options that settings say, or raise InvalidConfig."""
    said = {"kind": settings} if isinstance(settings, str) else settings
    options = {str(key): value for key, value in said.items()} if isinstance(said, Mapping) else {}
    name = options.pop("kind", None)
    if not isinstance(name, str):
        raise InvalidConfig(f"the {what} is {shorten(settings)}; expected a name, or a mapping with kind: NAME")
    return name, options


def find(name: str, known: Mapping[str, Any], what: str) -> type:
    """Return the class called ``name``, upper or lower case; raise InvalidConfig with the nearest or the reason."""
    refused = {key.lower(): key for key in REFUSED}.get(name.lower())
    if refused is not None:
        raise InvalidConfig(f"the {what} {refused} is not taken: {REFUSED[refused]}")
    found: type | None = {key.lower(): cls for key, cls in known.items()}.get(name.lower())
    if found is None:
        raise InvalidConfig(f"there is no {what} {shorten(name)}.{nearest(name, known)}")
    return found


def hints_of(cls: type) -> dict[str, Any]:
    """Return the type of each option that a description can hold."""
    hints = typing.get_type_hints(cls.__init__, localns=_NAMES)  # type: ignore[misc]
    found = {name: _plain(hints[name]) for name in inspect.signature(cls).parameters if name not in _HIDDEN}
    return {name: hint for name, hint in found.items() if hint is not type(None)}


def _plain(hint: Any) -> Any:
    """Return a hint in the words of options: sequences are tuples; tensors and functions fall out of a choice."""
    origin, inner = typing.get_origin(hint), [_plain(part) for part in typing.get_args(hint)]
    if origin in (typing.Union, types.UnionType):
        kept = [part for part in inner if part is not torch.Tensor and typing.get_origin(part) is not Callable]
        return functools.reduce(operator.or_, kept)
    if origin in (list, Iterable, Sequence):
        return tuple[inner[0], ...]  # type: ignore[valid-type]
    return tuple[tuple(inner)] if origin is tuple else hint  # type: ignore[misc]


def fitted(cls: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as ``cls`` takes them; raise InvalidConfig for one that is wrong, unknown or missing."""
    hints = hints_of(cls)
    for key in options:
        if key not in hints:
            own = " (the run sets it itself)" if key in _HIDDEN else ""
            raise InvalidConfig(f"{cls.__name__} has no option {shorten(key)}{own}.{nearest(str(key), hints)}")
    for key, parameter in inspect.signature(cls).parameters.items():
        if key in hints and key not in options and parameter.default is parameter.empty:
            raise InvalidConfig(f"{cls.__name__} needs the option {key!r}: {describe_type(hints[key])}")
    try:
        return {key: fit_type(value, hints[key], key) for key, value in options.items()}
    except InvalidLayer as error:
        raise InvalidConfig(f"{cls.__name__}: {error}") from None


def made(cls: type, own: dict[str, Any], options: dict[str, Any], what: str) -> Any:
    """Return ``cls`` made of what the run gives it and the options; raise InvalidConfig with what torch says."""
    try:
        return cls(**own, **options)
    except (ArithmeticError, AssertionError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        said = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "its defaults"
        raise InvalidConfig(f"the {what} {cls.__name__} does not take {shorten(said, 200)}: {error}") from None
