"""The twin of xrays.yaml in Python: ``python xrays.py pneumoniamnist.npz``."""

from __future__ import annotations

import sys

from torch import nn

import layerwise as lw


def stage(name: str, channels: int, pool: lw.Layer) -> lw.Layer:
    """Return a block that looks twice, with ``channels`` filters of 3×3, and then pools."""
    inner = [
        lw.Layer("conv1", nn.Conv2d, out_channels=channels, kernel_size=3, padding=1, bias=False),
        lw.Layer("norm1", nn.BatchNorm2d, activation="relu"),
        lw.Layer("conv2", nn.Conv2d, out_channels=channels, kernel_size=3, padding=1, bias=False),
        lw.Layer("norm2", nn.BatchNorm2d, activation="relu"),
        pool,
    ]
    return lw.Layer(name, lw.Block(), layers=inner, owner="maria")


model = lw.Model(
    "xrays",
    [
        lw.Layer("pixels", lw.Column("images", shape=(1, 28, 28)), sensitivity="patient"),
        lw.Layer("even", lw.Standardize(per="row")),
        lw.Layer("varied", lw.Augment(flip="horizontal", rotate=10, zoom=0.15, shift=2, noise=0.3)),
        stage("fine", 16, lw.Layer("pool", nn.MaxPool2d, kernel_size=2)),
        stage("middle", 32, lw.Layer("pool", nn.MaxPool2d, kernel_size=2)),
        stage("coarse", 64, lw.Layer("pool", nn.AdaptiveAvgPool2d, output_size=1)),
        lw.Layer("flat", nn.Flatten),
        lw.Layer("dropped", nn.Dropout, p=0.3),
        lw.Layer("scores", nn.Linear, out_features=2),
        lw.Layer("pneumonia", lw.Classes(target="labels", smoothing=0.1)),
    ],
    data="xrays-data",
    train={
        "epochs": 18, "batch": 64, "optimizer": {"kind": "AdamW", "weight_decay": 0.01}, "lr": 2e-3,
        "schedule": "OneCycleLR", "sampling": "balanced", "keep": "last",
        "split": {"by": "column", "column": "split"}, "seed": 7,
    },
)  # fmt: skip

if __name__ == "__main__":
    run = lw.train(model, lw.dataset("xrays-data", sys.argv[1]))
    print(run.version, {name: round(value, 4) for name, value in run.metrics.items()})
