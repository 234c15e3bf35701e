"""Several columns in one layer are what a layer a column and a join would be, and what does not fit is named."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import torch

from layerwise.errors import Invalid, InvalidLayer, InvalidShape
from layerwise.graph.ports import Port
from layerwise.layers.join import Join
from layerwise.layers.records import Columns


def test_numbers_are_joined() -> None:
    arrays = [pa.array([1, None, 3]), pa.array([0.5, 1.5, None]), pa.array([True, False, True])]
    found = torch.as_tensor(Columns(("a", "b", "c")).run(*arrays, state={}))
    assert torch.allclose(found, torch.as_tensor(Join().run(*arrays, state={})), rtol=0, atol=0, equal_nan=True)
    ports = (Port("int64"), Port("float32"), Port("bool"))
    assert Columns(("a", "b", "c")).infer(ports) == Port("float32", (3,))
    assert Columns(("a",)).infer((Port("unknown"),)) == Port("unknown")


def test_texts_are_a_record() -> None:
    found = Columns(("a", "b")).run(pa.array(["x", None]), pa.array(["y", "z"]), state={})
    assert isinstance(found, pa.StructArray)
    assert found.to_pylist() == [{"a": "x", "b": "y"}, {"a": None, "b": "z"}]
    assert Columns(("a", "b")).infer((Port("string"), Port("string"))) == Port("record")


BAD: list[tuple[tuple[Port, ...], str]] = [
    ((Port("string"), Port("int64")), "the column 'a' is text and 'b' is numbers; make a layer of the texts"),
    ((Port("int64"), Port("uint8", (8, 8))), r"the column 'b' is uint8\[batch, 8, 8\].*a `column` layer of its own"),
    ((Port("timestamp"), Port("int64")), "the column 'a' is timestamp"),
]


@pytest.mark.parametrize(("ports", "message"), BAD)
def test_what_does_not_stand_side_by_side_is_named(ports: tuple[Port, ...], message: str) -> None:
    with pytest.raises(InvalidShape, match=message):
        Columns(("a", "b")).infer(ports)


@pytest.mark.parametrize("names", [(), ("a", "a"), ("a", 3), "ab"])
def test_names_are_texts_none_of_them_twice(names: Any) -> None:
    with pytest.raises(Invalid) as raised:
        Columns(names)
    assert isinstance(raised.value, InvalidLayer)
