"""``layerwise stats``: what the layers looked like along a run, and what went wrong."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from layerwise.cli.reference import keys_of
from tests.cli.conftest import Command


def test_stats_has_every_layer_in_the_order_of_the_model(run: Command, own: Path) -> None:
    found = run("stats", "flowers", "--json").json
    assert set(found) == keys_of("stats") - {"csv"}
    assert (found["of"], found["epoch"]) == ("flowers@1", 2)
    assert list(found["layers"]) == ["hidden", "scores"]
    assert [epoch for epoch, _ in found["layers"]["hidden"]["mean"]] == [1, 2]
    assert found["run"] == run("show", "flowers", "--json").json["run"]
    shown = run("stats", "flowers").out
    assert f"flowers@1, epoch 2 of 2; run {found['run']}" in shown
    assert "spread, epochs" in shown
    assert run("stats", found["run"], "--json").json["layers"] == found["layers"]


def test_stats_of_an_epoch_and_of_a_layer(run: Command, own: Path) -> None:
    first = run("stats", "flowers", "--epoch", 1).out
    assert "epoch 1 of 2" in first
    one = run("stats", "flowers", "--layer", "hid*").out
    assert "of what left it" in one
    assert "scores" not in one
    run("stats", "flowers", "--csv", own / "s.csv")
    rows = list(csv.DictReader(io.StringIO((own / "s.csv").read_text())))
    assert [(row["layer"], row["epoch"]) for row in rows[:2]] == [("hidden", "1"), ("scores", "1")]


def test_what_goes_wrong_is_told_while_it_trains_and_afterwards(run: Command, own: Path) -> None:
    done = run("train", own / "flowers.yaml", "--set", "train.lr=1000.0", "--set", "train.epochs=4")
    assert done.code == 0, done.err
    warned = run("stats", "flowers", "--json").json["warnings"]
    assert [one["what"] for one in warned], done.err
    first = warned[0]
    assert f"layer '{first['layer']}' is {first['what']} since epoch {first['epoch']}: " in done.err
    assert f"{first['layer']}: {first['what']} since epoch {first['epoch']}: " in run("stats", "flowers").out


def test_statistics_are_left_out_of_the_metrics_unless_they_are_asked_for(run: Command, own: Path) -> None:
    made = run("show", "flowers", "--json").json["run"]
    plain = run("metrics", made, "--json").json["metrics"]
    assert plain
    assert not [name for name in plain if name.startswith("layers/")]
    asked = run("metrics", made, "--key", "layers/hidden/", "--json").json["metrics"]
    assert {"layers/hidden/mean", "layers/hidden/gradients"} <= set(asked)
