"""The twin of spam.yaml in Python: ``python spam.py sms_spam.csv``."""

from __future__ import annotations

import sys

from torch import nn

import layerwise as lw

reader = [
    lw.Layer("meaning", nn.Embedding, embedding_dim=64),
    lw.Layer("dropped", nn.Dropout, p=0.3),
    lw.Layer("heard", nn.GRU, hidden_size=32, bidirectional=True, returns="all"),
    lw.Layer("strongest", lw.PoolOverTime(by="max")),
]
speller = [
    lw.Layer("meaning", nn.Embedding, embedding_dim=32),
    lw.Layer("turned", lw.Permute()),
    lw.Layer("fives", nn.Conv1d, out_channels=96, kernel_size=5, padding=2, activation="relu"),
    lw.Layer("strongest", nn.AdaptiveMaxPool1d, output_size=1),
    lw.Layer("flat", nn.Flatten),
]
model = lw.Model(
    "spam",
    [
        lw.Layer("text", lw.Column("text"), sensitivity="personal"),
        lw.Layer("words", lw.Tokens(lower=True, pattern=r"[\pL\pM]+|\d|[^\s]")),
        lw.Layer("known", lw.Vocabulary(fewest=2)),
        lw.Layer("row", lw.Pad(100)),
        lw.Layer("reader", lw.Block(), layers=reader, owner="maria"),
        lw.Layer("letters", lw.Tokens(by="characters"), inputs=["text"]),
        lw.Layer("signs", lw.Vocabulary(fewest=5)),
        lw.Layer("letters_row", lw.Pad(200)),
        lw.Layer("speller", lw.Block(), layers=speller, owner="ben"),
        lw.Layer("both", lw.Concatenate(), inputs=["reader", "speller"]),
        lw.Layer("dropped", nn.Dropout, p=0.4),
        lw.Layer("scores", nn.Linear, out_features=2),
        lw.Layer("type", lw.Classes(target="type", positive="spam", weights={"spam": 3})),
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
