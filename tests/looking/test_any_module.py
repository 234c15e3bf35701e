"""Every question of any network: what is nearest, what excites a unit, what if, which inputs count, statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import layerwise as lw
from layerwise.engine.model import Model
from layerwise.layers.base import Padded, Value, as_tensor
from layerwise.repo import Repository
from tests.support.any_modules import KINDS
from tests.support.hooked import hooked
from tests.support.same import differ
from tests.support.small_examples import columns
from tests.support.worlds import ROWS, World, tiers

Trained = Callable[[str], World]
EVERY = list(range(ROWS))


def flat(value: Value) -> Tensor:
    """Return what left a layer as one vector of doubles a row."""
    tensor = value.values if isinstance(value, Padded) else as_tensor(value)
    return tensor.double().flatten(1)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_nearest_rows_are_the_nearest(name: str, metric: str, trained: Trained) -> None:
    found = trained(name)
    layer = KINDS[name].layer
    vectors = flat(hooked(found.version, found.dataset, EVERY)[layer])
    neighbours = found.version.nearest("row007", layer=layer, k=5, rows=EVERY, metric=metric)
    if metric == "cosine":
        unit = nn.functional.normalize(vectors, dim=1)
        distances = 1 - unit @ unit[7]
    else:
        distances = (vectors - vectors[7]).norm(dim=1)
    distances[7] = float("inf")
    least = distances.topk(5, largest=False)
    assert list(neighbours.ids) == [f"row{at:03}" for at in least.indices.tolist()]


@pytest.mark.parametrize("name", KINDS)
def test_the_rows_that_excite_a_unit_most_are_those(name: str, trained: Trained) -> None:
    found = trained(name)
    layer = KINDS[name].layer
    value = hooked(found.version, found.dataset, EVERY)[layer]
    tensor = as_tensor(value)
    # A unit of an image is a map, of a sequence a feature: its greatest value counts.
    units = tensor.amax((2, 3)) if tensor.ndim == 4 else tensor.amax(1) if tensor.ndim == 3 else tensor
    for unit in (0, units.shape[1] - 1):
        top = found.version.layer(layer).top(unit=unit, k=6, rows=EVERY)
        expected = np.lexsort((np.arange(ROWS), -units[:, unit].numpy()))[:6]
        assert list(top.ids) == [f"row{at:03}" for at in expected]
        assert list(top.values) == units[torch.from_numpy(expected.copy()), unit].double().tolist()


@pytest.mark.parametrize("name", tiers("spam", "credit", "sunspots", "mlp", "gru", "twice", "ways"))
def test_what_left_a_layer_in_its_own_place_changes_nothing(name: str, trained: Trained) -> None:
    """For every layer, data layers too: the row is run on from there, and every bit is what it was."""
    found = trained(name)
    trace = found.version.trace(40)
    answers = trace.answers.columns if hasattr(trace.answers, "columns") else str(trace.answers)
    for passage in trace.passages:
        patched = trace.patch(passage.layer, passage.value if isinstance(passage.value, Tensor | Padded) else _same)
        wrong = {one.layer: differ(one.value, trace[one.layer]) for one in patched.passages}
        assert {layer: how for layer, how in wrong.items() if how} == {}, passage.layer
        assert str(patched.answers) == str(trace.answers)
        assert answers == (patched.answers.columns if hasattr(patched.answers, "columns") else str(patched.answers))
        assert patched.changes == {}


def _same(value: Any) -> Any:
    return value


@pytest.mark.parametrize("name", KINDS)
def test_a_patch_is_what_a_hook_that_returns_it_does(name: str, trained: Trained) -> None:
    """Zeros in the place of what left a module: what follows is what torch makes of it by a hook of its own."""
    found = trained(name)
    layer = KINDS[name].layer
    version = found.version
    trace = version.trace(11)
    patched = trace.patch(layer, 0.0)
    module = version.module().eval()

    def zeros(_: nn.Module, __: Any, output: Any) -> Any:
        seen.append(1)
        if len(seen) > 1:
            return None
        if isinstance(output, tuple):
            return (torch.zeros_like(output[0]), *output[1:])
        return torch.zeros_like(output)

    seen: list[int] = []
    kind = KINDS[name]
    row = torch.from_numpy(kind.table(ROWS, 3)[kind.column])[11:12].expand(64, *kind.shape)
    handle = module.get_submodule(layer).register_forward_hook(zeros)
    try:
        with torch.inference_mode():
            answer = module(row)
    finally:
        handle.remove()
    expected = answer if kind.output is None else answer[kind.output]
    assert differ(as_tensor(patched["body"]), expected[:1]) == ""
    assert bool((as_tensor(patched[layer]) == 0).all())
    assert differ(version.trace(11)["body"], trace["body"]) == "", "the version is as it was"


def test_a_patch_of_the_second_pass_leaves_the_first(trained: Trained) -> None:
    found = trained("twice")
    trace = found.version.trace(3)
    patched = trace.patch("step:2", lambda value: value + 1)
    assert differ(patched["step"], trace["step"]) == ""
    assert differ(patched["step:2"], as_tensor(trace["step:2"]) + 1) == ""
    assert differ(patched["step:3"], trace["step:3"]) != ""
    both = patched.patch("step", 0.0)
    assert differ(both["step:2"], patched["step:2"]) == "", "what was put there stays there"


def test_a_patch_is_of_one_row_and_not_of_those_before_it(trained: Trained) -> None:
    """Rows that look at those before them: the last one is another, and its window does not hold it."""
    found = trained("sunspots")
    trace = found.version.trace(60)
    handed = found.version.trace(found.dataset[:61])
    assert differ(handed["past"], trace["past"]) == ""
    for one in (trace, handed):
        patched = one.patch("even", 9.0)
        assert differ(patched["even"], torch.tensor([9.0])) == ""
        assert differ(patched["past"], trace["past"]) == ""
        assert str(patched.answers) == str(trace.answers)


def test_a_patch_of_a_row_is_in_its_own_window(tmp_path: Path) -> None:
    """The same, with a window that holds the row itself: its newest number is the one that was put there."""
    layers = [
        lw.Layer("number", lw.Column("sunspots")), lw.Layer("past", lw.Window(length=4, horizon=0)),
        lw.Layer("memory", nn.GRU, hidden_size=3), lw.Layer("next", nn.Linear, out_features=1),
        lw.Layer("answer", lw.Value(target="sunspots")),
    ]  # fmt: skip
    with Repository(tmp_path) as repo:
        dataset = repo.add_dataset("years", columns("sunspots")).dataset
        version = lw.train(Model("years", layers), dataset, repo=repo, epochs=1, device="cpu", record="off").version
        for row in (60, dataset[:61]):
            trace = version.trace(row)
            patched = trace.patch("number", 7.0)
            was, now = as_tensor(trace["past"]).flatten(), as_tensor(patched["past"]).flatten()
            assert now.tolist() == [*was[:3].tolist(), 7.0]
            assert differ(patched["next"], trace["next"]) != ""
            assert differ(version.trace(60)["past"], trace["past"]) == ""


@pytest.mark.parametrize("name", KINDS)
def test_statistics_are_those_of_the_records(name: str, trained: Trained) -> None:
    found = trained(name)
    layer = KINDS[name].layer
    values = flat(hooked(found.version, found.dataset, EVERY)[layer])
    units = found.version.layer(layer).stats(rows=EVERY).units
    assert len(units) == values.shape[1]
    torch.testing.assert_close(torch.from_numpy(units.mean), values.mean(0))
    torch.testing.assert_close(torch.from_numpy(units.spread), values.std(0, correction=0))
    assert np.array_equal(units.least, values.amin(0))
    assert np.array_equal(units.most, values.amax(0))
    assert np.array_equal(units.zeros, (values == 0).double().mean(0))
    assert not units.nonfinite.any()


@pytest.mark.parametrize("name", KINDS)
def test_an_attribution_adds_up_to_what_the_answer_gained(name: str, trained: Trained) -> None:
    """Integrated gradients are complete (Sundararajan et al. 2017, proposition 1); nothing of the version changes."""
    found = trained(name)
    version, kind = found.version, KINDS[name]
    before = version.outputs(found.dataset[:5])
    attributed = version.layer(kind.layer).attribute([2, 3], target=1)
    assert differ(version.outputs(found.dataset[:5]), before) == ""
    assert all(parameter.grad is None for parameter in version.module().parameters())
    values = attributed.values if hasattr(attributed, "values") else attributed
    record = version.layer(kind.layer).record([2, 3])
    assert as_tensor(values).shape == as_tensor(record).shape
    if kind.passes:
        return
    for at in (2, 3):
        trace = version.trace(at)
        gained = (as_tensor(trace["body"]) - as_tensor(trace.patch(kind.layer, 0.0)["body"]))[0, 1]
        assert float(as_tensor(values)[at - 2].sum()) == pytest.approx(float(gained), rel=0.05, abs=0.02)
