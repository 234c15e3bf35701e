"""Keeping what left the layers of a version for some rows: as the version answers them, whoever asks for it.

The network is in evaluation mode and the rows are in batches of one size (``evaluate.CANONICAL``), so what is kept
equals what is computed later, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from blake3 import blake3
from torch import Tensor

from layerwise.data.dataset import Dataset
from layerwise.engine.evaluate import Live, batches
from layerwise.engine.recording.asked import Recording, plain_path
from layerwise.engine.recording.attention import attention_of
from layerwise.engine.recording.gradients import gradients_of
from layerwise.engine.rows import Rows, ready
from layerwise.engine.settle import encoded, index, settled_layers
from layerwise.engine.tensors import to_raw
from layerwise.errors import LayerwiseError
from layerwise.layers.base import AnswerKind, Padded, State, Value, rows_of
from layerwise.records.chunks import Raw
from layerwise.records.recordset import About, RecordSet
from layerwise.records.writing import NO_CAP, RecordWriter
from layerwise.repo import Repository
from layerwise.store.catalog.catalog import Entry
from layerwise.store.tables import ROW

TOGETHER = 1024
"""Rows from several blocks of a dataset are put together up to so many before they run: a batch is filled up."""

Positions = np.ndarray[Any, Any]


class Answering(Protocol):
    """A version that answers: ``engine.version.Version`` is one."""

    @property
    def repo(self) -> Repository:
        """The repository that it is in."""

    @property
    def entry(self) -> Entry:
        """Its name, number and digest."""

    @property
    def untouched(self) -> Live:
        """The live part with the version's weights, whatever was done to the module that was handed out."""

    @property
    def answer(self) -> AnswerKind:
        """The answer layer's kind."""

    @property
    def answer_state(self) -> State:
        """What the answer layer has learned."""


def record_rows(
    version: Answering, dataset: Dataset, positions: Positions | None, asked: Recording, *,
    made: str = "look", run: str = "", live: Live | None = None,
) -> RecordSet | None:  # fmt: skip
    """Keep what leaves the layers that are asked for, for rows of a dataset, and return what is kept.

    Args:
        version: the version that answers.
        dataset: whose rows.
        positions: of the rows in it, ascending; None: all of them.
        asked: which layers, as what, how much, how long.
        made: what keeps them: ``train``, ``evaluate``, ``serve`` or ``look``.
        run: the run that does, if one does.
        live: the live part where it is at hand, with the version's weights; ``version.untouched`` where not.

    Raises:
        InvalidConfig: a layer that is asked for is not there.
        OSError: the disk is full; nothing is kept.

    Example:
        >>> record_rows(lw.load("digits@3"), scans, np.arange(256), Recording(layers=("edges",)))  # doctest: +SKIP
    """
    live = live or version.untouched
    chosen = asked.chosen(live.graph)
    count = len(dataset) if positions is None else len(positions)
    if not asked.keeps_rows or not chosen or not count:
        return None
    entry = version.entry
    about = About(entry.name, entry.number, entry.digest, dataset.digest, made, run)
    whole = positions is None or count == len(dataset)
    cap = NO_CAP if asked.cap is None else asked.cap
    with version.repo.recording(about, None if whole else positions, rows=count, cap=cap, age=asked.age) as writer:
        keeper = _Keeper(writer, asked, chosen, live)
        rows = Rows(live.graph, dataset, None if whole else positions)
        network = any(path not in keeper.data_names for path in chosen)
        for values in _together(keeper.data(rows)):
            if network:
                keeper.network(values)
        if asked.gradients:
            answer = (version.answer, version.answer_state)
            for path, value in _gradients(live, rows, answer, chosen):
                keeper.add(path, value, "gradient")
    return writer.kept


def record_asked(
    version: Answering, dataset: Dataset, positions: Positions | None, asked: Recording, *, made: str = "evaluate"
) -> RecordSet | None:
    """Keep what leaves the layers for the rows at ``positions``, or for a sample of them where that is asked for."""
    if asked.keep == "sample":
        whole = np.arange(len(dataset)) if positions is None else positions
        positions = sample_of(dataset, whole, asked.rows)
    return record_rows(version, dataset, positions, asked, made=made)


def sample_of(dataset: Dataset, positions: Positions, count: int) -> Positions:
    """Return the positions of ``count`` of the rows at ``positions``, ascending: always the same rows, by their ids.

    Rows that are added move a few of them and leave the rest.
    """
    if len(positions) <= count:
        return positions
    order, start = [], 0
    for batch in dataset.blocks([ROW]):
        low, high = np.searchsorted(positions, [start, start + batch.num_rows])
        ids = batch.column(0).take(pa.array(positions[low:high] - start)).to_pylist()
        order += [blake3(id.encode(), derive_key_context="layerwise.sample.v1").digest(length=8) for id in ids]
        start += batch.num_rows
    first = np.argsort(np.array(order, dtype="S8"), kind="stable")[:count]
    return np.sort(positions[first])


