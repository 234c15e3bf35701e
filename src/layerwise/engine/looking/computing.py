"""Computing what leaves layers, in canonical batches, from the rows or from a cut: what is kept of layers before.

The bits are those of every other way: what nothing learns from runs in batches of one size (``evaluate.CANONICAL``).
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from layerwise.engine.evaluate import CANONICAL, Live, batches
from layerwise.engine.failing import explained
from layerwise.engine.looking.costs import Paces
from layerwise.engine.looking.opened import Opened, data_layers, not_seen
from layerwise.engine.looking.rows import Chosen
from layerwise.engine.rows import column, data_kind, live_layers, pick, ready, run_layer
from layerwise.engine.settle import index
from layerwise.errors import InvalidData, InvalidShape, LayerwiseError
from layerwise.graph.layer import at_layer
from layerwise.layers.base import Padded, Value, as_tensor, rows_of
from layerwise.layers.cut import Route, every_layer, route
from layerwise.layers.steps import Network

PIECE = 4096
"""Rows whose data layers run at a time; whole canonical batches."""

MOST_BYTES = 8 << 30
"""Most bytes that one question computes."""

Given: TypeAlias = Mapping[str, Value]
"""What left some layers for the rows that are asked for, [rows, ...], by path."""


class Computer:
    """Computes what leaves the layers of one version. It remembers what it ran, and how long that took."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.paces = Paces()
        self._route = functools.lru_cache(maxsize=256)(self._routed)
        self._whole: dict[str, Value] = {}
        self._whole_of: Any = None

    @functools.cached_property
    def data_names(self) -> frozenset[str]:
        """The names of the data layers."""
        return frozenset(data_layers(self.opened.model))

    @property
    def live(self) -> Live:
        """The live part, with the version's weights."""
        return self.opened.untouched

    @functools.cached_property
    def unfused(self) -> Network:
        """The network in which torch runs no part fused, so that every part shows."""
        network = copy.deepcopy(self.live.network)
        for part in network.modules():
            if isinstance(part, nn.TransformerEncoderLayer | nn.TransformerEncoder | nn.MultiheadAttention):
                part.register_forward_hook(_nothing)
        return network

    def values(self, chosen: Chosen, wanted: Sequence[str], given: Given | None = None) -> dict[str, Value]:
        """Return what leaves layers for rows, [rows, ...] each, by path.

        Args:
            chosen: the rows.
            wanted: the paths of the layers; ``name:2`` for a later pass.
            given: what left some layers for these rows; what is only needed for them does not run.

        Raises:
            NotFound: nothing leaves a layer for these rows.
            InvalidData, InvalidShape: rows that a layer cannot take, naming the layer.
        """
        given = dict(given or {})
        known = {path: given[path] for path in wanted if path in given}
        wanted = [path for path in wanted if path not in given]
        found = {**self._values(chosen, wanted, given, None), **known}
        missing = [path for path in wanted if path not in found]
        if missing and not self.data_names.issuperset(missing):
            found.update(self._values(chosen, missing, given, self.unfused))
        for path in wanted:
            if path not in found:
                raise not_seen(self.opened, path, self.seen(chosen))
        return found

    def seen(self, chosen: Chosen) -> list[str]:
        """Return the paths of the layers that show for the first of some rows, in the order in which they ran."""
        return list(self.passed(chosen.part(0, 1)))

    def passed(self, chosen: Chosen, given: Given | None = None) -> dict[str, Value]:
        """Return what left every layer that shows for some rows, in order; what is given is among it."""
        given = dict(given or {})
        return self._values(chosen, None, given, None)

    def _routed(self, network: Network, given: frozenset[str], wanted: frozenset[str] | None) -> Route:
        if wanted is None:
            return route(network, given=given, wanted=frozenset(every_layer(network)), leaves=True, shows=True)
        return route(network, given=given, wanted=wanted)

    def route(self, given: Iterable[str], wanted: Iterable[str]) -> Route:
        """Return what has to run of the network for some layers."""
        return self._route(self.live.network, frozenset(given), frozenset(wanted))

    def _values(
        self, chosen: Chosen, wanted: Sequence[str] | None, given: dict[str, Value], other: Network | None
    ) -> dict[str, Value]:  # fmt: skip
        data = list(self.data_names) if wanted is None else [path for path in wanted if path in self.data_names]
        neural = None if wanted is None else frozenset(wanted) - self.data_names
        way = None
        if neural is None or neural:
            way = self._route(other or self.live.network, frozenset(given) - self.data_names, neural)
        found = _Found(chosen, None if wanted is None else set(wanted))
        for start, piece in self._pieces(chosen, [*data, *(way.entries if way else ())]):
            here = {path: _part(value, start, len(piece)) for path, value in given.items()}
            values = self._data(piece, [*data, *(way.entries if way is not None else ())], here)
            for name in data:
                found.add(name, values[name], start)
            if way is not None:
                self._network(way, values, here, found, start, len(piece))
        return found.values()

    def _pieces(self, chosen: Chosen, names: Iterable[str]) -> Iterator[tuple[int, Chosen]]:
        if chosen.positions is None and self._couples(self._needed(names, {})):
            yield 0, chosen
            return
        for start in range(0, len(chosen), PIECE):
            yield start, chosen.part(start, start + PIECE)

    def _couples(self, needed: Iterable[str]) -> bool:
        named = self.opened.model.by_name
        return self.opened.tables_whole and any(data_kind(named[name]).couples_rows for name in needed)

    def _data(self, chosen: Chosen, names: Sequence[str], given: Mapping[str, Value]) -> dict[str, Value]:
        """Return what leaves data layers for rows, given what left some of them."""
        needed = self._needed(names, given)
        if self._couples(needed) and chosen.positions is not None and needed:
            # What is given is of these rows alone, and a window looks at others.
            found = self._of_all_rows(chosen, self._needed(names, {}))
        else:
            found = {}
            columns = sorted({read for name in needed for read in self.opened.model.by_name[name].action.reads})
            started = time.perf_counter()
            table = chosen.read(columns, self.opened.types) if columns else None
            self._run_data(needed, table, {**given}, found, time.perf_counter() - started, len(chosen))
        return {**found, **{name: given[name] for name in names if name in given}}

    def _run_data(
        self, needed: Sequence[str], table: pa.Table | None, given: dict[str, Value], found: dict[str, Value],
        read: float, rows: int,
    ) -> None:  # fmt: skip
        graph, live = self.opened.model, live_layers(self.opened.model)
        for name in needed:
            started, layer = time.perf_counter(), graph.by_name[name]
            with at_layer(name, layer.kind):
                sources = [given[i] if i in given else found[i] for i in graph.wiring[name]]
                if name in live:
                    sources = [ready(graph, i, v) for i, v in zip(graph.wiring[name], sources, strict=True)]
                inputs = [column(table, one) for one in layer.action.reads] or sources
                found[name] = run_layer(layer, inputs, self.opened.states.get(name, {}))
            took = time.perf_counter() - started + (read if layer.action.reads else 0.0)
            self.paces.note(name, took, batches=max(1.0, rows / CANONICAL))

    def _needed(self, names: Iterable[str], given: Mapping[str, Value]) -> list[str]:
        wiring, needed, waiting = self.opened.model.wiring, set(), [name for name in names if name not in given]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(source for source in wiring[name] if source not in given)
        return [name for name in wiring if name in needed]

    def _of_all_rows(self, chosen: Chosen, needed: Sequence[str]) -> dict[str, Value]:
        """Return what leaves data layers that look at rows beside each other: run over the whole dataset, once."""
        assert chosen.source is not None
        assert chosen.positions is not None
        if self._whole_of is not chosen.source or not set(needed) <= set(self._whole):
            everything = chosen.source.dataset.table()
            self._whole, self._whole_of = {}, chosen.source
            self._run_data(needed, everything, {}, self._whole, 0.0, len(chosen.source))
        return {name: pick(self._whole[name], chosen.positions) for name in needed}

    def _network(
        self, way: Route, values: Mapping[str, Value], given: Mapping[str, Value], found: _Found, start: int, rows: int
    ) -> None:
        """Run the network over rows in canonical batches, and put what was wanted in its place."""
        graph = self.opened.model
        entering = {name: ready(graph, name, values[name]) for name in way.network.entries if name in way.entries}
        cuts = {path: given[path] for path in way.uses}
        network, was = way.network, way.network.training
        network.eval()
        try:
            for number, chunk in enumerate(batches(torch.arange(rows))):
                at = number * CANONICAL
                watch = _Watch(found, self.paces, start + at, min(CANONICAL, rows - at))
                inputs = {name: index(value, chunk) for name, value in entering.items()}
                self._batch(way, inputs, {path: index(value, chunk) for path, value in cuts.items()}, watch)
        finally:
            network.train(was)

    @torch.inference_mode()
    def _batch(self, way: Route, inputs: dict[str, Value], cuts: dict[str, Value], watch: _Watch) -> None:
        try:
            way.run(inputs, cuts, watch)
        except LayerwiseError:
            raise
        except Exception as error:
            if set(way.network.entries) == set(inputs):
                raise explained(way.network, [inputs[name] for name in way.network.entries], error) from error
            raise InvalidShape(f"{self.opened.address} cannot go on from {', '.join(cuts)}: {error}") from error


