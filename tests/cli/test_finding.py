"""``layerwise top`` and ``nearest``: which rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerwise.cli.reference import keys_of
from layerwise.engine.version import load
from layerwise.repo import Repository
from tests.cli.conftest import Command

FILES = {"png", "html", "csv"}


def test_top_is_the_rows_with_the_highest_values(run: Command, own: Path) -> None:
    found = run("top", "flowers/hidden", "--unit", 3, "-k", 4, "--all", "--json").json
    assert set(found) == keys_of("top") - FILES
    with Repository(own / ".layerwise") as repo:
        values = load("flowers", repo=repo).layer("hidden").record(range(80))[:, 3]
    order = values.argsort(descending=True, stable=True)[:4].tolist()
    assert [row["row"] for row in found["rows"]] == order
    assert [row["value"] for row in found["rows"]] == pytest.approx(values[order].tolist())
    assert [row["key"] for row in found["rows"]] == [f"f{place}" for place in order]
    assert (found["among"], found["unit"]) == (80, "3")
    kept = run("top", "flowers/hidden", "--unit", 3, "-k", 4, "--json").json
    assert (kept["source"], kept["among"] < 80) == ("kept", True)


def test_a_unit_has_a_name_where_its_layer_says_one(run: Command, own: Path) -> None:
    found = run("top", "flowers/scores", "--unit", "rose", "-k", 5, "--all", "--json").json
    assert {row["truth"] for row in found["rows"]} == {"rose"}
    assert "highest at unit rose of flowers@1/scores, among " in run("top", "flowers/scores", "--unit", "rose").out
    lowest = run("top", "flowers/scores", "--unit", "rose", "--lowest", "-k", 1, "--all", "--json").json
    assert lowest["rows"][0]["value"] <= found["rows"][-1]["value"]


def test_nearest_is_the_rows_at_the_smallest_distance(run: Command, own: Path) -> None:
    found = run("nearest", "flowers/even", "--row", "f3", "-k", 3, "--all", "--json").json
    assert set(found) == keys_of("nearest") - FILES
    with Repository(own / ".layerwise") as repo:
        values = load("flowers", repo=repo).layer("even").record(range(80)).double()
    distances = (values - values[3]).norm(dim=1)
    order = [place for place in distances.argsort(stable=True).tolist() if place != 3][:3]
    assert [row["row"] for row in found["rows"]] == order
    assert [row["distance"] for row in found["rows"]] == pytest.approx(distances[order].tolist())
    own_row = run("nearest", "flowers/even", "--row", '{"a": 1.0, "b": 2.0}', "-k", 2, "--json").json
    assert len(own_row["rows"]) == 2
    assert "nearest to row f3 by flowers@1/even, among " in run("nearest", "flowers/even", "--row", "f3").out


def test_what_is_found_is_drawn_as_it_came_in(run: Command, own: Path) -> None:
    done = run("nearest", "flowers/even", "--row", 3, "-k", 2, "--html", own / "n.html", "--csv", own / "n.csv")
    assert done.code == 0, done.err
    assert "distance" in (own / "n.html").read_text()
    assert (own / "n.csv").read_text().startswith("row,key,distance,truth\n")
