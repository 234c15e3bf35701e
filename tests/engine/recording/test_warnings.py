"""What goes wrong is told once, and of the first layer in which it appeared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import layerwise as lw
from layerwise.engine.events import Event, LayerWarned
from layerwise.engine.recording.curves import statistics_of
from layerwise.engine.recording.warnings import troubles
from layerwise.errors import InvalidData
from layerwise.repo import Repository

FINE = {"mean": 0.1, "least": -1.0, "most": 1.0, "dead": 0.1, "weights": 2.0, "gradients": 0.1, "nonfinite": 0.0}


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("dead", {"dead": 0.5}), ("exploding", {"gradients": 2001.0}),
        ("exploding", {"weights": 0, "gradients": 1001.0}),
        ("vanishing", {"gradients": 9e-8}), ("saturated", {"saturated": 0.5}), ("nan", {"nonfinite": 1.0}),
        ("nan", {"gradients": math.nan, "nonfinite": 1.0}),
    ],
)  # fmt: skip
def test_the_first_layer_in_order_is_named(what: str, wrong: dict[str, float]) -> None:
    found = {"a": FINE, "b": {**FINE, **wrong}, "c": {**FINE, **wrong}, "d": FINE}
    told = list(troubles(found))
    assert [(trouble.what, trouble.layer) for trouble in told] == [(what, "b")]
    assert len(told[0].text) > 20


def test_nothing_is_said_of_layers_that_do_well() -> None:
    assert list(troubles({"a": FINE, "b": {"mean": 0.0, "nonfinite": 0.0}, "c": {**FINE, "gradients": 1e-6}})) == []


def test_a_gradient_is_measured_by_the_weight() -> None:
    found = {"a": {**FINE, "gradients": 1e-5}, "b": {**FINE, "gradients": 1.0}}
    assert list(troubles(found)) == []
    assert [trouble.layer for trouble in troubles(found, {"a": 1_000_000, "b": 1})] == ["a"]


def trained(repo: Repository, layers: list[lw.Layer], **settings: Any) -> tuple[list[LayerWarned], str]:
    draw = np.random.default_rng(1)
    data = repo.add_dataset("d", {"x": list(draw.normal(0, 1, (200, 4))), "y": draw.normal(0, 1, 200)}).dataset
    layers = [lw.Layer("x", lw.Column("x", shape=(4,))), *layers, lw.Layer("y", lw.Value(target="y"))]
    seen: list[Event] = []
    try:
        lw.train(lw.Model("m", layers), data, repo=repo, observers=[seen.append], record="stats", **settings)
    except InvalidData:
        seen.append(LayerWarned(0, "raised", "raised", ""))
    return [event for event in seen if isinstance(event, LayerWarned)], repo.runs()[0].id


class Broken(nn.Module):
    """Divides by nothing from the second time on that it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.times = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.times += self.training
        return x * self.weight / (1 if self.times < 2 else 0)


def test_the_layer_in_which_a_number_ceased_to_be_one_is_named_before_the_run_fails(repo: Repository) -> None:
    layers = [
        lw.Layer("first", nn.Linear, out_features=4), lw.Layer("broken", lw.wrapped(Broken())),
        lw.Layer("last", nn.Linear, out_features=1),
    ]  # fmt: skip
    told, run = trained(repo, layers, epochs=2)
    assert [(warning.what, warning.layer) for warning in told if warning.what in ("nan", "raised")] == [
        ("nan", "broken"), ("raised", "raised"),
    ]  # fmt: skip
    kept = [(layer, what) for _, layer, what in statistics_of(repo, run).warnings]
    assert ("broken", "nan") in kept


def test_dead_layers_are_named_once(repo: Repository) -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = (self.inner(x) - 1e6).relu()
            return out

    layers = [lw.Layer("dead", lw.wrapped(Dead())), lw.Layer("last", nn.Linear, out_features=1)]
    told, run = trained(repo, layers, epochs=3)
    assert [(w.epoch, w.layer) for w in told if w.what == "dead"] == [(1, "dead")]
    assert (1, "dead", "dead") in statistics_of(repo, run).warnings


def test_a_layer_at_the_ends_of_its_range_is_named(repo: Repository) -> None:
    layers = [
        lw.Layer("big", lw.Scale(by=1e-6)), lw.Layer("ends", nn.Linear, out_features=8, activation="tanh"),
        lw.Layer("last", nn.Linear, out_features=1),
    ]  # fmt: skip
    told, _ = trained(repo, layers, epochs=1)
    assert ("saturated", "ends") in [(w.what, w.layer) for w in told]
