"""Buckets are NumPy's, with borders given or at the quantiles of the training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded
from layerwise.layers.buckets import Bucket

NUMBERS = np.random.default_rng(0).normal(size=500)


def test_given_borders_are_numpys() -> None:
    edges = (-0.5, 0.1, 1.0)
    found = Bucket(edges=edges).run(pa.array([*NUMBERS, 0.1]), state={})
    assert np.array_equal(found, np.digitize([*NUMBERS, 0.1], edges))
    assert torch.as_tensor(found)[-1] == 2


def test_learned_borders_are_quantiles() -> None:
    kind = Bucket(count=4)
    state = kind.fit([(pa.array(NUMBERS[:123]),), (pa.array(NUMBERS[123:]),)])
    np.testing.assert_array_equal(state["edges"], np.quantile(NUMBERS, [0.25, 0.5, 0.75]))
    counts = np.bincount(np.asarray(kind.run(pa.array(NUMBERS), state=state)))
    assert counts.tolist() == [125, 125, 125, 125]
    assert kind.infer((Port("float32"),)) == Port("int64")
    assert kind.infer((Port("float32"),), state) == Port("int64", size=4)


def test_equal_borders_become_one() -> None:
    kind = Bucket(count=10)
    state = kind.fit([(pa.array([1] * 30 + [2]),)])
    assert kind.infer((Port("int64"),), state).size == len(state["edges"]) + 1 <= 2


def test_given_borders_hold_for_vectors_and_leave_padding() -> None:
    kind = Bucket(edges=(0.0,))
    assert kind.infer((Port("float32", (2,)),)) == Port("int64", (2,), size=2)
    found = kind.run(Padded(torch.ones(1, 3), torch.tensor([2])), state={})
    assert isinstance(found, Padded)
    assert found.values.tolist() == [[1, 1, 0]]


def test_missing_and_unfit_values_are_refused() -> None:
    with pytest.raises(InvalidData, match="1 values of 2 are missing; put a `fill`"):
        Bucket(edges=(1.0,)).run(pa.array([1.0, None]), state={})
    with pytest.raises(InvalidData, match="1 values of 2 are missing"):
        Bucket(count=2).fit([(torch.tensor([1.0, float("nan")]),)])
    with pytest.raises(InvalidShape, match="a bucket layer for each"):
        Bucket(count=2).infer((Port("float32", (2,)),))
    with pytest.raises(InvalidShape, match="its input is string"):
        Bucket(count=2).infer((Port("string"),))


@pytest.mark.parametrize(
    "options", [{}, {"edges": []}, {"edges": [2, 1]}, {"edges": [1, 1]}, {"count": 1}, {"edges": [1], "count": 2}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidLayer, match=r"edges|count"):
        make("bucket", options)
