"""What is printed: escaped, rounded, and JSON that is JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.cli import screen

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_is_json_that_does_not_act_on_a_terminal(value: object) -> None:
    text = screen.as_json(value)
    assert all(character.isprintable() or character == "\n" for character in text)
    assert json.loads(text) == screen.plain(value)


@given(st.text())
def test_any_text_is_one_printable_line(text: str) -> None:
    shown = screen.words(text).plain
    assert shown.isprintable()
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, "0"), (1797, "1,797"), (0.123456, "0.1235"), (math.nan, "nan"), (True, "True"), ("x", "x")],
)
def test_numbers_are_read_easily(value: object, text: str) -> None:
    assert screen.number(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (999_999, "1000.0 KB"),
        (10**13, "10.0 TB"),
        (10**18, "1000000.0 TB"),
    ],
)
def test_sizes_are_read_easily(count: int, text: str) -> None:
    assert screen.size(count) == text


def test_a_column_in_which_nothing_stands_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table = screen.columns("a", "b", rows=[["x", None], ["y", ""]])
    assert [column.header.plain for column in table.columns] == ["a"]  # type: ignore[union-attr]


def test_what_can_be_spared_goes_first_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["name" * 5, "w" * 30, "spare" * 4]]
    for width, heads in (("120", ["n", "w", "s"]), ("45", ["n", "w"])):
        monkeypatch.setenv("COLUMNS", width)
        table = screen.columns("n", "w", "s", rows=rows, wide=["w"], spare=["s"])
        assert [column.header.plain for column in table.columns] == heads  # type: ignore[union-attr]
