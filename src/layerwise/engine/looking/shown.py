"""What left a layer, made ready to be drawn: tensors as arrays, with the names of classes, tokens and columns.

``show_trace`` gives the pictures of one row through every layer, ``show_rows`` those of many rows of one layer;
``layerwise.pictures`` draws them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch

from layerwise.engine.answers import Answers
from layerwise.engine.looking.names import class_names, column_names, decoded, inputs_of, plain_path
from layerwise.graph.graph import Graph
from layerwise.graph.kinds import Role
from layerwise.layers.base import Padded, State, Value, rows_of
from layerwise.pictures import Shown, sort_of

MOST_CELLS = 60
"""Most places of a row that are drawn as cells; more become a vector."""

MOST_ROWS = 60
"""Most rows of one layer that are drawn unless more are asked for."""

_CHANCE = re.compile(r"p\((.*)\)\Z", re.DOTALL)


class Passed(Protocol):
    """What a trace says of one layer. It may have a ``source`` too: ``kept`` or ``computed``."""

    @property
    def layer(self) -> str:
        """The layer's path."""

    @property
    def kind(self) -> str:
        """What the layer does."""

    @property
    def value(self) -> Value:
        """What left the layer, [1, ...]."""


@dataclass
class _Way:
    # What is known of the row so far: raw cells by column, tokens and values by layer, and of a layer that only passes
    # a value on the one that made it.
    raw: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Sequence[str]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)


def show_value(
    graph: Graph, states: Mapping[str, State], layer: str, value: Value, *, row: int = 0, label: str = "",
    source: str = "",
) -> Shown:  # fmt: skip
    """Return what left one layer for one row of a value, without the names of what came before it.

    Args:
        graph: the model (``Model`` is one).
        states: what every layer has learned, by path: ``version.states``.
        layer: the layer's path, ``name:2`` for a later pass.
        value: what left the layer, [rows, ...].
        row: which of its rows.
        label: what the row is called (its key or position).
        source: ``kept`` or ``computed``.
    """
    shown = _shown(graph, states, layer, _kind(graph, layer), one_row(value, row), isinstance(value, Padded), _Way())
    return replace(shown, row=label, source=source)


def show_rows(
    graph: Graph, states: Mapping[str, State], layer: str, value: Value, *, ids: Sequence[str] = (), source: str = "",
    most: int = MOST_ROWS,
) -> list[Shown]:  # fmt: skip
    """Return what left one layer for many rows, at most ``most``, for ``rows=True`` of the pictures.

    Args:
        graph: the model (``Model`` is one).
        states: what every layer has learned, by path: ``version.states``.
        layer: the layer's path, ``name:2`` for a later pass.
        value: what left the layer, [rows, ...].
        ids: the rows' names, in the order of the value's rows; their places where not given.
        source: ``kept`` or ``computed``.
        most: how many are drawn.
    """
    count = min(rows_of(value), most)
    labels = [str(name) for name in ids[:count]] or [str(place) for place in range(count)]
    return [
        show_value(graph, states, layer, value, row=place, label=labels[place], source=source) for place in range(count)
    ]


def show_trace(
    graph: Graph, states: Mapping[str, State], passages: Iterable[Passed], answers: Answers | None = None,
    *, truth: str | None = None,
) -> list[Shown]:  # fmt: skip
    """Return a trace's pictures in order, with the answer at the end.

    Args:
        graph: the model (``Model`` is one).
        states: what every layer has learned, by path: ``version.states``.
        passages: what left each layer for the row, in order.
        answers: the answer, one row.
        truth: the true answer, where it is known.
    """
    way = _Way()
    found = []
    for passed in passages:
        value = one_row(passed.value, 0)
        shown = _shown(graph, states, passed.layer, passed.kind, value, isinstance(passed.value, Padded), way)
        found.append(
            replace(shown, source=getattr(passed, "source", ""), same_as=_same(graph, passed.layer, value, way))
        )
        way.values[passed.layer] = value
    found = _blocks(found, way)
    if answers is None or not len(answers):
        return found
    return [*found, show_answer(graph, answers, truth=truth)]


def one_row(value: Value, row: int) -> Any:
    """Return one row of a value: an array without the batch (of a padded one what is no padding), or Python's own."""
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return value[row].as_py()
    tensor = value.values[row, : int(value.lengths[row])] if isinstance(value, Padded) else value[row]
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _shown(
    graph: Graph, states: Mapping[str, State], layer: str, kind: str, value: Any, padded: bool, way: _Way
) -> Shown:
    path = plain_path(layer)
    role = _role(graph, path)
    shape = _shape(value)
    if names := _cells(graph, states, path, value):
        cells = [value[name] for name in names] if isinstance(value, dict) else np.reshape(value, -1).tolist()
        return _as_cells(graph, path, Shown(layer, kind, cells, "cells", names, shape=shape), way)
    if tokens := _tokens(graph, states, path, value, way):
        way.tokens[path] = tokens
        numbers = isinstance(value, list) or value.ndim == 1
        ids = [str(number) for number in value] if numbers and not _are_texts(value) else None
        return Shown(layer, kind, None if numbers else value, "tokens", tokens, raw=ids, shape=shape)
    value = _flattened(value)
    sort = sort_of(value, role=role, sequence=padded)
    if sort == "tokens":
        return Shown(layer, kind, None, "tokens", [str(item) for item in value], shape=shape)
    if sort == "maps" and value.ndim > 3:
        value = value.reshape(-1, *value.shape[-2:])
    named = column_names(graph, states, path) or class_names(graph, states, path) if sort == "vector" else ()
    return Shown(layer, kind, value, sort, named if len(named) == np.size(value) else (), shape=shape)


