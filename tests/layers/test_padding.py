"""Padded rows hold what the lists held, and their true lengths."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import Invalid, InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded, Value
from layerwise.layers.lists import relist, unlist
from layerwise.layers.padding import Lengths, Pad

lists = st.lists(st.none() | st.lists(st.integers(-9, 9), max_size=7), max_size=9)


@given(lists, st.integers(1, 5), st.sampled_from(["first", "last"]), st.integers(0, 3))
def test_rows_hold_what_their_lists_held(rows: list[list[int] | None], length: int, keep: Any, start: int) -> None:
    array = pa.array(rows, pa.list_(pa.int64()))[start:]
    found = Pad(length, keep).run(array, state={})
    assert isinstance(found, Padded)
    assert found.values.shape == (len(array), length)
    for row, values, size in zip(rows[start:], found.values.tolist(), found.lengths.tolist(), strict=True):
        kept = (row or [])[:length] if keep == "first" else (row or [])[-length:]
        assert values == kept + [0] * (length - len(kept))
        assert size == max(1, len(kept))


@given(lists)
def test_lists_come_back_from_items_and_lengths(rows: list[list[int] | None]) -> None:
    items, lengths = unlist(pa.array(rows, pa.list_(pa.int64())))
    assert relist(items, lengths).to_pylist() == [row or [] for row in rows]
    found = Lengths().run(pa.array(rows, pa.list_(pa.int64())), state={})
    assert torch.as_tensor(found).tolist() == [len(row or []) for row in rows]


def test_floats_become_float32_with_gaps_as_nan() -> None:
    found = Pad(2).run(pa.array([[1.5], [2.5, None]]), state={})
    assert isinstance(found, Padded)
    assert found.values.dtype == torch.float32
    assert torch.isnan(found.values).tolist() == [[False, False], [False, True]]


def test_ports() -> None:
    assert Pad(4).infer((Port("list<int64>", size=9),)) == Port("int64", (4,), padded=True, size=9)
    assert Pad(4).infer((Port("list<float32>"),)) == Port("float32", (4,), padded=True)
    assert Lengths().infer((Port("list<string>"),)) == Port("int64")
    with pytest.raises(InvalidShape, match="list<string>, and it takes lists of numbers; put a vocabulary before it"):
        Pad(4).infer((Port("list<string>"),))
    with pytest.raises(InvalidShape, match="it has one length already"):
        Pad(4).infer((Port("float32", (3,)),))
    with pytest.raises(InvalidShape, match="takes lists or padded rows"):
        Lengths().infer((Port("string"),))


BAD: list[tuple[Value, type[Invalid], str]] = [
    (pa.array([["a"]]), InvalidShape, "its lists hold string, and it takes numbers; put a vocabulary"),
    (pa.array([[1, None]]), InvalidData, "1 numbers in the lists are missing"),
    (pa.array([1]), InvalidShape, "its input is int64"),
    (torch.ones(2, 3), InvalidShape, "a tensor"),
]


@pytest.mark.parametrize(("value", "error", "message"), BAD)
def test_bad_values_are_refused(value: Value, error: type[Invalid], message: str) -> None:
    with pytest.raises(error, match=message):
        Pad(3).run(value, state={})


@pytest.mark.parametrize("options", [{}, {"length": 0}, {"length": 3, "keep": "middle"}, {"length": 2.5}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidLayer, match=r"length|keep"):
        make("pad", options)
