"""A version is made again to the bit; where it is not, the first epoch and layer are named, and what is different."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import layerwise as lw
from layerwise.canonical import encode
from layerwise.data.dataset import Dataset
from layerwise.engine import environment, prepare, reproduce
from layerwise.engine.events import EpochEnded
from layerwise.engine.learner import Learner
from layerwise.engine.reproduce import restore_commands
from layerwise.engine.rows import Rows, fit
from layerwise.engine.training import Training
from layerwise.errors import NotFound, Unsupported
from layerwise.layers.base import State
from layerwise.layers.network import Network, build
from layerwise.repo import Repository
from layerwise.versions.manifest import Manifest
from tests.support.flowers import flowers, small


def trained(repo: Repository, data: Dataset, **train: Any) -> lw.Version:
    return lw.train(small(**train), data, repo=repo, epochs=3).version


def test_the_same_repository_makes_the_same_version_to_the_bit(repo: Repository, data: Dataset) -> None:
    version = trained(repo, data)
    made = lw.reproduce(lw.load(version.address, repo=repo))
    assert made
    assert (made.first, made.deviations, dict(made.metrics), dict(made.environment)) == (None, (), {}, {})
    assert (made.epochs, made.layers) == (3, 6)
    assert "the same to the bit" in str(made)


def test_it_keeps_nothing(repo: Repository, data: Dataset) -> None:
    version = trained(repo, data)
    before = repo.versions("flower"), repo.runs(), sorted(repo.path.rglob("*.checkpoint"))
    lw.reproduce(version)
    assert (repo.versions("flower"), repo.runs(), sorted(repo.path.rglob("*.checkpoint"))) == before


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**40), batch=st.integers(7, 90), keep=st.sampled_from(["best", "last"]),
    sampling=st.sampled_from([None, "balanced"]), optimizer=st.sampled_from(["adam", "sgd", "adamw"]),
)  # fmt: skip
def test_whatever_the_settings_were(repo: Repository, data: Dataset, **train: Any) -> None:
    assert lw.reproduce(trained(repo, data, **train))


def test_a_run_that_was_broken_off_and_went_on_is_the_same_too(repo: Repository, data: Dataset) -> None:
    class Broken(Exception):
        pass

    def breaks(event: object) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 2:
            raise Broken

    with pytest.raises(Broken):
        lw.train(small(checkpoint=0.0), data, repo=repo, observers=[breaks])
    run = lw.train(small(checkpoint=0.0), data, repo=repo)
    assert run.resumed == 1
    made = lw.reproduce(run.version)
    assert made
    assert made.epochs == 4


def test_one_changed_weight_is_traced_to_its_layer_before_the_first_step(
    repo: Repository, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = trained(repo, data)

    def built(*args: Any) -> Network:
        network = build(*args)
        with torch.no_grad():
            dict(network.named_parameters())["scores.weight"][0, 0] += 1e-7
        return network

    monkeypatch.setattr(prepare, "build", built)
    made = lw.reproduce(version)
    assert made.first == (0, "scores")
    assert {one.layer for one in made.deviations} >= {"scores"}
    assert all(one.largest > 0 and one.relative > 0 for one in made.deviations)
    assert "first at 'scores', before the first step" in str(made)


@pytest.mark.parametrize(("epoch", "layer"), [(1, "hidden"), (2, "scores"), (3, "hidden")])
def test_a_difference_is_traced_to_its_epoch_and_layer(
    repo: Repository, data: Dataset, monkeypatch: pytest.MonkeyPatch, epoch: int, layer: str
) -> None:
    version = trained(repo, data, keep="last")
    real = Learner.epoch

    def nudged(self: Learner, number: int, *args: Any, **kwargs: Any) -> float:
        loss = real(self, number, *args, **kwargs)
        if number == epoch:
            with torch.no_grad():
                dict(self.live.network.named_parameters())[f"{layer}.bias"][1] += 1e-6
        return loss

    monkeypatch.setattr(Learner, "epoch", nudged)
    assert lw.reproduce(version).first == (epoch, layer)


def test_what_was_fitted_on_other_rows_comes_before_any_epoch(
    repo: Repository, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = trained(repo, data)

    def fitted(rows: Rows) -> dict[str, State]:
        states = dict(fit(rows))
        states["wide"] = {name: value + 1e-6 for name, value in states["wide"].items()}
        return states

    monkeypatch.setattr(prepare, "fit", fitted)
    assert lw.reproduce(version).first == (0, "wide")


def planted_package(patch: pytest.MonkeyPatch) -> None:
    found = {**environment.packages(), "numpy": "9.9.9"}
    patch.setattr(environment, "packages", lambda: found)


def planted_thread(patch: pytest.MonkeyPatch) -> None:
    real = reproduce._training

    def training(*args: Any) -> Training:
        found = real(*args)
        return dataclasses.replace(found, threads=(found.threads or 1) + 1)

    patch.setattr(reproduce, "_training", training)


@pytest.mark.parametrize(
    ("plant", "name"), [(planted_package, "package numpy"), (planted_thread, "threads")], ids=["library", "thread"]
)
def test_what_differs_of_the_environment_is_named(
    repo: Repository, data: Dataset, monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None], name: str,
) -> None:  # fmt: skip
    version = trained(repo, data, threads=1)
    plant(monkeypatch)
    then, now = lw.reproduce(version).environment[name]
    assert then != now


def test_what_no_run_made_is_refused_with_what_made_it(repo: Repository, data: Dataset) -> None:
    version = trained(repo, data)
    with torch.no_grad():
        for parameter in version.module().parameters():
            parameter.add_(1)
    kept = lw.keep(version)
    with pytest.raises(Unsupported, match=r"flower@2 was not made by a run.*\(kept made it\)"):
        lw.reproduce(kept)


def test_a_version_that_is_not_there_is_named(repo: Repository, data: Dataset) -> None:
    trained(repo, data)
    with pytest.raises(NotFound, match="has no version '7'; its newest is 1"):
        lw.reproduce(lw.load("flower@7", repo=repo))


def test_a_wrapped_module_needs_the_weights_it_started_from(repo: Repository) -> None:
    repo.add_dataset("flowers", flowers())

    def net(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))

    model = lw.wrap(
        net(1), torch.zeros(1, 2), name="flat",
        before=[lw.Layer("row", lw.Columns(("length", "width")))], answer=lw.Layer("kind", lw.Classes(target="kind")),
    )  # fmt: skip
    version = lw.train(model, "flowers", repo=repo, epochs=2).version
    assert lw.reproduce(lw.load(version.address, repo=repo, module=net(1)))
    assert lw.reproduce(lw.load(version.address, repo=repo, module=net(2))).first == (0, "0")


def test_a_manifest_of_before_epochs_were_kept_is_read_and_compared_in_the_end(repo: Repository, data: Dataset) -> None:
    version = trained(repo, data)
    said = {key: value for key, value in version.manifest.to_json().items() if key not in ("key", "epochs")}
    old = Manifest.from_json({**said, "format": 1}, "an old manifest")
    assert (old.key, old.epochs) == ("", None)
    made = lw.reproduce(dataclasses.replace(version, manifest=old))
    assert made
    assert made.epochs == 0


def test_a_run_says_what_it_depended_on(repo: Repository, data: Dataset) -> None:
    one, other, third = trained(repo, data), trained(repo, data), trained(repo, data, seed=4)
    assert one.manifest.key == other.manifest.key != third.manifest.key
    assert encode(one.manifest.key)


def test_the_commands_of_an_environment_name_every_package() -> None:
    commands = restore_commands({"python": "3.11.7", "threads": 2, "commit": "abc", "packages": {"a": "1", "b-c": "2"}})
    assert commands == [
        "git checkout abc", "python3.11 -m venv .venv", ". .venv/bin/activate", "export OMP_NUM_THREADS=2",
        "pip install 'a==1' 'b-c==2'",
    ]  # fmt: skip
