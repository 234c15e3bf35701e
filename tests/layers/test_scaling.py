"""Scaling equals NumPy's and scikit-learn's, leaves gaps and padding alone, and says what it cannot take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import DataKind, Padded, Value
from layerwise.layers.numeric import BLOCK
from layerwise.layers.scaling import Clip, Log, Scale, Standardize


def tensor(value: Value) -> Tensor:
    """Return ``value``, which must be a tensor."""
    assert isinstance(value, Tensor)
    return value


NUMBERS = np.random.default_rng(0).lognormal(size=(1001, 3)).astype(np.float32)

REFERENCES: list[tuple[DataKind, Any]] = [
    (Scale(by=16.0, shift=0.5), lambda x: (x - np.float32(0.5)) / np.float32(16)),
    (Clip(low=0.5, high=2.0), lambda x: np.clip(x, np.float32(0.5), np.float32(2))),
    (Clip(low=0.5), lambda x: np.maximum(x, np.float32(0.5))),
    (Log(), lambda x: np.log1p(x.astype(np.float64)).astype(np.float32)),
    (Log(offset=0.25), lambda x: np.log(x.astype(np.float64) + 0.25).astype(np.float32)),
]


@pytest.mark.parametrize(("kind", "reference"), REFERENCES, ids=str)
def test_numbers_are_numpys(kind: DataKind, reference: Any) -> None:
    found = tensor(kind.run(torch.from_numpy(NUMBERS), state={}))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, reference(NUMBERS), rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize("kind", [kind for kind, _ in REFERENCES], ids=str)
def test_a_row_of_many_is_the_row_alone(kind: DataKind) -> None:
    whole = tensor(kind.run(torch.from_numpy(NUMBERS), state={}))
    # A slice of columns has gaps in memory, where torch takes another path.
    parts = [tensor(kind.run(torch.from_numpy(NUMBERS)[row : row + 1], state={})) for row in range(0, 1001, 97)]
    assert torch.equal(torch.cat(parts), whole[::97])
    column = tensor(kind.run(torch.from_numpy(NUMBERS)[:, 1], state={}))
    assert torch.equal(column, whole[:, 1])


def test_large_numbers_keep_their_digits() -> None:
    seconds = pa.array([1_700_000_000.25, 1_700_000_001.5, None])
    found = tensor(Scale(shift=1_700_000_000.0).run(seconds, state={}))
    assert found[:2].tolist() == [0.25, 1.5]
    assert torch.isnan(found[2])
    state = Standardize().fit([(seconds,)])
    assert tensor(Standardize().run(seconds, state=state))[:2].tolist() == [-1.0, 1.0]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=40), st.integers(1, 5))
def test_standardize_is_scikit_learns(values: list[float], size: int) -> None:
    array = np.array(values)
    state = Standardize().fit((pa.array(array[start : start + size]),) for start in range(0, len(array), size))
    scaler = StandardScaler().fit(array[:, None])
    np.testing.assert_allclose(state["mean"], scaler.mean_[0], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(state["spread"], scaler.scale_[0], rtol=1e-7, atol=1e-7)


def test_standardize_ignores_gaps_as_scikit_learn_does() -> None:
    numbers = np.where(NUMBERS > 2, np.nan, NUMBERS)
    state = Standardize().fit([(torch.from_numpy(numbers[:300]),), (torch.from_numpy(numbers[300:]),)])
    scaler = StandardScaler().fit(numbers.astype(np.float64))
    np.testing.assert_allclose(state["mean"], scaler.mean_, rtol=1e-12)
    np.testing.assert_allclose(state["spread"], scaler.scale_, rtol=1e-12)
    found = tensor(Standardize().run(torch.from_numpy(numbers), state=state))
    assert torch.equal(torch.isnan(found), torch.isnan(torch.from_numpy(numbers)))


def test_standardize_is_exact_over_several_blocks() -> None:
    x = np.random.default_rng(1).normal(1e8, 1.0, BLOCK + 12_345)
    one = Standardize().fit([(pa.array(x),)])
    many = Standardize().fit((pa.array(part),) for part in np.array_split(x, 7))
    assert torch.equal(one["mean"], many["mean"])
    assert torch.equal(one["spread"], many["spread"])
    np.testing.assert_allclose([one["mean"], one["spread"]], [x.mean(), x.std()], rtol=1e-12)


def test_what_never_changes_has_the_spread_1() -> None:
    state = Standardize().fit([(torch.tensor([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]]),)])
    assert state["spread"][0] == 1
    assert tensor(Standardize().run(torch.tensor([[0.1, 3.0]]), state=state)).tolist() == [[0.0, 0.0]]


def test_channels_and_all_have_their_own_moments() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 5), dtype=np.uint8)
    value = torch.from_numpy(pixels)
    channel = Standardize(per="channel").fit([(value,)])
    np.testing.assert_allclose(channel["mean"].flatten(), pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(channel["spread"].flatten(), pixels.std((0, 2, 3)), rtol=1e-12)
    whole = Standardize(per="all").fit([(value,)])
    np.testing.assert_allclose([whole["mean"], whole["spread"]], [pixels.mean(), pixels.std()], rtol=1e-12)
    feature = Standardize().fit([(value,)])
    np.testing.assert_allclose(feature["mean"], pixels.mean(0), rtol=1e-12)


def test_rows_go_by_their_own_moments() -> None:
    found = tensor(Standardize(per="row").run(torch.from_numpy(NUMBERS), state={}))
    wanted = (NUMBERS - NUMBERS.mean(1, keepdims=True)) / NUMBERS.std(1, keepdims=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert Standardize(per="row").fit([]) == {}


def test_each_row_by_its_own_moments_is_numpys() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 5), dtype=np.uint8)
    mean, spread = (getattr(pixels, name)((1, 2, 3), keepdims=True) for name in ("mean", "std"))
    kind = Standardize(per="row")
    assert not kind.learns
    assert kind.fit([(torch.from_numpy(pixels),)]) == {}
    found = tensor(kind.run(torch.from_numpy(pixels), state={}))
    np.testing.assert_allclose(found, (pixels - mean) / spread, rtol=1e-6, atol=1e-6)


def test_a_row_with_nothing_in_it_stays_as_it_is() -> None:
    nan = float("nan")
    x = torch.tensor([[1.0, 3.0, nan], [nan, nan, nan], [7.0, 7.0, 7.0]])
    found = tensor(Standardize(per="row").run(x, state={}))
    np.testing.assert_array_equal(found, [[-1.0, 1.0, nan], [nan, nan, nan], [0.0, 0.0, 0.0]])


def test_padding_does_not_count_in_a_row() -> None:
    value = Padded(torch.tensor([[[1.0], [3.0], [0.0]], [[5.0], [5.0], [8.0]]]), torch.tensor([2, 3]))
    found = Standardize(per="row").run(value, state={})
    assert isinstance(found, Padded)
    assert found.values[0].flatten().tolist() == [-1.0, 1.0, 0.0]
    np.testing.assert_allclose(found.values[1].mean(), 0, atol=1e-6)


def test_padding_is_neither_learned_from_nor_changed() -> None:
    value = Padded(torch.tensor([[[1.0], [3.0]], [[5.0], [99.0]]]), torch.tensor([2, 1]))
    state = Standardize().fit([(value,)])
    assert state["mean"].tolist() == [3.0]
    for kind, learned in ((Standardize(), state), (Scale(shift=1.0), {}), (Clip(low=2.0), {})):
        found = kind.run(value, state=learned)
        assert isinstance(found, Padded)
        assert found.values[1, 1].tolist() == [0.0]
        assert torch.equal(found.lengths, value.lengths)


def test_ports_become_float32() -> None:
    for kind in (Scale(), Clip(low=0.0), Log(), Standardize()):
        assert kind.infer((Port("uint8", (8, 8)),)) == Port("float32", (8, 8))
        assert kind.infer((Port("int64", size=3),)) == Port("float32")
        assert kind.infer((Port("unknown"),)).dtype == "unknown"
        with pytest.raises(InvalidShape, match="its input is string, and it takes numbers; encode it first"):
            kind.infer((Port("string"),))
    with pytest.raises(InvalidShape, match="has no channels; take per: feature"):
        Standardize(per="channel").infer((Port("float32", (3,)),))
    assert Standardize(per="row").infer((Port("uint8", (8, 8)),)) == Port("float32", (8, 8))
    with pytest.raises(InvalidShape, match="one number has no spread of its own; take per: feature"):
        Standardize(per="row").infer((Port("float32"),))


def test_log_names_the_value_and_counts_the_rows() -> None:
    with pytest.raises(
        InvalidData, match=r"2 rows of 3 hold a value of -1 or less, the first is -3; .* raise `offset`"
    ):
        Log().run(torch.tensor([1.0, -3.0, -1.0]), state={})


BAD_FITS = [
    ([torch.tensor([1.0, float("inf")])], "1 values are infinite; put a `clip`"),
    (
        [torch.tensor([[1.0, float("nan")], [2.0, float("nan")]])],
        "1 features of 2 hold nothing.*feature 1; leave it out",
    ),
    ([pa.array([None, None], pa.float64())], "1 features of 1 hold nothing but missing"),
    ([torch.empty(0)], "no training rows"),
]


@pytest.mark.parametrize(("values", "message"), BAD_FITS)
def test_what_cannot_be_learned_from_is_named(values: list[Value], message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        Standardize().fit((value,) for value in values)


def test_running_before_learning_says_so() -> None:
    with pytest.raises(InvalidData, match="has not learned 'mean' yet; train the model"):
        Standardize().run(torch.ones(2), state={})


BAD = [
    ("scale", {"by": 0}, "'by' is 0"),
    ("scale", {"by": "16"}, "expected a number"),
    ("scale", {"by": float("nan")}, "expected a number"),
    ("scale", {"factor": 2}, "no option 'factor'"),
    ("clip", {}, "neither 'low' nor 'high'"),
    ("clip", {"low": 2, "high": 1}, "low must not be above high"),
    ("log", {"offset": True}, "expected a number"),
    ("standardize", {"per": "rows"}, "'feature' or 'channel' or 'all' or 'row'"),
]


@pytest.mark.parametrize(("kind", "options", "message"), BAD)
def test_bad_options_are_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidLayer, match=message):
        make(kind, options)
