"""Statistics of layers: what they are of numbers that are known, when they are taken, and that they are kept."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.engine.recording.curves import statistics_of
from layerwise.engine.recording.statistics import NAMES, Gathered, as_metrics, ends_of, looks, unit_of
from layerwise.errors import NotFound
from layerwise.repo import Repository
from tests.support.flowers import small


def gathered(*values: torch.Tensor, unit: int = -1, ends: tuple[float, float] | None = None) -> dict[str, float]:
    found = Gathered(ends, unit)
    for value in values:
        found.add(value)
    return found.result()


def test_they_are_those_of_all_numbers_together() -> None:
    parts = [torch.randn(5, 7).relu(), torch.randn(9, 7).relu()]
    found, whole = gathered(*parts), torch.cat(parts).double()
    assert found["mean"] == pytest.approx(float(whole.mean()), rel=1e-5)
    assert found["spread"] == pytest.approx(float(whole.std(correction=0)), rel=1e-5)
    assert (found["least"], found["most"]) == (float(whole.min()), float(whole.max()))
    assert found["zeros"] == float((whole == 0).double().mean())
    assert "saturated" not in found


def test_a_unit_is_dead_where_it_is_the_same_for_every_row_of_all_steps() -> None:
    one, other = torch.tensor([[0.0, 3.0, 1.0], [0.0, 3.0, 2.0]]), torch.tensor([[0.0, 4.0, 1.0]])
    assert gathered(one)["dead"] == pytest.approx(2 / 3)
    assert gathered(one, other)["dead"] == pytest.approx(1 / 3)
    images = torch.randn(4, 3, 5, 5)
    images[:, 1] = 0
    assert gathered(images, unit=1)["dead"] == pytest.approx(1 / 3)
    assert gathered(torch.zeros(4, 6, 3))["dead"] == 1.0


def test_what_is_no_number_is_counted_and_left_out_of_the_rest() -> None:
    found = gathered(torch.tensor([[1.0, math.nan], [3.0, math.inf]]))
    assert found["nonfinite"] == 2
    assert math.isfinite(found["mean"])
    assert math.isfinite(found["spread"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.uint8])
def test_every_type_of_number_can_be_looked_at(dtype: torch.dtype) -> None:
    assert gathered(torch.ones(3, 2).to(dtype))["mean"] == 1.0
    assert gathered(torch.ones(3).to(dtype))["dead"] == 1.0


def test_numbers_near_the_ends_of_an_activation_are_saturated() -> None:
    assert gathered(torch.tensor([[0.999, -0.999, 0.0, 0.5]]), ends=(-1.0, 1.0))["saturated"] == 0.5


@pytest.mark.parametrize(
    ("layer", "ends", "unit"),
    [
        (lw.Layer("a", nn.Linear, out_features=2, activation="tanh"), (-1.0, 1.0), -1),
        (lw.Layer("a", nn.Sigmoid), (0.0, 1.0), -1),
        (lw.Layer("a", nn.RNN, hidden_size=2), (-1.0, 1.0), -1),
        (lw.Layer("a", nn.RNN, hidden_size=2, nonlinearity="relu"), None, -1),
        (lw.Layer("a", nn.Conv2d, out_channels=2, kernel_size=3, activation="relu"), None, 1),
        (lw.Layer("a", nn.Conv1d, out_channels=2, kernel_size=3), None, 1),
        (None, None, -1),
    ],
)
def test_ends_and_units_follow_from_the_layer(
    layer: lw.Layer | None, ends: tuple[float, float] | None, unit: int
) -> None:
    assert (ends_of(layer), unit_of(layer)) == (ends, unit)


@pytest.mark.parametrize("steps", [1, 2, 20, 127, 128, 129, 5000])
def test_looks_are_in_the_epoch_few_and_the_same_again(steps: int) -> None:
    total = 0
    for epoch in range(1, 200):
        found = looks(epoch, steps)
        assert found == looks(epoch, steps)
        assert all(1 <= step <= steps for step in found)
        assert len(found) <= 4
        assert found or epoch > 3
        total += len(found)
    assert total <= 200 * steps / 128 + 4


def test_a_run_keeps_them_by_layer_and_epoch(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(epochs=3), data, repo=repo, record="stats")
    found = statistics_of(repo, run.id)
    assert found.layers == ("dropped", "hidden", "scores")
    hidden = found.layer("hidden")
    assert hidden.epochs == (1, 2, 3)
    assert set(hidden.last) == set(NAMES) - {"saturated"}
    assert hidden.last["nonfinite"] == 0
    weight, bias = (run.version.states["hidden"][name] for name in ("weight", "bias"))
    norm = float(torch.cat([weight.flatten(), bias]).norm())
    assert hidden.last["weights"] == pytest.approx(norm, rel=0.2)
    assert 0 < hidden.last["updates"] < hidden.last["weights"]
    assert "gradients" in str(hidden)
    with pytest.raises(NotFound, match="hidden"):
        found.layer("hiden")


def test_a_path_that_is_too_long_for_a_metric_has_no_statistics_and_ends_no_run() -> None:
    assert as_metrics({"a": {"mean": 1.0}, "b" * 600: {"mean": 1.0}}) == {"layers/a/mean": 1.0}


def test_without_recording_there_are_none(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(epochs=1), data, repo=repo, record="off")
    assert statistics_of(repo, run.id).layers == ()
    assert repo.records(run.version.entry.digest).layers() == []
    assert repo.live_recordings() == []
