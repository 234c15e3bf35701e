"""What all trainers of ``benchmarks.record`` share: three networks, their rows, and files that keep what left layers.

Peers run in an environment of their own, without Layerwise: nothing here imports it.
"""

from __future__ import annotations

import json
import mmap
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measure import Sample, timed, versions
from benchmarks.trainers.work import answering, digest

BATCH, LR, SEED, CLASSES = 64, 1e-3, 7, 10
STEPS, WORDS, WIDTH, UNITS, SIDE = 16, 256, 128, 256, 16
CHANNELS = (16, 16, 32, 32, 64, 64)

Array: TypeAlias = np.ndarray[Any, Any]
Mark: TypeAlias = Callable[[], None]
"""To be called at the end of every epoch."""


@dataclass(frozen=True)
class Net:
    """A network to train and its rows.

    Attributes:
        title: as the tables say it.
        make: draws it anew.
        rows: how many rows train; a tenth of that validates.
        epochs: of a training of ours; a peer's has fewer.
        shape: of one row.
        words: whether a row is of whole numbers below ``WORDS``.
        limit: what recording may cost at most, times the same without.
    """

    title: str
    make: Callable[[], nn.Module]
    rows: int
    epochs: int
    shape: tuple[int, ...]
    words: bool
    limit: float

    def table(self, *, quick: bool) -> tuple[Array, Array]:
        """Return the rows, [rows, ...], and their labels: those that train, then those that validate."""
        count = (2 * BATCH if quick else self.rows) * 11 // 10
        draw = np.random.default_rng(SEED)
        if self.words:
            values: Array = draw.integers(0, WORDS, (count, *self.shape))
        else:
            values = draw.standard_normal((count, *self.shape), dtype=np.float32)
        labels = (values.reshape(count, -1)[:, :8].sum(1) * 7).astype(np.int64) % CLASSES
        return values, labels

    def kept(self) -> list[str]:
        """Return the paths of the modules that are layers and run: what an activation follows is one with it."""
        left_out = (".sum", ".function", ".out_proj")
        named = [(name, part) for name, part in self.make().named_modules() if name and not name.endswith(left_out)]
        return [name for name, part in named if not isinstance(part, nn.ModuleList)]


class Encoder(nn.Module):
    """A transformer of six blocks over words: [batch, steps] of whole numbers to [batch, classes]."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        block = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.1, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, 6, enable_nested_tensor=False)
        self.scores = nn.Linear(WIDTH, CLASSES)

    def forward(self, words: Tensor) -> Tensor:
        """Return the scores."""
        found: Tensor = self.scores(self.blocks(self.words(words)).mean(1))
        return found


def activated(module: nn.Module) -> nn.Sequential:
    """Return a layer as Layerwise counts them: the weighted sum, then the function."""
    return nn.Sequential(OrderedDict(sum=module, function=nn.ReLU()))


def mlp() -> nn.Module:
    """Return sixteen dense layers, the last one the scores: [batch, units] to [batch, classes]."""
    layers = OrderedDict((f"dense{at}", activated(nn.Linear(UNITS, UNITS))) for at in range(15))
    return nn.Sequential(OrderedDict(**layers, scores=nn.Linear(UNITS, CLASSES)))


def cnn() -> nn.Module:
    """Return six convolutions, two pools among them, and the scores: [batch, 1, side, side] to [batch, classes]."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for at, (entering, leaving) in enumerate(pairwise((1, *CHANNELS))):
        layers[f"conv{at}"] = activated(nn.Conv2d(entering, leaving, 3, padding=1))
        if at in (1, 3):
            layers[f"pool{at}"] = nn.MaxPool2d(2)
    layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "scores": nn.Linear(CHANNELS[-1], CLASSES)}
    return nn.Sequential(layers)


NETS = {
    "transformer": Net("6-block transformer", Encoder, 12 * BATCH, 6, (STEPS,), True, 1.03),
    "cnn": Net("6-convolution network", cnn, 32 * BATCH, 8, (1, SIDE, SIDE), False, 1.08),
    "mlp": Net("16-layer MLP", mlp, 64 * BATCH, 8, (UNITS,), False, 1.08),
}


class Kept:
    """A file of float16 for each layer, mapped, to which each step's rows are added; and which rows they were.

    This is what one writes by hand: the conversion goes straight into the mapping.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.files: dict[str, Tensor] = {}
        self.filled: dict[str, int] = {}

    def add(self, layer: str, value: Tensor) -> None:
        """Keep what left a layer in a step, [batch, ...]."""
        if layer not in self.files:
            self.files[layer] = self._file(layer, value)
            self.filled[layer] = 0
        begin = self.filled[layer]
        self.files[layer][begin : begin + len(value)].copy_(value.detach())
        self.filled[layer] = begin + len(value)

    def _file(self, layer: str, value: Tensor) -> Tensor:
        shape = (self.rows, *value.shape[1:])
        with (self.folder / f"{layer}.f16").open("w+b") as file:
            file.truncate(2 * int(np.prod(shape)))
            return torch.frombuffer(mmap.mmap(file.fileno(), 0), dtype=torch.float16).view(shape)

    @property
    def bytes(self) -> int:
        """How many bytes are kept."""
        return sum(2 * count * self.files[layer][0].numel() for layer, count in self.filled.items())


@dataclass(frozen=True)
class Outcome:
    """What came out: the kept weights, asked for untimed, the bytes of what was kept, and how many layers have some."""

    weights: Callable[[], Iterable[Tensor]]
    bytes: int
    layers: int


Train: TypeAlias = Callable[[int, Mark], Outcome]
Prepare: TypeAlias = Callable[[Net, Array, Array, Path], AbstractContextManager[Train]]
"""Makes a trainer anew for every round, untimed, in an empty folder of its own."""


def serve(trainers: dict[str, Prepare], packages: Sequence[str]) -> None:
    """Answer on standard output, in JSON lines: first the versions, then each line of standard input with a round.

    The command line says which trainer, which network, where the files go, and whether it is a smoke run.
    """
    name, which, folder, quick = sys.argv[1:5]
    net = NETS[which]
    torch.set_num_threads(1)
    values, labels = net.table(quick=quick == "quick")
    with answering() as answer:
        answer(versions("torch", *packages))
        for line in sys.stdin:
            with (
                tempfile.TemporaryDirectory(prefix="round-", dir=folder) as own,
                trainers[name](net, values, labels, Path(own)) as train,
            ):
                answer(one_round(train, int(line)))


def one_round(train: Train, epochs: int) -> dict[str, Any]:
    """Return what one training gave and cost: the whole of it, and the median epoch, the first left out."""
    marks: list[tuple[float, float]] = []
    outcome, cost = timed(partial(train, epochs, lambda: marks.append((time.process_time(), time.perf_counter()))))
    between = [np.subtract(after, before) for before, after in pairwise(marks)]
    epoch = Sample(*(float(middle) for middle in np.median(between, axis=0)))
    return {
        "whole": asdict(cost), "epoch": asdict(epoch), "weights": digest(outcome.weights()), "bytes": outcome.bytes,
        "layers": outcome.layers,
    }  # fmt: skip


def trained(rows: int) -> int:
    """Return how many of the rows of a table train, the first ones: the others validate."""
    return -(-rows * 10 // 11) // BATCH * BATCH


def said(line: str) -> dict[str, Any]:
    """Return a line that a worker answered."""
    found: dict[str, Any] = json.loads(line)
    return found
