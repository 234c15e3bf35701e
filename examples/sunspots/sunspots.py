"""The twin of sunspots.yaml in Python: ``python sunspots.py sunspots.csv``."""

from __future__ import annotations

import sys

from torch import nn

import layerwise as lw

model = lw.Model(
    "sunspots",
    [
        lw.Layer("number", lw.Column("sunspots")),
        lw.Layer("damped", lw.Log()),
        lw.Layer("even", lw.Standardize()),
        lw.Layer("past", lw.Window(24)),
        lw.Layer("memory", nn.GRU, hidden_size=16),
        lw.Layer("next", nn.Linear, out_features=1),
        lw.Layer("answer", lw.Value(target="sunspots", unit="sunspots")),
    ],
    data="sunspots-data",
    train={
        "epochs": 60, "batch": 16, "optimizer": "AdamW", "lr": 5e-3, "schedule": "CosineAnnealingLR", "clip": 1.0,
        "split": {"by": "time", "column": "year"}, "seed": 7,
    },
)  # fmt: skip

if __name__ == "__main__":
    run = lw.train(model, lw.dataset("sunspots-data", sys.argv[1]))
    print(run.version, {name: round(value, 2) for name, value in run.metrics.items()})
