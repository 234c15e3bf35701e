"""Whether two values are the same to the bit, and where they are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.layers.base import Padded


def bits(tensor: Tensor) -> bytes:
    """Return a tensor's numbers as bytes: NaN is itself, and 0 is not -0."""
    return tensor.detach().contiguous().cpu().view(torch.uint8).numpy().tobytes() if tensor.ndim else bits(tensor[None])


def differ(one: Any, other: Any) -> str:
    """Return in what two values differ, or nothing where they are the same to the bit: kind, dtype, shape, numbers.

    What lies behind a padded row's length is no part of the value.
    """
    if isinstance(one, Padded) or isinstance(other, Padded):
        return _padded(one, other)
    if isinstance(one, pa.Array) or isinstance(other, pa.Array):
        if not (isinstance(one, pa.Array) and isinstance(other, pa.Array)):
            return f"a {type(one).__name__} and a {type(other).__name__}"
        if one.type != other.type:
            return f"{one.type} and {other.type}"
        return "" if one.equals(other) or one.to_pylist() == other.to_pylist() else f"values: {one} and {other}"
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return f"a {type(one).__name__} and a {type(other).__name__}"
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return f"{one.dtype}{list(one.shape)} and {other.dtype}{list(other.shape)}"
    if bits(one) == bits(other):
        return ""
    changed = np.frombuffer(bits(one), np.uint8) != np.frombuffer(bits(other), np.uint8)
    apart = (one.double() - other.double()).abs().max() if one.numel() else 0
    return f"{int(changed.sum())} of {len(changed)} bytes, at most {float(apart):.3g} apart"


def _padded(one: Any, other: Any) -> str:
    if not (isinstance(one, Padded) and isinstance(other, Padded)):
        return f"a {type(one).__name__} and a {type(other).__name__}"
    if found := differ(one.lengths.to(torch.int64), other.lengths.to(torch.int64)):
        return f"lengths: {found}"
    if (one.values.dtype, one.values.shape[2:]) != (other.values.dtype, other.values.shape[2:]):
        return f"{one.values.dtype}{list(one.values.shape)} and {other.values.dtype}{list(other.values.shape)}"
    for at, length in enumerate(one.lengths.tolist()):
        if found := differ(one.values[at, :length], other.values[at, :length]):
            return f"row {at}: {found}"
    return ""
