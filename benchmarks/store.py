"""What keeping a version costs, beside safetensors: commit, load, compare, small layers, the catalog.

``python -m benchmarks.store``: a model of 50 layers of 8 MiB; two layers change between commits. Peers run in the same
process, interleaved; "durable" is an fsync of the file and its folder on both sides.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmarks.measure import Sample, interleave, surroundings, table, timed, versions
from layerwise.canonical import encode
from layerwise.engine.journal import Journal
from layerwise.engine.tensors import from_raw, to_raw
from layerwise.repo import LayerState, Repository, now
from layerwise.store import catalog_tables
from layerwise.store.catalog import Entry
from layerwise.store.catalog_rows import insert
from layerwise.store.rows import RunFilter
from layerwise.versions.changes import changed_layers
from layerwise.versions.manifest import LayerEntry, Manifest
from layerwise.words import Digest

LAYERS, MEBIBYTES = 50, 8
KIND = "torch.nn.Linear.v1"


@dataclass
class Network:
    """Layers of random weights; ``step`` changes two of them in place, every byte."""

    tensors: dict[str, torch.Tensor]
    turn: Iterator[int] = field(default_factory=count)

    @classmethod
    def make(cls, layers: int, bytes_each: int) -> Network:
        torch.manual_seed(1)
        return cls({f"layer{number:03}": torch.randn(bytes_each // 4) for number in range(layers)})

    def step(self, layers: int = 2) -> None:
        names = list(self.tensors)
        for _ in range(layers):
            self.tensors[names[next(self.turn) % len(names)]].add_(1e-3)

    def states(self) -> dict[str, LayerState]:
        return {path: LayerState(KIND, to_raw({"weight": tensor}), {}) for path, tensor in self.tensors.items()}


@contextmanager
def repository() -> Iterator[Repository]:
    """Give a new repository on the disk that holds this file: memory would not wait for an fsync."""
    folder = Path(tempfile.mkdtemp(prefix=".bench-", dir=Path(__file__).parent))
    try:
        with Repository(folder / "r") as repo:
            yield repo
    finally:
        shutil.rmtree(folder)


def commit(repo: Repository, network: Network) -> Entry:
    """Keep the network as a new version, durably; every byte of it is read."""

    def make(number: int, parent: int | None) -> Manifest:
        return Manifest("bench", number, {"layers": []}, {}, parent=parent, created=now(), actor="bench")

    return repo.commit(make, network.states(), {})


def save(path: Path, network: Network) -> None:
    """Save the whole network with safetensors, durably."""
    save_file(network.tensors, path)
    for opened in (path, path.parent):
        descriptor = os.open(opened, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def commits(rounds: int) -> None:
    """Print what a commit costs of which two layers changed."""
    network = Network.make(LAYERS, MEBIBYTES << 20)
    with repository() as repo:
        file = repo.path.parent / "whole.safetensors"
        commit(repo, network)
        written: list[int] = []

        def ours() -> Sample:
            network.step()
            before = used(repo.path / "packs")
            sample = timed(lambda: commit(repo, network))[1]
            written.append(used(repo.path / "packs") - before)
            return sample

        def theirs() -> Sample:
            file.unlink(missing_ok=True)
            return timed(lambda: save(file, network))[1]

        show(
            "Commit: 2 of 50 layers of 8 MiB changed, every byte read, durable (at most 0.10 of the whole)",
            interleave(
                {"safetensors, the whole + fsync": theirs, "layerwise": ours, "the whole again (A/A)": theirs}, rounds
            ),
        )
        changed = 2 * MEBIBYTES << 20
        print(f"new bytes on disk: {statistics.median(written):,.0f}, {statistics.median(written) / changed:.5f} "
              f"of the {changed:,} that changed (at most 1.001)\n")  # fmt: skip
        loads(repo, file, network, rounds)


def loads(repo: Repository, file: Path, network: Network, rounds: int) -> None:
    """Print what a load costs: every page touched, in a repository opened anew each time."""
    save(file, network)
    number = commit(repo, network).number

    def touch(tensors: Mapping[str, torch.Tensor]) -> float:
        return sum(float(tensor[::1024].sum()) for tensor in tensors.values())

    def ours(wanted: int) -> Sample:
        with Repository(repo.path) as opened:
            opened.models()

            def load() -> float:
                manifest = opened.manifest(opened.find(f"bench@{number}"))
                states = {path: entry.state for path, entry in list(manifest.layers.items())[:wanted] if entry.state}
                raw = opened.layer_states(states)
                return touch({path: from_raw(tensors)["weight"] for path, tensors in raw.items()})

            return timed(load)[1]

    whole = lambda: timed(lambda: touch(load_file(file)))[1]  # noqa: E731

    def one() -> Sample:
        def load() -> float:
            with safe_open(file, "pt") as opened:
                return touch({"one": opened.get_tensor("layer000")})

        return timed(load)[1]

    runs = {
        "safetensors, all 50": whole, "layerwise, all 50, compared with their digests": lambda: ours(LAYERS),
        "layerwise, one layer": lambda: ours(1), "safetensors, one tensor": one, "safetensors again (A/A)": whole,
    }  # fmt: skip
    show("Load, every page touched (all: at most 1.1 of safetensors; one of 50: at most 0.03 of loading all)",
         interleave(runs, rounds))  # fmt: skip


def small(rounds: int) -> None:
    """Print what a commit of 100 layers of 16 KB costs, and how often it waits for the disk."""
    network = Network.make(100, 16_000)
    with repository() as repo:
        commit(repo, network)

        def ours() -> Sample:
            network.step(100)
            return timed(lambda: commit(repo, network))[1]

        file = repo.path.parent / "whole.safetensors"

        def theirs() -> Sample:
            file.unlink(missing_ok=True)
            return timed(lambda: save(file, network))[1]

        show(
            "Commit of 100 layers of 16 KB, all changed",
            interleave({"safetensors + fsync": theirs, "layerwise": ours}, rounds),
        )


def differences() -> None:
    """Print how long it takes to tell which layers differ."""
    print("## Which layers differ between two versions\n")
    for layers, limit in ((50, 50e-6), (10_000, 1e-3)):
        one = {f"block{number // 10}.layer{number}": LayerEntry(KIND, digest(number)) for number in range(layers)}
        two = {
            **one,
            "block0.layer1": LayerEntry(KIND, digest(10**6)),
            "block1.layer17": LayerEntry(KIND, digest(10**7)),
        }
        old, new = Manifest("m", 1, {}, one), Manifest("m", 2, {}, two)
        assert changed_layers(old, new) == ["block0.layer1", "block1.layer17"]
        took = sorted(clock(lambda old=old, new=new: changed_layers(old, new)) for _ in range(500))
        print(f"- {layers:,} layers: median {took[250] * 1e6:,.0f} µs (at most {limit * 1e6:,.0f})")
    print()


def digest(number: int) -> Digest:
    return Digest(f"{number:064x}")


def catalog(runs: int, keys: int) -> None:
    """Print what the catalog takes for many runs and many metrics."""
    with repository() as repo:
        fill_catalog(repo, runs, keys)
        took = {
            f"the newest 100 of {runs:,} runs, and their count": lambda: repo.find_runs(RunFilter()),
            "those of one model that failed": lambda: repo.find_runs(RunFilter("model7", "failed")),
            "those that failed, since a day": lambda: repo.find_runs(RunFilter(status="failed", since="2026-01-20")),
            "those of somebody, the page after 50,000": lambda: repo.find_runs(RunFilter(actor="m", offset=50_000)),
            f"a page of 1,000 of a run's {keys:,} metrics": lambda: repo.metric_keys("r0", after="layer3"),
            "its metrics that begin so": lambda: repo.metric_keys("r0", prefix="layer49"),
        }
        print("## The catalog (runs: at most 200 ms; a page of metrics: at most 1 s)\n")
        for what, question in took.items():
            times = sorted(clock(question) for _ in range(11))
            print(f"- {what}: median {times[5] * 1e3:,.1f} ms")
        logging(repo)


def logging(repo: Repository) -> None:
    """Print what noting a metric costs the training thread, while another writes them down."""
    took = []
    with Journal(lambda steps: repo.log_metrics("r1", steps), pause=0.05) as journal:
        for step in range(1, 20_001):
            values = {"train/loss": 1.0 / step, "validation/accuracy": 0.5}
            took.append(clock(lambda step=step, values=values: journal.note(step, values)))
            if step % 50 == 0:
                time.sleep(0.005)
    took.sort()
    print(f"- noting a metric on the training thread: median {took[10_000] * 1e6:.1f} µs, "
          f"p99 {took[19_800] * 1e6:.1f} (at most 50), most {took[-1] * 1e6:,.0f}\n")  # fmt: skip


def fill_catalog(repo: Repository, runs: int, keys: int) -> None:
    rows = []
    for number in range(runs):
        made = f"2026-01-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00+00:00"
        rows.append({
            "id": f"r{number}", "model": f"model{number % 50}", "status": ("done", "failed", "stopped")[number % 3],
            "version": None, "created": made, "finished": made, "actor": "m",
            "config": encode({"training": {"lr": 1e-3 * number, "epochs": 10}}).decode(),
        })  # fmt: skip
    repo.models()
    with repo.store.catalog._ledger._database.writing() as connection:
        insert(connection, catalog_tables.run, rows)
    repo.log_metrics("r0", {1: {f"layer{number}/norm": float(number) for number in range(keys)}})


def clock(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def used(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def show(title: str, runs: Mapping[str, Sequence[Sample]]) -> None:
    """Print a table and the ratios of CPU and of wall time."""
    base = next(iter(runs))
    print(f"## {title}\n\n{table(runs, base=base)}\n")
    least = {name: min(sample.wall for sample in samples) for name, samples in runs.items()}
    print(
        "wall, least, times the first:",
        ", ".join(f"{name} {wall / least[base]:.3f}" for name, wall in least.items()),
        "\n",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--only", choices=("commit", "small", "differ", "catalog"), default=None)
    said = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print("# The store\n")
    print(surroundings(1, versions("layerwise", "torch", "safetensors", "blake3", "xxhash", "sqlalchemy")), "\n")
    parts = {
        "commit": lambda: commits(said.rounds), "small": lambda: small(said.rounds), "differ": differences,
        "catalog": lambda: catalog(100_000, 50_000),
    }  # fmt: skip
    for name, part in parts.items():
        if said.only in (None, name):
            part()


if __name__ == "__main__":
    main()
