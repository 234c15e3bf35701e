"""Processes that train and record: ``python -m tests.support.live_children WHAT FOLDER …``.

``broad`` trains a network of one number, whose layer says that number many times over: a row that holds two numbers was
read while it was written. ``killed`` trains an MLP and kills itself with the ninth signal in the middle of an epoch.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import layerwise as lw
from layerwise.engine.events import Event, Step
from layerwise.engine.model import Model
from layerwise.repo import Repository
from tests.support import worlds


class Wide(nn.Module):
    """One weight, said ``width`` times over."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weight).expand(-1, self.width)


class Broad(nn.Module):
    """Answers with the mean of many equal numbers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = Wide(width)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        left: Tensor = self.wide(x)[:, :1] + self.bias
        return left


ROWS = 64


def broad_model(width: int, epochs: int) -> Model:
    """Return the model of ``broad``."""
    answer = lw.Layer("answer", lw.Value(target="y"))
    found = lw.wrap(Broad(width), torch.zeros(2, 1), name="broad", answer=answer)
    split = {"by": "column", "column": "part"}
    settings = {"epochs": epochs, "batch": 16, "lr": 0.03, "split": split, "device": "cpu", "keep": "last"}
    return Model("broad", found.layers, data="broad-data", train=settings)


def broad_table() -> dict[str, Any]:
    """Return its rows: each a number of its own, so that the layer's rows can be told apart."""
    x = np.arange(1, ROWS + 9, dtype=np.float32)[:, None]
    part = np.array(["train"] * ROWS + ["validation"] * 8)
    return {"name": [f"b{at:03}" for at in range(len(x))], "x": x, "y": 3 * x[:, 0], "part": part}


def broad(folder: str, width: int, epochs: int, told: Callable[[Event], None]) -> None:
    """Train it with everything recorded."""
    with Repository(folder) as repo:
        dataset = repo.add_dataset("broad-data", broad_table(), key="name").dataset
        lw.train(broad_model(width, epochs), dataset, repo=repo, record="all", observers=[told])


def say_epochs(event: Event) -> None:
    """Print a line when an epoch is over."""
    if type(event).__name__ == "EpochEnded":
        print("epoch", flush=True)


def die_at(epoch: int, step: int) -> Callable[[Event], None]:
    """Return an observer that kills the process in a step."""

    def watch(event: Event) -> None:
        if isinstance(event, Step) and (event.epoch, event.step) == (epoch, step):
            os.kill(os.getpid(), signal.SIGKILL)

    return watch


def main(what: str, folder: str, *more: str) -> None:
    """Do what is asked for."""
    # As in the tests that go on from where this left off: a run with other threads is another run.
    torch.set_num_threads(1)
    if what == "broad":
        broad(folder, int(more[0]), int(more[1]), say_epochs)
    else:
        with Repository(folder) as repo:
            worlds.train(repo, "mlp", record=more[0], observers=[die_at(3, 2)], epochs=4, checkpoint=0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *sys.argv[3:])
