"""What the store's benchmarks share: the network, its repository, the peer's file, what is printed of them."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.measure import Sample, table
from layerwise.engine.tensors import to_raw
from layerwise.repo import LayerState, Repository, now
from layerwise.store.catalog.catalog import Entry
from layerwise.versions.manifest import LayerEntry, Manifest

KIND = "torch.nn.Linear.v1"
MODEL = "bench"


@dataclass
class Network:
    """Layers of random weights; ``step`` changes some of them in place, every byte, the next ones each time.

    Attributes:
        tensors: the weights by layer.
        changed: the layers that the last step changed.
    """

    tensors: dict[str, torch.Tensor]
    changed: list[str] = field(default_factory=list)
    _turn: Iterator[int] = field(default_factory=count)

    @classmethod
    def make(cls, layers: int, bytes_each: int) -> Network:
        torch.manual_seed(1)
        return cls({f"layer{number:03}": torch.randn(bytes_each // 4) for number in range(layers)})

    def step(self, layers: int = 2) -> None:
        names = list(self.tensors)
        self.changed = [names[next(self._turn) % len(names)] for _ in range(layers)]
        for name in self.changed:
            self.tensors[name].add_(1e-3)

    def tensors_by_layer(self) -> dict[str, dict[str, torch.Tensor]]:
        return {path: {"weight": tensor} for path, tensor in self.tensors.items()}

    def states(self) -> dict[str, LayerState]:
        return {path: LayerState(KIND, to_raw({"weight": tensor}), {}) for path, tensor in self.tensors.items()}


@dataclass
class Turns:
    """Calls ``change`` once a round, before the first variant of it begins: all of a round do the same work."""

    change: Callable[[], object]
    _begun: Counter[str] = field(default_factory=Counter)
    _round: int = 0

    def begin(self, variant: str) -> None:
        """Say that a variant begins, uncounted."""
        self._begun[variant] += 1
        if self._begun[variant] > self._round:
            self._round += 1
            self.change()


@contextmanager
def folder() -> Iterator[Path]:
    """Give a new folder on the disk that holds this file: memory would not wait for an fsync."""
    path = Path(tempfile.mkdtemp(prefix=".bench-", dir=Path(__file__).parent))
    # Whoever stages the whole checkout meanwhile does not stage this.
    (path / ".gitignore").write_text("*\n", encoding="utf-8")
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def repository() -> Iterator[Repository]:
    """Give a new repository in a folder of its own."""
    with folder() as path, Repository(path / "r") as repo:
        yield repo


def commit(repo: Repository, states: Mapping[str, LayerState | LayerEntry]) -> Entry:
    """Keep the network as a new version, durably; every byte of it is read but of layers given by their entry."""

    def make(number: int, parent: int | None) -> Manifest:
        return Manifest(MODEL, number, {"layers": []}, {}, parent=parent, created=now(), actor=MODEL)

    return repo.commit(make, states, {})


def save(path: Path, network: Network) -> None:
    """Save the whole network with safetensors, durably."""
    save_file(network.tensors, path)
    sync(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def used(path: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def clock(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def show(title: str, runs: Mapping[str, Sequence[Sample]]) -> None:
    """Print a table and the ratios of wall time."""
    base = next(iter(runs))
    print(f"## {title}\n\n{table(runs, base=base)}\n")
    shares = ", ".join(f"{name} {_wall(samples) / _wall(runs[base]):.3f}" for name, samples in runs.items())
    print(f"wall, least, times the first: {shares}\n")


def against(runs: Mapping[str, Sequence[Sample]], name: str, base: str, limit: float) -> None:
    """Print what one variant is of another, in CPU (the median of the rounds) and wall time (least), and the limit."""
    cpu = statistics.median(one.cpu / two.cpu for one, two in zip(runs[name], runs[base], strict=True))
    wall = _wall(runs[name]) / _wall(runs[base])
    said = [f"{share:.4f} of its {what} ({held(share, limit)})" for what, share in (("CPU", cpu), ("wall", wall))]
    print(f"{name} beside {base}: {', '.join(said)}; at most {limit:g}\n")


def held(found: float, limit: float) -> str:
    """Say whether a limit was held."""
    return "held" if found <= limit else "NOT held"


def _wall(samples: Sequence[Sample]) -> float:
    return min(sample.wall for sample in samples)
