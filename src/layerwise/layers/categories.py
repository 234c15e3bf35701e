"""Categories: one of several values a row, as an index or as a vector with a single one."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

import pyarrow as pa
import torch
from torch import Tensor

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import RECORD, TEXT, Port
from layerwise.layers.base import DataKind, State, Value
from layerwise.layers.lookup import MISSING, UNSEEN, Plain, codes, count, keep, kept, plain_array, unseen
from layerwise.layers.numeric import no_rows
from layerwise.words import shorten

WIDEST = 10_000
"""Most categories that become a vector each; more belong in an embedding."""


@dataclass(frozen=True)
class _Categories(DataKind):
    # The options of Category and OneHot, and how a row finds its index.

    values: tuple[str | int | bool, ...] | None = None
    unknown: Literal["error", "other"] = "error"
    missing: Literal["error", "own"] = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values is None:
            return
        if not self.values or len(self._given) != len(self.values):
            raise InvalidLayer(f"the option 'values' is {list(self.values)[:10]}; expected one or more, none twice")
        if len({type(value) for value in self._given}) > 1:
            raise InvalidLayer(f"the option 'values' is {list(self.values)[:10]}; expected all text or all numbers")

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether the values come from the training rows."""
        return self.values is None

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the values of the training rows, sorted; nothing where they are given."""
        if self.values is not None:
            return {}
        rows = 0

        def arrays() -> Iterable[Any]:
            nonlocal rows
            for (value,) in batches:
                rows += len(value)
                yield plain_array(value)

        found = keep(_sorted(count(arrays())))
        if not rows:
            raise no_rows()
        return found

    @functools.cached_property
    def _given(self) -> dict[Plain, int]:
        # Truth values are looked up by their names, as Arrow writes them.
        plain = [str(value).lower() if isinstance(value, bool) else value for value in self.values or ()]
        return {value: place for place, value in enumerate(plain)}

    def _known(self, state: State) -> dict[Plain, int]:
        return self._given if self.values is not None else kept(state)

    @property
    def _first(self) -> int:
        # Index 0 is for values never seen, the next for missing ones, where these have an index.
        return (self.unknown == "other") + (self.missing == "own")

    def _size(self, state: Mapping[str, Any] | None) -> int | None:
        if self.values is None and not state:
            return None
        return self._first + len(self._known(state or {}))

    def _port(self, inputs: tuple[Port, ...]) -> Port:
        port = inputs[0]
        if port.dtype not in {TEXT, "unknown"} and (not port.numeric or port.shape):
            raise InvalidShape(f"its input is {port}, and it takes one text or whole number a row")
        return port

    def _index(self, value: Value, state: State) -> Tensor:
        array, known = plain_array(value), self._known(state)
        found = codes(array, known)
        if self.missing == "error" and (found == MISSING).any():
            number = int((found == MISSING).sum())
            raise InvalidData(
                f"{number:,} values of {len(found):,} are missing; put a `fill` layer before this one, "
                f"or say missing: own"
            )
        if self.unknown == "error" and (found == UNSEEN).any():
            raise unseen(array, found, known, "Say unknown: other to give these an index of their own.")
        places = found + self._first
        places[found == UNSEEN] = 0
        places[found == MISSING] = self._first - 1
        return torch.from_numpy(places)


def _sorted(counts: Mapping[Plain, int]) -> list[Plain]:
    # Text by its code points, which is the same order on every machine.
    return sorted(counts, key=lambda value: (isinstance(value, str), value))


def _is_record(value: Value) -> TypeGuard[pa.StructArray]:
    return isinstance(value, pa.StructArray)


def _each(state: Mapping[str, Any]) -> list[State]:
    # What was learned of each column of a record, in their order.
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        place, _, own = name.partition(".")
        found.setdefault(int(place), {})[own] = tensor
    return [found[place] for place in sorted(found)]


@contextmanager
def _at_column(name: str) -> Iterator[None]:
    try:
        yield
    except InvalidData as error:
        raise InvalidData(f"the column {shorten(name)}: {error}") from None


@register("category")
@dataclass(frozen=True)
class Category(_Categories):
    """One of several values a row, as its index [batch], int64: what an embedding takes.

    Args:
        values: the values in the order of their indices; learned from the training rows, sorted, where not given.
        unknown: what a value never seen is: an ``error``, or ``other`` with index 0 (known ones then start behind it).
        missing: what a missing value is: an ``error``, or a category of its ``own``.

    Raises:
        InvalidData: a value never seen, with the nearest known one and the cure; missing values.

    Example:
        >>> import pyarrow as pa
        >>> state = Category().fit([(pa.array(["pear", "apple", "pear"]),)])
        >>> Category().run(pa.array(["apple", "pear"]), state=state)
        tensor([0, 1])
    """

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return an int64 scalar with the number of categories."""
        self._port(inputs)
        return Port("int64", size=self._size(state))

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the indices, [batch], int64."""
        return self._index(inputs[0], state)


@register("one_hot")
@dataclass(frozen=True)
class OneHot(_Categories):
    """One of several values a row, as a vector [batch, categories] of zeros and a single one, float32.

    A record (of ``columns``) becomes one vector with a single one for each of its columns, side by side in their
    order; each column learns its own values.

    Args:
        values: the values in the order of their places; learned from the training rows, sorted, where not given.
        unknown: what a value never seen is: an ``error``, or ``other`` with the first place.
        missing: what a missing value is: an ``error``, or a category of its ``own``.

    Raises:
        InvalidData: as for ``Category``; more than 10,000 categories.

    Example:
        >>> import pyarrow as pa
        >>> OneHot(values=("no", "yes")).run(pa.array(["yes"]), state={})
        tensor([[0., 1.]])
    """

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return a float32 vector, one place a category."""
        if inputs[0].dtype == RECORD:
            self._hold_learning()
            sizes = [self._size(own) for own in _each(state or {})]
            return Port("float32", (sum(size or 0 for size in sizes) if sizes else None,))
        self._port(inputs)
        return Port("float32", (self._size(state),))

    def _hold_learning(self) -> None:
        if self.values is not None:
            raise InvalidShape("its input is a record, whose columns have values of their own; take `values` away")

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the values of the training rows, sorted; of a record those of each column, ``0.texts`` …."""
        stream = (value for (value,) in batches)
        first = next(stream, None)
        if first is None or not _is_record(first):
            return super().fit((value,) for value in itertools.chain([] if first is None else [first], stream))
        self._hold_learning()
        counts = [Counter[Plain]() for _ in first.flatten()]
        for value in itertools.chain([first], stream):
            for found, column in zip(counts, value.flatten(), strict=True):
                found.update(count([plain_array(column)]))
        kept = [keep(_sorted(found)) for found in counts]
        return {f"{place}.{name}": tensor for place, own in enumerate(kept) for name, tensor in own.items()}

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the vectors, [batch, categories], float32."""
        value = inputs[0]
        if not _is_record(value):
            return self._hot(value, state)
        parts, states = [], _each(state) or [{} for _ in value.type]
        for field, column, own in zip(value.type, value.flatten(), states, strict=True):
            with _at_column(field.name):
                parts.append(self._hot(column, own))
        return torch.cat(parts, dim=1)

    def _hot(self, value: Value, state: State) -> Tensor:
        index = self._index(value, state)
        size = self._size(state) or 0
        if size > WIDEST:
            raise InvalidData(
                f"there are {size:,} categories, and at most {WIDEST:,} become vectors; use category and an embedding"
            )
        return torch.zeros(len(index), size).scatter_(1, index[:, None], 1.0)
