"""Words in pictures: cut, cleaned, measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.pictures.wording import clean, columns, fit, measure, number, said, shorten_to, wrap


@given(st.text(), st.integers(1, 80))
def test_a_clean_text_is_short_and_every_character_of_it_is_seen(text: str, most: int) -> None:
    found = clean(text, most)
    assert len(found) <= most
    assert found.isprintable()


@given(st.text(), st.integers(1, 40))
def test_a_fitted_text_takes_no_more_columns_than_there_are(text: str, width: int) -> None:
    assert columns(fit(clean(text), width)) <= width


@given(st.text(), st.floats(20, 300))
def test_a_shortened_text_is_no_wider_than_it_may_be(text: str, width: float) -> None:
    assert measure(shorten_to(clean(text), width, 11), 11) <= width


@given(st.text(max_size=300), st.integers(1, 6))
def test_a_wrapped_text_has_no_more_lines_than_it_may_have(text: str, most: int) -> None:
    lines = wrap(clean(text, 300), 120, 11, most)
    assert 1 <= len(lines) <= most
    assert all(measure(line, 11) <= 140 for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (float("nan"), "—"),
        (np.float32("inf"), "∞"),
        (-np.inf, "-∞"),
        (True, "True"),
        (np.bool_(False), "False"),
        (np.int64(12345), "12,345"),
        (10**400, "1e+300"),
        (0.0, "0"),
        (1e300, "1e+300"),
        (b"abc", "3 bytes"),
        (["a", "b"], "[a, b]"),
        (list(range(9)), "[0, 1, 2, 3, 4, … 4 more]"),
        ({"a": 1}, "a: 1"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_any_value_is_said(value: object, text: str) -> None:
    assert said(value) == text


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_number_is_short(value: float) -> None:
    assert len(number(value)) <= 10


def test_a_text_of_a_hundred_million_characters_costs_no_more_than_a_short_one() -> None:
    assert clean("<b>" * 30_000_000, 12) == "<b><b><b><b…"
