"""``layerwise reproduce``: the same, or where it is not; the commands of an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from layerwise.cli.reference import keys_of
from layerwise.engine import prepare
from layerwise.layers.network import Network, build
from tests.cli.conftest import Command


def test_a_version_that_is_the_same_says_so(run: Command, own: Path) -> None:
    found = run("reproduce", "flowers")
    assert found.code == 0
    assert "flowers@1: the same to the bit (4 layers, 2 epochs)" in found.out
    said = run("reproduce", "flowers", "--json").json
    assert set(said) == keys_of("reproduce") - {"commands"}
    assert (said["same"], said["first"], said["deviations"], said["environment"]) == (True, None, [], {})


def test_one_that_is_not_names_the_epoch_and_the_layer(
    run: Command, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*args: Any) -> Network:
        network = build(*args)
        with torch.no_grad():
            dict(network.named_parameters())["hidden.bias"][3] += 1e-5
        return network

    monkeypatch.setattr(prepare, "build", built)
    found = run("reproduce", "flowers")
    assert found.code == 1
    assert "flowers@1: not the same; first at hidden, before the first step" in found.out
    assert "largest difference" in found.out
    said = run("reproduce", "flowers", "--json")
    assert said.code == 1
    assert said.json["first"] == {"epoch": 0, "layer": "hidden"}
    assert said.json["deviations"][0]["layer"] == "hidden"


def test_the_commands_of_its_environment_are_printed(run: Command, own: Path) -> None:
    text = run("reproduce", "flowers", "--env").out
    said = run("reproduce", "flowers", "--env", "--json").json["commands"]
    assert text.splitlines() == said
    assert said[-1].startswith("pip install ")
    assert f"'torch=={torch.__version__}'" in said[-1]


def test_a_version_that_is_not_there_is_one_sentence(run: Command, own: Path) -> None:
    found = run("reproduce", "flowers@9")
    assert (found.code, found.out) == (2, "")
    assert "has no version '9'; its newest is 1" in found.err
