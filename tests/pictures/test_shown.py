"""What is shown: the sort that a value becomes, and values that are no picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from layerwise.errors import InvalidData
from layerwise.pictures import Shown, draw_html, draw_png, draw_svg, draw_text, sort_of


@pytest.mark.parametrize(
    ("value", "options", "sort"),
    [
        (np.zeros((1, 8, 8)), {"role": "data"}, "image"),
        (np.zeros((8, 8)), {"role": "data"}, "image"),
        (np.zeros((3, 8, 8)), {}, "maps"),
        (np.zeros((7, 8, 8)), {"role": "data"}, "maps"),
        (np.zeros((8, 8)), {}, "matrix"),
        (np.zeros((8, 4)), {"sequence": True}, "series"),
        (np.zeros((3, 4)), {"names": ["a", "b", "c"], "sequence": True}, "tokens"),
        (np.zeros(10), {}, "vector"),
        (np.zeros(1), {}, "scalar"),
        (np.float32(3), {}, "scalar"),
        (None, {}, "scalar"),
        (["to", "be"], {}, "tokens"),
        ("to be", {}, "text"),
        (b"\x89PNG", {}, "text"),
    ],
)
def test_a_value_finds_its_sort(value: Any, options: dict[str, Any], sort: str) -> None:
    assert sort_of(value, **options) == sort


def test_a_picture_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InvalidData, match="no picture 'pie'; expected one of image"):
        Shown("a", "b", 1, "pie")  # type: ignore[arg-type]


def test_a_value_of_the_wrong_dimensions_names_its_layer() -> None:
    with pytest.raises(InvalidData, match="layer 'edges': a value of 1 dimensions is no maps; expected 3"):
        Shown("edges", "conv", np.zeros(3), "maps")


def test_text_where_numbers_are_drawn_is_an_error_that_says_so() -> None:
    with pytest.raises(InvalidData, match="no numbers to draw"):
        draw_svg(Shown("a", "b", np.array(["x", "y"]), "vector"))


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(InvalidData, match="nothing to draw"):
        draw_png([])
    with pytest.raises(InvalidData, match="nothing to draw"):
        draw_html([], title="empty")


EMPTY: list[Shown] = [
    Shown("a", "b", np.zeros((0, 8, 8)), "maps"),
    Shown("a", "b", np.zeros((3, 0, 8)), "maps"),
    Shown("a", "b", np.zeros((1, 0, 0)), "image"),
    Shown("a", "b", np.zeros((0, 3)), "series"),
    Shown("a", "b", np.zeros(0), "vector"),
    Shown("a", "b", np.zeros((0, 0)), "matrix"),
    Shown("a", "b", np.zeros(0), "answer"),
    Shown("a", "b", [], "cells"),
    Shown("a", "b", None, "tokens"),
    Shown("a", "b", None, "ranking"),
    Shown("a", "b", "", "text"),
    Shown("a", "b", None, "scalar"),
    Shown("a", "b", None, "text"),
]


@pytest.mark.parametrize("shown", EMPTY, ids=lambda shown: f"{shown.sort}-{shown.shape}")
def test_what_is_empty_is_drawn_too(shown: Shown) -> None:
    assert draw_svg(shown).endswith("</svg>")
    assert draw_text(shown)
    assert draw_png([shown])
    assert draw_html([shown], title="empty", rows=True)
