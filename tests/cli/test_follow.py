"""``layerwise trace`` and ``compare``: rows through every layer, and what if."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from layerwise.cli.follow import parse_patch
from layerwise.cli.reference import keys_of
from layerwise.errors import InvalidConfig
from tests.cli.conftest import Command

FILES = {"png", "html", "csv"}


def test_trace_follows_one_row_through_every_layer(run: Command, own: Path) -> None:
    found = run("trace", "flowers", own / "flowers.csv", "--row", 3, "--json").json
    assert set(found) == keys_of("trace") - FILES
    assert [layer["layer"] for layer in found["layers"]] == ["a", "b", "both", "even", "hidden", "scores"]
    assert {layer["source"] for layer in found["layers"]} == {"computed"}
    answers = run("predict", "flowers", own / "flowers.csv", "--json").json["answers"]
    assert found["answer"] == answers[3]
    shown = run("trace", "flowers", "--data", "flowers-data", "--row", 3).out
    assert "flowers@1 on row 3 of flowers-data@1, key f3; " in shown
    assert answers[3]["kind"] in shown


def test_a_row_that_was_kept_is_read_and_the_same(run: Command, own: Path) -> None:
    row = run("look", "flowers/hidden", "--rows", 1, "--json").json["rows"][0]
    kept = run("trace", "flowers", "--row", row["row"], "--json").json
    assert {layer["source"] for layer in kept["layers"]} == {"kept"}
    assert "; all of it was kept" in run("trace", "flowers", "--row", row["key"]).out
    computed = run("trace", "flowers", own / "flowers.csv", "--row", row["row"], "--json").json
    assert (kept["answer"], kept["truth"]) == (computed["answer"], computed["truth"])
    without = [{**layer, "source": ""} for layer in kept["layers"]]
    assert without == [{**layer, "source": ""} for layer in computed["layers"]]


def test_a_patch_changes_what_follows_and_the_answer(run: Command, own: Path) -> None:
    words = ["trace", "flowers", "--row", 3]
    was = run(*words, "--json").json
    found = run(*words, "--patch", "hidden=0", "--json").json
    layers = {layer["layer"]: layer for layer in found["layers"]}
    assert (layers["hidden"]["source"], layers["even"]["changed"]) == ("patched", 0)
    assert layers["scores"]["changed"] > 0
    assert found["before"] == was["answer"]
    assert found["answer"] != was["answer"]
    both = run(*words, "--patch", "hidden=0", "--patch", "scores=[9, -9]", "--json").json
    assert both["answer"]["probability"] > 0.99
    shown = run(*words, "--patch", "hidden=0").out
    assert "on row 3 of flowers-data@1, key f3, with hidden = 0" in shown
    assert "as it is" in shown
    assert "patched" in shown


@pytest.mark.parametrize("text", ["hidden", "=3", "hidden=", "hidden= "])
def test_a_patch_is_a_layer_and_a_value(text: str) -> None:
    with pytest.raises(InvalidConfig, match="write --patch LAYER=0"):
        parse_patch(text)


def test_a_trace_is_a_picture_a_page_and_a_table(run: Command, own: Path) -> None:
    files = ["--png", own / "t.png", "--html", own / "t.html", "--csv", own / "t.csv"]
    done = run("trace", "flowers", "--row", 3, *files)
    assert done.code == 0, done.err
    assert done.out.count("flowers@1 on row 3 of flowers-data@1, key f3") == 3
    assert (own / "t.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert "hidden" in (own / "t.html").read_text()
    rows = list(csv.DictReader(io.StringIO((own / "t.csv").read_text())))
    assert [row["layer"] for row in rows] == ["a", "b", "both", "even", "hidden", "scores"]
    drawn = run("trace", "flowers", "--row", 3, "--pictures").out
    assert "█" in drawn


def test_two_rows_are_compared_layer_by_layer(run: Command, own: Path) -> None:
    found = run("compare", "flowers", "--row", 0, "--row", "f1", "--json").json
    assert set(found) == keys_of("compare") - FILES
    assert (found["rows"], found["keys"]) == ([0, 1], ["f0", "f1"])
    assert found["parted"] in [layer["layer"] for layer in found["layers"]]
    assert all(0 <= layer["distance"] <= 2 for layer in found["layers"])
    every = run("predict", "flowers", "--data", "flowers-data", "--json").json["answers"]
    assert found["answers"] == every[:2]
    shown = run("compare", "flowers", "--row", 0, "--row", 1).out
    assert "flowers@1 on rows f0 and f1" in shown
    assert "parts them most" in shown
    same = run("compare", "flowers", "--row", 4, "--row", 4, "--json").json
    assert {layer["distance"] for layer in same["layers"]} == {0}
    assert "row f4 again" in run("compare", "flowers", "--row", 4, "--row", 4).out
