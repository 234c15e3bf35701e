"""A small repository with a bit of everything, made without torch: versions, datasets, aliases, runs, metrics."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from layerwise.repo import LayerState, Repository, now
from layerwise.store.tensors import RawTensor
from layerwise.versions.manifest import Manifest

LAYERS = ("edges", "shapes", "scores")


def manifest(number: int, parent: int | None, *, model: str = "digits", run: str = "", message: str = "") -> Manifest:
    """Return a manifest with a graph of ``LAYERS``."""
    graph = {"layers": [{"name": name} for name in LAYERS]}
    return Manifest(
        model=model, number=number, parent=parent, graph=graph, layers={}, run=run, outcome="done", epoch=1,
        created=now(), actor="maria", message=message,
    )  # fmt: skip


def state(seed: int, size: int = 4_000) -> LayerState:
    """Return a layer of random weights: the same for the same seed."""
    data = Random(seed).randbytes(size)
    return LayerState("torch.nn.Linear", {"weight": RawTensor("F32", (size // 4,), data)}, {})


def commit(repo: Repository, seed: int, *, model: str = "digits", changed: int = 1, size: int = 4_000) -> str:
    """Commit a version in which the first ``changed`` layers have weights of their own; return its address."""
    layers = {name: state(seed * 10 + at if at < changed else at, size) for at, name in enumerate(LAYERS)}
    run = f"r-{model}-{seed}"
    repo.start_run(run, model, {"seed": seed})
    repo.log_metrics(run, {step: {"train/loss": 1.0 / step, "validation/accuracy": 0.9} for step in range(1, 6)})

    def make(number: int, parent: int | None) -> Manifest:
        return manifest(number, parent, model=model, run=run, message=f"seed {seed}")

    entry = repo.commit(make, layers, {"environment": b'{"torch":"none"}'})
    return f"{entry.name}@{entry.number}"


def fill(path: Path, versions: int = 4) -> None:
    """Make a repository with ``versions`` of a model, two of a dataset and an alias."""
    with Repository(path) as repo:
        rows: dict[str, list[Any]] = {"name": [f"n{number}" for number in range(50)], "age": list(range(50))}
        repo.add_dataset("people", rows, key="name")
        repo.add_dataset("people", {**rows, "age": [age + 1 for age in rows["age"]]}, key="name")
        for seed in range(1, versions + 1):
            commit(repo, seed)
        repo.set_alias("digits@2", "champion")
