"""``lw.keep``: weights that a loop of one's own changed become a version; what did not change costs its digest."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import layerwise as lw
from layerwise.engine.tracking import Tracker
from tests.support.flowers import flowers


@pytest.fixture
def version(tmp_path: Path) -> lw.Version:
    repo = lw.Repository(tmp_path / "r")
    data = repo.add_dataset("flowers", flowers()).dataset
    layers = [
        lw.Layer("a", lw.Column("length")),
        lw.Layer("b", lw.Column("width")),
        lw.Layer("both", lw.Join, inputs=["a", "b"]),
        lw.Layer("even", lw.Standardize),
        lw.Layer("hidden", nn.Linear, out_features=16, activation="relu"),
        lw.Layer("scores", nn.Linear, out_features=2),
        lw.Layer("kind", lw.Classes(target="kind")),
    ]
    return lw.train(lw.Model("net", layers), data, repo=repo, epochs=1, seed=1, threads=1).version


def write(version: lw.Version, name: str) -> None:
    with torch.no_grad():
        dict(version.module().named_parameters())[name].add_(0.5)


@pytest.mark.parametrize("track", [False, True])
def test_what_was_changed_is_a_new_version_and_nothing_else_is(version: lw.Version, track: bool) -> None:
    version.module()
    write(version, "scores.weight")
    kept = lw.keep(version, "by hand", track=track)
    assert kept.address == "net@2"
    assert (kept.manifest.message, kept.manifest.outcome, kept.manifest.parent) == ("by hand", "kept", 1)
    assert version.repo.changed_layers("net@1", "net@2") == ["scores"]
    again = lw.load("net@2", repo=version.repo)
    for name, tensor in version.module().state_dict().items():
        assert torch.equal(again.module().state_dict()[name], tensor)
    rows = {"length": [1.0, 2.0], "width": [0.5, 0.1]}
    assert torch.equal(again.outputs(rows), version.outputs(rows))
    assert version.repo.verify().sound


@pytest.mark.parametrize("track", [False, True])
def test_an_optimizers_step_is_seen(version: lw.Version, track: bool) -> None:
    module = version.module()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    sum(parameter.sum() for parameter in module.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    lw.keep(version, track=track)
    assert version.repo.changed_layers("net@1", "net@2") == ["hidden", "scores"]


def test_nothing_changed_is_a_version_of_the_same_layers(version: lw.Version) -> None:
    before = sum(file.stat().st_size for file in version.repo.path.glob("packs/*/*.pack"))
    environment = lw.keep(version).manifest.environment
    assert version.repo.changed_layers("net@1", "net@2") == []
    assert environment is not None
    # The environment holds the uncommitted changes of the code around it, which may be long.
    before += len(version.repo.store.objects.get(environment))
    after = sum(file.stat().st_size for file in version.repo.path.glob("packs/*/*.pack"))
    assert after - before < 20_000


def test_a_write_past_pytorch_is_seen_where_every_byte_is_read(version: lw.Version) -> None:
    """The default reads; tracking says in its own words that it misses this."""
    parameter = dict(version.module().named_parameters())["scores.bias"]
    parameter.data.numpy()[:] += 1
    lw.keep(version)
    assert version.repo.changed_layers("net@1", "net@2") == ["scores"]


def test_a_tensor_in_anothers_place_is_seen() -> None:
    """A freed tensor's address may be given to the next one: what is tracked is held."""
    states = {"a": {"w": torch.zeros(1000)}}
    tracker = Tracker(states)
    states["a"]["w"] = torch.zeros(1000)
    assert tracker.unchanged(states) == set()
