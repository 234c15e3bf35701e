"""A row followed through every layer; and what the answer were, had something else left one of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from layerwise.engine.answers import MISSING, Answers, cell
from layerwise.engine.looking.asking import Looking
from layerwise.engine.looking.kept import merged
from layerwise.engine.looking.opened import hold_layer, not_seen
from layerwise.engine.looking.patching import apart, patched
from layerwise.engine.looking.rows import Chosen
from layerwise.engine.looking.shown import show_trace
from layerwise.engine.looking.truth import truth_of
from layerwise.engine.rows import pick
from layerwise.errors import InvalidData, NotFound, nearest
from layerwise.graph.layer import at_layer
from layerwise.layers.base import Value, as_tensor, rows_of
from layerwise.layers.columns import port_of
from layerwise.pictures import fragment_html


@dataclass(frozen=True)
class Passage:
    """What left one layer for the row: a tensor, a padded one, or an Arrow value not yet encoded.

    Attributes:
        layer: the layer's path; ``name:2`` for a later pass.
        kind: what it does.
        value: what left it, [1, ...].
        source: ``kept``, ``computed``, or ``patched``: put in the place of what left it.
        changed: after a patch, how far it is from what it was, relative to that; 0 where it is the same.
    """

    layer: str
    kind: str
    value: Value
    source: str = "computed"
    changed: float = 0.0

    @property
    def shape(self) -> str:
        """The shape without the batch, as a person writes it."""
        if isinstance(self.value, pa.Array):
            return port_of(self.value.type).dtype
        return "×".join(str(size) for size in as_tensor(self.value).shape[1:]) or "1"

    @property
    def missing(self) -> bool:
        """Whether nothing is there: no value, or no number but NaN."""
        if isinstance(self.value, pa.Array):
            return cell(self.value[0].as_py()) == MISSING
        numbers = as_tensor(self.value)[0]
        return bool(numbers.numel() and numbers.isnan().all())

    @property
    def summary(self) -> str:
        """Short values in full, large ones by mean, range and share of zeros; — where something is missing."""
        if self.missing:
            return f"{MISSING} missing"
        if isinstance(self.value, pa.Array):
            return cell(self.value[0].as_py())
        tensor = as_tensor(self.value)[0].to(torch.float64).flatten()
        if tensor.numel() <= 10:
            return "  ".join(cell(number) for number in tensor.tolist())
        there = tensor[~tensor.isnan()]
        zeros = float((there == 0).double().mean())
        about = f"mean {there.mean():.4g}, {there.min():.4g} to {there.max():.4g}, {zeros:.0%} zeros"
        return about if len(there) == len(tensor) else f"{about}, {len(tensor) - len(there):,} missing"


@dataclass(frozen=True)
class Trace:
    """A row on its way through a version, layer by layer, and the answer at the end. It draws itself in a notebook.

    Attributes:
        version: the version's address.
        passages: what left each layer, in the order in which they stand in the model.
        answers: the answer.
        before: after a patch, the trace as it was without any; None for that one.
        truth: the true answer, where the dataset says it.

    Example::

        trace = version.trace(17)
        print(trace.patch("edges", 0).patch("shapes", lambda maps: maps * 2))
    """

    version: str
    passages: tuple[Passage, ...]
    answers: Answers
    before: Trace | None = None
    truth: str | None = None
    _way: _Way | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, layer: str) -> Value:
        return self.passage(layer).value

    def passage(self, layer: str) -> Passage:
        """Return what left one layer, or raise NotFound with the nearest name."""
        known = {passage.layer: passage for passage in self.passages}
        if layer not in known:
            raise NotFound(f"nothing left a layer {layer!r} of {self.version}.{nearest(layer, known)}")
        return known[layer]

    def patch(self, layer: str, value: Any) -> Trace:
        """Return the trace as it were had ``value`` left a layer: what follows is computed from there.

        Args:
            layer: the layer's path; ``name:2`` for a later pass.
            value: a tensor or array of the shape of what left the layer (with or without the dimension of rows), a
                number for all of it, or a function of what left it, which gets [1, ...]. Of a layer whose value is not
                encoded yet, the value itself (a text, a number, None).

        Raises:
            NotFound: no such layer.
            InvalidShape: a value of another shape, with both.
        """
        assert self._way is not None
        return self._way.patch(self, layer, value)

    @property
    def changes(self) -> dict[str, float]:
        """After patches, how far each layer's value is from what it was, by path; of those that changed."""
        return {passage.layer: passage.changed for passage in self.passages if passage.changed}

    def __str__(self) -> str:
        heads = ["", "", "", ""] if self.before is None else ["", "", "", "changed by"]
        rows = [(one.layer, one.kind, one.shape, self._told(one)) for one in self.passages]
        widths = [max(len(row[column]) for row in [*rows, tuple(heads)]) for column in range(3)]
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d}" for a, b, c, d in rows]
        if self.before is None:
            return "\n".join([*lines, "", str(self.answers)])
        return "\n".join([*lines, "", "before:", str(self.before.answers), "", "patched:", str(self.answers)])

    def _told(self, passage: Passage) -> str:
        if self.before is None or not (passage.changed or passage.source == "patched"):
            return passage.summary
        how = "patched" if passage.source == "patched" else "changed"
        return f"{passage.summary}  [{how} by {passage.changed:.3g}]"

    def _repr_html_(self) -> str:
        if self._way is None:
            return ""
        opened = self._way.looking.opened
        shown = show_trace(opened.model, opened.states, self.passages, self.answers, truth=self.truth)
        return fragment_html(shown)


