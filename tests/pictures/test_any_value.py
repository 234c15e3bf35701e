"""Any numbers are drawn: of any size and type, huge, tiny, missing or infinite."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from layerwise.pictures import Shown, Sort, draw_html, draw_png, draw_svg, draw_text
from layerwise.pictures.shown import Array

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 5e-324, 1.7e308, -1.7e308]),
)
TYPES = ("float64", "float32", "float16", "int64", "uint8", "bool", "complex128")
DIMENSIONS: dict[Sort, tuple[int, int]] = {
    "image": (2, 3), "maps": (3, 3), "series": (1, 2), "vector": (1, 1), "matrix": (2, 2), "answer": (1, 1),
}  # fmt: skip


@st.composite
def values(draw: st.DrawFn) -> tuple[Sort, Array]:
    """Draw a sort and a value of its dimensions."""
    sort = draw(st.sampled_from(sorted(DIMENSIONS)))
    low, high = DIMENSIONS[sort]
    shape = draw(st.lists(st.sampled_from([0, 1, 2, 3, 7, 61]), min_size=low, max_size=high))
    few = draw(st.lists(NUMBERS, min_size=1, max_size=9))
    with np.errstate(all="ignore"):
        array = np.resize(np.array(few), shape) if np.prod(shape) else np.zeros(shape)
        return sort, array.astype(draw(st.sampled_from(TYPES[:3])))


@settings(max_examples=30, deadline=None)
@given(values(), st.integers(40, 700))
def test_any_numbers_are_drawn_in_every_way(given_value: tuple[Sort, Array], width: int) -> None:
    sort, value = given_value
    shown = Shown("a", "b", value, sort, names=[str(place) for place in range(len(value))])
    ElementTree.fromstring(draw_svg(shown, width=width))
    for colour in (False, True):
        assert draw_text(shown, width // 6, colour=colour)
    assert draw_html([shown, shown], title="any", rows=True)
    assert Image.open(io.BytesIO(draw_png([shown, shown], rows=True))).width > 0


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("sort", sorted(DIMENSIONS))
def test_any_type_of_number_is_drawn(sort: Sort, dtype: str) -> None:
    shape = (1, 4, 4)[3 - DIMENSIONS[sort][1] :]
    shown = Shown("a", "b", np.arange(np.prod(shape)).reshape(shape).astype(dtype), sort)
    assert draw_svg(shown)
    assert draw_text(shown)


def test_lists_of_numbers_with_gaps_are_numbers() -> None:
    values = np.array([1.0, None, 3.0], dtype=object)
    assert "—" in draw_svg(Shown("a", "b", values, "vector"))
