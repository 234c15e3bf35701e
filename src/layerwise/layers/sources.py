"""A user's functions: found in the running program by name, and their source with all of the user's that they use."""

from __future__ import annotations

import inspect
import re
import sys
import sysconfig
import weakref
from collections.abc import Iterator
from pathlib import PurePath
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from layerwise.canonical import digest_bytes, encode
from layerwise.errors import InvalidFile, InvalidLayer
from layerwise.words import shorten

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z", re.ASCII)
_LIBRARIES = tuple(PurePath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_INSTALLED = {"site-packages", "dist-packages"}

_given: dict[str, FunctionType] = {}
# The source as it was when the function was first asked for: a file may change under a running program.
_sources: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def name_of(function: Any) -> str:
    """Return the qualified name of a function of the user's, and keep the function to be found by it.

    Raises:
        InvalidLayer: a lambda, a function inside another one, a method, or what is no Python function, with the cure.
    """
    if not isinstance(function, FunctionType):
        raise InvalidLayer(
            f"{shorten(function)} is no Python function; write one at the top level of a module that calls it"
        )
    name = f"{function.__module__}.{function.__qualname__}"
    if function.__name__ == "<lambda>" or not _NAME.match(name):
        raise InvalidLayer(
            f"{name} cannot be found again by its name; write it with `def` and a name at the top level of a module"
        )
    if _look(name) is not function:
        raise InvalidLayer(f"under the name {name} stands something else; give every function a name of its own")
    source_of(function)
    _given[name] = function
    return name


def find_function(name: str) -> FunctionType:
    """Return the function of this qualified name in the running program. Nothing is imported.

    Only functions of the user's are found: a description from elsewhere must not name what would run a command or
    read a file, as functions of libraries do. A library's function is found once it went through ``name_of``.

    Raises:
        InvalidLayer: it is not there, is of a library, or is no function.
    """
    if len(name) > 300 or not _NAME.match(name):
        raise InvalidLayer(f"{shorten(name)} is not the name of a function; expected MODULE.FUNCTION")
    found = _look(name)
    if found is None:
        raise InvalidLayer(
            f"the function {name} is not in the running program; import it before, or run "
            f"`layerwise … --code FILE.py` with the file that defines it"
        )
    if not isinstance(found, FunctionType):
        raise InvalidLayer(f"{name} is a {type(found).__name__}, and a function is expected")
    if _given.get(name) is not found and not _is_own(found):
        raise InvalidLayer(
            f"the function {name} is defined in a library; write one of your own that calls it, or name it in your "
            f"program with lw.function({name}) before"
        )
    return found


def _look(name: str) -> Any:
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        thing: Any = sys.modules.get(".".join(parts[:cut]))
        if thing is not None:
            for part in parts[cut:]:
                # vars and not getattr: a module may import something when it is asked for a name.
                thing = vars(thing).get(part) if hasattr(thing, "__dict__") else None
            return thing
    return None


def _is_own(thing: Any) -> bool:
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    return module is not None and _is_own_module(module) and thing.__module__ == module.__name__


def _is_own_module(module: ModuleType) -> bool:
    if module.__name__ == "__main__":
        return True
    file = getattr(module, "__file__", None)
    if file is None or module.__name__.partition(".")[0] in {*sys.stdlib_module_names, "layerwise"}:
        return False
    path = PurePath(file)
    return not _INSTALLED.intersection(path.parts) and not any(path.is_relative_to(library) for library in _LIBRARIES)


def source_of(thing: Any) -> str:
    """Return the source of a function or class, or raise InvalidLayer where it cannot be read."""
    if thing not in _sources:
        try:
            _sources[thing] = inspect.getsource(thing)
        except (OSError, TypeError):
            raise InvalidLayer(
                f"the source of {thing.__module__}.{thing.__qualname__} cannot be read, and it is kept with the "
                f"model to be read and compared; write it in a file or a notebook"
            ) from None
    return _sources[thing]


def sources(function: FunctionType) -> dict[str, str]:
    """Return the source of a function, and of the user's functions, classes and constants that it uses, by name."""
    found: dict[str, str] = {}
    waiting: list[Any] = [function]
    while waiting:
        thing = waiting.pop()
        name = f"{thing.__module__}.{thing.__qualname__}"
        if name in found:
            continue
        found[name] = source_of(thing)
        for owner, label, used in _used(thing):
            if isinstance(used, FunctionType | type):
                waiting.extend([used] if _is_own(used) else [])
            elif (text := _constant(used)) is not None:
                found[f"{owner}.{label}"] = text
    return dict(sorted(found.items()))


def _used(thing: Any) -> Iterator[tuple[str, str, Any]]:
    # What is named in a function's code, and in a class's methods: in its own module or in modules of the user's.
    if isinstance(thing, type):
        for member in vars(thing).values():
            if isinstance(member, FunctionType):
                yield from _used(member)
        return
    names = set(_names(thing.__code__))
    for label in sorted(names & thing.__globals__.keys()):
        used = thing.__globals__[label]
        if not isinstance(used, ModuleType):
            yield thing.__module__, label, used
        elif _is_own_module(used):
            yield from ((used.__name__, inner, vars(used)[inner]) for inner in sorted(names & vars(used).keys()))
    if isinstance(wrapped := getattr(thing, "__wrapped__", None), FunctionType):
        yield from _used(wrapped)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _constant(value: Any) -> str | None:
    # A number or table that a function uses is part of what it does; what has no text of its own is left out.
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return f"array {value.dtype} {list(value.shape)} {digest_bytes([np.ascontiguousarray(value).tobytes()])}"
    try:
        return encode(value).decode()
    except InvalidFile:
        return None
