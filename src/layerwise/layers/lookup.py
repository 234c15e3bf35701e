"""Values and their numbers: how text, whole numbers and truth values become indices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from layerwise.errors import InvalidData, InvalidShape, nearest
from layerwise.layers.base import State, Value, tensor_to_texts, texts_to_tensor
from layerwise.words import shorten

Plain: TypeAlias = str | int
"""What a value is looked up by: text, or a whole number; a truth value is the text ``true`` or ``false``."""

UNSEEN, MISSING = -1, -2
"""What ``codes`` gives for a value that is not known, and for one that is missing."""

NEAR = 2_000
"""How many known values are searched for the nearest to a wrong one."""

T = TypeVar("T")

_built: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def built(tensor: Tensor, build: Callable[[Tensor], T]) -> T:
    """Return ``build(tensor)``, made once for as long as the tensor lives: a state never changes."""
    if tensor not in _built:
        _built[tensor] = build(tensor)
    found: T = _built[tensor]
    return found


def plain_array(value: Value) -> pa.Array:
    """Return scalars as an Arrow array of text or int64, with nulls where they are missing.

    Raises:
        InvalidShape: anything that is not one text, whole number or truth value a row.
        InvalidData: numbers with a fraction.
    """
    if isinstance(value, torch.Tensor) and value.dim() == 1:
        return plain_array(pa.array(value.numpy()))
    if not isinstance(value, pa.Array):
        raise InvalidShape(f"expected one value a row, found {tuple(getattr(value, 'shape', ()))[1:]}")
    kind = value.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return value
    if pa.types.is_boolean(kind):
        return value.cast(pa.string())
    if pa.types.is_integer(kind):
        return value.cast(pa.int64())
    if pa.types.is_floating(kind):
        return _whole(value)
    raise InvalidShape(f"expected text, whole numbers or truth values, found {kind}")


def _whole(value: pa.Array) -> pa.Array:
    # pandas turns whole numbers with gaps into floats; they come back here.
    numbers = value.to_numpy(zero_copy_only=False).astype(np.float64)
    absent = np.isnan(numbers)
    broken = ~absent & (numbers != np.floor(numbers))
    if broken.any():
        raise InvalidData(
            f"{broken.sum():,} values have a fraction, the first is {numbers[broken][0]:g}; categories are text or "
            f"whole numbers: put a `bucket` layer before this one"
        )
    return pa.array(np.where(absent, 0, numbers).astype(np.int64), mask=absent)


def codes(array: pa.Array, known: Mapping[Plain, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the number of each value, [rows], int64; ``UNSEEN`` and ``MISSING`` where it has none."""
    # Each different value is looked up once; the rows then take their numbers from a small table.
    encoded = array.dictionary_encode()
    found = [known.get(value, UNSEEN) for value in encoded.dictionary.to_pylist()]
    table = np.array([*found, MISSING], dtype=np.int64)
    numbers: np.ndarray[Any, np.dtype[np.int64]] = table[encoded.indices.fill_null(len(found)).to_numpy()]
    return numbers


def count(arrays: Iterable[pa.Array]) -> dict[Plain, int]:
    """Return how often each value comes in all arrays; missing ones are counted under no name."""
    counts: dict[Plain, int] = {}
    for array in arrays:
        found = pc.value_counts(array.drop_null())
        for value, number in zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True):
            counts[value] = counts.get(value, 0) + number
    return counts


def keep(values: list[Plain]) -> State:
    """Return values as a state: texts or whole numbers, in this order.

    Raises:
        InvalidData: texts and numbers together.
    """
    if all(isinstance(value, str) for value in values):
        return {"texts": texts_to_tensor([str(value) for value in values])}
    if all(isinstance(value, int) for value in values):
        return {"numbers": torch.tensor(values, dtype=torch.int64)}
    raise InvalidData("some values are text and others are numbers; make the column one or the other")


def kept(state: State) -> dict[Plain, int]:
    """Return the values that ``keep`` kept, each with its place."""
    if "texts" in state:
        return built(state["texts"], lambda tensor: _placed(tensor_to_texts(tensor)))
    if "numbers" in state:
        return built(state["numbers"], lambda tensor: _placed(tensor.tolist()))
    raise InvalidData("it has not learned its values yet; train the model, or fit the layer, first")


def _placed(values: Iterable[Plain]) -> dict[Plain, int]:
    return {value: place for place, value in enumerate(values)}


def unseen(array: pa.Array, found: np.ndarray[Any, np.dtype[Any]], known: Iterable[Plain], cure: str) -> InvalidData:
    """Return the error for values that are not known: the first, how many, the nearest known one, the cure."""
    wrong = np.flatnonzero(found == UNSEEN)
    first = array[int(wrong[0])].as_py()
    near = nearest(str(first), (str(value) for value in itertools.islice(known, NEAR)))
    shown = shorten(first) if isinstance(first, str) else first
    return InvalidData(
        f"{len(wrong):,} values of {len(array):,} were never seen in training, the first is {shown} "
        f"in row {wrong[0]}.{near} {cure}"
    )
