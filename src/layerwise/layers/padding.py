"""Rows of different lengths: padded to one length, and their lengths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.base import DataKind, Padded, State, Value
from layerwise.layers.lists import is_list, spans, unlist

_DTYPES = {"list<int64>": "int64", "list<float32>": "float32", "list<bool>": "int64"}


@register("pad")
@dataclass(frozen=True)
class Pad(DataKind):
    """Lists of numbers as one tensor [batch, length] with their true lengths; behind a row's end stand zeros.

    Args:
        length: the length of every row in the tensor; longer lists are cut to it.
        keep: which end of a longer list stays: the ``first`` items or the ``last``.

    An empty (or missing) list counts as one zero, with length 1: recurrent layers and attention need a step. In a
    vocabulary 0 is padding, so it reads as "nothing".

    Raises:
        InvalidShape: lists of text, or no lists.
        InvalidData: missing numbers in a list of whole ones.

    Example:
        >>> values, lengths = Pad(3).run(pa.array([[5, 6], [1, 2, 3, 4], []]), state={})
        >>> values.tolist(), lengths.tolist()
        ([[5, 6, 0], [1, 2, 3], [0, 0, 0]], [2, 3, 1])
    """

    length: int
    keep: Literal["first", "last"] = "first"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 1:
            raise InvalidLayer(f"the option 'length' is {self.length}; expected 1 or more")

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return a padded [length] of int64 or float32."""
        port = inputs[0]
        if port.dtype == "unknown":
            return Port("unknown", (self.length,), padded=True)
        if port.dtype not in _DTYPES:
            cure = "put a vocabulary before it" if port.dtype.startswith("list<") else "it has one length already"
            raise InvalidShape(f"its input is {port}, and it takes lists of numbers; {cure}")
        return Port(_DTYPES[port.dtype], (self.length,), padded=True, size=port.size)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return values [batch, length] and lengths [batch]."""
        (value,) = inputs
        if not isinstance(value, pa.Array) or not is_list(value):
            found = value.type if isinstance(value, pa.Array) else f"a tensor {list(getattr(value, 'shape', ()))}"
            raise InvalidShape(f"its input is {found}, and it takes lists of numbers")
        items, lengths = unlist(value)
        kept = np.minimum(lengths, self.length)
        starts = np.cumsum(lengths) - lengths
        if self.keep == "last":
            starts += lengths - kept
        numbers = _numbers(items)
        padded = np.zeros((len(lengths), self.length), dtype=numbers.dtype)
        padded.reshape(-1)[spans(np.arange(len(lengths)) * self.length, kept)] = numbers[spans(starts, kept)]
        return Padded(torch.from_numpy(padded), torch.from_numpy(np.maximum(kept, 1)))


def _numbers(items: pa.Array) -> Any:
    kind = items.type
    if pa.types.is_floating(kind):
        return items.to_numpy(zero_copy_only=False).astype(np.float32)
    if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise InvalidShape(f"its lists hold {kind}, and it takes numbers; put a vocabulary before it")
    if items.null_count:
        raise InvalidData(f"{items.null_count:,} numbers in the lists are missing; leave them out of the lists")
    return items.cast(pa.int64()).to_numpy(zero_copy_only=False)


@register("lengths")
@dataclass(frozen=True)
class Lengths(DataKind):
    """How long each row is, [batch], int64: of a list the number of items (0 for a missing one), of padded rows theirs.

    Example:
        >>> Lengths().run(pa.array([["a", "b"], []]), state={})
        tensor([2, 0])
    """

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return an int64 scalar."""
        port = inputs[0]
        if not (port.padded or port.dtype == "unknown" or port.dtype.startswith("list<")):
            raise InvalidShape(f"its input is {port}, and it takes lists or padded rows")
        return Port("int64")

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the lengths, [batch], int64."""
        (value,) = inputs
        if isinstance(value, Padded):
            return value.lengths
        if not isinstance(value, pa.Array) or not is_list(value):
            raise InvalidShape("it takes lists or padded rows")
        return torch.from_numpy(unlist(value)[1])
