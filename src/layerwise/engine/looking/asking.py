"""What the views of one version share: rows are found, what is kept is read, and what is not is computed."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.data.dataset import Dataset
from layerwise.data.plain import plain
from layerwise.data.schema import is_tensor
from layerwise.data.split import Split, split_rows
from layerwise.engine.evaluate import CANONICAL
from layerwise.engine.looking.computing import Computer
from layerwise.engine.looking.costs import cheapest
from layerwise.engine.looking.kept import Kept, Piece, merged
from layerwise.engine.looking.opened import Opened, dataset_of
from layerwise.engine.looking.rows import Chosen, Positions, Source, choose
from layerwise.engine.recording.keeping import sample_of
from layerwise.layers.base import Padded, Value
from layerwise.records.reading import LayerRecord, Records
from layerwise.words import Digest

SAMPLE = 256
"""Rows that are meant where nothing is kept and none are named."""

FRESH = 1.0
"""Seconds for which it is believed that no other process kept or forgot anything."""


@dataclass(frozen=True)
class Looked:
    """What left a layer for rows, and where it comes from.

    Attributes:
        layer: the layer's path.
        values: [rows, ...]: a tensor, a padded one, or an Arrow array.
        source: ``kept``, or ``computed`` where one or more of the rows were.
        cut: the layers whose records it was computed from; none: from the rows.
        kept: how many of the rows were read.
        chosen: the rows.
    """

    layer: str
    values: Value
    source: str
    cut: tuple[str, ...]
    kept: int
    chosen: Chosen

    def __len__(self) -> int:
        return len(self.chosen)

    @functools.cached_property
    def ids(self) -> list[str]:
        """The rows' ids; of rows from elsewhere their keys, or ``row 0``, ``row 1``, …."""
        return self.chosen.ids

    @property
    def positions(self) -> Positions | None:
        """The rows' positions in the dataset; None for rows from elsewhere."""
        return self.chosen.positions

    @property
    def value(self) -> Any:
        """The values; where one row was asked for, its value without the dimension of rows."""
        return one_of(self.values) if self.chosen.one else self.values

    def __str__(self) -> str:
        rows = f"{len(self):,} row{'' if len(self) == 1 else 's'}"
        how = "kept" if self.source == "kept" else f"computed from {', '.join(self.cut) or 'the rows'}"
        some = f" ({self.kept:,} of them kept)" if self.source != "kept" and self.kept else ""
        return f"{self.layer}: {rows}, {how}{some}"


def one_of(value: Value) -> Any:
    """Return the only row of a value: a tensor [...], of a padded one as long as the row is, or the cell itself."""
    if isinstance(value, pa.Array):
        return value.to_numpy_ndarray()[0] if is_tensor(value.type) and not value.null_count else plain(value[0])
    if isinstance(value, Padded):
        return value.values[0, : int(value.lengths[0])]
    return value[0]


