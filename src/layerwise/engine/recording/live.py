"""Keeping what leaves layers while a model trains, in files that others read meanwhile (``records.live``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.engine.recording.asked import Recording, plain_path
from layerwise.engine.tensors import word_of
from layerwise.layers.base import Padded, Value
from layerwise.records.live import EPOCH, POSITIONS, LiveFile, LiveHeader, make_live
from layerwise.store.disk import Disk

Lost = Callable[[str], None]
"""Told once for each reason why something is not recorded."""

Numbers = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Whose:
    """What the files of a live recording say of themselves: the run, the dataset, and the times."""

    run: str
    data: str
    created: str
    expires: str | None

    def header(self, layer: str, dtype: str, shape: tuple[int, ...], rows: int, *, padded: bool) -> LiveHeader:
        """Return the header of a layer's file."""
        return LiveHeader(self.run, layer, dtype, shape, rows, padded, self.data, self.created, self.expires)


@dataclass(frozen=True, slots=True)
class Turn:
    """One step: where its rows go, their stamp, and which rows of the batch count (None: all of them)."""

    slots: Numbers
    stamp: int
    kept: Tensor | None


@dataclass(frozen=True)
class Track:
    """One layer's file, and the memory in which its rows are made ready."""

    file: LiveFile
    shape: torch.Size
    buffer: Tensor
    parts: dict[int, tuple[Tensor, Numbers]] = field(default_factory=dict)

    def write(self, values: Tensor, lengths: Tensor | None, turn: Turn) -> None:
        """Put the rows of a step in their places, each stamped after it is there."""
        part, rows = self.parts.get(len(values)) or self._part(len(values))
        # One pass turns the numbers into what is kept; one more, row by row, moves them to where they belong.
        part.copy_(values)
        self.file.stamps[turn.slots] = 0
        self.file.values[turn.slots] = rows
        if lengths is not None:
            self.file.lengths[turn.slots] = lengths.numpy()
        self.file.stamps[turn.slots] = turn.stamp

    def _part(self, count: int) -> tuple[Tensor, Numbers]:
        part = self.buffer[:count]
        rows = part.view(torch.uint8).numpy() if part.ndim > 1 else part.view(count, 1).view(torch.uint8).numpy()
        made = self.parts[count] = (part, rows.reshape(count, -1).view(self.file.values.dtype).reshape(count))
        return made


class LiveRecording:
    """What left layers for every training row, in the step in which the row was last seen.

    It never raises while a model trains: what cannot be kept is left out, and ``lost`` is told once.

    Args:
        disk: where the files are made.
        whose: what they say of themselves.
        positions: the training rows' positions in the dataset, ascending.
        asked: what is asked for.
        chosen: the paths of the layers to be kept.
        batch: most rows of a step.
        repeats: whether a row may come twice in a step.
        lost: told once of each reason why something is not kept.
    """

    def __init__(
        self, disk: Disk, whose: Whose, positions: Numbers, asked: Recording, chosen: frozenset[str], *,
        batch: int, repeats: bool, lost: Lost,
    ) -> None:  # fmt: skip
        self._disk, self._whose, self._asked, self._chosen = disk, whose, asked, chosen
        self._positions, self._batch, self._repeats, self._lost = positions, batch, repeats, lost
        self._buffers: dict[tuple[torch.dtype, torch.Size], Tensor] = {}
        self._tracks: dict[str, Track | None] = {}
        self._number, self._bytes, self._full = 0, 0, False
        self._turn: Turn | None = None

    @property
    def stopped(self) -> bool:
        """Whether nothing is kept at all."""
        return self._full and not any(self._tracks.values())

    def begin(self, epoch: int, step: int, rows: Tensor) -> None:
        """Take it that what leaves layers from now on is of these rows (positions in the dataset)."""
        if not self._number and not self._full:
            self._begin()
        slots, kept = np.searchsorted(self._positions, rows.numpy()), None
        if self._repeats:
            # A row that is drawn twice in a step is kept as it was the second time, and not as a mixture.
            last = len(slots) - 1 - np.unique(slots[::-1], return_index=True)[1]
            slots, kept = slots[last], torch.from_numpy(last)
        self._turn = Turn(slots, (epoch << EPOCH) | step, kept)

    def _begin(self) -> None:
        # Not before the first step: what cannot be used is refused before anything is written.
        try:
            index = self._make(self._whose.header(POSITIONS, "I64", (), len(self._positions), padded=False))
            index.values.view("<i8")[:] = self._positions
            index.stamps[:] = 1 << EPOCH
        except (OSError, ValueError) as error:
            self._stop(f"nothing is recorded while it trains: {error}")

    def __call__(self, path: str, value: Value) -> None:
        """Keep what left a layer in this step."""
        track = self._tracks.get(path)
        if track is None and (path in self._tracks or (track := self._track(path, value)) is None):
            return
        turn = self._turn
        assert turn is not None
        try:
            values, lengths = _parts(value, turn.kept)
            if values.shape[1:] == track.shape and len(values) == len(turn.slots):
                track.write(values, lengths, turn)
                return
            reason = f"its rows have the shape {list(values.shape[1:])} after {list(track.shape)}"
        except Exception as error:
            reason = str(error)
        self._tracks[path] = None
        self._lost(f"layer {path!r} is recorded no longer while it trains: {reason}")

    def _track(self, path: str, value: Value) -> Track | None:
        self._tracks[path] = None
        if self._full or plain_path(path) not in self._chosen:
            return None
        try:
            made = self._tracks[path] = self._made(path, value)
        except (OSError, MemoryError) as error:
            self._stop(f"layer {path!r} and what follows is not recorded while it trains: {error}")
            return None
        except (ValueError, KeyError, RuntimeError) as error:
            self._lost(f"layer {path!r} is not recorded while it trains: {error}")
            return None
        return made

    def _made(self, path: str, value: Value) -> Track:
        values, _ = _parts(value, None)
        half = self._asked.dtype == "float16" and values.is_floating_point()
        dtype = torch.float16 if half else values.dtype
        header = self._whose.header(
            path, word_of(dtype), tuple(values.shape[1:]), len(self._positions), padded=isinstance(value, Padded)
        )
        if self._asked.cap is not None and self._bytes + header.size > self._asked.cap:
            raise OSError(f"it takes {header.size:,} bytes, and the cap is {self._asked.cap:,} for all layers together")
        # Layers of one shape share it: it stays near the processor.
        buffer = self._buffers.get((dtype, values.shape[1:]))
        if buffer is None:
            buffer = torch.empty((max(self._batch + 1, len(values)), *values.shape[1:]), dtype=dtype)
            self._buffers[dtype, values.shape[1:]] = buffer
        return Track(self._make(header), values.shape[1:], buffer)

    def _make(self, header: LiveHeader) -> LiveFile:
        made = make_live(self._disk, self._number, header)
        self._number, self._bytes = self._number + 1, self._bytes + header.size
        return made

    def _stop(self, text: str) -> None:
        self._full = True
        self._lost(text)


def _parts(value: Value, kept: Tensor | None) -> tuple[Tensor, Tensor | None]:
    if isinstance(value, Padded):
        found: Mapping[str, Tensor] = {"values": value.values.detach(), "lengths": value.lengths.cpu()}
        return tuple(part if kept is None else part[kept] for part in found.values())  # type: ignore[return-value]
    assert isinstance(value, Tensor)
    values = value.detach()
    return (values if kept is None else values[kept]), None
