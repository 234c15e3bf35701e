"""Holds the formulas: they say what running the module says, and a program that only looks need not wait for torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from layerwise.graph.ports import Port
from layerwise.layers.formulas import shape_of
from layerwise.layers.probe import probe

SIZES = st.integers(1, 12)
STEPS = st.integers(1, 3)


def probed(module: nn.Module, shape: tuple[int | None, ...]) -> tuple[int | None, ...] | None:
    """Return what running says, or None where torch refuses."""
    try:
        return probe(lambda _: module, lambda made, x: made(x), (Port("float32", shape),)).shape
    except (RuntimeError, ValueError):
        return None


def agrees(module: nn.Module, shape: tuple[int | None, ...]) -> None:
    found = shape_of(module, shape)
    assert found is None or found == probed(module.to("meta"), shape)


@given(height=SIZES, width=SIZES, kernel=STEPS, stride=STEPS, padding=st.integers(0, 2), dilation=STEPS)
def test_convolutions(height: int, width: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    module = nn.Conv2d(2, 4, (kernel, 2), stride=stride, padding=padding, dilation=(1, dilation))
    assert (shape_of(module, (2, height, width)) is None) == (probed(module.to("meta"), (2, height, width)) is None)
    agrees(module, (2, height, width))


@given(
    cls=st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]), size=SIZES, kernel=STEPS, stride=STEPS, padding=st.integers(0, 2)
)
def test_pooling(cls: Any, size: int, kernel: int, stride: int, padding: int) -> None:
    agrees(cls(kernel, stride=stride, padding=padding), (2, size, 7))


@given(data=st.data(), shape=st.lists(SIZES, min_size=1, max_size=3).map(tuple))
def test_flattening(data: st.DataObject, shape: tuple[int, ...]) -> None:
    rank = len(shape) + 1
    start, end = (data.draw(st.integers(-rank, rank - 1)) for _ in range(2))
    agrees(nn.Flatten(start, end), shape)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(3, 5, 3, padding="same"), (3, None)),
        (nn.Conv2d(3, 5, 3, padding="valid"), (3, 9, None)),
        (nn.Conv3d(3, 5, 3, stride=2), (3, 9, 7, None)),
        (nn.MaxPool2d((2, 3), dilation=2), (3, 9, None)),
        (nn.AvgPool1d(2), (3, 9)),
        (nn.AdaptiveAvgPool2d((None, 2)), (3, 9, None)),
        (nn.AdaptiveMaxPool1d(4), (3, None)),
        (nn.Linear(4, 2), (None, 4)),
        (nn.Flatten(), (3, None, 2)),
        (nn.Flatten(2), (3, 4, 2)),
        (nn.GroupNorm(2, 4), (4, None)),
        (nn.GELU(), (4, 2)),
    ],
)
def test_sizes_that_are_not_known_stay_open(module: nn.Module, shape: tuple[int | None, ...]) -> None:
    found = shape_of(module, shape)
    assert found is not None
    assert found == probed(module.to("meta"), shape)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(1, 2, 9), (1, 8, 8)),
        (nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), (1, 8, 8)),
        (nn.MaxPool2d(2, padding=2), (1, 8, 8)),
        (nn.MaxPool2d(2, ceil_mode=True), (1, 8, 8)),
        (nn.Flatten(0), (1, 8)),
        (nn.Unfold(2), (1, 8, 8)),
        (type("Own", (nn.Linear,), {})(8, 2), (8,)),
    ],
)
def test_what_no_formula_says_is_left_to_torch(module: nn.Module, shape: tuple[int | None, ...]) -> None:
    assert shape_of(module, shape) is None


def test_looking_at_a_common_model_does_not_load_the_slow_half_of_torch() -> None:
    program = """
import sys
from torch import nn
from layerwise.graph import shapes
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port
layers = [
    Layer("x", "column", column="x", shape=(1, 8, 8)),
    Layer("a", nn.Conv2d, out_channels=4, kernel_size=3, activation="relu"),
    Layer("b", nn.BatchNorm2d), Layer("c", nn.MaxPool2d, kernel_size=2), Layer("d", nn.Flatten),
    Layer("e", nn.Dropout), Layer("f", nn.Linear, out_features=3),
    Layer("w", "column", column="w", shape=(5,)), Layer("g", nn.Embedding, embedding_dim=3),
    Layer("h", nn.GRU, hidden_size=3),
]
shapes.check(Graph("m", layers), {"x": Port("float32", (1, 8, 8)), "w": Port("int64", (5,), size=9)})
assert "torch._dynamo" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
