"""What every data kind keeps: its description, a row's independence of its neighbours, one state for any batches."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from torch import Tensor

from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.augment import Augment
from layerwise.layers.base import DataKind, Padded, State, Value, rows_of
from layerwise.layers.buckets import Bucket
from layerwise.layers.categories import Category, OneHot
from layerwise.layers.columns import Column, port_of
from layerwise.layers.estimator import estimator
from layerwise.layers.filling import Fill
from layerwise.layers.functions import function
from layerwise.layers.images import Image
from layerwise.layers.join import Join
from layerwise.layers.padding import Lengths, Pad
from layerwise.layers.records import Columns
from layerwise.layers.scaling import Clip, Log, Scale, Standardize
from layerwise.layers.sequences import Sequence as History
from layerwise.layers.sequences import Window
from layerwise.layers.text import Tokens
from layerwise.layers.vocabulary import Vocabulary

ROWS = 24
RANDOM = np.random.default_rng(0)


def doubled(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return twice ``x``."""
    return 2 * x


def png(row: int) -> bytes:
    """Return a small picture as PNG."""
    target = io.BytesIO()
    Pillow.fromarray(np.full((5, 7, 3), 10 * row, np.uint8)).save(target, "PNG")
    return target.getvalue()


def gaps(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return ``values`` with some missing."""
    return np.where(RANDOM.random(values.shape) < 0.2, np.nan, values)


SCALAR = pa.array(RANDOM.lognormal(size=ROWS))
GAPS = pa.array(gaps(RANDOM.normal(1e6, 1, size=ROWS)), from_pandas=True)
WHOLE = pa.array(RANDOM.integers(0, 5, ROWS))
VECTOR = torch.from_numpy(RANDOM.normal(3, 2, (ROWS, 3)).astype(np.float32))
HOLES = torch.from_numpy(gaps(RANDOM.normal(3, 2, (ROWS, 3))).astype(np.float32))
PICTURE = torch.from_numpy(RANDOM.integers(0, 256, (ROWS, 3, 4, 5), dtype=np.uint8))
NAMES = pa.array([["red", "green", "blue", None][i] for i in RANDOM.integers(0, 3, ROWS)])
LISTS = pa.array([RANDOM.integers(0, 9, size).tolist() for size in RANDOM.integers(0, 6, ROWS)], pa.list_(pa.int64()))
WORDS = pa.array([["a", "b", "c"][: row % 4] for row in range(ROWS)])
TEXTS = pa.array([f"Row {row}: it isn't {row % 3}, größer!" * (row % 3) for row in range(ROWS)])
FILES = pa.array([png(row) for row in range(ROWS)])
STEPS = Padded(torch.arange(ROWS * 8.0).view(ROWS, 4, 2), torch.arange(ROWS) % 4 + 1)

CASES: list[tuple[DataKind, tuple[Value, ...]]] = [
    (Scale(by=3.0, shift=0.1), (PICTURE,)),
    (Scale(by=3.0, shift=1e6), (GAPS,)),
    (Scale(by=7.0), (STEPS,)),
    (Standardize(), (GAPS,)),
    (Standardize(), (VECTOR,)),
    (Standardize(), (HOLES,)),
    (Standardize(), (STEPS,)),
    (Standardize(per="channel"), (PICTURE,)),
    (Standardize(per="all"), (PICTURE,)),
    (Standardize(per="row"), (PICTURE,)),
    (Standardize(per="row"), (HOLES,)),
    (Standardize(per="row"), (STEPS,)),
    (Standardize(per="row"), (HOLES,)),
    (Standardize(per="row"), (PICTURE,)),
    (Standardize(per="row"), (STEPS,)),
    (Clip(low=0.5, high=2.5), (VECTOR,)),
    (Log(), (SCALAR,)),
    (Log(offset=0.25), (SCALAR,)),
    (Log(), (PICTURE,)),
    (Fill("mean"), (GAPS,)),
    (Fill("median"), (HOLES,)),
    (Fill("most_frequent"), (NAMES,)),
    (Fill(-1.5, indicator=True), (HOLES,)),
    (Fill("mean", indicator=True), (GAPS,)),
    (Bucket(edges=(0.5, 1.0)), (SCALAR,)),
    (Bucket(count=4), (SCALAR,)),
    (Category(), (NAMES,)),
    (Category(values=(0, 1, 2), unknown="other", missing="own"), (WHOLE,)),
    (OneHot(), (NAMES,)),
    (OneHot(unknown="other"), (WHOLE,)),
    (OneHot(), (pa.StructArray.from_arrays([NAMES, TEXTS], names=["name", "text"]),)),
    (Columns(("a", "b")), (WHOLE, GAPS)),
    (Columns(("a", "b")), (NAMES, TEXTS)),
    (Join(), (SCALAR, VECTOR, WHOLE)),
    (Tokens(), (TEXTS,)),
    (Tokens(by="characters", lower=True), (TEXTS,)),
    (Tokens(by="bytepairs", size=270), (TEXTS,)),
    (Tokens(pattern="[a-z]+"), (TEXTS,)),
    (Vocabulary(), (WORDS,)),
    (Vocabulary(size=5, fewest=2), (LISTS,)),
    (Vocabulary(), (NAMES,)),
    (Pad(3), (LISTS,)),
    (Pad(3, keep="last"), (LISTS,)),
    (Lengths(), (LISTS,)),
    (Lengths(), (STEPS,)),
    (Image(size=(4, 4)), (FILES,)),
    (Image(grey=True), (FILES,)),
    (Image(size=(3, 3), grey=True), (PICTURE,)),
    (Augment(shift=1, flip="both", rotate=5.0, zoom=0.1, noise=0.1, brightness=0.1, contrast=0.1), (PICTURE,)),
    (function(doubled), (VECTOR,)),
    (estimator(PCA(2)), (SCALAR, VECTOR)),
    (estimator(KMeans(3)), (VECTOR,)),
    (estimator(IsolationForest(n_estimators=5)), (VECTOR,)),
]
COUPLED: list[tuple[DataKind, tuple[Value, ...]]] = [
    (Window(3), (SCALAR,)),
    (Window(2, horizon=3), (VECTOR, NAMES)),
    (History(3), (NAMES, WHOLE)),
    (History(2, horizon=0), (WHOLE, NAMES)),
]
IDS = [f"{kind.title}-{place}" for place, (kind, _) in enumerate(CASES)]

cuts = st.lists(st.integers(1, ROWS - 1), max_size=5, unique=True).map(lambda cuts: [0, *sorted(cuts), ROWS])


def sliced(value: Value, start: int, stop: int) -> Value:
    """Return the rows from ``start`` to ``stop``."""
    if isinstance(value, Padded):
        return Padded(value.values[start:stop], value.lengths[start:stop])
    return value[start:stop]


def cut(values: Sequence[Value], at: list[int]) -> Iterator[tuple[Value, ...]]:
    """Yield the rows in batches."""
    for start, stop in pairwise(at):
        yield tuple(sliced(value, start, stop) for value in values)


def same(one: Value, other: Value) -> bool:
    """Tell whether two values are equal to the bit, NaN included."""
    if isinstance(one, Padded) and isinstance(other, Padded):
        return same(one.values, other.values) and same(one.lengths, other.lengths)
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()
    return isinstance(one, pa.Array) and bool(one.equals(other))


def same_states(one: State, other: State) -> bool:
    """Tell whether two states are equal to the bit."""
    return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)


def port(value: Value) -> Port:
    """Return the port of a value."""
    if isinstance(value, Padded):
        return Port("float32", tuple(value.values.shape[1:]), padded=True)
    if isinstance(value, Tensor):
        return Port(str(value.dtype).removeprefix("torch."), tuple(value.shape[1:]))
    return port_of(value.type)


@pytest.mark.parametrize(("kind", "inputs"), CASES + COUPLED, ids=[*IDS, *(kind.title for kind, _ in COUPLED)])
def test_a_kind_comes_back_from_its_description(kind: DataKind, inputs: tuple[Value, ...]) -> None:
    again = make(kind.title, kind.options())
    assert again == kind
    assert again.options() == kind.options()
    assert hash(again) == hash(kind)


@pytest.mark.parametrize(("kind", "inputs"), CASES, ids=IDS)
def test_a_row_does_not_depend_on_its_neighbours(kind: DataKind, inputs: tuple[Value, ...]) -> None:
    state = kind.fit([inputs])
    whole = kind.run(*inputs, state=state)

    @settings(max_examples=12)
    @given(cuts)
    def check(at: list[int]) -> None:
        parts = [kind.run(*batch, state=state) for batch in cut(inputs, at)]
        for part, (start, stop) in zip(parts, pairwise(at), strict=True):
            assert same(part, sliced(whole, start, stop))

    check()
    for row in range(3):
        alone = kind.run(*(sliced(value, row, row + 1) for value in inputs), state=state)
        assert same(alone, sliced(whole, row, row + 1))


@pytest.mark.parametrize(("kind", "inputs"), CASES, ids=IDS)
def test_what_is_learned_does_not_depend_on_batches(kind: DataKind, inputs: tuple[Value, ...]) -> None:
    whole = kind.fit([inputs])

    @settings(max_examples=6)
    @given(cuts)
    def check(at: list[int]) -> None:
        assert same_states(kind.fit(cut(inputs, at)), whole)

    check()
    assert bool(whole) == kind.learns


@pytest.mark.parametrize(("kind", "inputs"), CASES + COUPLED, ids=[*IDS, *(kind.title for kind, _ in COUPLED)])
def test_the_port_is_that_of_the_value(kind: DataKind, inputs: tuple[Value, ...]) -> None:
    ports = tuple(port(value) for value in inputs)
    state = kind.fit([inputs])
    value = kind.run(*inputs, state=state)
    assert rows_of(value) == ROWS
    before, after = kind.infer(ports), kind.infer(ports, state)
    assert before.dtype == after.dtype
    if isinstance(value, pa.Array):
        assert after.dtype == port_of(value.type).dtype
        return
    tensor = value.values if isinstance(value, Padded) else value
    assert (after.dtype, after.shape) == (str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape[1:]))
    assert after.padded == isinstance(value, Padded)
    assert after.size is None or after.dtype != "int64" or int(tensor.max()) < after.size


@pytest.mark.parametrize(("kind", "inputs"), CASES, ids=IDS)
def test_no_rows_make_no_rows(kind: DataKind, inputs: tuple[Value, ...]) -> None:
    state = kind.fit([inputs])
    nothing = kind.run(*(sliced(value, 0, 0) for value in inputs), state=state)
    assert rows_of(nothing) == 0
    if isinstance(nothing, Tensor):
        assert nothing.shape[1:] == torch.as_tensor(kind.run(*inputs, state=state)).shape[1:]


@pytest.mark.parametrize("kind", [kind for kind, _ in CASES if kind.learns], ids=lambda kind: kind.title)
def test_what_learns_from_nothing_says_so(kind: DataKind) -> None:
    with pytest.raises(ValueError, match="no training rows"):
        kind.fit([])


@pytest.mark.parametrize(("kind", "inputs"), CASES, ids=IDS)
def test_inputs_are_left_as_they_are(kind: DataKind, inputs: tuple[Value, ...]) -> None:
    before = [value.clone() for value in inputs if isinstance(value, Tensor)]
    kind.run(*inputs, state=kind.fit([inputs]))
    assert all(same(*pair) for pair in zip((v for v in inputs if isinstance(v, Tensor)), before, strict=True))


def test_a_column_comes_back_from_its_description() -> None:
    kind = Column("image", shape=(1, 8, 8))
    assert make(kind.title, kind.options()) == kind
    assert kind.options() == {"column": "image", "shape": [1, 8, 8]}
