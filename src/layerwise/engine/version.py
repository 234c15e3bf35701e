"""A version, opened: its model with what every layer has learned, ready to answer."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from layerwise.data.dataset import Dataset, as_table
from layerwise.data.split import Split, split_rows
from layerwise.engine.answers import Answers
from layerwise.engine.evaluate import Live, score
from layerwise.engine.looking.asking import Looking
from layerwise.engine.looking.comparing import Comparison, compare
from layerwise.engine.looking.layer import LayerView
from layerwise.engine.looking.neighbours import Neighbours
from layerwise.engine.looking.trace import Trace, follow
from layerwise.engine.model import Model
from layerwise.engine.ports import ports_of
from layerwise.engine.recording.asked import Recording
from layerwise.engine.recording.keeping import record_asked
from layerwise.engine.rows import Rows, ready, run_data
from layerwise.engine.settle import encoded, settled_layers
from layerwise.engine.tensors import from_raw
from layerwise.engine.tracking import Tracker
from layerwise.errors import InvalidData, InvalidGraph, NotFound, nearest
from layerwise.graph import shapes
from layerwise.graph.layer import at_layer
from layerwise.layers.base import AnswerKind, DataKind, State, Value, rows_of
from layerwise.layers.network import build, layer_states, load_layer_states
from layerwise.repo import Repository, default_repository
from layerwise.store.catalog.catalog import Entry
from layerwise.versions.manifest import Manifest

PIECE = 8192
"""Rows that are answered at a time when a table or dataset is predicted."""


@dataclass(frozen=True)
class Version:
    """One version of a model, opened for reading. ``lw.load`` opens one.

    Args:
        repo: the repository that it is in.
        entry: its name, number and digest in the catalog.
        manifest: what it is made of.
        module_given: for a model made by ``lw.wrap``, an instance of its module.

    Example:
        >>> version = lw.load("digits@1")  # doctest: +SKIP
        >>> version.predict({"image": scans})  # doctest: +SKIP
        >>> version.trace({"image": scans[0]})["edges"].shape  # doctest: +SKIP
        torch.Size([1, 16, 8, 8])
    """

    repo: Repository
    entry: Entry
    manifest: Manifest
    module_given: nn.Module | Mapping[str, nn.Module] | None = None

    @property
    def address(self) -> str:
        """The version's address, e.g. ``digits@3``."""
        return f"{self.entry.name}@{self.entry.number}"

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"<Version {self.address}>"

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the kept epoch by ``split/name``, e.g. ``test/accuracy``."""
        return self.manifest.metrics

    @functools.cached_property
    def model(self) -> Model:
        """The description, as a Model."""
        model = Model.from_json(self.manifest.graph)
        return model if self.module_given is None else model.with_module(self.module_given)

    @functools.cached_property
    def states(self) -> dict[str, State]:
        """What every layer has learned, by path; layers that learn nothing are left out."""
        found = {path: entry.state for path, entry in self.manifest.layers.items() if entry.state is not None}
        names = {path: f"the state of {self.address}/{path}" for path in found}
        raw = self.repo.layer_states({names[path]: digest for path, digest in found.items()})
        return {path: from_raw(raw[names[path]]) for path in found}

    @functools.cached_property
    def types(self) -> dict[str, pa.DataType]:
        """The types of the dataset's columns in training, by name: rows to answer have them too."""
        return self.repo.column_types(self.manifest)

    @functools.cached_property
    def live(self) -> Live:
        """The live part with the version's weights, on the CPU, in evaluation mode."""
        return self._answering()

    def _answering(self) -> Live:
        ports = shapes.check(self.model, ports_of(self.types), self.states)
        # New weights are drawn only to be replaced: whoever opens a version finds torch's generator as it was.
        with torch.random.fork_rng(devices=[]):
            network = build(self.model, ports)
        neural = {path for path, _ in network.walk()}
        load_layer_states(network, {path: state for path, state in self.states.items() if path in neural})
        return Live(self.model, network.eval(), self.states, torch.device("cpu"))

    def module(self) -> nn.Module:
        """Return the neural part as a plain ``nn.Module`` with ordinary ``state_dict`` keys, trained.

        It is this version's own: ``lw.keep`` makes a new version of what you change in it.
        """
        self.tracker  # noqa: B018 (from here on writes count)
        return self.live.network.plain

    @property
    def untouched(self) -> Live:
        """The live part as the version has it: another one than ``live`` once the module was handed out."""
        return self._second if "tracker" in self.__dict__ else self.live

    @functools.cached_property
    def _second(self) -> Live:
        return self._answering()

    @functools.cached_property
    def tracker(self) -> Tracker:
        """Tells which layers were not written to since the module was handed out."""
        return Tracker(layer_states(self.live.network))

    @property
    def answer(self) -> AnswerKind:
        """The answer layer's kind."""
        layer = self.model.answer
        if layer is None or not isinstance(layer.action, AnswerKind):
            raise InvalidGraph(f"{self.address} has no answer layer; take its module() and run it yourself")
        return layer.action

    @property
    def answer_state(self) -> State:
        """What the answer layer has learned."""
        layer = self.model.answer
        return self.states.get(layer.name, {}) if layer is not None else {}

    @functools.cached_property
    def tables_whole(self) -> bool:
        """Whether rows must be given all together, in order (a window over time is in the model)."""
        return any(isinstance(layer.action, DataKind) and layer.action.couples_rows for layer in self.model.layers)

    def outputs(self, rows: Any) -> Tensor:
        """Return what reaches the answer layer for rows, [rows, ...]: scores, not yet decoded."""
        table = as_table(rows, self.types)
        if not table.num_rows:
            raise InvalidData("there are no rows to answer; give at least one")
        pieces = [table] if self.tables_whole else [table.slice(at, PIECE) for at in range(0, len(table), PIECE)]
        return torch.cat([self._outputs(piece) for piece in pieces])

    def _outputs(self, table: pa.Table) -> Tensor:
        wanted = settled_layers(self.model)
        values = {
            name: ready(self.model, name, value)
            for name, value in run_data(self.model, table, self.states, wanted).items()
        }
        return self.live.outputs(values, torch.arange(table.num_rows))

    def predict(self, rows: Any) -> Answers:
        """Return the answers for raw rows, in the user's own words.

        Args:
            rows: a frame, an Arrow table, a dict of arrays or of one row, a list of dicts, a Row, a Dataset or a
                file; the columns that the model reads, as they are in the dataset. A target is not needed.

        Raises:
            InvalidData: a column that is not there, a value that a layer cannot take (naming the layer).
        """
        layer = self.model.answer
        kind = self.answer
        outputs = self.outputs(rows)
        with at_layer(layer.name if layer else "", kind.title):
            return Answers(self.address, kind.decode(outputs, self.answer_state))

    def evaluate(
        self, data: Dataset | str | None = None, split: str = "test", *, record: object = None
    ) -> dict[str, float]:
        """Return loss and metrics on a split of a dataset.

        Args:
            data: the dataset; that of the training where not given.
            split: ``train``, ``validation``, ``test`` as the training split them, or ``all`` rows.
            record: what is kept of what leaves the layers for these rows: ``all``, ``sample:256`` … (``Recording``).
        """
        asked = None if record is None else Recording.parse(record)
        if asked is not None:
            asked.chosen(self.model)
        dataset = self.repo.dataset(data or self.data_address) if not isinstance(data, Dataset) else data
        positions = None
        if split != "all":
            found = split_rows(Split.from_json(self.manifest.data["split"]), dataset)
            if split not in found:
                raise NotFound(f"there is no split {split!r}.{nearest(split, [*found, 'all'])}")
            positions = found[split]
        if not len(dataset) or (positions is not None and not len(positions)):
            raise InvalidData(f"the split {split!r} of {dataset.address} has no rows")
        if asked is not None:
            record_asked(self, dataset, positions, asked)
        return self._scores(dataset, positions)

    def _scores(self, dataset: Dataset, positions: np.ndarray[Any, Any] | None) -> dict[str, float]:
        rows = Rows(self.model, dataset, positions)
        wanted = settled_layers(self.model)
        outputs = []
        for values in rows.stream(self.states, wanted):
            usable: dict[str, Value] = {name: ready(self.model, name, value) for name, value in values.items()}
            outputs.append(self.live.outputs(usable, torch.arange(rows_of(next(iter(usable.values()))))))
        truth = torch.cat(encoded(rows, self.answer, self.answer_state))
        return score(self.model, self.answer, self.answer_state, torch.cat(outputs), truth)

    @property
    def data_address(self) -> str:
        """The dataset version that the training read, e.g. ``digits-data@1``."""
        return f"{self.manifest.data['name']}@{self.manifest.data['number']}"

    @functools.cached_property
    def _looking(self) -> Looking:
        return Looking(self)

    @functools.cached_property
    def _views(self) -> dict[str, LayerView]:
        return {}

    def layer(self, path: str, data: Dataset | str | None = None) -> LayerView:
        """Return one layer, to look at what left it: ``version.layer("edges").record(17)``.

        Args:
            path: the layer's path, e.g. ``stage1.edges``; ``name:2`` for its second pass.
            data: whose rows are meant by position and id; those of the training where not given.

        Raises:
            NotFound: no such layer, with the nearest.
        """
        view = self._views.get(path) if data is None else None
        if view is None:
            view = LayerView(self._looking if data is None else Looking(self, data), path)
            if data is None:
                self._views[path] = view
        return view

    def trace(self, row: Any) -> Trace:
        """Follow one row through every layer: what it was as it left each of them.

        Args:
            row: as for ``layer(…).look``: a position, an id, a Row, or the row itself.

        Raises:
            NotFound, InvalidData: the row is not there, or does not fit what the version was trained on.
        """
        return follow(self._looking, row)

    def nearest(self, row: Any, layer: str, k: int = 10, **how: Any) -> Neighbours:
        """Return the rows that are nearest to one as they leave a layer; see ``LayerView.nearest``."""
        return self.layer(layer).nearest(row, k, **how)

    def compare(self, a: Any, b: Any) -> Comparison:
        """Return two rows beside each other as they leave every layer: how far apart, and where they part most.

        Args:
            a, b: each as for ``trace``.
        """
        return compare(self._looking, a, b)

    def _repr_html_(self) -> str:
        return f"<b>{escape(self.address)}</b>{self.model._repr_html_()}"


def load(
    address: str, *, repo: Repository | None = None, module: nn.Module | Mapping[str, nn.Module] | None = None
) -> Version:
    """Return a version, opened.

    Args:
        address: ``digits`` (the newest), ``digits@3``, ``digits@champion``, ``digits@1f3a6c``.
        repo: the repository; the one that ``find_folder`` finds where not given.
        module: for wrapped modules, an instance to take the weights, or instances by layer name (code is never
            loaded from a repository).

    Raises:
        NotFound: with the nearest name.

    Example:
        >>> version = lw.load("digits@champion")  # doctest: +SKIP
        >>> print(version, version.metrics["test/accuracy"])  # doctest: +SKIP
        digits@3 0.98
    """
    door = repo or default_repository()
    entry = door.find(address)
    return Version(door, entry, door.manifest(entry), module)
