"""What is too large is thinned first."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.pictures import Shown, Sort, draw_svg, draw_text
from layerwise.pictures.sampling import mean, thinned, thinned_map
from layerwise.pictures.shown import Array

ONE = np.zeros(1, dtype=np.float32)


@given(st.integers(1, 5000), st.integers(1, 100))
def test_a_thinned_line_keeps_its_range_and_has_no_more_places_than_it_may(size: int, most: int) -> None:
    found = thinned(np.arange(size), most)
    assert len(found) == min(size, most)
    assert (np.diff(found) > 0).all()
    assert 0 <= found[0] <= found[-1] <= size - 1


def test_what_is_missing_does_not_spoil_a_mean() -> None:
    assert mean(np.array([[1.0, np.nan], [np.nan, np.nan]]), 1)[0] == 1.0
    assert np.isnan(mean(np.array([[np.nan, np.nan]]), 1))[0]
    assert np.isnan(mean(np.array([[np.inf, -np.inf]]), 1))[0]


def test_a_thinned_map_keeps_its_proportions() -> None:
    assert thinned_map(np.zeros((1000, 500)), 100).shape == (100, 50)
    assert thinned_map(np.zeros((3, 2)), 100).shape == (3, 2)


# A hundred million numbers each; they are views of a single one, so that only what is drawn can cost anything.
LARGE: list[tuple[Sort, tuple[int, ...]]] = [
    ("image", (1, 10_000, 10_000)),
    ("maps", (1_000_000, 10, 10)),
    ("maps", (4, 5_000, 5_000)),
    ("series", (50_000_000, 2)),
    ("series", (100, 1_000_000)),
    ("vector", (100_000_000,)),
    ("matrix", (10_000, 10_000)),
    ("answer", (100_000_000,)),
]


@pytest.mark.parametrize(("sort", "shape"), LARGE)
def test_a_layer_of_a_hundred_million_values_is_drawn_in_little_memory(sort: Sort, shape: tuple[int, ...]) -> None:
    shown = Shown("large", "torch.nn.Linear", np.broadcast_to(ONE, shape), sort)
    tracemalloc.start()
    draw_svg(shown)
    draw_text(shown)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 128_000_000


def test_many_tokens_and_cells_are_cut_before_they_are_read() -> None:
    names = range(10**9)  # As long as a list that no machine holds; whoever walked along it would not come back.
    for shown in (
        Shown("t", "tokens", None, "tokens", names),  # type: ignore[arg-type]
        Shown("c", "columns", names, "cells", names),  # type: ignore[arg-type]
        Shown("r", "ranking", None, "ranking", names),  # type: ignore[arg-type]
    ):
        assert "not drawn" in draw_svg(shown)
        assert "not shown" in "\n".join(draw_text(shown))


def test_a_mapped_file_is_drawn(tmp_path: Path) -> None:
    values: Array = np.arange(3 * 40 * 40, dtype=np.float16).reshape(3, 40, 40)
    values.tofile(tmp_path / "maps")
    mapped = np.memmap(tmp_path / "maps", np.float16, "r", shape=(3, 40, 40))
    assert draw_svg(Shown("a", "b", mapped, "maps")) == draw_svg(Shown("a", "b", values, "maps"))