@dataclass(frozen=True)
class _Keeper:
    """Gives what leaves layers to a writer, as it is asked for."""

    writer: RecordWriter
    asked: Recording
    chosen: frozenset[str]
    live: Live

    @property
    def data_names(self) -> list[str]:
        """The names of the data layers, in the order in which they run."""
        graph = self.live.graph
        return [name for name in graph.wiring if graph.by_name[name].action.role == "data"]

    def data(self, rows: Rows) -> Iterator[dict[str, Value]]:
        """Keep what leaves the data layers, and yield what enters the live part, block by block."""
        graph = rows.graph
        names = [name for name in self.data_names if name in self.chosen]
        settled = settled_layers(graph)
        for values in rows.stream(self.live.states, list(dict.fromkeys([*names, *settled]))):
            for name in names:
                self.add(name, values[name])
            yield {name: ready(graph, name, values[name]) for name in settled}

    @torch.inference_mode()
    def network(self, values: Mapping[str, Value]) -> None:
        """Keep what leaves the layers of the network for some rows."""
        count = rows_of(next(iter(values.values())))
        with answering(self.live):
            for number, chunk in enumerate(batches(torch.arange(count))):
                left = min(len(chunk), count - number * len(chunk))
                inputs = self.live.inputs({name: index(value, chunk) for name, value in values.items()})
                with attention_of(self.live, self.chosen if self.asked.attention else (), self._attended(left)):
                    self.live.run(inputs, self._left(left))

    def add(self, path: str, value: Value, what: str = "output") -> None:
        """Keep the next rows of a layer."""
        try:
            raw = self._raw(value)
        except (KeyError, LayerwiseError, AttributeError, TypeError):
            self.writer.leave_out(path, f"left out: {type(value).__name__} cannot be kept", what)
            return
        self.writer.add(path, raw, what)

    def _left(self, count: int) -> Any:
        def observe(path: str, value: Value) -> None:
            if plain_path(path) in self.chosen:
                self.add(path, _first(value, count))

        return observe

    def _attended(self, count: int) -> Any:
        return lambda path, weights: self.add(path, weights[:count], "attention")

    def _raw(self, value: Value) -> Raw:
        if isinstance(value, pa.ChunkedArray):
            return value.combine_chunks()
        if isinstance(value, pa.Array):
            return value
        parts = {"values": value} if isinstance(value, Tensor) else value._asdict()
        if self.asked.dtype == "float16" and parts["values"].is_floating_point():
            parts["values"] = parts["values"].half()
        return to_raw(parts)


@contextmanager
def answering(live: Live) -> Iterator[None]:
    """Let the network of a live part answer, and put it back to what it was."""
    was = live.network.training
    live.network.eval()
    try:
        yield
    finally:
        live.network.train(was)


def _first(value: Value, count: int) -> Value:
    if isinstance(value, Padded):
        return Padded(value.values[:count], value.lengths[:count])
    return value[:count]


def _together(pieces: Iterable[dict[str, Value]]) -> Iterator[dict[str, Value]]:
    """Yield what enters the live part in larger pieces: rows that are far apart come in many small ones."""
    waiting: list[dict[str, Value]] = []
    for values in pieces:
        if waiting and not all(_alike(waiting[-1][name], value) for name, value in values.items()):
            yield _joined(waiting)
            waiting = []
        waiting.append(values)
        if sum(rows_of(next(iter(one.values()))) for one in waiting) >= TOGETHER:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _alike(one: Value, other: Value) -> bool:
    return _tensors(one)[0].shape[1:] == _tensors(other)[0].shape[1:]


def _tensors(value: Value) -> tuple[Tensor, ...]:
    return tuple(value) if isinstance(value, Padded) else (value,)


def _joined(pieces: list[dict[str, Value]]) -> dict[str, Value]:
    if len(pieces) == 1:
        return pieces[0]
    found: dict[str, Value] = {}
    for name, first in pieces[0].items():
        parts = [torch.cat(same) for same in zip(*(_tensors(piece[name]) for piece in pieces), strict=True)]
        found[name] = Padded(*parts) if isinstance(first, Padded) else parts[0]
    return found


def _gradients(
    live: Live, rows: Rows, answer: tuple[AnswerKind, State], chosen: frozenset[str]
) -> Iterator[tuple[str, Value]]:
    kind, state = answer
    graph, truth, start = rows.graph, torch.cat(encoded(rows, kind, state)), 0
    settled = settled_layers(graph)
    stream = rows.stream(live.states, settled)
    for values in _together({name: ready(graph, name, one[name]) for name in settled} for one in stream):
        count = rows_of(next(iter(values.values())))
        with answering(live):
            yield from gradients_of(live, values, truth[start : start + count], answer, chosen)
        start += count
