"""``layerwise records``: what is kept, and forgetting it; and the options that say what is kept."""

from __future__ import annotations

from pathlib import Path

from layerwise.cli.reference import keys_of
from tests.cli.conftest import Command

FORGOTTEN = {"version", "sets", "bytes", "left"}


def test_what_is_kept_is_listed_and_can_be_forgotten(run: Command, own: Path) -> None:
    found = run("records", "flowers", "--json").json
    assert set(found) == keys_of("records") - FORGOTTEN
    (kept,) = found["records"]
    assert (kept["version"], kept["data"], kept["made"]) == ("flowers@1", "flowers-data@1", "train")
    assert set(kept["layers"]) == {"a", "b", "both", "even", "hidden", "scores"}
    assert kept["run"].startswith("r-")
    assert "flowers-data@1" in run("records").out
    before = run("look", "flowers/hidden", "--rows", 5, "--json").json
    assert (
        "nothing to forget: 1 set of records of flowers@1 stays"
        in run("records", "flowers", "--forget", "--older", "1d").out
    )
    done = run("records", "flowers", "--forget")
    assert "1 set of records of flowers@1 forgotten" in done.out
    assert "nothing is kept of flowers; what is asked for is computed" in run("records", "flowers").out
    assert "nothing is kept of its layers" in run("look", "flowers").out
    after = run("look", "flowers/hidden", "--rows", 5, "--json").json
    assert (after["source"], after["rows"]) == ("computed", before["rows"])
    assert set(run("records", "--forget", "--over", "1GB", "--json").json) == FORGOTTEN


def test_training_keeps_what_the_options_say_and_the_same_weights(run: Command, own: Path) -> None:
    states = run("show", "flowers", "--json").json["states"]
    train = ["train", own / "flowers.yaml"]
    assert run(*train, "--record", "off").code == 0
    assert run("records", "flowers@2", "--json").json["records"] == []
    assert run("stats", "flowers@2").code == 2
    words = ["--layers", "even,scores", "--record-dtype", "float16", "--record-age", "30d", "--gradients"]
    assert run(*train, "--record", "sample:4", *words).code == 0
    (kept,) = run("records", "flowers@3", "--json").json["records"]
    assert (kept["rows"], kept["layers"]) == (4, ["even", "scores"])
    layers = {layer["layer"]: layer for layer in run("look", "flowers@3", "--json").json["layers"]}
    assert (layers["even"]["dtype"], layers["scores"]["also"], layers["hidden"]["rows"]) == ("float16", ["gradient"], 0)
    for number in (2, 3):
        assert run("show", f"flowers@{number}", "--json").json["states"] == states


def test_evaluating_keeps_what_it_is_told_to(run: Command, own: Path) -> None:
    plain = run("evaluate", "flowers", "--json").json
    assert run("evaluate", "flowers", "--record", "sample:3", "--layers", "hidden", "--json").json == plain
    newest = run("records", "flowers", "--json").json["records"][0]
    assert (newest["made"], newest["rows"], newest["layers"]) == ("evaluate", 3, ["hidden"])
