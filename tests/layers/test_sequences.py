"""Windows and histories hold what came before a row in the table, of its own group, and nothing later."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded
from layerwise.layers.sequences import Sequence, Window

rows = st.lists(st.tuples(st.integers(0, 99), st.sampled_from("abc")), max_size=25)


def past(table: list[tuple[int, str]], row: int, length: int, horizon: int) -> list[int]:
    """Return what a plain loop finds before a row."""
    group = [place for place, (_, key) in enumerate(table) if key == table[row][1]]
    stop = group.index(row) - horizon + 1
    return [table[place][0] for place in group[max(0, stop - length) : max(0, stop)]]


@given(rows, st.integers(1, 4), st.integers(0, 3))
def test_the_past_is_what_a_loop_finds(table: list[tuple[int, str]], length: int, horizon: int) -> None:
    values = pa.array([value for value, _ in table], pa.int64())
    keys = pa.array([key for _, key in table], pa.string())
    wanted = [past(table, row, length, horizon) for row in range(len(table))]
    history = Sequence(length, horizon).run(values, keys, state={})
    assert isinstance(history, pa.Array)
    assert history.type == pa.list_(pa.int64())
    assert history.to_pylist() == wanted
    window = Window(length, horizon).run(values, keys, state={})
    assert isinstance(window, Padded)
    assert window.values.shape == (len(table), length, 1)
    for row, expected in enumerate(wanted):
        assert window.values[row, :, 0].tolist() == expected + [0] * (length - len(expected))
        assert window.lengths[row] == max(1, len(expected))


def test_without_groups_the_whole_table_is_one_series() -> None:
    values = torch.arange(10.0).view(5, 2)
    found = Window(2, horizon=2).run(values, state={})
    assert isinstance(found, Padded)
    assert found.values[4].tolist() == values[1:3].tolist()
    assert found.lengths.tolist() == [1, 1, 1, 2, 2]


def test_ports() -> None:
    assert Window(5).infer((Port("float32"),)) == Port("float32", (5, 1), padded=True)
    assert Window(5).infer((Port("float32", (3,)), Port("string"))) == Port("float32", (5, 3), padded=True)
    assert Sequence(5).infer((Port("string"), Port("int64"))) == Port("list<string>")
    assert Sequence(5).infer((Port("int64", size=9), Port("string"))) == Port("list<int64>", size=9)
    with pytest.raises(InvalidShape, match="a sequence already"):
        Window(5).infer((Port("float32", (3, 1), padded=True),))
    with pytest.raises(InvalidShape, match="the groups are"):
        Window(5).infer((Port("float32"), Port("float32", (3,))))
    with pytest.raises(InvalidShape, match="the items are list<string>"):
        Sequence(5).infer((Port("list<string>"), Port("string")))
    assert Window(5).couples_rows
    assert Sequence(5).couples_rows


def test_missing_groups_are_refused() -> None:
    with pytest.raises(InvalidData, match="1 group keys of 2 are missing"):
        Sequence(2).run(pa.array([1, 2]), pa.array(["a", None]), state={})
    with pytest.raises(InvalidShape, match="the items are of shape"):
        Sequence(2).run(torch.ones(2, 2), pa.array(["a", "b"]), state={})


@pytest.mark.parametrize("options", [{}, {"length": 0}, {"length": 3, "horizon": -1}, {"length": "3"}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    for kind in ("window", "sequence"):
        with pytest.raises(InvalidLayer, match=r"length|horizon"):
            make(kind, options)
