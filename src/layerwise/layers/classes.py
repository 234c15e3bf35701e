"""Which module class a title names, torch's own or one of the running program, and what can be read off a class."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

from torch import nn

from layerwise.errors import InvalidLayer, nearest
from layerwise.graph import kinds
from layerwise.graph.layer import qualified_name
from layerwise.layers.arguments import REQUIRED, is_torch
from layerwise.words import shorten

ELSEWHERE = {
    **dict.fromkeys(("Sequential", "Module", "Container"), "write a `block` with layers inside"),
    **dict.fromkeys(("ModuleList", "ModuleDict"), "write its layers one by one, or a `block` with layers inside"),
    **dict.fromkeys(("ParameterList", "ParameterDict"), "it does not run; write a module class of your own"),
    **dict.fromkeys(("RNNBase", "RNNCellBase"), "use torch.nn.RNN, torch.nn.GRU or torch.nn.LSTM"),
    **dict.fromkeys(
        ("MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"), "it needs indices beside values; use torch.nn.Upsample"
    ),
    "DataParallel": "how many processors there are is said to `train`",
    "LSTMCell": "it answers with two tensors; use torch.nn.LSTM",
    "MultiheadAttention": "use the kind `attention`",
    "TransformerEncoder": "write `transformer` layers one after another",
    "TransformerDecoder": "write torch.nn.TransformerDecoderLayer layers one after another",
}
"""Classes of ``torch.nn`` that are no layer by themselves, and what to use."""


def find_class(title: str) -> type[nn.Module] | None:
    """Return the module class of this qualified name that is in the running program, or None.

    Nothing is imported: modules that are loaded already are read, without asking them for what they load lazily.
    """
    parts = title.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = sys.modules.get(".".join(parts[:cut]))
        if module is None:
            continue
        thing: Any = module
        for part in parts[cut:]:
            thing = vars(thing).get(part) if hasattr(thing, "__dict__") else None
        return thing if isinstance(thing, type) and issubclass(thing, nn.Module) else None
    return None


@functools.cache
def torch_classes() -> dict[str, type[nn.Module]]:
    """Return every class of ``torch.nn`` that is a layer, by its title.

    Example:
        >>> torch_classes()["torch.nn.Linear"]
        <class 'torch.nn.modules.linear.Linear'>
    """
    public = {
        name: thing for name, thing in vars(nn).items() if isinstance(thing, type) and issubclass(thing, nn.Module)
    }
    return {f"torch.nn.{name}": thing for name, thing in sorted(public.items()) if _refusal(name) is None}


def _refusal(name: str) -> str | None:
    if "Loss" in name:
        return "the loss belongs to the answer layer (`classes`, `value`, …)"
    if name.startswith("Lazy"):
        return f"sizes are inferred, so use torch.nn.{name.removeprefix('Lazy')}"
    return ELSEWHERE.get(name)


def torch_class(title: str) -> type[nn.Module]:
    """Return the class of ``torch.nn``, or raise InvalidLayer with what to use."""
    name = title.removeprefix("torch.nn.")
    reason = _refusal(name)
    known = torch_classes()
    if title in known:
        return known[title]
    if reason is not None and hasattr(nn, name):
        raise InvalidLayer(f"{title} is no layer by itself: {reason}")
    if not title.startswith("torch.nn."):
        raise InvalidLayer(f"there is no layer {shorten(title)}; of torch, the classes of torch.nn are layers")
    raise InvalidLayer(f"there is no layer {shorten(title)}.{nearest(title, known)}")


def own_class(title: str) -> type[nn.Module]:
    """Return the module class of the running program, or raise InvalidLayer."""
    if "<locals>" in title:
        raise InvalidLayer(
            f"{title} is defined inside a function, where it cannot be found; define it at a module's top level"
        )
    cls = find_class(title)
    if cls is None:
        raise _absent(title)
    if _is_installed(cls) and not kinds.is_admitted(title):
        raise InvalidLayer(
            f"the class {shorten(title)} is an installed library's, and a description alone may not make one; "
            f"name it once in the program: lw.Layer('any', {cls.__name__}, ...)"
        )
    return cls


def _absent(title: str) -> InvalidLayer:
    module, _, name = title.rpartition(".")
    if module not in sys.modules:
        return InvalidLayer(
            f"the class {shorten(title)} is not in the running program; "
            f"import it before, or run `layerwise … --code FILE.py` with the file that defines it"
        )
    found = getattr(sys.modules[module], "__dict__", {})
    known = [label for label, thing in found.items() if isinstance(thing, type) and issubclass(thing, nn.Module)]
    near = nearest(name, known) if known else ""
    return InvalidLayer(f"{shorten(title)} is no nn.Module class, and nothing else is run by its name.{near}")


def _is_installed(cls: type) -> bool:
    # A library may hold a class whose constructor loads files: being imported somewhere is no leave to make one.
    file = file_of(cls)
    return any(file.startswith(folder + os.sep) for folder in LIBRARIES)


LIBRARIES = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
"""Where installed code lies: what is elsewhere is the user's own program."""


@functools.lru_cache(maxsize=512)
def _taken(forward: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(forward).parameters.values())[1:]


def arity_of(cls: type[nn.Module]) -> tuple[int, int | None]:
    """Return the fewest and most inputs that a class's ``forward`` takes; None is any number."""
    taken = [p for p in _taken(cls.forward) if p.name != "lengths"]
    positional = [p for p in taken if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    fewest = sum(p.default is REQUIRED for p in positional)
    if is_torch(cls):
        return fewest, fewest
    return max(fewest, 1), None if any(p.kind is p.VAR_POSITIONAL for p in taken) else max(len(positional), 1)


def takes_lengths(cls: type[nn.Module]) -> bool:
    """Tell whether a class of the user's has a ``forward`` that asks for the ``lengths`` of a padded input."""
    return not is_torch(cls) and any(p.name == "lengths" for p in _taken(cls.forward))


def source_of(cls: type) -> dict[str, str]:
    """Return the source of a class and of what it inherits, by qualified name, without torch's."""
    return dict(_source(cls))


@functools.lru_cache(maxsize=512)
def _source(cls: type) -> dict[str, str]:
    found = {}
    for base in cls.__mro__:
        if is_torch(base) or base.__module__ == "builtins":
            continue
        try:
            found[qualified_name(base)] = inspect.getsource(base)
        except (OSError, TypeError):
            continue
    return found


def file_of(cls: type) -> str:
    """Return the file that defines a class, or nothing where it was typed in."""
    try:
        return inspect.getfile(cls)
    except (OSError, TypeError):
        return ""
