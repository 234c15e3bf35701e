"""One picture of every sort."""

from __future__ import annotations

import numpy as np
import pytest

from layerwise.pictures import Shown


def every_sort() -> list[Shown]:
    """Return a picture of each sort, with names, notes and what is missing."""
    draw = np.random.default_rng(7)
    return [
        Shown("pixels", "column.v1", draw.integers(0, 17, (1, 8, 8)).astype(np.uint8), "image"),
        Shown("photo", "image.v1", draw.integers(0, 256, (3, 20, 30)).astype(np.uint8), "image", note="one of 3"),
        Shown("cut", "image.v1", draw.random((4, 6, 6)), "image"),
        Shown("stage1.edges", "torch.nn.Conv2d", draw.normal(size=(16, 8, 8)), "maps", source="kept"),
        Shown("table", "columns.v1", [3.5, None, "red"], "cells", ("age", "weight", "colour"), raw=[40, 2.0, "red"]),
        Shown("words", "tokens.v1", None, "tokens", ("to", "be", "?")),
        Shown("known", "vocabulary.v1", None, "tokens", ("to", "be", "?"), raw=["2", "3", "1"]),
        Shown("meaning", "torch.nn.Embedding", draw.normal(size=(3, 16)), "tokens", ("to", "be", "?")),
        Shown("past", "window.v1", draw.normal(size=(24, 2)), "series", ("sales", "price")),
        Shown("heard", "torch.nn.GRU", draw.normal(size=(24, 32)), "series"),
        Shown("scores", "torch.nn.Linear", draw.normal(size=10), "vector"),
        Shown("flat", "torch.nn.Flatten", draw.random(900), "vector", source="computed"),
        Shown("weights", "attention.v1", draw.random((3, 3)), "matrix", ("to", "be", "?")),
        Shown("digit", "classes.v1", np.array([0.2, 0.5, 0.3]), "answer", ("a", "b", "c"), truth="c"),
        Shown("price", "value.v1", 12.5, "scalar", unit="EUR", truth="13"),
        Shown("next", "ranking.v1", [3.0, 1.0], "ranking", ("pen", "ink"), truth="ink"),
        Shown("text", "column.v1", "to be or not to be", "text", row="row 7"),
        Shown("dropped", "torch.nn.Dropout", draw.random(900), "vector", same_as="flat"),
    ]


@pytest.fixture(params=every_sort(), ids=lambda shown: shown.layer)
def shown(request: pytest.FixtureRequest) -> Shown:
    found: Shown = request.param
    return found


@pytest.fixture
def pictures() -> list[Shown]:
    return every_sort()
