"""What enters the live part of a model is finite, and large numbers are no reason to refuse it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from layerwise.engine.rows import ready
from layerwise.errors import InvalidData
from tests.support.flowers import small


@pytest.mark.parametrize(
    "value", [torch.full((10,), 3e38), torch.full((10,), 60000.0, dtype=torch.float16), torch.tensor([3e38, -3e38])]
)
def test_numbers_whose_sum_runs_over_are_finite(value: Tensor) -> None:
    assert ready(small(), "row", value) is value


@pytest.mark.parametrize(
    ("value", "bad"),
    [([1.0, float("nan")], 1), ([float("inf"), -float("inf"), 2.0], 2), ([3e38, 3e38, float("inf")], 1)],
)
def test_what_is_not_finite_is_counted_and_the_layer_named(value: list[float], bad: int) -> None:
    with pytest.raises(InvalidData, match=rf"layer 'row'.*{bad} of the {len(value)} values"):
        ready(small(), "row", torch.tensor(value))
