"""Live recordings, asked for: what left a layer while a model trained, also of a run that another process runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.engine.tensors import dtype_of
from layerwise.errors import InvalidData, NotFound, nearest
from layerwise.layers.base import Padded
from layerwise.records.live import EPOCH, POSITIONS, LiveFile, live_layers
from layerwise.repo import Repository, default_repository
from layerwise.words import shorten


@dataclass(frozen=True)
class Lived:
    """What left a layer for some rows while a model trained.

    Attributes:
        values: [rows, ...] in the order in which the rows were asked for; zeros where nothing is there.
        epochs: in which epoch each row left the layer, [rows], int64; 0 where nothing is there, or not whole.
        positions: of the rows in the dataset, [rows], int64.
    """

    values: Tensor | Padded
    epochs: Tensor
    positions: Tensor


@dataclass(frozen=True)
class LiveLayer:
    """What is kept of one layer while a model trains: every training row, as it was in the step it was last seen in.

    Dropout was on, and the weights differ from row to row: what a *version* makes of a row is its record.

    Example:
        >>> edges = lw.recorded("r-1f3a6c0b77d2", "edges")  # doctest: +SKIP
        >>> edges.take([17, 18]).values.shape  # doctest: +SKIP
        torch.Size([2, 16, 8, 8])
    """

    run: str
    layer: str
    file: LiveFile = field(repr=False)
    positions: np.ndarray[Any, Any] = field(repr=False)

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, positions: Any = None) -> Lived:
        """Return what left the layer for rows at these positions in the dataset; for all training rows where None.

        Raises:
            InvalidData: a row that the run does not train on.
        """
        wanted = self.positions if positions is None else np.asarray(positions, dtype=np.int64).reshape(-1)
        slots = np.minimum(np.searchsorted(self.positions, wanted), len(self.positions) - 1)
        missing = wanted[self.positions[slots] != wanted]
        if len(missing):
            raise InvalidData(f"the run {self.run} does not train on the row at position {int(missing[0]):,}")
        raw, lengths, stamps = self.file.take(slots)
        header = self.file.header
        octets = torch.from_numpy(raw.reshape(-1))
        values = octets.view(dtype_of(header.dtype)).view(len(slots), *header.shape)
        epochs = torch.from_numpy((stamps >> EPOCH).astype(np.int64))
        left = Padded(values, torch.from_numpy(lengths)) if header.padded else values
        return Lived(left, epochs, torch.from_numpy(wanted.copy()))


def recorded(run: str, layer: str, *, repo: Repository | None = None) -> LiveLayer:
    """Return what is kept of a layer while a run trains (``record="all"``), during the run and after it.

    Args:
        run: the run's id.
        layer: the layer's path; ``name:2`` for its second pass.
        repo: the repository; the one that ``find_folder`` finds where not given.

    Raises:
        InvalidName: that is not the id of a run.
        NotFound: the run has no live recording, or none of this layer.

    Example:
        >>> seen = lw.recorded("r-1f3a6c0b77d2", "edges").take()  # doctest: +SKIP
        >>> seen.values.shape, seen.epochs.max()  # doctest: +SKIP
        (torch.Size([1258, 16, 8, 8]), tensor(4))
    """
    files = live_layers((repo or default_repository()).store.disk, run)
    positions = files.pop(POSITIONS).values.view("<i8")
    if layer not in files:
        raise NotFound(f"the run {run} records no layer {shorten(layer)} while it trains.{nearest(layer, files)}")
    return LiveLayer(run, layer, files[layer], positions)
