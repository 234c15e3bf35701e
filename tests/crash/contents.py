"""What the children keep, made from a seed: whoever knows the seed knows every byte that must come back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import pyarrow as pa

from layerwise.repo import LayerState, Repository, now
from layerwise.store.rows import Entry
from layerwise.store.tensors import RawTensor, frame
from layerwise.versions.manifest import Manifest

NET = "net"
"""The model that all children commit to, trained or not."""

FLOWERS = "flowers"
"""The dataset that the trainings read."""

ROWS = "rows"
"""The dataset that children add rows to."""

SHARED = 4
"""How many variations of a layer are the same in many versions."""

SIZES = (3_000_000, 500, 4_000, 30_000, 100_000)
"""Bytes of a layer, by its family; the first is large so that kills find some of it half written."""

_FEW = bytes(value & 15 for value in range(256))

MODEL = f"""\
model: {NET}
data: {FLOWERS}
layers:
  a:      {{kind: column, column: a}}
  b:      {{kind: column, column: b}}
  both:   {{kind: join, inputs: [a, b]}}
  even:   {{kind: standardize}}
  scores: {{kind: torch.nn.Linear, out_features: 2}}
  kind:   {{kind: classes, target: kind}}
train: {{epochs: 5, batch: 16, lr: 0.05, threads: 1, checkpoint: 0.0}}
"""
"""A checkpoint after every epoch, so that a killed run goes on."""


def layers(seed: int) -> dict[str, bytes]:
    """Return what a version keeps of its layers, by path: some the same in many versions, all like those of others."""
    return {f"layer{family}": weights for family, weights in families(seed).items()}


def families(seed: int) -> dict[int, bytes]:
    """Return the same by the family of each layer."""
    draw = Random(seed)
    drawn = sorted(draw.sample(range(1, len(SIZES)), draw.randint(1, len(SIZES) - 1)))
    if draw.random() < 0.1:
        drawn.append(0)
    return {family: _weights(family, draw) for family in drawn}


def _weights(family: int, draw: Random) -> bytes:
    variant = draw.randrange(SHARED) if draw.random() < 0.4 else draw.getrandbits(60)
    return variation(family, variant)


def variation(family: int, variant: int) -> bytes:
    """Return a layer's weights: those of its family, a few of them changed as ``variant`` says."""
    # Few values, so that a collector can code them tighter, alone and against each other.
    weights = bytearray(Random(family).randbytes(SIZES[family]).translate(_FEW))
    change = Random(variant)
    for _ in range(min(400, len(weights) // 50)):
        weights[change.randrange(len(weights))] = change.randrange(256)
    return bytes(weights)


def framed(weights: bytes) -> bytes:
    """Return the object that holds a layer's weights."""
    return b"".join(frame(_tensors(weights)))


def _tensors(weights: bytes) -> dict[str, RawTensor]:
    return {"weight": RawTensor("U8", (len(weights),), weights)}


def code(seed: int) -> bytes:
    """Return the source that a version's layers are said to run."""
    return f"def forward(x):\n    return x * {seed % 100}\n".encode()


def seeds(seed: int) -> Iterator[int]:
    """Give the seeds of the versions that a child commits whose own seed this is."""
    draw = Random(seed)
    while True:
        yield draw.getrandbits(40)


def manifest(seed: int, number: int, parent: int | None) -> Manifest:
    """Return the manifest of the version that ``seed`` stands for, its layers yet to be filled in."""
    return Manifest(
        model=NET, number=number, parent=parent, branch="side" if seed % 5 == 0 else "main", graph={"layers": []},
        layers={}, created=now(), actor="child", message=str(seed),
    )  # fmt: skip


def commit(repo: Repository, seed: int) -> Entry:
    """Commit the version that ``seed`` stands for; its message is the seed."""
    source = {"forward": code(seed).decode()}
    states = {path: LayerState("test.v1", _tensors(weights), source) for path, weights in layers(seed).items()}
    return repo.commit(partial(manifest, seed), states, {"environment": b'{"made by":"a child"}'})


def rows(seed: int) -> pa.Table:
    """Return the rows that a version of the dataset ``rows`` has; its message is the seed."""
    draw = Random(seed)
    count = draw.randint(20, 400)
    text = [draw.randbytes(draw.randint(1, 40)).hex() for _ in range(count)]
    return pa.table({"id": range(count), "x": [draw.random() for _ in range(count)], "text": text})


def flowers() -> pa.Table:
    """Return a table of two kinds of flowers that two numbers tell apart."""
    draw = Random(0)
    kinds = [number % 2 for number in range(48)]
    return pa.table({
        "a": [draw.gauss(2 * kind, 1) for kind in kinds],
        "b": [draw.gauss(-kind, 1) for kind in kinds],
        "kind": ["rose" if kind else "tulip" for kind in kinds],
    })  # fmt: skip
