"""``layerwise list``, ``log``, ``show`` and ``alias``: looking, and naming."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from layerwise.cli.listing import headline
from layerwise.cli.reference import keys_of
from tests.cli.conftest import Command


def test_list_has_the_newest_version_of_each_model(run: Command, own: Path) -> None:
    found = run("list", "--json").json
    assert set(found) == keys_of("list")
    (model,) = found["models"]
    assert (model["address"], model["data"], model["message"]) == ("flowers@1", "flowers-data@1", "a try")
    assert 0 <= model["metrics"]["test/accuracy"] <= 1
    assert "flowers@1" in run("list").out


def test_a_repository_without_models_says_what_to_do(run: Command, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    run("data", "add", "numbers", tmp_path / "a.csv")
    assert "layerwise train FILE.yaml" in run("list").out
    assert run("list", "--json").json == {"models": []}


def test_log_is_newest_first_with_parents_and_aliases(run: Command, own: Path) -> None:
    run("train", own / "flowers.yaml", "--set", "train.seed=2", "-m", "another seed")
    run("alias", "flowers@1", "champion")
    found = run("log", "flowers", "--json").json
    assert set(found) == keys_of("log")
    assert [(row["number"], row["parent"], row["message"]) for row in found["versions"]] == [
        (2, 1, "another seed"),
        (1, None, "a try"),
    ]
    shown = run("log", "flowers").out.splitlines()
    assert "champion" in shown[3]
    assert "champion" not in shown[2]
    assert "@1" in shown[2]


def test_show_has_every_layer_with_shapes_parameters_and_state(run: Command, own: Path) -> None:
    found = run("show", "flowers", "--json").json
    assert set(found) == keys_of("show")
    layers = {layer["layer"]: layer for layer in found["layers"]}
    assert list(layers) == ["a", "b", "both", "even", "hidden", "scores", "kind"]
    assert layers["hidden"]["parameters"] == 2 * 8 + 8
    assert layers["hidden"]["state_bytes"] == 4 * 24
    assert layers["hidden"]["output"] == "float32[batch, 8]"
    assert layers["hidden"]["owner"] == "maria"
    assert layers["both"]["inputs"] == ["a", "b"]
    assert found["parameters"] == 24 + 18
    assert found["environment"]["packages"]["torch"]
    shown = run("show", "flowers").out
    for word in (
        "flowers@1",
        "float32[batch, 8]",
        "owner maria",
        "42 parameters",
        "accuracy",
        "flowers-data@1",
        "a try",
    ):
        assert word in shown


def test_show_finds_a_version_by_alias_and_digest(run: Command, own: Path) -> None:
    run("alias", "flowers@1", "champion")
    digest = run("show", "flowers", "--json").json["digest"]
    for address in ("flowers@champion", f"flowers@{digest[:8]}", "flowers@1"):
        found = run("show", address, "--json").json
        assert (found["version"], found["aliases"]) == ("flowers@1", ["champion"])


def test_show_prints_a_file_that_trains_the_same_model(run: Command, own: Path) -> None:
    (own / "again.yaml").write_text(run("show", "flowers", "--yaml").out)
    again = run("show", own / "again.yaml", "--json").json
    before = run("show", "flowers", "--json").json
    assert [layer["options"] for layer in again["layers"]] == [layer["options"] for layer in before["layers"]]
    assert run("show", "flowers", "--mermaid").out.startswith("flowchart LR")


def test_show_writes_a_page_that_needs_nothing_else(run: Command, own: Path) -> None:
    done = run("show", "flowers", "--html", own / "flowers.html")
    page = (own / "flowers.html").read_text()
    assert done.code == 0
    assert "flowers.html" in done.out
    assert page.startswith("<!doctype html>")
    assert "hidden" in page
    assert "http" not in page
    assert "<script" not in page


def test_a_file_is_shown_without_a_repository_too(run: Command, trained: Path, own_repository: Path) -> None:
    found = run("show", trained / "flowers.yaml", "--json").json
    assert set(found) == keys_of("show") - _only_of_versions()
    assert found["version"] is None
    assert not own_repository.exists()
    assert "not trained" in run("show", trained / "flowers.yaml").out


def _only_of_versions() -> set[str]:
    origin = {"digest", "parent", "aliases", "metrics", "environment", "states"}
    return origin | {"run", "outcome", "epoch", "created", "actor", "message"}


def test_a_file_that_does_not_fit_its_data_is_told_with_its_line(run: Command, own: Path) -> None:
    file = own / "flowers.yaml"
    file.write_text(file.read_text().replace("column: b", "column: bb"))
    done = run("show", file)
    assert done.code == 2
    assert done.err.startswith(f"error: {file}:5: layer 'b'")


@pytest.mark.parametrize("width", ["40", "70", "200"])
def test_names_are_whole_on_every_screen(run: Command, own: Path, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    for words in (
        ["list"],
        ["log", "flowers"],
        ["show", "flowers"],
        ["data", "list"],
        ["data", "show", "flowers-data"],
    ):
        done = _at(run, monkeypatch, width, words)
        assert "flowers" in done
        assert max(map(len, done.splitlines())) <= max(int(width), 64)


def _at(run: Command, monkeypatch: pytest.MonkeyPatch, width: str, words: list[str]) -> str:
    monkeypatch.setenv("COLUMNS", width)
    return run(*words).out


def test_show_says_how_it_was_trained_and_nothing_that_had_no_part(run: Command, own: Path) -> None:
    said = _training(run("show", "flowers").out)
    assert said == (
        "epochs 2, batch 16, optimizer adam, lr 0.05, seed 1, keep best, "
        "split {by: row, train: 0.8, validation: 0.1, test: 0.1, seed: 0}"
    )
    lines = (own / "flowers.csv").read_text().splitlines()
    parts = ["part", *(("train", "val", "train", "test")[at // 2 % 4] for at in range(len(lines) - 1))]
    (own / "parts.csv").write_text("".join(f"{line},{part}\n" for line, part in zip(lines, parts, strict=True)))
    run("data", "add", "flowers-data", own / "parts.csv", "--key", "id")
    file = own / "flowers.yaml"
    file.write_text(file.read_text().replace("seed: 1,", "seed: 1, keep: last, split: {by: column, column: part},"))
    assert run("train", file).code == 0
    assert _training(run("show", "flowers").out).endswith(", keep last, split {by: column, column: part}")


def _training(shown: str) -> str:
    text = " ".join(shown.split())
    return text[text.index(" training ") + len(" training ") : text.index(" run r-")]


@pytest.mark.parametrize("width", ["60", "80", "100", "140", "300"])
def test_a_model_is_readable_on_every_screen(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    """No name is broken, every layer says what it takes and whose it is, and the lines fit."""
    names = [f"account_number_{at}" for at in range(8)]
    columns = "".join(f"  {name}: {{kind: column, column: {name}, sensitivity: personal}}\n" for name in names)
    (tmp_path / "wide.yaml").write_text(
        f"model: wide\nlayers:\n{columns}  row: {{kind: join, inputs: [{', '.join(names)}], owner: maria}}\n"
        "  hidden: {kind: torch.nn.Linear, out_features: 32, activation: relu}\n"
    )
    shown = _at(run, monkeypatch, width, ["show", str(tmp_path / "wide.yaml")])
    assert max(map(len, shown.splitlines()[2:])) <= int(width)
    words = set(re.split(r"[\s,]+", shown))
    assert {*names, "takes", "personal", "maria", "out_features:", "relu"} <= words


def test_shapes_are_short_where_the_screen_is_narrow(run: Command, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {
        width: next(
            line for line in _at(run, monkeypatch, width, ["show", "flowers"]).splitlines() if line[:6] == "hidden"
        )
        for width in ("60", "120")
    }
    assert "float32[batch, 8]" in hidden["120"]
    assert hidden["60"].split()[-1] == "8"


def test_the_first_rows_are_shown_in_whole_columns(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wide.csv").write_text(
        ",".join(f"a_rather_long_name_{at}" for at in range(9)) + "\n" + ",".join(["7"] * 9) + "\n"
    )
    run("data", "add", "wide", tmp_path / "wide.csv")
    for width, count in (("40", 1), ("80", 3), ("300", 8)):
        sample = _at(run, monkeypatch, width, ["data", "show", "wide"]).split("\n\n")[-1].splitlines()
        assert sample[0].split() == ["row", *(f"a_rather_long_name_{at}" for at in range(count))]
        assert sample[-1] == f"… and {9 - count} more column{'' if count == 8 else 's'}"


def test_alias_names_moves_lists_and_drops(run: Command, own: Path) -> None:
    run("train", own / "flowers.yaml", "--set", "train.seed=2")
    assert run("alias", "flowers@1", "champion", "--json").json == {"model": "flowers", "aliases": {"champion": 1}}
    assert "(it was flowers@1)" in run("alias", "flowers@2", "champion").out
    assert "flowers@champion" in run("alias", "flowers").out
    assert "gone; it was flowers@2" in run("alias", "flowers", "champion", "--drop").out
    assert run("alias", "flowers", "--json").json["aliases"] == {}


def test_the_headline_is_of_the_rows_that_tell_most() -> None:
    assert headline({"train/loss": 0.5}) == "train loss 0.5"
    assert headline({"train/loss": 0.5, "validation/loss": 0.4, "validation/r2": 0.9}) == "validation r2 0.9"
    assert headline({}) == ""
