"""The twin of credit.yaml in Python: ``python credit.py credit.csv``."""

from __future__ import annotations

import sys

from torch import nn

import layerwise as lw

WORDS = {
    "account": ("checking_balance", "is"), "savings": ("savings_balance", "are"), "history": ("credit_history", "is"),
    "purpose": ("purpose", "is"), "employment": ("employment_length", "is"), "debtors": ("other_debtors", "are"),
    "plan": ("installment_plan", "is"), "property": ("property", "is"), "housing": ("housing", "is"),
}  # fmt: skip
PERSONAL = ("account", "savings", "history")


def words() -> list[lw.Layer]:
    """Return two layers for each column of words: the column, and its values as places in a vector."""
    found = []
    for name, (column, verb) in WORDS.items():
        known = lw.OneHot(unknown="other") if name == "purpose" else lw.OneHot()
        found.append(lw.Layer(name, lw.Column(column), sensitivity="personal" if name in PERSONAL else None))
        found.append(lw.Layer(f"{name}_{verb}", known))
    return found


model = lw.Model(
    "credit",
    [
        lw.Layer("amount", lw.Column("amount"), sensitivity="personal"),
        lw.Layer("months", lw.Column("months_loan_duration")),
        lw.Layer("tails", lw.Join(), inputs=["amount", "months"]),
        lw.Layer("damped", lw.Log()),
        lw.Layer("rate", lw.Column("installment_rate")),
        lw.Layer("years_here", lw.Column("residence_history")),
        lw.Layer("credits", lw.Column("existing_credits")),
        lw.Layer("numbers", lw.Join(), inputs=["damped", "rate", "years_here", "credits"]),
        lw.Layer("even", lw.Standardize(), owner="maria"),
        *words(),
        lw.Layer("loan", lw.Join(), inputs=["even", *(f"{name}_{verb}" for name, (_, verb) in WORDS.items())]),
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
