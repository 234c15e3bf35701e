"""What the families share: numbers read exactly, padding left alone, training rows in blocks of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from layerwise.errors import InvalidData, InvalidShape
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded, State, Value, as_tensor

Numbers: TypeAlias = np.ndarray[Any, np.dtype[Any]]

BLOCK = 1 << 20
"""How many numbers are summed at a time when a layer learns: 8 MiB of float64."""

_NARROW = {torch.uint8, torch.int8, torch.int16, torch.float16, torch.bfloat16, torch.float32, torch.bool}


def hold_numbers(port: Port) -> Port:
    """Return ``port``, or raise InvalidShape where it holds no numbers."""
    if not port.numeric and port.dtype != "unknown":
        raise InvalidShape(
            f"its input is {port}, and it takes numbers; encode it first (category, one_hot, tokens, image)"
        )
    return port


def exact(value: Value) -> Tensor:
    """Return numbers as floats that hold them exactly: float64 for Arrow columns and wide dtypes, else float32.

    Large numbers (a time in seconds, an id) keep their digits until they are small. Missing ones are NaN.
    """
    if isinstance(value, pa.Array):
        kind = value.type
        if pa.types.is_floating(kind) or pa.types.is_integer(kind):
            return torch.from_numpy(value.to_numpy(zero_copy_only=False).astype(np.float64))
        if pa.types.is_boolean(kind):
            return exact(value.cast(pa.uint8()))
    tensor = as_tensor(value)
    return tensor.float() if tensor.dtype in _NARROW else tensor.double()


def change(value: Value, function: Callable[[Tensor], Tensor]) -> Value:
    """Return the numbers of ``value`` changed one by one, as float32; what is padding stays zero."""
    # Contiguous, because torch takes another path (and other last bits) for memory with gaps.
    changed = function(exact(value).contiguous()).float()
    if not isinstance(value, Padded):
        return changed
    inside = steps(value).reshape(*value.values.shape[:2], *(1 for _ in value.values.shape[2:]))
    return Padded(torch.where(inside, changed, torch.zeros(())), value.lengths)


def steps(value: Padded) -> Tensor:
    """Return which steps are true ones and not padding: [batch, longest], bool."""
    return torch.arange(value.values.shape[1]) < value.lengths[:, None]


def blocks(parts: Iterable[Numbers]) -> Iterator[Numbers]:
    """Yield the rows of ``parts`` ([rows, features] each) in blocks of a size that depends on ``features`` alone.

    Floating sums depend on where they are cut. Cut always at the same rows, what a layer learns is the same to the
    bit whatever batches its training rows came in.

    Raises:
        InvalidData: there is no row.
    """
    waiting: list[Numbers] = []
    rows = total = 0
    for part in parts:
        waiting.append(part)
        rows, total = rows + len(part), total + len(part)
        size = max(1, BLOCK // max(1, part.shape[1]))
        if rows >= size:
            whole = np.concatenate(waiting)
            full = rows - rows % size
            yield from (whole[start : start + size] for start in range(0, full, size))
            waiting, rows = [whole[full:]], rows % size
    if not total:
        raise no_rows()
    if rows:
        yield np.concatenate(waiting)


def no_rows() -> InvalidData:
    """Return the error of a layer that is to learn from no rows."""
    return InvalidData("there are no training rows to learn from; check the dataset and its split")


def missing(value: Value) -> Tensor:
    """Return which numbers are missing (null or NaN): the shape of the tensor, bool."""
    if isinstance(value, pa.Array):
        found = pc.is_null(value, nan_is_null=pa.types.is_floating(value.type))
        return torch.from_numpy(found.to_numpy(zero_copy_only=False))
    return torch.isnan(as_tensor(value))


def hold_present(value: Value) -> None:
    """Raise InvalidData where a number is missing, with how many and the cure."""
    absent = missing(value)
    count = int(absent.sum())
    if count:
        raise InvalidData(f"{count:,} values of {absent.numel():,} are missing; put a `fill` layer before this one")


def learned(state: State, name: str) -> Tensor:
    """Return what the layer has learned under ``name``, or raise InvalidData: it has not learned yet."""
    if name not in state:
        raise InvalidData(f"it has not learned {name!r} yet; train the model, or fit the layer, first")
    return state[name]
