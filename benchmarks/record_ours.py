"""``lw.train`` as users call it, recording nothing, what it records by itself, or all of it, in a fresh repository."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import layerwise as lw
from benchmarks.record_work import (
    BATCH,
    CHANNELS,
    CLASSES,
    LR,
    NETS,
    SEED,
    STEPS,
    UNITS,
    Array,
    Mark,
    Net,
    Outcome,
    Prepare,
    Train,
    serve,
    trained,
)
from layerwise.engine.events import EpochEnded, Event

RECORDS: Mapping[str, Any] = {
    "off": "off",
    "default": "sample:256",
    "all": {"keep": "all", "dtype": "float16", "cap": None},
}
"""What is recorded, by trainer."""


def model(net: Net) -> lw.Model:
    """Return the model of a network, from the raw row to the label."""
    answer = lw.Layer("label", lw.Classes(target="label"))
    row = lw.Layer("row", lw.Column("row", shape=net.shape))
    if net is NETS["transformer"]:
        torch.manual_seed(SEED)
        example = torch.zeros((2, STEPS), dtype=torch.int64)
        return lw.wrap(net.make(), example, name="bench", before=[row], answer=answer)
    return lw.Model("bench", [row, *(dense() if net is NETS["mlp"] else convolutions()), answer])


def dense() -> list[lw.Layer]:
    """Return the sixteen layers of the MLP."""
    layers = [lw.Layer(f"dense{at}", nn.Linear, out_features=UNITS, activation="relu") for at in range(15)]
    return [*layers, lw.Layer("scores", nn.Linear, out_features=CLASSES)]


def convolutions() -> list[lw.Layer]:
    """Return the layers of the convolutional network."""
    layers = []
    for at, (_, leaving) in enumerate(pairwise((1, *CHANNELS))):
        options: dict[str, Any] = {"out_channels": leaving, "kernel_size": 3, "padding": 1, "activation": "relu"}
        layers.append(lw.Layer(f"conv{at}", nn.Conv2d, **options))
        if at in (1, 3):
            layers.append(lw.Layer(f"pool{at}", nn.MaxPool2d, kernel_size=2))
    last = lw.Layer("pool", nn.AdaptiveAvgPool2d, output_size=1)
    return [*layers, last, lw.Layer("flat", nn.Flatten), lw.Layer("scores", nn.Linear, out_features=CLASSES)]


def trainer(record: Any) -> Prepare:
    """Return the trainer that records so."""

    @contextmanager
    def prepare(net: Net, values: Array, labels: Array, folder: Path) -> Iterator[Train]:
        count = trained(len(values))
        part = np.where(np.arange(len(values)) < count, "train", "validation")
        with lw.Repository(folder / ".layerwise") as repo:
            data = repo.add_dataset("bench-data", {"row": values, "label": labels, "part": part}).dataset
            yield functools.partial(train, model(net), data, repo, record)

    return prepare


def train(described: lw.Model, data: lw.Dataset, repo: lw.Repository, record: Any, epochs: int, mark: Mark) -> Outcome:
    """Train and keep a version."""

    def observe(event: Event) -> None:
        if isinstance(event, EpochEnded):
            mark()

    run = lw.train(
        described, data, repo=repo, observers=[observe], epochs=epochs, batch=BATCH, lr=LR, seed=SEED, device="cpu",
        threads=1, split={"by": "column", "column": "part"}, record=record,
    )  # fmt: skip
    kept = [file.stat().st_size for file in (repo.path / "records").rglob("*.live")]
    return Outcome(lambda: run.version.module().state_dict().values(), sum(kept), len(kept))


if __name__ == "__main__":
    serve({name: trainer(record) for name, record in RECORDS.items()}, ("layerwise",))
