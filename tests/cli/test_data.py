"""``layerwise data``: what is kept, what is said of it, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerwise.cli.reference import keys_of
from tests.cli.conftest import Command


def test_add_says_what_was_kept_and_what_to_look_at(run: Command, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x\n1,2\n2,3\n")
    done = run("data", "add", "numbers", tmp_path / "a.csv", "--key", "id")
    assert done.code == 0
    assert "numbers@1: 2 rows, 2 columns" in done.out
    assert "layerwise data show numbers@1" in done.out


def test_add_again_makes_no_version(run: Command, own: Path) -> None:
    done = run("data", "add", "flowers-data", own / "flowers.csv", "--key", "id", "--json")
    assert done.json["created"] is False
    assert done.json["dataset"] == "flowers-data@1"
    assert set(done.json) == keys_of("data add")


def test_add_counts_what_changed(run: Command, own: Path) -> None:
    text = (own / "flowers.csv").read_text().splitlines()
    (own / "flowers.csv").write_text("\n".join([*text[:4], "f3,9,9,rose", *text[5:80], "new,1,1,tulip"]) + "\n")
    found = run("data", "add", "flowers-data", own / "flowers.csv", "--key", "id", "--json").json
    assert (found["new_rows"], found["changed_rows"], found["removed_rows"]) == (1, 1, 1)
    diff = run("data", "diff", "flowers-data@1", "flowers-data@2", "--json")
    assert set(diff.json) == keys_of("data diff")
    assert diff.json["added"] == ["new"]
    assert diff.json["removed"] == ["f79"]
    assert diff.json["changed"][0]["id"] == "f3"
    assert diff.json["changed"][0]["values"]["a"]["new"] == 9
    shown = run("data", "diff", "flowers-data@1", "flowers-data@2").out
    assert "1 added, 1 removed, 1 changed, 78 as before" in shown
    assert "→ 9.0" in shown


def test_a_diff_of_equals_says_so(run: Command, own: Path) -> None:
    assert "the same 80 rows" in run("data", "diff", "flowers-data@1", "flowers-data").out


def test_list_is_newest_first(run: Command, own: Path) -> None:
    (own / "b.csv").write_text("id,a\n1,2\n")
    run("data", "add", "flowers-data", own / "b.csv", "--key", "id")
    assert [row["number"] for row in run("data", "list", "flowers-data", "--json").json["versions"]] == [2, 1]
    newest = run("data", "list", "--json").json["datasets"]
    assert [(row["address"], row["rows"], row["key"]) for row in newest] == [("flowers-data@2", 1, "id")]
    assert "flowers-data@2" in run("data", "list").out


def test_show_has_columns_and_first_rows(run: Command, own: Path) -> None:
    found = run("data", "show", "flowers-data", "--json").json
    assert set(found) == keys_of("data show")
    assert found["columns"]["a"]["type"] == "float64"
    assert found["columns"]["kind"]["distinct"] == 2
    assert [row["id"] for row in found["sample"]] == ["f0", "f1", "f2", "f3", "f4"]
    shown = run("data", "show", "flowers-data@1").out
    assert "80 rows, key id" in shown
    assert "tulip (40), rose (40)" in shown or "rose (40), tulip (40)" in shown
    assert "… and 75 more rows" in shown


def test_a_tensor_is_shown_by_its_shape(run: Command, tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "scans.npz", image=np.zeros((3, 8, 8), np.uint8))
    run("data", "add", "scans", tmp_path / "scans.npz")
    assert "uint8[8, 8]" in run("data", "show", "scans").out
    assert run("data", "show", "scans", "--json").json["sample"][0]["image"] == "uint8[8, 8]"


@pytest.mark.parametrize("name", ["a.csv", "missing.csv", "b.txt"])
def test_a_source_that_cannot_be_read_leaves_no_repository(
    run: Command, tmp_path: Path, own_repository: Path, name: str
) -> None:
    (tmp_path / "b.txt").write_text("x")
    done = run("data", "add", "9bad" if name == "a.csv" else "numbers", tmp_path / name)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert not own_repository.exists()


def test_what_stands_in_data_is_shown_and_does_not_act(run: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"x": "\\u001b[31mred [bold]b[/bold]"}\n')
    run("data", "add", "texts", tmp_path / "a.jsonl", "-m", "evil\x1b[2J\u202emessage")
    for words in (["show", "texts"], ["list"], ["show", "texts", "--json"], ["list", "--json"]):
        printed = run("data", *words).out
        assert "\x1b" not in printed
        assert "\u202e" not in printed
    assert "[bold]b[/bold]" in run("data", "show", "texts").out
