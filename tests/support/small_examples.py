"""The five examples, each with a few made-up rows: their models as they are in ``examples/``, trained for a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.engine.model import Model

EXAMPLES = Path(__file__).parents[2] / "examples"
Columns = dict[str, Any]


def digits(rows: int, draw: np.random.Generator) -> Columns:
    """Return scans of 8×8 greys in which the digit is a bright row or column."""
    digit = draw.integers(0, 10, rows)
    image = draw.integers(0, 6, (rows, 8, 8)).astype(np.uint8)
    for at, number in enumerate(digit):
        if number < 5:
            image[at, number] = 16
        else:
            image[at, :, number - 3] = 16
    return {"image": image, "digit": digit}


def xrays(rows: int, draw: np.random.Generator) -> Columns:
    """Return 28×28 greys, of which the ill are brighter in the middle, and their official split."""
    labels = np.arange(rows) % 2
    images = draw.integers(0, 120, (rows, 28, 28)).astype(np.uint8)
    images[labels == 1, 10:18, 10:18] += 100
    split = np.array(["train", "train", "train", "val", "test"])[draw.integers(0, 5, rows)]
    return {"images": images, "labels": labels.astype(np.int64), "split": split}


def spam(rows: int, draw: np.random.Generator) -> Columns:
    """Return messages of different lengths; the odd ones among them want money."""
    plain = ["see", "you", "at", "home", "tonight", "mum", "is", "late", "again", "coffee", "5", "pm", "é"]
    dear = ["WIN", "cash", "now", "call", "09061", "prize", "free", "£1000"]
    kind = draw.integers(0, 2, rows)
    text = [" ".join(draw.choice([plain, plain + dear * 2][one], draw.integers(1, 24))) for one in kind]
    return {"text": text, "type": np.array(["ham", "spam"])[kind]}


def credit(rows: int, draw: np.random.Generator) -> Columns:
    """Return loans of mixed types, some with more money behind them."""
    default = draw.integers(1, 3, rows)
    texts = {
        "checking_balance": ["< 0 DM", "1 - 200 DM", "> 200 DM", "unknown"],
        "savings_balance": ["< 100 DM", "> 1000 DM", "unknown"],
        "credit_history": ["repaid", "critical", "delayed"],
        "purpose": ["car (new)", "radio/tv", "furniture", "education"],
        "employment_length": ["unemployed", "0 - 1 yrs", "> 7 yrs"],
        "other_debtors": ["none", "guarantor"],
        "installment_plan": ["none", "bank"],
        "property": ["real estate", "other"],
        "housing": ["own", "rent", "for free"],
    }
    return {
        "amount": draw.integers(250, 18_000, rows) * default,
        "months_loan_duration": draw.integers(4, 72, rows),
        "installment_rate": draw.integers(1, 5, rows),
        "residence_history": draw.integers(1, 5, rows),
        "existing_credits": draw.integers(1, 5, rows),
        **{name: draw.choice(values, rows) for name, values in texts.items()},
        "default": default,
    }


def sunspots(rows: int, draw: np.random.Generator) -> Columns:
    """Return years whose numbers rise and fall."""
    year = np.arange(1700, 1700 + rows)
    wave = 50 + 45 * np.sin(2 * np.pi * (year - 1700) / 11)
    return {"year": year, "sunspots": np.abs(wave + draw.normal(0, 8, rows))}


MAKERS: Mapping[str, Callable[[int, np.random.Generator], Columns]] = {
    "digits": digits,
    "xrays": xrays,
    "spam": spam,
    "credit": credit,
    "sunspots": sunspots,
}
"""What makes the rows of each example."""

ROWS = {"digits": 150, "xrays": 110, "spam": 120, "credit": 150, "sunspots": 110}
"""Rows enough that the canonical batches of a split are more than one, or one that is filled up."""


def columns(name: str, rows: int | None = None, seed: int = 3) -> Columns:
    """Return some rows of an example, by column."""
    return MAKERS[name](rows or ROWS[name], np.random.default_rng(seed))


def model(name: str, **train: Any) -> Model:
    """Return an example's model as its file describes it, with few epochs unless ``train`` says otherwise."""
    written = Model.from_yaml(EXAMPLES / name / f"{name}.yaml")
    settings = {**written.train, "epochs": 2, "device": "cpu", **train}
    return Model(written.name, written.layers, data=written.data, train=settings)
