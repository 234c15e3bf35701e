"""What a killed run goes on from: one file of plain tensors and JSON, replaced whole at each saving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from layerwise.canonical import decode, encode
from layerwise.engine.tensors import digest_raw, from_raw, to_raw
from layerwise.errors import Damaged, LayerwiseError
from layerwise.store.disk import Disk
from layerwise.store.tensors import RawTensor, frame, read_header, unframe
from layerwise.words import Digest

PROGRESS, SEAL = "progress", "digest"


@dataclass(frozen=True)
class Checkpoint:
    """A run between two epochs.

    Attributes:
        tensors: weights, best weights and the optimizer's, by prefixed name.
        progress: everything else: the epoch, the history, numbers of optimizer and schedule.
    """

    tensors: dict[str, Tensor]
    progress: dict[str, Any]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint of the run with one key: whoever starts the same run again goes on from it."""

    disk: Disk
    key: Digest

    @property
    def _name(self) -> str:
        return f"runs/{self.key}.checkpoint"

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint, durably."""
        raw = to_raw(checkpoint.tensors)
        text = encode(checkpoint.progress)
        raw[PROGRESS] = RawTensor("U8", (len(text),), text)
        self.disk.publish(self._name, frame(raw, {SEAL: digest_raw(raw)}))

    def load(self) -> Checkpoint | None:
        """Return the checkpoint, or None where there is none that can be used: a run can always start anew."""
        try:
            return read(self.disk.read(self._name))
        except (FileNotFoundError, LayerwiseError):
            return None

    def clear(self) -> None:
        """Remove the checkpoint once the run is committed."""
        self.disk.discard(self._name)


def read(data: memoryview) -> Checkpoint:
    """Return the checkpoint in a file's bytes.

    Raises:
        InvalidFile, Damaged: the bytes are no checkpoint, or not as they were written.
    """
    raw = unframe(data, "the checkpoint")
    seal = read_header(data, "the checkpoint").metadata.get(SEAL)
    # No digest names this file: without its own, a bit that flipped would be trained on.
    if PROGRESS not in raw or seal != digest_raw(raw):
        raise Damaged("the checkpoint is not as it was written")
    progress = decode(memoryview(raw.pop(PROGRESS).data), "the checkpoint's progress")
    if not isinstance(progress, dict):
        raise Damaged(f"the checkpoint's progress is a {type(progress).__name__}; expected an object")
    return Checkpoint(from_raw(raw), progress)
