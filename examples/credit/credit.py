"""The twin of credit.yaml in Python: ``python credit.py credit.csv``."""

from __future__ import annotations

import sys

from torch import nn

import layerwise as lw

model = lw.Model(
    "credit",
    [
        lw.Layer("tails", lw.Columns(("amount", "months_loan_duration")), sensitivity="personal"),
        lw.Layer("damped", lw.Log()),
        lw.Layer("terms", lw.Columns(("installment_rate", "residence_history", "existing_credits"))),
        lw.Layer("numbers", lw.Join(), inputs=["damped", "terms"]),
        lw.Layer("even", lw.Standardize(), owner="maria"),
        lw.Layer(
            "money", lw.Columns(("checking_balance", "savings_balance", "credit_history")), sensitivity="personal"
        ),
        lw.Layer("money_is", lw.OneHot()),
        lw.Layer("purpose", lw.Column("purpose")),
        lw.Layer("purpose_is", lw.OneHot(unknown="other")),
        lw.Layer(
            "standing",
            lw.Columns(("employment_length", "other_debtors", "installment_plan", "property", "housing")),
        ),
        lw.Layer("standing_is", lw.OneHot()),
        lw.Layer("loan", lw.Join(), inputs=["even", "money_is", "purpose_is", "standing_is"]),
        lw.Layer("weighed", nn.Linear, out_features=32, activation="relu", owner="maria"),
        lw.Layer("dropped", nn.Dropout, p=0.5),
        lw.Layer("scores", nn.Linear, out_features=2),
        lw.Layer("default", lw.Classes(target="default", positive=2, weights="balanced")),
    ],
    data="credit-data",
    train={
        "epochs": 60, "batch": 32, "optimizer": {"kind": "AdamW", "weight_decay": 0.1}, "lr": 3e-3, "patience": 15,
        "split": {"train": 0.6, "validation": 0.2, "test": 0.2}, "seed": 7,
    },
)  # fmt: skip

if __name__ == "__main__":
    run = lw.train(model, lw.dataset("credit-data", sys.argv[1]))
    print(run.version, {name: round(value, 4) for name, value in run.metrics.items()})
