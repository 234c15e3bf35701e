"""The tree of exceptions, and what a message says of the nearest right name."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise import errors
from layerwise.errors import Invalid, InvalidLayer, LayerwiseError, NotFound, nearest

ALL = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == "layerwise.errors"
]


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_the_tree_at_the_top_of_the_file_names_every_exception(error: type[Exception]) -> None:
    assert issubclass(error, LayerwiseError)
    assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("error", "builtin"),
    [(Invalid, ValueError), (NotFound, KeyError), (errors.Damaged, OSError), (errors.Missing, ImportError)],
)
def test_each_is_also_the_builtin_that_a_caller_would_expect(error: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise error("it is said")


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_the_text_is_the_sentence_that_was_said(error: type[Exception]) -> None:
    # A KeyError would put it in quotes, an OSError would number it.
    assert str(error("no model 'x'")) == "no model 'x'"
    assert str(error()) == error.__name__


def test_an_error_names_no_layer_and_no_file_until_somebody_says_it() -> None:
    error = InvalidLayer("x")
    assert error.layer is None
    assert error.file is None


@pytest.mark.parametrize(
    ("wrong", "known", "said"),
    [
        ("scael", ["scale", "clip"], " Did you mean 'scale'?"),
        ("SCALE", ["scale", "Scale2"], " Did you mean 'scale'?"),
        ("zzz", ["b", "a"], " There is: a, b."),
        ("zzz", [], ""),
        ("zzz", [f"a{i:02}" for i in range(13)], " There is: " + ", ".join(f"a{i:02}" for i in range(12)) + ", …."),
    ],
)
def test_nearest_names_the_nearest_or_what_there_is(wrong: str, known: list[str], said: str) -> None:
    assert nearest(wrong, known) == said


@given(st.text(), st.lists(st.text(max_size=200), max_size=20))
def test_nearest_never_sends_a_control_character_to_the_terminal(wrong: str, known: list[str]) -> None:
    assert nearest(wrong, known).isprintable()


def test_nearest_stays_short_whatever_the_names() -> None:
    assert len(nearest("x", [f"{i}" * 10_000 for i in range(10)])) < 1000
