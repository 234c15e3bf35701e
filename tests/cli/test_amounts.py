"""How long and how much, as a person writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from layerwise.cli import amounts
from layerwise.errors import InvalidConfig


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30d", timedelta(days=30)), ("12h", timedelta(hours=12)), ("5m", timedelta(minutes=5)), ("never", None)],
)
def test_an_age_is_a_number_and_a_letter(text: str, expected: timedelta | None) -> None:
    assert amounts.age(text, "--older") == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("1B", 1), ("500MB", 500_000_000), ("1.5 gb", 1_500_000_000), ("2TB", 2 * 10**12)]
)
def test_a_size_is_a_number_and_a_unit(text: str, expected: int) -> None:
    assert amounts.size(text, "--over") == expected


@pytest.mark.parametrize("text", ["", "2", "-1MB", "1e9B", "many", "1.0001KB", "9" * 30 + "B", "٣d"])
def test_what_is_neither_is_refused_with_the_option_and_a_right_way(text: str) -> None:
    with pytest.raises(InvalidConfig, match=r"--older .* write 30d"):
        amounts.age(text, "--older")
    with pytest.raises(InvalidConfig, match=r"--over .* write 500MB"):
        amounts.size(text, "--over")
