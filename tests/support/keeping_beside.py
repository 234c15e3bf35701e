"""A process that keeps records beside others: ``python -m tests.support.keeping_beside WHAT FOLDER SEED TIMES``.

What a record says follows from its layer, its row and a seed, so that whoever reads it knows what must stand there.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import numpy as np

from layerwise.errors import Conflict
from layerwise.records.recordset import About
from layerwise.repo import Repository
from layerwise.store.tensors import RawTensor

ROWS = 300
LAYERS = ("edges", "shapes", "scores")
ADDRESS = "digits@1"


def rows_of(layer: str, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return what left a layer, [rows, 40]: its last layer differs from seed to seed, the others are the same."""
    draw = np.random.default_rng([LAYERS.index(layer), seed if layer == LAYERS[-1] else 0])
    found = draw.normal(0, 1, (ROWS, 40)).astype(np.float32)
    found[:, 0] = np.arange(ROWS)
    return found


def keep(repo: Repository, seed: int, *, age: timedelta | None = None) -> None:
    """Keep all layers of the version, in pieces of uneven size; the seed stands in the set's run."""
    entry = repo.find(ADDRESS)
    about = About(entry.name, entry.number, entry.digest, None, "look", f"seed-{seed}")
    with repo.recording(about, rows=ROWS, age=age) as writer:
        for start in range(0, ROWS, 70):
            for layer in LAYERS:
                part = rows_of(layer, seed)[start : start + 70]
                writer.add(layer, {"values": RawTensor("F32", part.shape, part.tobytes())})


def collect(repo: Repository) -> str:
    """Collect once, all that can be, and say what became of it."""
    try:
        return f"freed {repo.gc(yes=True, dead_share=0.0).freed}"
    except Conflict:
        return "busy"


def main(what: str, folder: str, seed: int, times: int) -> None:
    """Keep or collect so many times; a line is printed when each is acknowledged."""
    with Repository(folder) as repo:
        for at in range(times):
            if what == "keep":
                keep(repo, seed + at)
                print(seed + at, flush=True)
            elif what == "forget":
                # Of what was kept before now only: all is forgotten that another process has kept meanwhile.
                print(repo.forget_records(repo.find(ADDRESS).digest, over=600_000).sets, flush=True)
            else:
                print(collect(repo), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
