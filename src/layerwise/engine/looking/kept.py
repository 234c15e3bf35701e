"""What is kept of one layer of a version: found once, read row by row, looked up anew where a row is not among it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.engine.looking.costs import reading
from layerwise.engine.looking.rows import Chosen, Positions
from layerwise.engine.tensors import dtype_of, from_raw
from layerwise.layers.base import Padded, Value, as_tensor
from layerwise.records.chunks import Raw
from layerwise.records.reading import LayerRecord, Records
from layerwise.words import Digest

ROUNDED = "F16"
"""The type that floats are rounded to where that was asked for when they were kept."""

Slots = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Piece:
    """Some of the rows that are asked for, in one record: ``slots`` [n] of it are the rows at ``places`` [n]."""

    record: LayerRecord
    slots: Slots
    places: Positions
    cold: bool

    @property
    def seconds(self) -> float:
        """About how long it takes to read them."""
        track = self.record.track
        per_row = track.row_bytes or track.bytes // max(self.record.rows, 1)
        chunks = len(np.unique(self.slots // track.rows_per_chunk)) if len(self.slots) > 1 else 1
        cold = 0 if not self.cold else chunks * track.bytes // max(len(track.chunks), 1)
        return reading(len(self.slots), per_row, cold)


class Kept:
    """The records of one layer for the rows of one dataset version, the newest first. Safe to use from threads.

    Args:
        records: those of the version.
        layer: the layer's path.
        data: the digest of the dataset version whose positions are meant; None where there is none.
    """

    def __init__(self, records: Records, layer: str, data: Digest | None) -> None:
        self._records, self.layer, self._data = records, layer, data
        self._guard = threading.Lock()
        self._warm: set[Digest] = set()
        self.found: tuple[LayerRecord, ...] = ()
        self.look()

    def look(self) -> None:
        """Look for what was kept meanwhile. What is known already stays as it is, with what it has at hand."""
        with self._guard:
            known = {record.digest: record for record in self.found}
            self.found = tuple(
                known.get(record.digest, record)
                for record in self._records.find(self.layer)
                if record.kept.about.data == self._data or record.kept.ids is not None
            )

    def pieces(self, chosen: Chosen, *, exact: bool = False) -> tuple[list[Piece], Positions]:
        """Return where rows are kept, and the places of those that are not.

        Args:
            chosen: the rows.
            exact: leave out what was rounded to float16 when it was kept.
        """
        if chosen.positions is None:
            return [], np.arange(len(chosen), dtype=np.int64)
        found: list[Piece] = []
        missing = np.arange(len(chosen), dtype=np.int64)
        for record in self.found:
            if not len(missing) or (exact and record.track.dtype == ROUNDED) or record.kept.about.data != self._data:
                continue
            slots = record.slots(chosen.positions[missing])
            there = slots >= 0
            if there.all():
                found.append(self._piece(record, slots, missing))
                missing = missing[:0]
            elif there.any():
                found.append(self._piece(record, slots[there], missing[there]))
                missing = missing[~there]
        return found, missing

    def _piece(self, record: LayerRecord, slots: Slots, places: Positions) -> Piece:
        return Piece(record, slots, places, record.digest not in self._warm)

    def read(self, piece: Piece) -> Value:
        """Return the rows of a piece, [n, ...], in its order.

        Raises:
            Damaged: a record is not what it was; names version, layer and rows.
        """
        found = opened(piece.record.take(piece.slots))
        self._warm.add(piece.record.digest)
        return found

    def of_id(self, row: str) -> Value | None:
        """Return what is kept of a row that is in no dataset, [1, ...], by its id; None where nothing is."""
        for record in self.found:
            slot = record.slot_of_id(row)
            if slot >= 0:
                return opened(record.take(np.array([slot], dtype=np.int64)))
        return None


def opened(raw: Raw) -> Value:
    """Return a record's rows as what travels on wires."""
    if isinstance(raw, pa.Array):
        return raw
    tensors = from_raw(raw)
    return Padded(tensors["values"], tensors["lengths"]) if "lengths" in tensors else tensors["values"]


def merged(count: int, parts: Sequence[tuple[Value, Positions]]) -> Value:
    """Return one value of ``count`` rows from parts, each with the places of its rows.

    Where some were rounded when they were kept and others were not, all are: as if all had been kept.

    Example:
        >>> merged(2, [(torch.tensor([1.0]), np.array([1])), (torch.tensor([2.0]), np.array([0]))])
        tensor([2., 1.])
    """
    if len(parts) == 1:
        value, places = parts[0]
        if len(places) == count and bool((places == np.arange(count)).all()):
            return value
    values = [value for value, _ in parts]
    if isinstance(values[0], pa.Array):
        order = np.argsort(np.concatenate([places for _, places in parts]), kind="stable")
        return pa.concat_arrays(values).take(pa.array(order))
    if isinstance(values[0], Padded):
        both = [(value, places) for value, places in parts if isinstance(value, Padded)]
        whole = _filled(count, [(value.values, places) for value, places in both])
        return Padded(whole, _filled(count, [(value.lengths, places) for value, places in both]))
    return _filled(count, [(as_tensor(value), places) for value, places in parts])


def _filled(count: int, parts: Sequence[tuple[Tensor, Positions]]) -> Tensor:
    half = any(tensor.dtype == torch.float16 for tensor, _ in parts)
    dtype = torch.float16 if half and parts[0][0].is_floating_point() else parts[0][0].dtype
    whole = torch.empty((count, *parts[0][0].shape[1:]), dtype=dtype)
    for tensor, places in parts:
        whole[torch.from_numpy(places)] = tensor.to(dtype)
    return whole


def row_of(record: LayerRecord, slot: int) -> Tensor:
    """Return one row of a record of tensors, [...], the caller's own."""
    found = np.array(record.row(slot))
    tensor = torch.from_numpy(found)
    return tensor.view(torch.bfloat16) if record.track.dtype == "BF16" else tensor


def plain_dtype(record: LayerRecord) -> torch.dtype:
    """Return the type of the numbers of a record of tensors."""
    return dtype_of(record.track.dtype)
