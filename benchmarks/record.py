"""What recording costs and what records are good for, beside TorchLens, nnsight, plain hooks and Lance.

``python -m benchmarks.record``: training with everything that leaves a layer kept; one row of a million; ten versions
on the disk; the rows that excite a unit, the nearest rows; layers that were never recorded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks import record_find, record_take, record_train, record_unrecorded
from benchmarks.measure import surroundings, versions
from benchmarks.record_work import NETS


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int
    peers: bool
    quick: bool = False
    rows: int = 1_000_000
    few: int = 100_000
    take_units: int = 16
    units: int = 128
    versions: int = 10
    questions: int = 200
    takes: int = 2000


def quick() -> Sizes:
    """Return the sizes of a smoke run."""
    return Sizes(1, False, True, rows=640, few=640, take_units=4, units=8, versions=2, questions=5, takes=20)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--only", choices=("train", "take", "find", "unrecorded"), default=None)
    parser.add_argument("--net", choices=tuple(NETS), default=None, help="one of the networks that train")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the records (1,000,000)")
    parser.add_argument("--no-peers", action="store_true", help="without TorchLens, nnsight, plain hooks and Lance")
    parser.add_argument("--quick", action="store_true", help="a smoke run: small sizes, one round, no peers")
    said = parser.parse_args(arguments)
    sizes = (
        quick() if said.quick else Sizes(said.rounds, not said.no_peers, rows=said.rows, few=min(100_000, said.rows))
    )
    torch.set_num_threads(1)
    print("# Records\n")
    print(surroundings(1, versions("layerwise", "torch", "numpy", "pyarrow", "blake3", "sqlalchemy")), "\n")
    if said.quick:
        print("A smoke run: the figures mean nothing.\n")
    nets = [said.net] if said.net else ["mlp"] if said.quick else list(NETS)
    for name, part in parts(sizes, nets).items():
        if said.only in (None, name):
            part()


def parts(sizes: Sizes, nets: Sequence[str]) -> dict[str, Callable[[], None]]:
    """Return the parts by name."""
    s = sizes
    return {
        "train": partial(record_train.show, nets, rounds=s.rounds, peers=s.peers, quick=s.quick),
        "take": partial(
            record_take.show, rows=s.rows, units=s.take_units, versions=s.versions, rounds=s.rounds, count=s.takes,
            peers=s.peers,
        ),
        "find": partial(record_find.show, rows=s.rows, few=s.few, units=s.units, rounds=4 * s.rounds),
        "unrecorded": partial(
            record_unrecorded.show, rows=s.few, units=s.units, questions=s.questions, rounds=max(1, s.rounds // 2)
        ),
    }  # fmt: skip


if __name__ == "__main__":
    main()
