"""Looking changes nothing: weights, metrics and answers with recording on are those with it off, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from layerwise.engine.version import Version
from tests.support.any_modules import KINDS
from tests.support.same import bits, differ
from tests.support.small_examples import MAKERS
from tests.support.worlds import NAMES, World, plain_outputs, tiers, world

MODES: dict[str, Any] = {
    "as it comes": None,
    "everything": {"keep": "all", "dtype": "float16", "gradients": True, "attention": True},
}
"""What is asked for beside ``off``."""

MORE: dict[str, Any] = {
    "sample": "sample:16",
    "stats": "stats",
    "all": "all",
    "float16": {"keep": "sample:40", "dtype": "float16"},
    "gradients": {"keep": "sample:40", "gradients": True},
    "a part": {"keep": "all", "cap": 20_000, "age": "1d", "gradients": True},
}
"""What else can be asked for."""


@dataclass(frozen=True)
class Outcome:
    """All that a run makes that somebody may depend on."""

    weights: dict[str, bytes]
    history: tuple[dict[str, float], ...]
    metrics: dict[str, float]
    answers: Tensor
    draws: bytes
    module: bytes


def outcome(found: World) -> Outcome:
    """Return what came of a run, read back from the repository."""
    version = found.version
    weights = {f"{path}/{name}": bits(one) for path, state in version.states.items() for name, one in state.items()}
    answers = version.outputs(found.dataset)
    # What torch draws next: an observer that draws would move it.
    draws = bits(torch.get_rng_state())
    module = found.module.state_dict() if found.module is not None else {}
    own = b"".join(bits(tensor) for tensor in module.values())
    return Outcome(weights, tuple(map(dict, found.run.history)), dict(found.run.metrics), answers, draws, own)


def made(folder: Path, name: str, mode: Any) -> Outcome:
    """Train with a mode of recording and return what came of it."""
    torch.manual_seed(77)
    with world(folder, name, record=mode) as found:
        return outcome(found)


def hold_equal(one: Outcome, other: Outcome) -> None:
    """Assert that two runs made the same, and say what differs where they did not."""
    assert {name for name in one.weights if one.weights[name] != other.weights.get(name)} == set()
    assert one.weights.keys() == other.weights.keys()
    assert repr(one.history) == repr(other.history)
    assert repr(one.metrics) == repr(other.metrics)
    assert differ(one.answers, other.answers) == ""
    assert one.draws == other.draws, "torch's own generator goes on elsewhere"
    assert one.module == other.module, "the instance that was wrapped has changed"


@pytest.mark.parametrize("name", NAMES)
def test_recording_changes_no_bit(name: str, tmp_path: Path) -> None:
    hold_modes(name, MODES, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_way_of_recording_changes_a_bit(name: str, tmp_path: Path) -> None:
    hold_modes(name, MORE, tmp_path)


def hold_modes(name: str, modes: Mapping[str, Any], folder: Path) -> None:
    """Train without records and in each mode, and assert that all made the same."""
    expected = made(folder / "off", name, "off")
    for mode, asked in modes.items():
        hold_equal(made(folder / mode.replace(" ", "-"), name, asked), expected)


@pytest.mark.parametrize(
    "name", [name if name in ("credit", "spam") else pytest.param(name, marks=pytest.mark.slow) for name in MAKERS]
)
def test_evaluating_with_records_gives_the_metrics_without(name: str, tmp_path: Path) -> None:
    with world(tmp_path, name) as found:
        version = found.version
        expected = version.evaluate(split="test")
        assert version.evaluate(split="test", record="all") == expected
        assert version.evaluate(split="test", record={"keep": "sample:5", "dtype": "float16"}) == expected
        assert version.evaluate(split="test") == expected


@pytest.mark.parametrize("name", tiers("digits", "spam", "resnet", "encoder", "mlp"))
def test_whoever_looks_leaves_the_version_as_it_was(name: str, tmp_path: Path) -> None:
    """Every question that can be asked, and then the version answers as before, in the modes it was in."""
    with world(tmp_path, name) as found:
        version = found.version
        before = _state(version, found)
        for layer in found.layers[:: max(1, len(found.layers) // 8)]:
            # Of a list of modules, and of a part whose weights another part uses, torch calls none.
            if not layer.endswith(("encoder.layers", "out_proj")):
                ask(found, version, layer)
        assert _state(version, found) == before


def ask(found: World, version: Version, layer: str) -> None:
    """Ask whatever can be asked of a layer; what a question answers is held elsewhere."""
    view = version.layer(layer)
    view.record([0, 1, 2])
    view.stats()
    view.frame([3])


def _state(version: Version, found: World) -> tuple[Any, ...]:
    module = version.module()
    answers = bits(version.outputs(found.dataset[:70]))
    modes = [(name, part.training) for name, part in module.named_modules()]
    weights = {name: bits(one) for name, one in module.state_dict().items()}
    grads = [(name, one.grad is None, one.requires_grad) for name, one in module.named_parameters()]
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
             for part in module.modules()]  # fmt: skip
    return answers, modes, weights, grads, hooks, bits(torch.get_rng_state()), torch.is_grad_enabled()


@pytest.mark.parametrize("name", KINDS)
def test_a_wrapped_network_answers_as_the_plain_module(name: str, tmp_path: Path) -> None:
    """With records kept and without; the plain module is called by hand."""
    positions = [5, 5, 149, *range(70)]
    for mode in ("off", "all"):
        with world(tmp_path / mode, name, record=mode) as found:
            answered = found.version.outputs(found.dataset.take(positions))
            assert differ(answered, plain_outputs(found, positions)) == ""
