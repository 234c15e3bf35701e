"""Join puts numbers side by side in the order of the inputs."""

from __future__ import annotations

import pyarrow as pa
import pytest
import torch

from layerwise.errors import InvalidShape
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded, Value
from layerwise.layers.join import Join


def test_numbers_stand_in_the_order_of_the_inputs() -> None:
    inputs: tuple[Value, ...] = (pa.array([1, 2]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]), torch.tensor([True, False]))
    found = Join().run(*inputs, state={})
    assert torch.equal(torch.as_tensor(found), torch.tensor([[1.0, 3, 4, 1], [2.0, 5, 6, 0]]))
    ports = (Port("int64"), Port("float32", (2,)), Port("bool"))
    assert Join().infer(ports) == Port("float32", (4,))


def test_missing_numbers_stay_nan() -> None:
    assert torch.isnan(torch.as_tensor(Join().run(pa.array([1, None]), state={}))).tolist() == [[False], [True]]


def test_a_size_that_is_not_known_yet_is_said_so() -> None:
    assert Join().infer((Port("float32", (None,)), Port("int64"))) == Port("float32", (None,))
    assert Join().infer((Port("unknown"),)) == Port("float32", (None,))


@pytest.mark.parametrize("port", [Port("uint8", (1, 8, 8)), Port("float32", (5,), padded=True)])
def test_images_and_sequences_are_refused_with_a_cure(port: Port) -> None:
    with pytest.raises(InvalidShape, match=r"input 2 is .*put a flatten or pooling layer behind it"):
        Join().infer((Port("float32"), port))


@pytest.mark.parametrize("value", [torch.ones(2, 3, 4), Padded(torch.ones(2, 3), torch.tensor([1, 2]))])
def test_images_and_sequences_are_refused_while_running(value: Value) -> None:
    with pytest.raises(InvalidShape, match=r"input 1 is of shape \['batch', 3"):
        Join().run(value, state={})


def test_text_is_refused() -> None:
    with pytest.raises(InvalidShape, match="its input is string, and it takes numbers"):
        Join().infer((Port("string"),))
    with pytest.raises(InvalidShape, match="expected numbers, got string"):
        Join().run(pa.array(["a"]), state={})
