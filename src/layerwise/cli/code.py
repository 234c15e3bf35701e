"""``--code FILE.py``: the user's own kinds, functions and modules, run because the user names the file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from layerwise.errors import InvalidFile, LayerwiseError


def run_code(files: Iterable[Path] | None) -> None:
    """Run Python files, each as the module of its name, so that a model can name what is in them.

    Raises:
        InvalidFile: there is no such file, its name is taken by another module, or it fails; with its line.
    """
    for file in files or ():
        _run(file)


def _run(file: Path) -> None:
    name = file.stem
    if file.suffix != ".py" or not name.isidentifier():
        raise InvalidFile(f"{file} is not a Python file that can be a module; name it like my_layers.py")
    if not file.is_file():
        raise InvalidFile(f"{file}: no such file")
    path = file.resolve()
    taken = sys.modules.get(name)
    if taken is not None and getattr(taken, "__file__", None) == str(path):
        return
    if taken is not None or name in sys.stdlib_module_names:
        raise InvalidFile(f"{file}: the name {name!r} is another module's; rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Before it runs, so that its classes are found under its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InvalidFile(f"{_place(file, path, error)}: {_said(error)}") from error


def _place(file: Path, path: Path, error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{file}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _said(error: Exception) -> str:
    if isinstance(error, LayerwiseError):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}"