def follow(looking: Looking, row: Any) -> Trace:
    """Return the trace of a row; of a table where rows look at those before them, of its last row."""
    return _Way(looking, _one(looking, row)).trace()


def _one(looking: Looking, row: Any) -> Chosen:
    chosen = looking.choose(row)
    if len(chosen) != 1 and not (looking.opened.tables_whole and chosen.positions is None):
        raise InvalidData(f"a trace follows one row; found {len(chosen):,}")
    return chosen


@dataclass(frozen=True)
class _Way:
    """How one row goes through a version, again and again: whatever is put in the place of what left a layer."""

    looking: Looking
    chosen: Chosen

    def values(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """Return what left every layer, [1, ...], in the order of the model; what is given is among it."""
        computer, chosen = self.looking.computer, self.chosen
        if self.looking.opened.tables_whole and not computer.data_names.isdisjoint(given):
            chosen = self._past
        found = computer.passed(chosen, {path: self._among(chosen, path, value) for path, value in given.items()})
        found = {path: given.get(path, _last(value)) for path, value in {**found, **given}.items()}
        place = {path: at for at, (path, _) in enumerate(self.looking.opened.model.walk())}
        return dict(sorted(found.items(), key=lambda item: place.get(item[0].partition(":")[0], len(place))))

    @functools.cached_property
    def _past(self) -> Chosen:
        """The row with all rows before it, as a table: what a layer that looks at rows beside each other looks at."""
        if self.chosen.positions is None:
            return self.chosen
        source = self.looking.source()
        return Chosen(False, table=source.dataset.table().slice(0, int(self.chosen.positions[0]) + 1), source=source)

    def _among(self, chosen: Chosen, path: str, value: Value) -> Value:
        """Return a value of the row as one of all rows that run with it: those before it are as they were."""
        rows = len(chosen)
        if rows == 1 or path not in self.looking.computer.data_names:
            return _stretched(value, rows)
        before = self.looking.computer.values(chosen, [path])[path]
        return merged(rows, [(pick(before, np.arange(rows - 1)), np.arange(rows - 1)), (value, np.array([rows - 1]))])

    @functools.cached_property
    def kinds(self) -> Callable[[str], str]:
        """What a layer does, by path."""
        layers = dict(self.looking.opened.model.walk())
        return lambda path: layers[path.partition(":")[0]].kind if path.partition(":")[0] in layers else ""

    def trace(self) -> Trace:
        """Return the trace as it is, with nothing in another's place."""
        values = self.values({})
        passages = tuple(Passage(path, self.kinds(path), value, self._source(path)) for path, value in values.items())
        return self._made(passages, values)

    def _source(self, path: str) -> str:
        looking = self.looking
        if self.chosen.positions is None:
            return "computed"
        return "computed" if len(looking.kept(path).pieces(self.chosen, exact=True)[1]) else "kept"

    def _made(self, passages: tuple[Passage, ...], values: Mapping[str, Value], before: Trace | None = None) -> Trace:
        opened = self.looking.opened
        layer = opened.model.answer
        reaches = as_tensor(values[opened.model.wiring[layer.name][0]]) if layer is not None else torch.empty(0)
        with at_layer(layer.name if layer is not None else "", opened.answer.title):
            answers = Answers(opened.address, opened.answer.decode(reaches, opened.answer_state))
        known = truth_of(opened, self.chosen.part(len(self.chosen) - 1, len(self.chosen)))
        return Trace(opened.address, passages, answers, before, known[0] if known else None, self)

    def patch(self, trace: Trace, layer: str, value: Any) -> Trace:
        """Return the trace with one value more in the place of what left a layer."""
        path = hold_layer(self.looking.opened, layer)
        known = {passage.layer: passage for passage in trace.passages}
        if path not in known:
            raise not_seen(self.looking.opened, path, known)
        before = trace.before or trace
        given = {one.layer: one.value for one in trace.passages if one.source == "patched"}
        given[path] = patched(path, known[path].value, value)
        values = self.values(given)
        passages = tuple(
            Passage(
                name, self.kinds(name), found, "patched" if name in given else "computed", _moved(before, name, found)
            )
            for name, found in values.items()
        )
        return self._made(passages, values, before)


def _moved(before: Trace, path: str, value: Value) -> float:
    known = {passage.layer: passage.value for passage in before.passages}
    return apart(known[path], value) if path in known else float("inf")


def _last(value: Value) -> Value:
    return pick(value, np.array([rows_of(value) - 1], dtype=np.int64)) if rows_of(value) != 1 else value


def _stretched(value: Value, rows: int) -> Value:
    return value if rows == 1 else pick(value, np.zeros(rows, dtype=np.int64))
