"""A module's constructor as options: what it takes, what a description may say, and which sizes follow from inputs."""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from layerwise.canonical import encode
from layerwise.errors import Invalid, InvalidLayer, InvalidShape, nearest
from layerwise.graph.kinds import describe_type, fit_type, plain
from layerwise.graph.ports import Port
from layerwise.layers.wants import COUNTS, hold_count
from layerwise.words import shorten

REQUIRED: Any = inspect.Parameter.empty

FIXED: dict[str, tuple[Any, str]] = {
    "device": (None, "where a model runs is said to `train` or `predict`"),
    "dtype": (None, "the precision is said to `train` or `predict`"),
    "inplace": (False, "other layers and records may read what it would overwrite"),
    "return_indices": (False, "what leaves a layer is one tensor"),
    "batch_first": (True, "values are batch-first everywhere"),
    "process_group": (None, "how many processes there are is said to `train`"),
}
"""Constructor arguments of ``torch.nn`` that are not a layer's to choose: their value, and why."""

DEFAULTS: dict[str, dict[str, Any]] = {name: {"dim": -1} for name in ("Softmax", "LogSoftmax", "Softmin")}
"""Defaults of ours, where torch's own is a guess that it warns about."""


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor. ``hint`` is None where no JSON value can serve."""

    name: str
    hint: Any
    default: Any = REQUIRED

    @property
    def required(self) -> bool:
        """Whether the constructor has no default for it."""
        return self.default is REQUIRED


def is_torch(cls: type) -> bool:
    """Tell whether ``cls`` is one of torch's own modules."""
    return cls.__module__.partition(".")[0] == "torch"


def arguments_of(cls: type) -> Mapping[str, Argument]:
    """Return the arguments of a module class's constructor by name, in its order.

    Example:
        >>> [name for name, argument in arguments_of(nn.Linear).items() if argument.required]
        ['in_features', 'out_features']
    """
    return _arguments(cls)


@functools.lru_cache(maxsize=512)
def _arguments(cls: type) -> Mapping[str, Argument]:
    constructor: Any = cls.__init__  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(constructor)
    except (NameError, TypeError, AttributeError):
        hints = {}
    found = {}
    for name, parameter in list(inspect.signature(constructor).parameters.items())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = DEFAULTS.get(cls.__name__, {}).get(name, parameter.default) if is_torch(cls) else parameter.default
        found[name] = Argument(name, _json_hint(hints.get(name, Any)), default)
    return types.MappingProxyType(found)


def _json_hint(hint: Any) -> Any:
    """Return ``hint`` in the types that an option is held to, or None where no JSON value fits."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or hint in (int, float, str, bool, type(None)) or origin is Literal:
        return hint
    if origin in (typing.Union, types.UnionType):
        fits = [found for part in inner if (found := _json_hint(part)) is not None]
        return typing.Union[tuple(fits)] if fits else None  # noqa: UP007
    kind = origin or hint
    if not isinstance(kind, type):
        return None
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        parts = [_json_hint(part) for part in inner]
        return None if None in parts else tuple[tuple(parts)]  # type: ignore[misc]
    if kind is not str and issubclass(kind, tuple | typing.Sequence | typing.AbstractSet):
        part = int if kind is torch.Size else _json_hint(inner[0]) if inner else Any
        return None if part is None else tuple[part, ...]  # type: ignore[valid-type]
    return Mapping[str, Any] if issubclass(kind, typing.Mapping) else None


def fit_options(cls: type[nn.Module], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the constructor wants them, in its order, without those that equal its defaults.

    Raises:
        InvalidLayer: an unknown, missing or ill-typed option, with what is expected.

    Example:
        >>> fit_options(nn.Conv2d, {"kernel_size": [3, 3], "out_channels": 8, "bias": True})
        {'out_channels': 8, 'kernel_size': (3, 3)}
    """
    known = {
        name: argument
        for name, argument in arguments_of(cls).items()
        if not name.startswith("_") and not (is_torch(cls) and name in FIXED)
    }
    for name in options:
        _hold_known(cls, name, options[name], known)
    found = {}
    for name, argument in known.items():
        if name in options:
            value = _fitted(argument, options[name])
            if is_torch(cls) and name in COUNTS:
                hold_count(name, value)
            if (
                argument.required
                or plain(value) != plain(argument.default)
                or type(value) is not type(argument.default)
            ):
                found[name] = value
    _hold_complete(cls, found, known)
    return found


def _hold_known(cls: type[nn.Module], name: str, value: Any, known: Mapping[str, Argument]) -> None:
    if name in known or (is_torch(cls) and name in FIXED and value == FIXED[name][0]):
        if name in known and known[name].hint is None:
            raise InvalidLayer(f"the option {name!r} cannot be said in a description; leave it out")
        return
    if is_torch(cls) and name in FIXED and name in arguments_of(cls):
        raise InvalidLayer(f"the option {name!r} is not a layer's to choose: {FIXED[name][1]}; leave it out")
    offered = [*(key for key, argument in known.items() if argument.hint is not None), "activation"]
    raise InvalidLayer(f"there is no option {shorten(name)}.{nearest(name, offered)}")


