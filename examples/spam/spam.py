"""The twin of spam.yaml in Python: ``python spam.py sms_spam.csv``."""

from __future__ import annotations

import sys

from torch import nn

import layerwise as lw


def tower(name: str) -> lw.Layer:
    """Return a block that reads a row of indices forwards and backwards, and keeps the strongest of what it found."""
    inner = [
        lw.Layer("meaning", nn.Embedding, embedding_dim=64),
        lw.Layer("dropped", nn.Dropout, p=0.3),
        lw.Layer("read", nn.GRU, hidden_size=32, bidirectional=True, returns="all"),
        lw.Layer("strongest", lw.PoolOverTime(by="max")),
    ]
    return lw.Layer(name, lw.Block(), layers=inner, owner="maria")


model = lw.Model(
    "spam",
    [
        lw.Layer("text", lw.Column("text"), sensitivity="personal"),
        lw.Layer("words", lw.Tokens(lower=True, pattern=r"[\pL\pM]+|\d|[^\s]")),
        lw.Layer("known", lw.Vocabulary(fewest=2)),
        lw.Layer("row", lw.Pad(100)),
        tower("by_words"),
        lw.Layer("pieces", lw.Tokens(by="bytepairs", size=1000), inputs=["text"]),
        lw.Layer("pieces_row", lw.Pad(100)),
        tower("by_pieces"),
        lw.Layer("both", lw.Concatenate(), inputs=["by_words", "by_pieces"]),
        lw.Layer("dropped", nn.Dropout, p=0.3),
        lw.Layer("scores", nn.Linear, out_features=2),
        lw.Layer("type", lw.Classes(target="type", positive="spam")),
    ],
    data="messages",
    train={
        "epochs": 8, "batch": 64, "optimizer": "AdamW", "lr": 4e-3, "schedule": "OneCycleLR", "clip": 1.0,
        "keep": "last", "seed": 7,
    },
)  # fmt: skip

if __name__ == "__main__":
    run = lw.train(model, lw.dataset("messages", sys.argv[1]))
    print(run.version, {name: round(value, 4) for name, value in run.metrics.items()})
