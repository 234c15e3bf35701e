"""A writer that commits beside a collector: ``python -m tests.upkeep.beside FOLDER SEED COMMITS`` prints what it did.

Its layers come from a small pool that all writers share, and half of what it puts it names only later, or never: what
one writer leaves as garbage another one comes to rely on.
"""

from __future__ import annotations

import sys
from random import Random

from layerwise.repo import LayerState, Repository
from layerwise.store.tensors import RawTensor, frame
from layerwise.versions.manifest import Manifest

CREATED = "2026-01-31T09:30:00+00:00"


def tensors(number: int) -> dict[str, RawTensor]:
    """Return the layer of that number: a few thousand bytes that are mostly like those of the number before."""
    draw = Random(number // 4)
    data = bytearray(draw.randbytes(4000))
    data[number % 4000] ^= 1
    return {"weight": RawTensor("U8", (len(data),), bytes(data))}


def commit(repo: Repository, message: str, numbers: list[int]) -> str:
    """Commit a version of ``net`` with these layers; return its number and message."""

    def make(number: int, parent: int | None) -> Manifest:
        return Manifest("net", number, {}, {}, parent=parent, created=CREATED, message=message)

    layers = {f"layer{at}": LayerState("Test.v1", tensors(number), {}) for at, number in enumerate(numbers)}
    return f"{repo.commit(make, layers, {}).number} {message}"


def leave(repo: Repository, numbers: list[int]) -> None:
    """Put layers that no version names."""
    with repo.store.objects.writing() as writer:
        for number in numbers:
            writer.put(frame(tensors(number)))


def main(folder: str, seed: int, commits: int) -> None:
    """Commit that often, and leave garbage between."""
    draw = Random(seed)
    with Repository(folder) as repo:
        for at in range(commits):
            pool = range(3 * at, 3 * at + 12)
            leave(repo, draw.sample(pool, 3))
            print(commit(repo, f"{seed}.{at}", draw.sample(pool, 2)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