def _fitted(argument: Argument, value: Any) -> Any:
    if type(value) is type(argument.default) and value == argument.default:
        return value
    fitted = fit_type(value, argument.hint, argument.name)
    try:
        encode(plain(fitted))
    except Invalid as error:
        raise InvalidLayer(f"the option {argument.name!r} must be a JSON value: {error}") from None
    return tuple(fitted) if isinstance(fitted, list) and isinstance(argument.default, tuple) else fitted


def _hold_complete(cls: type[nn.Module], found: Mapping[str, Any], known: Mapping[str, Argument]) -> None:
    missing = [a for a in known.values() if a.required and a.name not in found and a.name not in SIZES]
    for argument in missing:
        if argument.hint is None:
            raise InvalidLayer(
                f"the constructor of {cls.__name__} needs {argument.name!r}, which a description cannot hold; "
                f"give it a default, or wrap a module that is made already: lw.wrapped(module)"
            )
    if missing:
        named = " and ".join(
            f"{a.name!r} ({describe_type(a.hint) if a.hint is not Any else 'a value'})" for a in missing
        )
        one = len(missing) == 1
        raise InvalidLayer(
            f"the option{'' if one else 's'} {named} {'is' if one else 'are'} missing: write {missing[0].name}: …"
        )


def _dimension(position: int, which: int = 0) -> Callable[[tuple[Port, ...]], int | None]:
    def read(inputs: tuple[Port, ...]) -> int | None:
        return inputs[which].shape[position] if which < len(inputs) and inputs[which].shape else None

    return read


_last, _first = _dimension(-1), _dimension(0)

SIZES: dict[str, Callable[[tuple[Port, ...]], int | None]] = {
    **dict.fromkeys(("in_features", "input_size", "embed_dim", "d_model", "normalized_shape", "in1_features"), _last),
    **dict.fromkeys(("in_channels", "num_channels", "num_features"), _first),
    "in2_features": _dimension(-1, which=1),
    "num_embeddings": lambda inputs: inputs[0].size if inputs else None,
}
"""Arguments that follow from what arrives: the size of a dimension, or how many different values there are."""


def size_arguments(cls: type[nn.Module], given: Mapping[str, Any], inputs: tuple[Port, ...]) -> dict[str, Any]:
    """Return all arguments for the constructor: those given and the sizes that follow from the inputs.

    Raises:
        InvalidShape: a size that was given contradicts the input (both numbers), or is not known yet.

    Example:
        >>> size_arguments(nn.Linear, {"out_features": 3}, (Port("float32", (8,)),))
        {'out_features': 3, 'in_features': 8}
    """
    ready = dict(given)
    ours = is_torch(cls)
    for name, argument in arguments_of(cls).items():
        if ours and name == "batch_first":
            ready[name] = True
        if ours and name not in given and name in DEFAULTS.get(cls.__name__, {}):
            ready[name] = argument.default
        if name not in SIZES:
            continue
        size = SIZES[name](inputs)
        if name in given:
            # A user's own class may mean something else by the same word (d_model as an inner width).
            if ours and size is not None:
                _hold_size(name, given[name], size, inputs)
        elif argument.required or (ours and name == "d_model"):
            if size is None:
                raise InvalidShape(_unknown_size(name, inputs))
            ready[name] = size
    return ready


def _hold_size(name: str, given: Any, size: int, inputs: tuple[Port, ...]) -> None:
    port = inputs[1] if name == "in2_features" else inputs[0]
    if name == "normalized_shape":
        wanted = (given,) if isinstance(given, int) else tuple(given)
        if port.shape[-len(wanted) :] != wanted and None not in port.shape[-len(wanted) :]:
            raise InvalidShape(
                f"normalized_shape is {list(wanted)} and the input is {port}; leave it out or set it to [{size}]"
            )
    elif name == "num_embeddings":
        if given < size:
            raise InvalidShape(
                f"num_embeddings is {given} and its input has {size} different values; leave it out or set it to {size}"
            )
    elif given != size:
        known = [dimension for dimension in port.shape if dimension is not None]
        cure = f"leave it out or set it to {size}"
        if len(known) == len(port.shape) > 1 and math.prod(known) == given:
            cure = f"put a torch.nn.Flatten before it ({'×'.join(map(str, known))} = {given})"
        place = "first" if SIZES[name] is _first else "last"
        raise InvalidShape(f"{name} is {given} and the input {port} has {size} in its {place} dimension; {cure}")


def _unknown_size(name: str, inputs: tuple[Port, ...]) -> str:
    found = " and ".join(map(str, inputs)) or "nothing"
    if name == "num_embeddings":
        cure = "put `category` or `vocabulary` before it, or set num_embeddings"
        return f"it gets {found}, and how many different values there are is not known; {cure}"
    if inputs and not inputs[0].shape:
        return f"it gets {found}, one number a row, and wants a list of them; say shape: [1] at the column"
    cure = f"set {name}, or fit the data layers before it"
    return f"it gets {found}, so {name} is not known; {cure}"