class Looking:
    """What the views of one version share: the rows' dataset, what was computed, and the records.

    Args:
        opened: the version.
        data: another dataset than that of the training.
    """

    def __init__(self, opened: Opened, data: Dataset | str | None = None) -> None:
        self.opened = opened
        self.computer = Computer(opened)
        self.records: Records = opened.repo.records(opened.entry.digest)
        self._data = data
        self._kept: dict[str, Kept] = {}
        self._sets: tuple[Digest, ...] = ()
        self._layers: list[str] = []
        self._looked = (-1, 0.0)
        self.refresh()

    def refresh(self) -> bool:
        """Look for what was kept, or forgotten, meanwhile; tell whether there was anything.

        What this process did is seen at once, what others did within ``FRESH`` seconds.
        """
        looked = (self.opened.repo.store.catalog.recordings.changes, time.monotonic())
        if self._looked[0] == looked[0] and looked[1] - self._looked[1] < FRESH:
            return False
        self._looked = looked
        sets = tuple(digest for digest, _ in self.records.sets())
        if sets == self._sets:
            return False
        self._sets, self._layers = sets, self.records.layers()
        for kept in self._kept.values():
            kept.look()
        return True

    @functools.cached_property
    def _source(self) -> Source:
        return Source(dataset_of(self.opened, self._data))

    def source(self) -> Source:
        """Return the dataset that positions and ids are of, opened once. Raises NotFound, InvalidData."""
        return self._source

    def choose(self, rows: Any) -> Chosen:
        """Return the rows that are meant."""
        return choose(rows, self.source, self.opened.types)

    def kept(self, path: str) -> Kept:
        """Return what is kept of a layer."""
        if path not in self._kept:
            known = self.opened.manifest.data or self._data is not None
            self._kept[path] = Kept(self.records, path, self.source().dataset.digest if known else None)
        return self._kept[path]

    def sample(self) -> Chosen:
        """Return the rows that are meant where none are named or kept: those that a training would keep."""
        source, split = self.source(), self.opened.manifest.data.get("split")
        if split is None or self._data is not None:
            return self.choose(slice(0, SAMPLE))
        parts = split_rows(Split.from_json(split), source.dataset)
        positions = parts["validation"] if len(parts["validation"]) else parts["train"]
        return Chosen(False, sample_of(source.dataset, positions, SAMPLE).astype(np.int64), source=source)

    def rows(self, path: str) -> Chosen:
        """Return the rows that are kept of a layer, of its widest record; where none are, the sample."""
        self.refresh()
        record = self.widest(path)
        if record is None:
            return self.sample()
        places = record.positions.kept
        positions = np.arange(record.rows, dtype=np.int64) if places is None else np.array(places, np.int64)
        return Chosen(False, positions, source=self.source())

    def of_record(self, record: LayerRecord, slots: Positions) -> Chosen:
        """Return the rows at some slots of a record."""
        places = record.positions.kept
        return Chosen(False, slots if places is None else np.asarray(places)[slots], source=self.source())

    def widest(self, path: str) -> LayerRecord | None:
        """Return the record of a layer with the most rows of the dataset, of several the newest; None without one."""
        found = [one for one in self.kept(path).found if one.kept.about.data is not None]
        return max(found, key=lambda record: record.rows, default=None)

    def look(self, path: str, chosen: Chosen, *, exact: bool = False) -> Looked:
        """Return what left a layer for rows, read or computed."""
        kept = self.kept(path)
        pieces, missing = kept.pieces(chosen, exact=exact)
        # What was kept since this process looked is read, not computed.
        if len(missing) and chosen.positions is not None and self.refresh():
            pieces, missing = kept.pieces(chosen, exact=exact)
        parts = [(kept.read(piece), piece.places) for piece in pieces]
        cut: tuple[str, ...] = ()
        if len(missing):
            whole = len(missing) == len(chosen)
            value, cut = self.compute(path, chosen if whole else chosen.at(missing))
            parts.append((value, missing))
        source = "computed" if len(missing) else "kept"
        return Looked(path, merged(len(chosen), parts), source, cut, len(chosen) - len(missing), chosen)

    def compute(self, path: str, chosen: Chosen) -> tuple[Value, tuple[str, ...]]:
        """Return what leaves a layer for rows, and the layers whose records it was computed from."""
        cut = self.cut([path], chosen)
        given = {
            name: merged(len(chosen), [(kept.read(p), p.places) for p in found]) for name, (kept, found) in cut.items()
        }
        return self.computer.values(chosen, [path], given)[path], tuple(given)

    def cut(self, wanted: Iterable[str], chosen: Chosen) -> dict[str, tuple[Kept, list[Piece]]]:
        """Return the records from which layers are computed soonest; none: from the rows."""
        if chosen.positions is None or not self._layers:
            return {}
        wanted = list(wanted)
        known = {path: self._whole(path, chosen) for path in self._layers if path not in wanted}
        there = {path: found for path, found in known.items() if found is not None}
        seconds = {path: sum(piece.seconds for piece in found[1]) for path, found in there.items()}
        if not seconds:
            return {}
        computer, batches = self.computer, -(-len(chosen) // CANONICAL)
        good = cheapest(self.opened.model, lambda: computer.live.network, seconds, computer.paces, batches=batches)
        return {path: there[path] for path in self._used(wanted, good)}

    def _used(self, wanted: list[str], given: Iterable[str]) -> list[str]:
        """Return which of some given layers are read at all on the way to those that are wanted."""
        data = self.computer.data_names
        neural = [path for path in wanted if path not in data]
        used: set[str] = set()
        needed = [path for path in wanted if path in data]
        if neural:
            way = self.computer.route([path for path in given if path not in data], neural)
            used.update(way.uses)
            needed.extend(way.entries)
        wiring, seen = self.opened.model.wiring, set()
        while needed:
            name = needed.pop()
            if name in given and name not in wanted:
                used.add(name)
            elif name not in seen:
                seen.add(name)
                needed.extend(wiring[name])
        return sorted(used)

    def _whole(self, path: str, chosen: Chosen) -> tuple[Kept, list[Piece]] | None:
        # From what was rounded, other bits would follow.
        kept = self.kept(path)
        pieces, missing = kept.pieces(chosen, exact=True)
        return None if len(missing) else (kept, pieces)