def _role(graph: Graph, path: str) -> Role:
    return graph.by_name[path].action.role if path in graph.by_name else "neural"


def _kind(graph: Graph, layer: str) -> str:
    found = dict(graph.walk()).get(plain_path(layer))
    return found.kind if found is not None else ""


def _shape(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "×".join(map(str, value.shape)) or "1"
    if isinstance(value, list):
        return f"{len(value):,} tokens" if _are_texts(value) else f"{len(value):,}"
    return f"{len(value)} texts" if isinstance(value, dict) else "text" if isinstance(value, str) else ""


def _flattened(value: Any) -> Any:
    # 64 maps of one pixel are 64 numbers.
    long = isinstance(value, np.ndarray) and value.ndim > 1 and sum(size != 1 for size in value.shape) <= 1
    return value.reshape(-1) if long else value


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, str) for item in value[:100])


def _cells(graph: Graph, states: Mapping[str, State], path: str, value: Any) -> tuple[str, ...]:
    """Return the columns whose cells a value is; none where it is drawn otherwise."""
    if isinstance(value, dict):
        return tuple(value)
    if _role(graph, path) != "data" or isinstance(value, list | str | bytes):
        return ()
    if isinstance(value, np.ndarray) and (value.ndim > 1 or value.size > MOST_CELLS):
        return ()
    names = column_names(graph, states, path)
    hot = len(names) > 1 and any(" = " in name for name in names)
    return names if len(names) == np.size(value) and not hot else ()


def _as_cells(graph: Graph, path: str, shown: Shown, way: _Way) -> Shown:
    if path in graph.by_name and graph.by_name[path].action.reads:
        way.raw |= dict(zip(shown.names, shown.value, strict=True))
        return shown
    known = [name for name in shown.names if name in way.raw]
    return replace(shown, raw=[way.raw.get(name) for name in shown.names]) if known else shown


def _tokens(graph: Graph, states: Mapping[str, State], path: str, value: Any, way: _Way) -> Sequence[str]:
    """Return the tokens that a value belongs to: its own texts, those before it, or what its numbers stand for."""
    if not isinstance(value, list | np.ndarray) or not np.ndim(value):
        return ()
    if _are_texts(value):
        return [str(item) for item in value]
    whole = _role(graph, path) == "data" and np.ndim(value) == 1 and np.asarray(value).dtype.kind in "iu"
    own = decoded(graph, states, path, list(value)) if whole else []
    for source in inputs_of(graph, path):
        before = way.tokens.get(source, ())
        if before and len(before) == len(value):
            return before
    return own


def _same(graph: Graph, layer: str, value: Any, way: _Way) -> str:
    """Return the layer before whose value this one is, to the bit: nothing where it changes anything."""
    for source in inputs_of(graph, layer):
        if source in way.values and _equal(way.values[source], value):
            first = way.first[layer] = way.first.get(source, source)
            return first if np.shape(way.values[first]) == np.shape(value) else f"{first}, in another shape"
    return ""


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, np.ndarray) and other.ndim == 1 and not _are_texts(one):
        return bool(one == other.tolist())
    if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
        return False
    alike = one.dtype == other.dtype and one.size == other.size > 1
    return alike and np.array_equal(_bytes(one), _bytes(other))


def _bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # As bytes, so that one missing value is like the other.
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _blocks(found: list[Shown], way: _Way) -> list[Shown]:
    """Return the pictures with those of blocks left to the layer inside whose value leaves the block."""
    drawn = []
    for shown in found:
        inside = [path for path in way.values if path.startswith(f"{shown.layer}.")]
        same = next((path for path in reversed(inside) if _equal(way.values[path], way.values[shown.layer])), "")
        drawn.append(replace(shown, same_as=f"{same}, inside it") if same and not shown.same_as else shown)
    return drawn


def show_answer(graph: Graph, answers: Answers, *, row: int = 0, truth: str | None = None) -> Shown:
    """Return an answer as its classes with their probabilities, a value with its unit, a ranking, or its cells."""
    layer = graph.answer
    name, kind = (layer.name, layer.kind) if layer is not None else ("answer", "")
    cells = answers[row]
    chances = {match[1]: value for column, value in cells.items() if (match := _CHANCE.match(column))}
    if chances:
        values = np.array(list(chances.values()), dtype=np.float64)
        return Shown(name, kind, values, "answer", list(chances), truth=truth, shape=f"{len(chances)} classes")
    first = next(iter(cells))
    lists = {column: value for column, value in cells.items() if isinstance(value, list)}
    if len(lists) == 2 and first in lists:
        _, scores = lists.values()
        return Shown(name, kind, scores, "ranking", [str(item) for item in lists[first]], truth=truth)
    if "probability" in cells:
        return Shown(name, kind, np.array([cells["probability"]]), "answer", [str(cells[first])], truth=truth)
    if len(cells) == 1 and not lists:
        unit = (answers.table.schema.field(first).metadata or {}).get(b"unit", b"").decode("utf-8", "replace")
        return Shown(name, kind, cells[first], "scalar", unit=unit, truth=truth)
    if len(cells) == 1:
        return Shown(name, kind, np.array(lists[first], dtype=np.float64), "vector", truth=truth)
    return Shown(name, kind, list(cells.values()), "cells", list(cells), truth=truth)
