"""What recording costs while a model trains: ours, plain hooks, nnsight and TorchLens, each beside itself without."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Sample, interleave, table
from benchmarks.peers import peers_python
from benchmarks.record_work import BATCH, NETS, Net, said, trained
from benchmarks.store_work import folder, held

ROOT = Path(__file__).parents[1]
OFF, AGAIN, DEFAULT, ALL = (
    "layerwise, nothing recorded", "layerwise, nothing recorded, again (A/A)", "layerwise, as it comes",
    "layerwise, every layer, float16",
)  # fmt: skip
ALONE, ALONE_AGAIN = "by hand, nothing kept", "by hand, nothing kept, again (A/A)"
OURS = {OFF: "off", ALL: "all", DEFAULT: "default", AGAIN: "off"}
PEERS = {
    ALONE: "alone", "plain hooks": "hooks", "nnsight": "nnsight", "TorchLens": "torchlens", ALONE_AGAIN: "alone",
}  # fmt: skip
AS_IT_COMES = 1.01
PARTS = {"whole": "The whole call", "epoch": "An epoch, the first left out"}

Round = Mapping[str, Any]


class Worker:
    """A trainer in a process of its own, which stays there between the rounds."""

    def __init__(self, module: str, trainer: str, net: str, where: Path, *, quick: bool) -> None:
        python = peers_python("record") if module == "record_by_hand" and not quick else Path(sys.executable)
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(where), "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [python, "-m", f"benchmarks.{module}", trainer, net, where, "quick" if quick else "full"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def answer(self) -> Round:
        """Return the next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a trainer ended with exit code {self.process.wait()}; its message stands above")
        return said(line)

    def round(self, epochs: int) -> Round:
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
def started(net: str, trainers: Mapping[str, tuple[str, str]], *, quick: bool) -> Iterator[dict[str, Worker]]:
    """Give the workers by name, each with its module and trainer, all of them at work on nothing yet."""
    with folder() as where, ExitStack() as stack:
        workers = {}
        for name, (module, trainer) in trainers.items():
            workers[name] = Worker(module, trainer, net, where, quick=quick)
            stack.callback(workers[name].end)
        yield workers


def show(names: Sequence[str], *, rounds: int, peers: bool, quick: bool) -> None:
    """Print the tables of the networks."""
    ours = {name: ("record_ours", trainer) for name, trainer in OURS.items()}
    theirs = {name: ("record_by_hand", trainer) for name, trainer in PEERS.items()} if peers else {}
    if quick:
        ours = {name: ours[name] for name in (OFF, ALL)}
        theirs = {name: ("record_by_hand", PEERS[name]) for name in (ALONE, "plain hooks")}
    for which in names:
        net = NETS[which]
        rows = trained(2 * BATCH * 11 // 10) if quick else net.rows
        print(f"## {net.title}: {rows:,} rows, batch {BATCH}\n")
        report(net, runs_of(which, ours, rounds, net.epochs if not quick else 2, quick=quick))
        if theirs:
            runs = runs_of(which, theirs, max(1, rounds // 2), 3 if not quick else 2, quick=quick)
            tables(runs, ALONE)
            print(f"{outcomes(runs)}\n")


def runs_of(
    net: str, trainers: Mapping[str, tuple[str, str]], rounds: int, epochs: int, *, quick: bool
) -> dict[str, list[Round]]:
    """Return what the trainers gave and cost, in turns; what they are is printed."""
    with started(net, trainers, quick=quick) as workers:
        versions: dict[str, str] = {}
        for worker in workers.values():
            versions |= worker.answer()
        said = ", ".join(f"{name} {number}" for name, number in versions.items())
        print(f"{epochs} epochs, {rounds} rounds; {said}; load {os.getloadavg()[0]:.1f}\n")
        return interleave(
            {name: partial(worker.round, epochs) for name, worker in workers.items()}, rounds, warm=not quick
        )


def report(net: Net, runs: Mapping[str, Sequence[Round]]) -> None:
    """Print what ours cost, and the limits."""
    tables(runs, OFF)
    for name, limit in ((ALL, net.limit), (DEFAULT, AS_IT_COMES)):
        if name in runs:
            shares = [median_ratio(runs, name, part) for part in PARTS]
            control = [median_ratio(runs, AGAIN, part) for part in PARTS] if AGAIN in runs else []
            print(f"{name}: {shares[0]:.3f} of the whole call, {shares[1]:.3f} of an epoch (control "
                  f"{', '.join(f'{share:.3f}' for share in control) or 'none'}); at most {limit}: "
                  f"{held(shares[0], limit)}, {held(shares[1], limit)}\n")  # fmt: skip
    print(f"{outcomes(runs)}\n")


def tables(runs: Mapping[str, Sequence[Round]], base: str) -> None:
    """Print the tables of the whole call and of an epoch."""
    for part, title in PARTS.items():
        found = {name: [Sample(**one[part]) for one in each] for name, each in runs.items()}
        print(f"{title}:\n\n{table(found, base=base)}\n")


def median_ratio(runs: Mapping[str, Sequence[Round]], name: str, part: str) -> float:
    """Return the median over the rounds of what a variant's CPU time is of that without recording."""
    pairs = zip(runs[name], runs[OFF], strict=True)
    found: list[float] = [one[part]["cpu"] / two[part]["cpu"] for one, two in pairs]
    return statistics.median(found)


def outcomes(runs: Mapping[str, Sequence[Round]]) -> str:
    """Return a table of what was kept, and of the weights: where those differ, looking changed them."""
    lines = ["| variant | kept | files | weights |", "| --- | ---: | ---: | --- |"]
    for name, found in runs.items():
        weights = sorted({one["weights"] for one in found})
        same = weights[0] if len(weights) == 1 else f"{len(weights)} different in {len(found)} rounds"
        lines.append(f"| {name} | {found[0]['bytes'] / 1e6:,.1f} MB | {found[0]['layers']} | {same} |")
    return "\n".join(lines)
