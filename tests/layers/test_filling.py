"""Fill gives missing values scikit-learn's statistic or a fixed one, and keeps columns columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.impute import SimpleImputer
from torch import Tensor

from layerwise.errors import Invalid, InvalidData, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded, Value
from layerwise.layers.filling import Fill

HOLES = np.random.default_rng(0).integers(0, 5, (60, 3)).astype(np.float64)
HOLES[np.random.default_rng(1).random((60, 3)) < 0.3] = np.nan


@pytest.mark.parametrize("value", ["mean", "median", "most_frequent", -1.5])
def test_tensors_are_filled_as_scikit_learn_does(value: float | str) -> None:
    said = {"strategy": value} if isinstance(value, str) else {"strategy": "constant", "fill_value": value}
    imputer = SimpleImputer(**said).fit(HOLES)
    kind, numbers = Fill(value), torch.from_numpy(HOLES.astype(np.float32))
    state = kind.fit([(numbers[:13],), (numbers[13:],)])
    found = kind.run(numbers, state=state)
    np.testing.assert_allclose(found, imputer.transform(HOLES), rtol=1e-6)
    both = Fill(value, indicator=True).run(numbers, state=state)
    assert isinstance(both, Tensor)
    assert torch.equal(both[:, :3], torch.as_tensor(found))
    assert np.array_equal(both[:, 3:], np.isnan(HOLES))


ARRAYS: list[tuple[float | str, pa.Array, list[Any]]] = [
    ("mean", pa.array([1, None, 4]), [1.0, 2.5, 4.0]),
    ("median", pa.array([1.0, None, 4.0, float("nan"), 9.0]), [1.0, 4.0, 4.0, 4.0, 9.0]),
    ("most_frequent", pa.array([2**60 + 1, 2**60 + 1, 5, None]), [2**60 + 1, 2**60 + 1, 5, 2**60 + 1]),
    ("most_frequent", pa.array([7, 3, None]), [7, 3, 3]),
    ("most_frequent", pa.array([True, None, True, False]), [True, True, True, False]),
    ("most_frequent", pa.array(["b", "a", "b", "a", None]), ["b", "a", "b", "a", "a"]),
    (0.0, pa.array([1, None]), [1, 0]),
    (0.5, pa.array([1, None]), [1.0, 0.5]),
    (1.0, pa.array([False, None]), [False, True]),
    ("none given", pa.array(["a", None]), ["a", "none given"]),
]


@pytest.mark.parametrize(("value", "array", "wanted"), ARRAYS)
def test_columns_stay_columns(value: float | str, array: pa.Array, wanted: list[Any]) -> None:
    kind = Fill(value)
    found = kind.run(array, state=kind.fit([(array[:2],), (array[2:],)]))
    assert isinstance(found, pa.Array)
    assert found.to_pylist() == wanted
    assert found.type in {array.type, pa.float64()}


def test_a_column_with_an_indicator_becomes_two_numbers() -> None:
    kind, array = Fill("mean", indicator=True), pa.array([1, None, 4])
    assert torch.as_tensor(kind.run(array, state=kind.fit([(array,)]))).tolist() == [[1, 0], [2.5, 1], [4, 0]]
    assert kind.infer((Port("int64"),)) == Port("float32", (2,))
    assert kind.infer((Port("float32", (None,)),)) == Port("float32", (None,))


def test_whole_numbers_stay_whole_where_they_can() -> None:
    assert Fill(0.0).infer((Port("int64"),)) == Port("int64")
    assert Fill("mean").infer((Port("int64", size=4),)) == Port("float32")
    assert torch.equal(torch.as_tensor(Fill(3.0).run(torch.arange(3), state={})), torch.arange(3))


def test_padding_is_left_alone() -> None:
    value = Padded(torch.tensor([[[1.0], [float("nan")]], [[3.0], [0.0]]]), torch.tensor([2, 1]))
    kind = Fill("mean")
    found = kind.run(value, state=kind.fit([(value,)]))
    assert isinstance(found, Padded)
    assert found.values.flatten().tolist() == [1.0, 2.0, 3.0, 0.0]


BAD: list[tuple[dict[str, Any], Value, Port, type[Invalid], str]] = [
    ({"value": "mean"}, pa.array(["a"]), Port("string"), InvalidShape, "value: mean does not fit; take most_frequent"),
    ({"value": 3}, pa.array(["a"]), Port("string"), InvalidShape, "value: 3.0 does not fit"),
    ({"value": "a", "indicator": True}, pa.array(["a"]), Port("string"), InvalidShape, "indicator does not fit"),
    ({"value": "a"}, pa.array([1]), Port("int64"), InvalidShape, "the value is the text 'a'; give a number"),
    ({"value": "mean"}, pa.array([True]), Port("bool"), InvalidShape, "take most_frequent, 0 or 1"),
]


@pytest.mark.parametrize(("options", "value", "port", "error", "message"), BAD)
def test_what_does_not_fit_is_refused(
    options: dict[str, Any], value: Value, port: Port, error: type[Invalid], message: str
) -> None:
    kind = make("fill", options)
    assert isinstance(kind, Fill)
    with pytest.raises(error, match=message):
        kind.infer((port,))
    if not kind.indicator:
        with pytest.raises(error, match=message):
            kind.run(value, state={"fill": torch.ones(())})


@pytest.mark.parametrize(
    ("value", "array"),
    [
        ("mean", pa.array([None], pa.int64())),
        ("median", pa.array([None], pa.float64())),
        ("most_frequent", pa.array([None], pa.string())),
    ],
)
def test_a_column_of_gaps_has_no_statistic(value: str, array: pa.Array) -> None:
    with pytest.raises(InvalidData, match="1 features of 1 hold nothing but missing values"):
        Fill(value).fit([(array,)])


def test_other_inputs_are_refused() -> None:
    with pytest.raises(InvalidShape, match="its input is binary, and it takes numbers"):
        Fill().infer((Port("binary"),))
    with pytest.raises(InvalidShape, match="`indicator` is for scalars and vectors"):
        Fill(indicator=True).infer((Port("float32", (2, 2)),))
    assert Fill().infer((Port("unknown"),)) == Port("unknown")
