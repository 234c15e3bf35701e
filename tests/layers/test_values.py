"""Value trains on a standardised target and answers in the user's unit."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle
from torch import Tensor
from torch.nn import functional

from layerwise.errors import InvalidData, InvalidShape
from layerwise.graph.ports import Port
from layerwise.layers.metrics import find_metric
from layerwise.layers.values import Value

PRICES = pa.array([1e6, 3e6, 2e6, 2e6])


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.integers(1, 7))
def test_the_truth_comes_back_in_its_unit(values: list[float], size: int) -> None:
    kind = Value("x")
    array = pa.array(values)
    state = kind.fit((array[start : start + size],) for start in range(0, len(values), size))
    truth = kind.encode(array, state=state)
    assert truth.dtype == torch.float32
    back = np.array(kind.decode(truth, state)["x"].to_pylist())
    np.testing.assert_allclose(back, values, rtol=1e-6, atol=1e-6 * float(state["spread"]) * 10)
    assert kind.metrics(truth, truth, state)["mae"] == 0


def test_the_target_is_standardised_by_the_training_rows() -> None:
    kind = Value("price")
    state = kind.fit([(PRICES,)])
    truth = kind.encode(PRICES, state=state)
    assert (float(truth.mean()), float(truth.std(correction=0))) == pytest.approx((0, 1), abs=1e-6)
    assert state["mean"] == 2e6


def test_without_standardising_the_numbers_stay() -> None:
    kind = Value("price", standardize=False)
    state = kind.fit([(PRICES,)])
    assert kind.encode(PRICES, state=state).tolist() == PRICES.to_pylist()


@pytest.mark.parametrize("value", [0.1, 0.0, 1e300, -7.0])
def test_a_target_that_never_changes_has_a_spread_of_one(value: float) -> None:
    kind = Value("x")
    state = kind.fit([(pa.array([value] * 6),)])
    assert state["spread"] == 1
    assert kind.encode(pa.array([value]), state=state).abs().item() < 1e-12 * max(1, abs(value))


def test_metrics_are_in_the_users_unit() -> None:
    kind = Value("price")
    state = kind.fit([(PRICES,)])
    outputs, truth = torch.tensor([[0.5], [1.0], [0.0], [-1.0]]), kind.encode(PRICES, state=state)
    answers, right = kind.decode(outputs, state)["price"].to_pylist(), PRICES.to_pylist()
    found = kind.metrics(outputs, truth, state)
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(right, answers), rel=1e-6)
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(right, answers), rel=1e-6)
    assert found["r2"] == pytest.approx(oracle.r2_score(right, answers), rel=1e-6)
    for name in found:
        metric = find_metric(name)
        assert metric is not None
        assert (metric.better == "higher") == (name in kind.higher_is_better)


def test_r2_is_left_out_where_the_truth_does_not_vary() -> None:
    kind = Value("x")
    state = kind.fit([(pa.array([1, 2]),)])
    assert set(kind.metrics(torch.ones(1), torch.ones(1), state)) == {"mae", "rmse"}
    assert kind.metrics(torch.ones(0), torch.ones(0), state) == {}


@pytest.mark.parametrize(
    ("objective", "wanted"),
    [("mse", functional.mse_loss), ("mae", functional.l1_loss), ("huber", functional.huber_loss)],
)
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_the_loss_is_torchs(objective: str, wanted: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]) -> None:
    kind = Value("price", objective=objective)  # type: ignore[arg-type]
    state = kind.fit([(PRICES,)])
    truth, outputs = kind.encode(PRICES, state=state), torch.randn(4)
    assert torch.equal(kind.loss(outputs.reshape(shape), truth, state), wanted(outputs, truth))
    assert kind.loss(outputs.bfloat16(), truth, state).dtype == torch.float32


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 2), pa.large_list(pa.int64())])
def test_a_vector_is_standardised_value_by_value(kind: pa.DataType) -> None:
    answer = Value("where", unit="mm")
    array = pa.array([[1, 10], [3, 30]], type=kind)
    state = answer.fit([(array,)])
    truth = answer.encode(array, state=state)
    assert truth.tolist() == [[-1, -1], [1, 1]]
    table = answer.decode(truth, state)
    assert table["where"].to_pylist() == [[1, 10], [3, 30]]
    assert answer.metrics(truth, truth, state)["r2"] == 1
    assert answer.infer((Port("float32", (2,)),), state).shape == (2,)
    with pytest.raises(InvalidShape, match="input has 3 values, the column 'where' has 2; set out_features to 2"):
        answer.infer((Port("float32", (3,)),), state)


def test_the_answer_carries_its_unit() -> None:
    state = Value("price").fit([(PRICES,)])
    assert Value("price", unit="EUR").decode(torch.ones(1), state).schema.field("price").metadata == {b"unit": b"EUR"}
    assert Value("price").decode(torch.ones(1), state).schema.field("price").metadata is None


def test_outputs_that_are_not_one_number_are_refused() -> None:
    state = Value("price").fit([(PRICES,)])
    for shape in ((), (1,), (None,)):
        assert Value("price").infer((Port("float32", shape),), state).shape == shape
    with pytest.raises(
        InvalidShape, match="input has 10 values, the column 'price' is one number; set out_features to 1"
    ):
        Value("price").infer((Port("float32", (10,)),), state)
    with pytest.raises(InvalidShape, match=r"expected one line of numbers a row, \[batch, values\]"):
        Value("price").infer((Port("float32", (2, 3)),))


BAD: tuple[tuple[pa.Array, str], ...] = (
    (pa.array([1.0, None, float("nan")]), "2 of 3 values of the column 'x' are missing"),
    (pa.array([1, None]), "1 of 2 values of the column 'x' are missing"),
    (pa.array([1.0, float("inf")]), "1 of 2 values of the column 'x' are infinite"),
    (pa.array(["a"]), "the column 'x' is string; a value is a number"),
    (pa.array([True]), "the column 'x' is bool; a value is a number"),
    (pa.array([["a"]]), "is list<item: string>; a value is a number"),
    (pa.array([[1.0], [1.0, 2.0]]), "vectors of 1 to 2 values"),
    (pa.array([[1.0], None]), "1 of 2 values"),
    (pa.array([[1.0, None]]), "1 of 2 values"),
    (pa.array([], pa.float64()), "no training rows"),
)


@pytest.mark.parametrize(("array", "words"), BAD)
def test_a_target_that_cannot_be_used_is_refused(array: pa.Array, words: str) -> None:
    with pytest.raises(InvalidData) as caught:
        Value("x").fit([(array,)])
    assert words in str(caught.value)


def test_vectors_of_another_length_are_refused() -> None:
    kind = Value("x")
    with pytest.raises(InvalidData, match="vectors of different lengths"):
        kind.fit([(pa.array([[1.0]]),), (pa.array([[1.0, 2.0]]),)])
    with pytest.raises(InvalidData, match=r"has \[2\] a row; trained on single numbers"):
        kind.encode(pa.array([[1.0, 2.0]]), state=kind.fit([(PRICES,)]))


def test_decimals_are_numbers() -> None:
    kind = Value("x")
    assert kind.fit([(pa.array([Decimal("1.50"), Decimal("2.50")]),)])["mean"] == 2


def test_outputs_that_are_not_finite_are_refused() -> None:
    state = Value("price").fit([(PRICES,)])
    with pytest.raises(InvalidData, match="1 of 1 scores are NaN or infinite"):
        Value("price").decode(torch.tensor([float("nan")]), state)
