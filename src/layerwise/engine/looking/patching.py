"""What is put in the place of what left a layer, and how far two values are apart.

>>> patched("edges", torch.ones(1, 3), 0).tolist()
[[0.0, 0.0, 0.0]]
>>> apart(torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 3.0]]))
0.2
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.errors import InvalidData, InvalidShape
from layerwise.layers.base import Padded, Value
from layerwise.words import shorten

Patch: TypeAlias = Tensor | float | Callable[[Any], Any]
"""What is put in the place of a value."""


def patched(path: str, was: Value, value: Any) -> Value:
    """Return what takes the place of ``was``, [1, ...], which left a layer.

    Args:
        path: the layer's path.
        was: what left it, [1, ...].
        value: a tensor or array of its shape, with or without the dimension of rows; a number for all of it; a function
            of it; of an Arrow value, the cell itself.

    Raises:
        InvalidShape: another shape, naming the layer and both.
        InvalidData: something that is no such value.
    """
    if callable(value) and not isinstance(value, Tensor):
        value = value(
            was.values.clone() if isinstance(was, Padded) else was.clone() if isinstance(was, Tensor) else was
        )
    if isinstance(was, pa.Array):
        return _arrow(path, was, value)
    if isinstance(value, Padded):
        lengths = torch.as_tensor(value.lengths).reshape(-1)
        whole = was.values if isinstance(was, Padded) else was
        return (
            Padded(_tensor(path, whole, value.values), lengths)
            if isinstance(was, Padded)
            else _tensor(path, whole, value)
        )
    if isinstance(was, Padded):
        return Padded(_tensor(path, was.values, value), was.lengths)
    return _tensor(path, was, value)


def _tensor(path: str, was: Tensor, value: Any) -> Tensor:
    try:
        found = value.detach() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidData(
            f"layer {path!r}: {shorten(value)} cannot take the place of what left it; give a tensor of shape "
            f"{list(was.shape[1:])}, a number, or a function of it ({shorten(str(error))})"
        ) from None
    if not found.ndim:
        return torch.full_like(was, found.item())
    if found.shape != was.shape and found.shape != was.shape[1:]:
        raise InvalidShape(
            f"layer {path!r}: what left it has the shape {list(was.shape[1:])}, and what is to take its place has "
            f"{list(found.shape)}; give that shape, a number, or a function of what left it"
        )
    if found.is_floating_point() and not was.is_floating_point() and not bool((found == found.round()).all()):
        raise InvalidData(
            f"layer {path!r}: {was.dtype} leaves it, and {shorten(found.flatten()[:4].tolist())} are no whole numbers"
        )
    return found.reshape(was.shape).to(was.dtype).clone()


def _arrow(path: str, was: pa.Array, value: Any) -> pa.Array:
    if isinstance(value, pa.Array) and value.type == was.type and len(value) == 1:
        return value
    try:
        if isinstance(was.type, pa.FixedShapeTensorType):
            array = np.asarray(value, dtype=was.type.value_type.to_pandas_dtype())
            whole = np.broadcast_to(array, was.type.shape) if not array.ndim else array.reshape(was.type.shape)
            return pa.ExtensionArray.from_storage(
                was.type, pa.FixedSizeListArray.from_arrays(pa.array(whole.reshape(-1)), whole.size)
            )
        return pa.array([value.as_py() if isinstance(value, pa.Scalar) else value], was.type)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidData(
            f"layer {path!r}: {shorten(value)} cannot take the place of a value of {was.type}: {str(error)[:200]}"
        ) from None


def apart(one: Value, other: Value) -> float:
    """Return how far ``other`` is from ``one``, relative to how large that is: Euclidean; 0 where they are the same.

    Of values that are no numbers, 0 or 1; where one has other numbers missing than the other, infinite.
    """
    if isinstance(one, pa.Array) or isinstance(other, pa.Array):
        return 0.0 if isinstance(one, pa.Array) and isinstance(other, pa.Array) and one.equals(other) else 1.0
    a, b = (value.values if isinstance(value, Padded) else value for value in (one, other))
    if a.shape != b.shape:
        return math.inf
    a, b = a.double(), b.double()
    if torch.equal(a.isnan(), b.isnan()):
        a, b = a.nan_to_num(0.0), b.nan_to_num(0.0)
    moved, size = float((a - b).norm()), float(a.norm())
    return 0.0 if moved == 0 else moved / size if size else math.inf
