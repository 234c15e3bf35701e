"""Training time: ``lw.train`` beside a loop written by hand, skorch and Keras, on digits and on X-rays.

``python -m benchmarks.training --xrays pneumoniamnist.npz``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.measure import Sample, interleave, surroundings, table
from benchmarks.peers import peers_python
from benchmarks.trainers.work import PARTS, Array, Settings, Work
from layerwise.engine.learner import derived

ROOT = Path(__file__).parents[1]
BASE, AGAIN, OURS = "by hand", "by hand again (A/A)", "layerwise"
TRAINERS = {BASE: "by_hand", OURS: "ours", AGAIN: "by_hand", "skorch": "with_skorch", "Keras 3 (torch)": "with_keras"}
PEERS = ("with_skorch", "with_keras")
LIMIT = 1.05

Round = Mapping[str, Any]


def digits(*, threads: int, epochs: int, quick: bool) -> Work:
    """Return the training of scikit-learn's digits, 8 out of 10 rows to train on."""
    images, labels = load_digits(return_X_y=True)
    count = 300 if quick else len(labels)
    images, labels = images[:count], labels[:count]
    parts = np.split(np.random.default_rng(0).permutation(count), [count * 8 // 10, count * 9 // 10])
    said = Settings("digits", 10, 16.0, 64, 2e-3, 7, threads, draws(7, epochs))
    return Work(said, images.reshape(-1, 8, 8).astype(np.uint8), labels.astype(np.int64), _sorted(parts))


def xrays(path: Path, *, threads: int, epochs: int) -> Work:
    """Return the training of PneumoniaMNIST's X-rays with its official parts."""
    with np.load(path) as rows:
        images = [rows[f"{part}_images"] for part in ("train", "val", "test")]
        labels = np.concatenate([rows[f"{part}_labels"] for part in ("train", "val", "test")])
    stops = np.cumsum([len(part) for part in images])
    parts = np.split(np.arange(stops[-1]), stops[:-1])
    said = Settings("xrays", 2, 255.0, 64, 1e-3, 7, threads, draws(7, epochs))
    return Work(said, np.concatenate(images), labels.reshape(-1).astype(np.int64), _sorted(parts))


def draws(seed: int, epochs: int) -> dict[str, list[int]]:
    """Return the seeds from which a run of ours draws, so that a loop by hand draws the same."""
    each = {what: [derived(seed, what, epoch) for epoch in range(1, epochs + 1)] for what in ("epoch", "order", "draw")}
    return {"weights": [derived(seed, "weights")], **each}


def _sorted(parts: Sequence[Array]) -> dict[str, Array]:
    return {name: np.sort(rows).astype(np.int64) for name, rows in zip(PARTS, parts, strict=True)}


class Worker:
    """A trainer in a process of its own, which stays there between the rounds."""

    def __init__(self, module: str, folder: Path, threads: int) -> None:
        python = peers_python() if module in PEERS else sys.executable
        environment = {
            **os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "PASSIVE", "KERAS_HOME": str(folder),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [python, "-m", f"benchmarks.trainers.{module}", folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def answer(self) -> dict[str, Any]:
        """Return the next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a trainer ended with exit code {self.process.wait()}; its message stands above")
        found: dict[str, Any] = json.loads(line)
        return found

    def round(self, epochs: int) -> dict[str, Any]:
        """Return what one training gave and cost."""
        assert self.process.stdin is not None
        print(epochs, file=self.process.stdin, flush=True)
        return self.answer()

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def started(work: Work, names: Sequence[str]) -> Iterator[dict[str, Worker]]:
    """Give the workers by name, all of them at work on nothing yet."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, ExitStack() as stack:
        work.save(Path(folder))
        workers = {}
        for name in names:
            workers[name] = Worker(TRAINERS[name], Path(folder), work.settings.threads)
            stack.callback(workers[name].end)
        yield workers


def compare(work: Work, names: Sequence[str], *, rounds: int, epochs: int) -> None:
    """Train in turns and print the tables."""
    parts = ", ".join(f"{len(rows):,} {part}" for part, rows in work.parts.items())
    print(f"\n## {work.settings.name}: {parts}; {epochs} epochs, batch {work.settings.batch}, {rounds} rounds\n")
    with started(work, names) as workers:
        versions: dict[str, str] = {}
        for worker in workers.values():
            versions |= worker.answer()
        print(surroundings(work.settings.threads, versions))
        trainings = {name: partial(worker.round, epochs) for name, worker in workers.items()}
        first = interleave(trainings, 1, warm=False)
        runs = interleave(trainings, rounds, warm=False)
    for title, found, part in (
        ("The whole call", runs, "whole"),
        ("An epoch, the first left out", runs, "epoch"),
        ("The first call in a process, once: what torch and we load late is in it", first, "whole"),
    ):
        print(f"\n{title}:\n\n{table(costs(found, part), base=BASE)}")
    print(f"\nWhat came out:\n\n{outcomes(runs)}")


def costs(runs: Mapping[str, Sequence[Round]], part: str) -> dict[str, list[Sample]]:
    """Return the costs of a part of the rounds: the ``whole`` call, or an ``epoch``."""
    return {name: [Sample(**one[part]) for one in found] for name, found in runs.items()}


def outcomes(runs: Mapping[str, Sequence[Round]]) -> str:
    """Return a table of what was learned; it is the same in every round of a variant unless the table says so."""
    lines = ["| variant | test accuracy | validation loss | weights |", "| --- | ---: | ---: | --- |"]
    for name, found in runs.items():
        accuracy, loss = (float(np.median([one[key] for one in found])) for key in ("accuracy", "loss"))
        weights = sorted({one["weights"] for one in found})
        said = weights[0] if len(weights) == 1 else f"{len(weights)} different in {len(found)} rounds"
        lines.append(f"| {name} | {accuracy:.4f} | {loss:.4f} | {said} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12, help="how often each variant trains (12)")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of a training on the digits (20)")
    parser.add_argument("--xrays", type=Path, metavar="NPZ", help="PneumoniaMNIST, 28 by 28; left out if not there")
    parser.add_argument("--xrays-epochs", type=int, default=4, help="epochs of a training on the X-rays (4)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (1: ratios of overhead need it)")
    parser.add_argument("--only", choices=("digits", "xrays"), help="one of the two")
    parser.add_argument("--no-peers", action="store_true", help="without skorch and Keras")
    parser.add_argument("--quick", action="store_true", help="a smoke run: few rows, one round, no peers, no A/A")
    said = parser.parse_args(arguments)
    peers = [] if said.no_peers or said.quick else [name for name, module in TRAINERS.items() if module in PEERS]
    names = [BASE, OURS, *([] if said.quick else [AGAIN]), *peers]
    rounds, epochs = (1, 2) if said.quick else (said.rounds, said.epochs)
    print(f"# Training: the limit is {LIMIT} times the loop by hand")
    if said.only != "xrays":
        work = digits(threads=said.threads, epochs=epochs, quick=said.quick)
        compare(work, names, rounds=rounds, epochs=epochs)
    if said.only == "digits":
        return
    if said.xrays is not None and said.xrays.is_file():
        epochs = 2 if said.quick else said.xrays_epochs
        compare(xrays(said.xrays, threads=said.threads, epochs=epochs), names, rounds=rounds, epochs=epochs)
    else:
        print("\nX-rays left out: give the path of pneumoniamnist.npz as --xrays.")


if __name__ == "__main__":
    main()
