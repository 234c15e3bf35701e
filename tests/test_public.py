"""The public page: exact, sorted, documented, and the same for people, type checkers and the running program."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import layerwise as lw

PAGE = ast.parse(Path(lw.__file__).read_text(encoding="utf-8"))


def typed_names() -> dict[str, str]:
    """Return the names that type checkers see, and the modules that they come from."""
    found = {}
    for node in ast.walk(PAGE):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("layerwise."):
            found.update({alias.asname or alias.name: node.module for alias in node.names})
    return found


def test_the_page_is_exact_and_sorted() -> None:
    assert lw.__all__ == sorted({"__version__", *typed_names()})
    assert dir(lw) == lw.__all__


@pytest.mark.parametrize("name", [name for name in lw.__all__ if name != "__version__"])
def test_a_public_name_comes_from_where_the_page_says_and_is_documented(name: str) -> None:
    thing = getattr(lw, name)
    assert thing.__module__ == typed_names()[name]
    text = inspect.getdoc(thing)
    assert text, f"{name} has no docstring"
    assert text.splitlines()[0].endswith((".", ":")), f"the first line of {name}'s docstring is no sentence"
    assert ">>>" in text, f"the docstring of {name} shows no example"
    assert not text.startswith(f"{name}("), f"{name} has only the docstring that a dataclass makes"


@pytest.mark.parametrize("name", [name for name in lw.__all__ if name != "__version__"])
def test_every_argument_of_a_public_name_is_explained(name: str) -> None:
    thing = getattr(lw, name)
    text = inspect.getdoc(thing) or ""
    text += inspect.getdoc(thing.__init__) or "" if inspect.isclass(thing) else ""
    silent = [
        argument
        for argument in inspect.signature(thing).parameters
        if argument not in ("self", "args", "kwargs", "options") and argument.strip("_") not in text
    ]
    assert not silent, f"the docstring of {name} does not say what {', '.join(silent)} is"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Modle"):
        lw.Modle  # noqa: B018
