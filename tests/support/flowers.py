"""A small table and a small model of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from torch import nn

import layerwise as lw
from layerwise.engine.model import Model


def flowers(rows: int = 400, seed: int = 0) -> pa.Table:
    """Return a table of two kinds of flowers that two measures tell apart, and a colour that does not."""
    draw = np.random.default_rng(seed)
    kind = draw.integers(0, 2, rows)
    return pa.table({
        "length": draw.normal(5 + 2 * kind, 1.0),
        "width": draw.normal(3 - 1.5 * kind, 0.7),
        "colour": draw.choice(["red", "white", "blue"], rows),
        "kind": np.where(kind == 1, "iris", "rose"),
    })  # fmt: skip


def small(**train: object) -> Model:
    """Return a model of the flowers with data layers that learn, dropout and an answer."""
    return Model(
        "flower",
        [
            lw.Layer("length", lw.Column("length")),
            lw.Layer("long", lw.Standardize()),
            lw.Layer("width", lw.Column("width")),
            lw.Layer("wide", lw.Standardize()),
            lw.Layer("colour", lw.Column("colour")),
            lw.Layer("coloured", lw.OneHot()),
            lw.Layer("row", lw.Join(), inputs=["long", "wide", "coloured"]),
            lw.Layer("hidden", nn.Linear, out_features=8, activation="relu"),
            lw.Layer("dropped", nn.Dropout, p=0.2),
            lw.Layer("scores", nn.Linear, out_features=2),
            lw.Layer("kind", lw.Classes(target="kind")),
        ],
        data="flowers",
        train={"epochs": 4, "batch": 32, "lr": 0.01, "seed": 3, **train},
    )
