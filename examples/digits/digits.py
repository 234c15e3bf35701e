"""The twin of digits.yaml in Python: ``python digits.py digits.npz``."""

from __future__ import annotations

import sys

from torch import nn

import layerwise as lw

model = lw.Model(
    "digits",
    [
        lw.Layer("pixels", lw.Column("image", shape=(1, 8, 8))),
        lw.Layer("scaled", lw.Scale(by=16)),
        lw.Layer("varied", lw.Augment(rotate=10, zoom=0.1)),
        lw.Layer("edges", nn.Conv2d, out_channels=32, kernel_size=3, padding=1, owner="maria"),
        lw.Layer("edges_norm", nn.BatchNorm2d, activation="relu"),
        lw.Layer("shapes", nn.Conv2d, out_channels=64, kernel_size=3, padding=1),
        lw.Layer("shapes_norm", nn.BatchNorm2d, activation="relu"),
        lw.Layer("pooled", nn.MaxPool2d, kernel_size=2),
        lw.Layer("dropped", nn.Dropout, p=0.25),
        lw.Layer("flat", nn.Flatten),
        lw.Layer("scores", nn.Linear, out_features=10),
        lw.Layer("digit", lw.Classes(target="digit")),
    ],
    data="digits-data",
    train={
        "epochs": 15, "batch": 32, "optimizer": "adam", "lr": 2e-3, "schedule": "CosineAnnealingLR", "seed": 7,
    },
)  # fmt: skip

if __name__ == "__main__":
    run = lw.train(model, lw.dataset("digits-data", sys.argv[1]))
    print(run.version, {name: round(value, 4) for name, value in run.metrics.items()})
