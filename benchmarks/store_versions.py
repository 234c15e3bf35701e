"""Fifty versions of one fine-tuned network: what is kept of them, before and after a collection that codes them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save

from benchmarks.cold import RATES
from benchmarks.finetunes import fine_tune
from benchmarks.measure import Sample, interleave, median, ms, table, timed
from benchmarks.store_work import KIND, MODEL, commit, folder, used
from layerwise.engine.tensors import from_raw
from layerwise.repo import LayerState, Repository
from layerwise.store.tensors import unframe

STEPS = 5
LAYER = "2"  # of the MLP: 1,024 by 1,024.

Tensors = dict[str, torch.Tensor]


def show(rates: Sequence[str], count: int, rounds: int) -> None:
    """Print the tables, for fine-tunes of the MLP of `benchmarks.cold`: ``light``, ``heavy``."""
    print(f"## {count} versions of one MLP, {STEPS} steps of Adam between two; gc with nothing too new to be coded\n")
    print("Bytes of the whole repository, its catalog too.\n")
    lines = [
        "| fine-tune | the full files | layerwise | of the files | after gc | of the files | gc: CPU, wall |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    loads = []
    with folder() as path:
        for name in rates:
            hot, cold = path / name / "hot", path / name / "cold"
            files = fill(cold, RATES[name], count)
            shutil.copytree(cold, hot)
            with Repository(cold) as repo:
                took = timed(partial(repo.gc, yes=True, cold_after=timedelta(0)))[1]
            before, after = used(hot), used(cold)
            cells = [name, mb(files), mb(before), f"{before / files:.3f}", mb(after), f"{after / files:.3f}",
                     f"{ms(took.cpu)}, {ms(took.wall)}"]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
            loads.append(f"{name} fine-tune: one layer (4 MiB) of {compare(hot, cold, count, rounds)}")
    print("\n".join(lines), "\n")
    print("\n".join(loads))


def fill(path: Path, rate: float, count: int) -> int:
    """Commit the versions; return the bytes that their files have in all."""
    files = 0
    with Repository(path) as repo:
        for layers in versions(rate, count):
            commit(repo, layers)
            tensors = {name: from_raw(layer.tensors) for name, layer in layers.items()}
            files += len(save({f"{name}.{key}": one for name, own in tensors.items() for key, one in own.items()}))
    return files


def versions(rate: float, count: int) -> Iterator[dict[str, LayerState]]:
    """Give the layers of each version."""
    for states in fine_tune("MLP", rate=rate, steps=STEPS, versions=count):
        yield {name: LayerState(KIND, unframe(state, name), {}) for name, state in states.items()}


def compare(hot: Path, cold: Path, count: int, rounds: int) -> str:
    """Return what it costs to load one layer as it was committed, and as the collection left it."""
    version = count // 2
    one, two = (load(path, version)[0] for path in (hot, cold))
    assert all(torch.equal(one[name], two[name]) for name in one)
    variants = {"hot, as committed": hot, "cold, after gc": cold, "hot again (A/A)": hot}
    runs = interleave({name: partial(cost, path, version) for name, path in variants.items()}, rounds)
    each = [cost(cold, 1 + at) for at in range(count)]
    return (
        f"version {version}, the repository opened anew each time\n\n{table(runs, base=next(iter(runs)))}\n\n"
        f"The same layer of each of the {count} versions, cold, once: CPU median {ms(median(each))}, "
        f"most {ms(max(sample.cpu for sample in each))}.\n"
    )


def load(path: Path, version: int) -> tuple[Tensors, Sample]:
    """Return one layer of a version, every byte compared with its digest, and what that cost."""
    with Repository(path) as repo:
        repo.models()

        def one() -> Tensors:
            manifest = repo.manifest(repo.find(f"{MODEL}@{version}"))
            state = manifest.layers[LAYER].state
            assert state is not None
            return from_raw(repo.layer_states({LAYER: state})[LAYER])

        return timed(one)


def cost(path: Path, version: int) -> Sample:
    """Return what it costs to load one layer of a version."""
    return load(path, version)[1]


def mb(size: int) -> str:
    """Return bytes as a person reads them."""
    return f"{size / 1e6:,.2f} MB"
