"""Columns come into the graph as what they are, and say so before any row is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from layerwise.errors import Invalid, InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.columns import Column, port_of

PORTS = [
    (pa.float64(), Port("float32")),
    (pa.float16(), Port("float32")),
    (pa.int8(), Port("int64")),
    (pa.uint64(), Port("int64")),
    (pa.bool_(), Port("bool")),
    (pa.string(), Port("string")),
    (pa.large_string(), Port("string")),
    (pa.binary(), Port("binary")),
    (pa.timestamp("us"), Port("timestamp")),
    (pa.timestamp("ns", tz="UTC"), Port("timestamp")),
    (pa.date32(), Port("date")),
    (pa.time64("us"), Port("time")),
    (pa.duration("s"), Port("duration")),
    (pa.list_(pa.string()), Port("list<string>")),
    (pa.list_(pa.int32()), Port("list<int64>")),
    (pa.large_list(pa.float64()), Port("list<float32>")),
    (pa.list_(pa.string(), 3), Port("list<string>")),
    (pa.list_(pa.float64(), 3), Port("float32", (3,))),
    (pa.list_(pa.list_(pa.uint8(), 4), 3), Port("uint8", (3, 4))),
    (pa.fixed_shape_tensor(pa.uint8(), [8, 8]), Port("uint8", (8, 8))),
    (pa.fixed_shape_tensor(pa.int16(), [2]), Port("int16", (2,))),
    (pa.fixed_shape_tensor(pa.float64(), [2]), Port("float32", (2,))),
    (pa.struct([("a", pa.int8())]), Port("record")),
]


@pytest.mark.parametrize(("kind", "port"), PORTS, ids=str)
def test_every_arrow_type_has_a_port(kind: pa.DataType, port: Port) -> None:
    assert port_of(kind) == port


def tensors(array: np.ndarray[Any, Any]) -> pa.Array:
    """Return a column of tensors."""
    return pa.FixedShapeTensorArray.from_numpy_ndarray(array)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64", "float16", "float32", "float64"])
def test_tensors_keep_their_numbers_and_dtype(dtype: str) -> None:
    array = np.arange(24).astype(dtype).reshape(4, 2, 3)
    value = Column("x").run(tensors(array), state={})
    assert isinstance(value, torch.Tensor)
    assert value.dtype == getattr(torch, "float32" if dtype == "float64" else dtype)
    assert np.array_equal(value.numpy(), array)
    part = Column("x", shape=(6, 1)).run(tensors(array)[1:3], state={})
    assert np.array_equal(part, array[1:3].reshape(2, 6, 1))


def test_tensors_share_the_memory_of_the_table() -> None:
    array = tensors(np.arange(24, dtype=np.uint8).reshape(4, 6))
    value = Column("x", shape=(2, 3)).run(array, state={})
    assert isinstance(value, torch.Tensor)
    assert value.data_ptr() == array.storage.flatten().buffers()[1].address


def test_what_is_not_encoded_stays_arrow() -> None:
    for array in (pa.array(["a", None]), pa.array([1, None]), pa.array([b"a"]), pa.array([[1], []])):
        assert Column("x").run(array, state={}) is array


def test_lists_become_tensors_of_a_shape_that_is_given() -> None:
    value = Column("x", shape=(2, 2)).run(pa.array([[1.0, 2, 3, 4], [5, 6, 7, 8]]), state={})
    assert isinstance(value, torch.Tensor)
    assert value.dtype == torch.float32
    assert value.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert torch.as_tensor(Column("x", shape=(1,)).run(pa.array([1, 2]), state={})).tolist() == [[1], [2]]


def test_missing_numbers_in_a_tensor_are_nan() -> None:
    array = pa.array([[1.0, None]], pa.list_(pa.float32(), 2))
    value = Column("x").run(array, state={})
    assert isinstance(value, torch.Tensor)
    assert torch.isnan(value).tolist() == [[False, True]]


INFERRED = [
    (None, Port("string"), Port("string")),
    ((1, 8, 8), Port("uint8", (8, 8)), Port("uint8", (1, 8, 8))),
    ((1, 8, 8), Port("unknown"), Port("float32", (1, 8, 8))),
    (None, Port("unknown"), Port("unknown")),
    ((2, 2), Port("list<float64>"), Port("float32", (2, 2))),
    ((2, 2), Port("list<int64>"), Port("int64", (2, 2))),
    ((4,), Port("float32", (None,)), Port("float32", (4,))),
]


@pytest.mark.parametrize(("shape", "port", "wanted"), INFERRED, ids=str)
def test_the_port_is_known_before_any_row(shape: tuple[int, ...] | None, port: Port, wanted: Port) -> None:
    column = Column("x", shape=shape)
    assert column.reads == ("x",)
    assert column.infer((port,)) == wanted


def test_a_wrong_shape_is_told_with_both_sizes_before_and_while_running() -> None:
    column = Column("image", shape=(1, 8, 8))
    with pytest.raises(InvalidShape, match=r"'image' is of shape \[8, 9\], that is 72 values.*wants 64"):
        column.infer((Port("uint8", (8, 9)),))
    with pytest.raises(InvalidShape, match=r"\[8, 9\], that is 72 values.*wants 64"):
        column.run(tensors(np.zeros((2, 8, 9), np.uint8)), state={})


BAD: list[tuple[dict[str, Any], pa.Array, type[Invalid], str]] = [
    ({"shape": [2]}, pa.array(["a"]), InvalidShape, "string and has no shape"),
    ({"shape": [2]}, pa.array([[1, 2], [1]]), InvalidShape, "row 1 of 'x' holds 1 values.*wants 2"),
    ({"shape": [2]}, pa.array([[1, 2], None]), InvalidShape, "row 1 of 'x' holds nothing"),
    ({}, pa.array([[1.0], None], pa.list_(pa.float64(), 1)), InvalidData, "1 rows of 2 hold no tensor"),
    ({}, pa.array([[1, None]], pa.list_(pa.int64(), 2)), InvalidData, "1 numbers in the tensors of 'x' are missing"),
]


@pytest.mark.parametrize(("options", "array", "error", "message"), BAD)
def test_bad_columns_are_refused(options: dict[str, Any], array: pa.Array, error: type[Invalid], message: str) -> None:
    column = make("column", {"column": "x", **options})
    assert isinstance(column, Column)
    with pytest.raises(error, match=message):
        column.run(array, state={})


def test_a_column_that_is_no_number_takes_no_shape() -> None:
    with pytest.raises(InvalidShape, match="string and has no shape; take `shape` away"):
        Column("x", shape=(2,)).infer((Port("string"),))


@pytest.mark.parametrize("options", [{}, {"column": 3}, {"column": "x", "shape": [0]}, {"column": "x", "shape": "8x8"}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidLayer, match=r"shape|column"):
        make("column", options)
