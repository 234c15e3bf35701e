"""Torch's tensors to and from the store's raw ones, without copying where the bytes allow it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from layerwise.canonical import digest
from layerwise.errors import Damaged
from layerwise.store.tensors import RawTensor
from layerwise.words import Digest, shorten

_WORDS = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_TYPES = {word: dtype for dtype, word in _WORDS.items()}


def to_raw(tensors: Mapping[str, Tensor]) -> dict[str, RawTensor]:
    """Return tensors as the store keeps them. On the CPU and contiguous, nothing is copied."""
    return {name: _raw(tensor.detach().cpu().contiguous()) for name, tensor in tensors.items()}


def _raw(tensor: Tensor) -> RawTensor:
    data = memoryview(tensor.reshape(-1).view(torch.uint8).numpy().data) if tensor.numel() else b""
    return RawTensor(_WORDS[tensor.dtype], tuple(tensor.shape), data)


def word_of(dtype: torch.dtype) -> str:
    """Return the store's word for a type of numbers.

    >>> word_of(torch.float16)
    'F16'
    """
    return _WORDS[dtype]


def dtype_of(word: str) -> torch.dtype:
    """Return the type of numbers that the store's word stands for."""
    return _TYPES[word]


def digest_tensors(tensors: Mapping[str, Tensor]) -> Digest:
    """Return the digest of tensors: names, types, shapes and bits."""
    return digest_raw(to_raw(tensors))


def digest_raw(raw: Mapping[str, RawTensor]) -> Digest:
    """Return the digest of the store's tensors; of torch's, it is that of `digest_tensors`."""
    return digest("tensors.v1", *(part for name in sorted(raw) for part in _parts(name, raw[name])))


def _parts(name: str, raw: RawTensor) -> tuple[bytes | memoryview, ...]:
    return name.encode(), raw.dtype.encode(), repr(raw.shape).encode(), memoryview(raw.data)


def from_raw(tensors: Mapping[str, RawTensor]) -> dict[str, Tensor]:
    """Return the store's tensors as torch's, to be written to: copied only where the store's cannot be."""
    return {name: _tensor(name, raw) for name, raw in tensors.items()}


def _tensor(name: str, raw: RawTensor) -> Tensor:
    if raw.dtype not in _TYPES:
        raise Damaged(f"the tensor {shorten(name)} has the type {raw.dtype!r}, which no layer makes")
    dtype = _TYPES[raw.dtype]
    if not len(raw.data):
        return torch.empty(raw.shape, dtype=dtype)
    data = memoryview(raw.data)
    octets = torch.frombuffer(bytearray(data) if data.readonly else data, dtype=torch.uint8)
    # Compiled code counts on 0 and 1: another value is counted one way in one place and another way in the next.
    if dtype == torch.bool and octets.max() > 1:
        raise Damaged(f"the tensor {shorten(name)} has truth values that are neither 0 nor 1")
    return octets.view(dtype).view(raw.shape)