@dataclass
class _Watch:
    """Told of every layer that runs in one batch: it keeps what is wanted, and how long each took."""

    found: _Found
    paces: Paces
    start: int
    rows: int
    last: float = field(default_factory=time.perf_counter)

    def __call__(self, path: str, value: Value) -> None:
        now = time.perf_counter()
        self.paces.note(path, now - self.last, batches=1)
        self.found.add(path, value, self.start, self.rows)
        self.last = time.perf_counter()


class _Found:
    """What left layers for all rows that were asked for, filled batch by batch."""

    def __init__(self, chosen: Chosen, wanted: set[str] | None) -> None:
        self._rows, self._wanted = len(chosen), wanted
        self._parts: dict[str, list[Tensor]] = {}
        self._arrays: dict[str, list[pa.Array]] = {}
        self._filled: dict[str, int] = {}
        self._bytes = 0

    def add(self, path: str, value: Value, start: int, rows: int | None = None) -> None:
        """Put the first ``rows`` rows of a value in their place, copied: a layer in place may write to it next."""
        if self._wanted is not None and path not in self._wanted:
            return
        if isinstance(value, pa.Array):
            self._arrays.setdefault(path, []).append(value)
            return
        parts = [part[:rows].detach() for part in (value if isinstance(value, Padded) else (as_tensor(value),))]
        if path not in self._parts:
            self._parts[path] = [self._empty(path, part) for part in parts]
        for whole, part in zip(self._parts[path], parts, strict=True):
            if part.shape[1:] != whole.shape[1:]:
                raise InvalidData(
                    f"layer {path!r}: rows differ in shape, {list(part.shape[1:])} after {list(whole.shape[1:])}; "
                    f"ask for fewer rows at a time"
                )
            whole[start : start + len(part)] = part
        self._filled[path] = self._filled.get(path, 0) + len(parts[0])

    def _empty(self, path: str, part: Tensor) -> Tensor:
        size = self._rows * part[:1].numel() * part.element_size()
        self._bytes += size
        if self._bytes > MOST_BYTES:
            raise InvalidData(
                f"layer {path!r}: {self._rows:,} rows take {size:,} bytes, and one question computes at most "
                f"{MOST_BYTES:,}; ask for fewer rows at a time"
            )
        with torch.inference_mode(False):
            return torch.empty((self._rows, *part.shape[1:]), dtype=part.dtype)

    def values(self) -> dict[str, Value]:
        """Return the values, by path, of the layers that were seen for every row."""
        found: dict[str, Value] = {path: _joined(arrays) for path, arrays in self._arrays.items()}
        for path, parts in self._parts.items():
            if self._filled[path] == self._rows:
                found[path] = Padded(*parts) if len(parts) == 2 else parts[0]
        return found


def _joined(arrays: Sequence[pa.Array]) -> pa.Array:
    return arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)


def _part(value: Value, start: int, rows: int) -> Value:
    if rows_of(value) == rows:
        return value
    return pick(value, np.arange(start, start + rows, dtype=np.int64))


def _nothing(*_: Any) -> None:
    """A hook that does nothing: where a module has one, torch does not run it fused."""
