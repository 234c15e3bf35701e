"""``lw.train`` as users call it, in a fresh repository that has the dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from torch import nn

import layerwise as lw
from benchmarks.trainers.work import Mark, Outcome, Trainer, Work, serve
from layerwise.engine.events import EpochEnded, Event


def model(work: Work) -> lw.Model:
    """Return the model of a work, from the raw image to the label."""
    said = work.settings
    height, width = work.images.shape[1:]
    before = [
        lw.Layer("pixels", lw.Column("image", shape=(1, height, width))),
        lw.Layer("scaled", lw.Scale(by=said.divide)),
    ]
    if said.name == "xrays":
        before.append(lw.Layer("varied", lw.Augment(flip="horizontal", rotate=10, zoom=0.15, shift=2, noise=0.05)))
    layers = {"digits": digits, "xrays": xrays}[said.name]()
    return lw.Model(said.name, [*before, *layers, lw.Layer("label", lw.Classes(target="label"))])


def digits() -> list[lw.Layer]:
    """Return the network of the digits."""
    return [
        lw.Layer("edges", nn.Conv2d, out_channels=16, kernel_size=3, padding=1, activation="relu"),
        lw.Layer("shapes", nn.Conv2d, out_channels=32, kernel_size=3, activation="relu"),
        lw.Layer("pooled", nn.MaxPool2d, kernel_size=2),
        lw.Layer("flat", nn.Flatten),
        lw.Layer("scores", nn.Linear, out_features=10),
    ]


def xrays() -> list[lw.Layer]:
    """Return the network of the X-rays: that of ``examples/xrays``."""
    layers = []
    for name, channels in (("fine", 16), ("middle", 32), ("coarse", 64)):
        inside = []
        for place in (1, 2):
            inside += [
                lw.Layer(f"conv{place}", nn.Conv2d, out_channels=channels, kernel_size=3, padding=1, bias=False),
                lw.Layer(f"norm{place}", nn.BatchNorm2d, activation="relu"),
            ]
        whole = lw.Layer("pool", nn.AdaptiveAvgPool2d, output_size=1)
        pool = whole if name == "coarse" else lw.Layer("pool", nn.MaxPool2d, kernel_size=2)
        layers.append(lw.Layer(name, lw.Block(), layers=[*inside, pool]))
    dropped = lw.Layer("dropped", nn.Dropout, p=0.3)
    return [*layers, lw.Layer("flat", nn.Flatten), dropped, lw.Layer("scores", nn.Linear, out_features=2)]


def table(work: Work) -> dict[str, object]:
    """Return the dataset of a work. Which rows train stands in a column."""
    part = ["train"] * len(work.labels)
    for name in ("validation", "test"):
        for row in work.parts[name]:
            part[row] = name
    return {"image": work.images, "label": work.labels, "part": part}


@contextmanager
def prepare(work: Work, folder: Path) -> Iterator[Trainer]:
    """Give the trainer; its repository, with the dataset in it, is in ``folder``."""
    with lw.Repository(folder / ".layerwise") as repo:
        data = repo.add_dataset(f"{work.settings.name}-data", table(work)).dataset
        yield partial(train, work, model(work), data, repo)


def train(work: Work, described: lw.Model, data: lw.Dataset, repo: lw.Repository, epochs: int, mark: Mark) -> Outcome:
    """Train and keep a version."""
    said = work.settings

    def observe(event: Event) -> None:
        if isinstance(event, EpochEnded):
            mark()

    run = lw.train(
        described, data, repo=repo, observers=[observe], epochs=epochs, batch=said.batch, lr=said.lr, seed=said.seed,
        device="cpu", threads=said.threads, split={"by": "column", "column": "part"},
    )  # fmt: skip
    metrics = run.metrics
    return Outcome(
        metrics["test/accuracy"], metrics["validation/loss"], lambda: run.version.module().state_dict().values()
    )


if __name__ == "__main__":
    serve(prepare, "layerwise")
