"""One training as data: the rows, which of them train, the settings, every seed. All trainers get the same.

Peers run in an environment of their own, without Layerwise: nothing here imports it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import Sample, timed, versions

Array: TypeAlias = np.ndarray[Any, Any]
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Settings:
    """What all trainers are told.

    Attributes:
        name: ``digits`` or ``xrays``: which network.
        classes: how many.
        divide: what the pixels are divided by.
        batch, lr, seed, threads: of the training; the optimizer is Adam, what is kept is the epoch of the best
            validation loss.
        draws: seeds of what is drawn, by name: ``weights`` has one; ``epoch``, ``order`` and ``draw`` one an epoch.
    """

    name: str
    classes: int
    divide: float
    batch: int
    lr: float
    seed: int
    threads: int
    draws: dict[str, list[int]] = field(repr=False)


@dataclass(frozen=True)
class Work:
    """A training: settings; images [rows, height, width], uint8; labels [rows], int64; positions by part."""

    settings: Settings
    images: Array
    labels: Array
    parts: dict[str, Array]

    def save(self, folder: Path) -> None:
        """Write it below ``folder``."""
        (folder / "settings.json").write_text(json.dumps(asdict(self.settings)), encoding="utf-8")
        train, validation, test = (self.parts[part] for part in PARTS)
        np.savez(
            folder / "rows.npz",
            images=self.images, labels=self.labels, train=train, validation=validation, test=test,
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what ``save`` wrote."""
        settings = Settings(**json.loads((folder / "settings.json").read_text(encoding="utf-8")))
        with np.load(folder / "rows.npz") as rows:
            return cls(settings, rows["images"], rows["labels"], {part: rows[part] for part in PARTS})


@dataclass(frozen=True)
class Outcome:
    """What came out: accuracy on the test rows, the best validation loss, and the kept weights, asked for untimed."""

    accuracy: float
    loss: float
    weights: Callable[[], Iterable[Tensor]]


Mark: TypeAlias = Callable[[], None]
"""To be called at the end of every epoch."""


class Trainer(Protocol):
    """Trains for some epochs, calling ``mark`` at the end of each. Only this call is timed."""

    def __call__(self, epochs: int, mark: Mark) -> Outcome: ...


Prepare: TypeAlias = Callable[[Work, Path], AbstractContextManager[Trainer]]
"""Makes a trainer anew for every round, and cleans up behind it, untimed; the folder is its own and empty."""


def network(name: str) -> nn.Sequential:
    """Return the network of a work as one writes it by hand: [batch, 1, height, width] to [batch, classes]."""
    if name == "digits":
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(288, 10),
        )  # fmt: skip
    return nn.Sequential(
        *block(1, 16), nn.MaxPool2d(2), *block(16, 32), nn.MaxPool2d(2), *block(32, 64), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, 2),
    )  # fmt: skip


def block(entering: int, leaving: int) -> list[nn.Module]:
    """Return two convolutions, each with its normalisation: as in ``examples/xrays``."""
    found: list[nn.Module] = []
    for channels in (entering, leaving):
        found += [nn.Conv2d(channels, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()]
    return found


def serve(prepare: Prepare, *packages: str) -> None:
    """Answer on standard output, in JSON lines: first the versions, then each line of standard input with a round.

    Args:
        prepare: makes the trainer.
        packages: whose versions to say.
    """
    work = Work.load(Path(sys.argv[1]))
    torch.set_num_threads(work.settings.threads)
    with answering() as answer:
        answer(versions("torch", *packages))
        for line in sys.stdin:
            with (
                tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
                prepare(work, Path(folder)) as trainer,
            ):
                answer(one_round(trainer, int(line)))


def one_round(trainer: Trainer, epochs: int) -> dict[str, Any]:
    """Return what one training gave and cost: the whole of it, and the median epoch, the first left out."""
    marks: list[tuple[float, float]] = []
    outcome, cost = timed(lambda: trainer(epochs, lambda: marks.append((time.process_time(), time.perf_counter()))))
    between = [np.subtract(after, before) for before, after in pairwise(marks)]
    epoch = Sample(*(float(middle) for middle in np.median(between, axis=0)))
    return {
        "whole": asdict(cost), "epoch": asdict(epoch), "accuracy": outcome.accuracy, "loss": outcome.loss,
        "weights": digest(outcome.weights()),
    }  # fmt: skip


def digest(tensors: Iterable[Tensor]) -> str:
    """Return the first letters of a digest of the tensors' bytes, in their order."""
    whole = hashlib.sha256()
    for tensor in tensors:
        whole.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()[:8]


@contextmanager
def answering() -> Iterator[Callable[[Any], None]]:
    """Give the function that answers. What libraries print meanwhile goes to standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        os.dup2(2, 1)
        yield lambda value: print(json.dumps(value), file=stream, flush=True)
