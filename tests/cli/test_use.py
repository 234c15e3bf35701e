"""``layerwise evaluate``, ``predict``, ``trace``, ``export`` and ``kinds``: a version at work."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from safetensors import safe_open
from safetensors.torch import load_file

from layerwise.cli.reference import keys_of
from layerwise.engine.export import export
from layerwise.engine.version import load
from layerwise.errors import InvalidFile
from layerwise.repo import Repository
from tests.cli.conftest import Command

ROW = '{"a": 1.0, "b": 2.0}'


def test_evaluate_measures_what_training_measured(run: Command, own: Path) -> None:
    kept = run("show", "flowers", "--json").json["metrics"]
    found = run("evaluate", "flowers", "--json")
    assert set(found.json) == keys_of("evaluate")
    assert found.json["metrics"]["loss"] == pytest.approx(kept["test/loss"])
    assert run("evaluate", "flowers", "--split", "all", "--json").json["split"] == "all"
    assert "on the test rows of flowers-data@1" in run("evaluate", "flowers").out


def test_every_way_to_give_rows_gives_the_same_answer(run: Command, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "row.csv").write_text("a,b\n1.0,2.0\n")
    (own / "row.jsonl").write_text(f"{ROW}\n")
    answers = [run("predict", "flowers", own / name, "--json").json["answers"] for name in ("row.csv", "row.jsonl")]
    answers.append(run("predict", "flowers", "--row", ROW, "--json").json["answers"])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(f"{ROW}\n\n".encode())))
    answers.append(run("predict", "flowers", "-", "--json").json["answers"])
    assert answers == [answers[0]] * 4
    assert answers[0][0]["kind"] in ("rose", "tulip")


def test_a_row_goes_by_its_place_its_key_or_as_json(run: Command, own: Path) -> None:
    """``--row`` means the same in both commands, with the dataset of the training where no rows are given."""
    every = run("predict", "flowers", "--data", "flowers-data", "--json").json["answers"]
    row = json.dumps({"a": 1.0, "b": 2.0})
    for words in (["flowers-data", "3"], ["flowers-data", "f3"], [None, "3"], [None, "f3"]):
        given = [word for word in ("--data", words[0], "--row", words[1]) if words[0] or word not in ("--data", None)]
        assert run("predict", "flowers", *given, "--json").json["answers"] == [every[3]]
        found = run("trace", "flowers", *given, "--json").json
        assert (found["row"], found["answer"]) == (3, every[3])
    assert run("predict", "flowers", own / "flowers.csv", "--row", 3, "--json").json["answers"] == [every[3]]
    answers = run("predict", "flowers", "--row", row, "--json").json["answers"]
    assert run("trace", "flowers", "--row", row, "--json").json["answer"] == answers[0]
    several = run("predict", "flowers", "--row", "f7", "--row", 0, "--json").json
    assert (several["rows"], several["answers"]) == (2, [every[7], every[0]])
    assert [line.split()[0] for line in run("predict", "flowers", "--row", "f7", "--row", 0).out.splitlines()[2:]] == [
        "7",
        "0",
    ]


WINDOWS = """\
model: waves
data: waves-data
layers:
  level:  {kind: column, column: level}
  last:   {kind: window, length: 3}
  flat:   {kind: torch.nn.Flatten}
  next:   {kind: torch.nn.Linear, out_features: 1}
  level_: {kind: value, target: level, unit: m}
train: {epochs: 1, batch: 8, seed: 1, threads: 1, split: {by: time, column: hour}}
"""


def test_a_row_of_a_series_is_answered_with_the_rows_before_it(run: Command, own: Path) -> None:
    lines = [f"{hour},{hour % 7}" for hour in range(60)]
    (own / "waves.csv").write_text("\n".join(["hour,level", *lines]) + "\n")
    (own / "waves.yaml").write_text(WINDOWS)
    run("data", "add", "waves-data", own / "waves.csv", "--key", "hour")
    assert run("train", own / "waves.yaml").code == 0
    every = run("predict", "waves", "--data", "waves-data", "--json").json["answers"]
    assert run("predict", "waves", "--row", 50, "--row", 7, "--json").json["answers"] == [every[50], every[7]]
    assert run("trace", "waves", "--row", 50, "--json").json["answer"] == every[50]


def test_an_answer_has_its_unit(run: Command, own: Path) -> None:
    (own / "flats.csv").write_text("size,price\n" + "".join(f"{n},{n * 10}\n" for n in range(40)))
    (own / "flats.yaml").write_text(
        "model: flats\ndata: flats-data\nlayers:\n  size: {kind: column, column: size}\n  row: {kind: join}\n"
        "  out: {kind: torch.nn.Linear, out_features: 1}\n  price: {kind: value, target: price, unit: EUR}\n"
        "train: {epochs: 1, batch: 16, seed: 1, threads: 1}\n"
    )
    run("data", "add", "flats-data", own / "flats.csv")
    run("train", own / "flats.yaml")
    assert run("predict", "flats", "--row", 3).out.splitlines()[0].split() == ["row", "price", "(EUR)"]
    assert [line for line in run("trace", "flats", "--row", 3).out.splitlines() if line.startswith("price (EUR)  ")]
    assert list(run("predict", "flats", "--row", 3, "--json").json["answers"][0]) == ["price"]


def test_a_value_that_is_missing_is_a_mark_and_null_for_programs(run: Command, own: Path) -> None:
    (own / "gaps.csv").write_text("a,b,word,kind\n" + "".join(f"{n},{n},w,{'xy'[n % 2]}\n" for n in range(40)))
    (own / "gaps.yaml").write_text(
        "model: gaps\ndata: gaps-data\nlayers:\n  a: {kind: column, column: a}\n  b: {kind: column, column: b}\n"
        "  both: {kind: join, inputs: [a, b]}\n  full: {kind: fill, value: 0.0}\n"
        "  word: {kind: column, column: word}\n  known: {kind: one_hot, missing: own}\n"
        "  all: {kind: join, inputs: [full, known]}\n"
        "  out: {kind: torch.nn.Linear, out_features: 2}\n  kind: {kind: classes, target: kind}\n"
        "train: {epochs: 1, batch: 16, seed: 1, threads: 1}\n"
    )
    run("data", "add", "gaps-data", own / "gaps.csv")
    run("train", own / "gaps.yaml")
    row = '{"a": null, "b": 2.0, "word": null}'
    shown = {line.split()[0]: line.split()[3:] for line in run("trace", "gaps", "--row", row).out.splitlines()[4:9]}
    assert (shown["a"], shown["both"], shown["word"]) == (["—", "missing"], ["—", "2"], ["—", "missing"])
    layers = {layer["layer"]: layer["summary"] for layer in run("trace", "gaps", "--row", row, "--json").json["layers"]}
    assert (layers["a"], layers["both"], layers["word"], layers["full"]) == (None, "—  2", None, "0  2")


def test_predict_from_a_dataset_answers_every_row(run: Command, own: Path) -> None:
    found = run("predict", "flowers", "--data", "flowers-data", "--json").json
    assert (found["version"], found["rows"], len(found["answers"])) == ("flowers@1", 80, 80)
    shown = run("predict", "flowers", "--data", "flowers-data").out
    assert "… 60 more rows; --json or --out FILE.csv has all" in shown


def test_predict_writes_files_that_others_read(run: Command, own: Path) -> None:
    expected = run("predict", "flowers", "--data", "flowers-data", "--json").json["answers"]
    for ending in ("csv", "parquet", "jsonl"):
        out = own / f"answers.{ending}"
        done = run("predict", "flowers", "--data", "flowers-data", "--out", out, "--json")
        assert done.json == {"version": "flowers@1", "rows": 80, "out": str(out)}
    assert csv.read_csv(own / "answers.csv").column("kind").to_pylist() == [row["kind"] for row in expected]
    assert pq.read_table(own / "answers.parquet").to_pylist() == expected
    assert [json.loads(line) for line in (own / "answers.jsonl").read_text().splitlines()] == expected


def test_export_is_the_state_dict_and_the_model(run: Command, own: Path) -> None:
    found = run("export", "flowers", own / "out", "--json").json
    assert set(found) == keys_of("export")
    with Repository(own / ".layerwise") as repo:
        version = load("flowers", repo=repo)
        expected = version.module().state_dict()
        digest = version.entry.digest
        states = version.states
    weights = load_file(own / "out" / "weights.safetensors")
    assert set(weights) == set(expected) == {"hidden.weight", "hidden.bias", "scores.weight", "scores.bias"}
    assert all(weights[name].equal(expected[name]) for name in expected)
    with safe_open(own / "out" / "weights.safetensors", "pt") as file:
        said = {"format": "pt", "layerwise.version": "flowers@1", "layerwise.manifest": digest}
        assert file.metadata() == said
    state = load_file(own / "out" / "state.safetensors")
    assert {name.partition("/")[0] for name in state} == {"even", "kind"}
    assert all(tensor.equal(states["even"][name.partition("/")[2]]) for name, tensor in state.items() if "even" in name)
    assert run("show", own / "out" / "model.yaml").code == 0


def test_export_never_overwrites_unless_told_to(run: Command, own: Path) -> None:
    (own / "out").mkdir()
    (own / "out" / "mine.txt").write_text("mine")
    done = run("export", "flowers", own / "out")
    assert done.code == 2
    assert "'mine.txt'" in done.err
    assert [path.name for path in (own / "out").iterdir()] == ["mine.txt"]
    assert run("export", "flowers", own / "out", "--force").code == 0
    assert len(list((own / "out").iterdir())) == 4


def test_export_says_what_stands_in_its_way(own: Path) -> None:
    with Repository(own / ".layerwise") as repo:
        version = load("flowers", repo=repo)
        for folder, word in ((own / "flowers.csv", "not a folder"), (own / "no" / "out", "make it first")):
            with pytest.raises(InvalidFile, match=word):
                export(version, folder)


def test_kinds_lists_all_and_describes_one(run: Command) -> None:
    found = run("kinds", "--json").json["kinds"]
    names = {kind["name"] for kind in found}
    assert {"column", "standardize", "classes", "torch.nn.Conv2d"} <= names
    # One class of torch has no docstring.
    assert {kind["name"] for kind in found if not kind["does"]} <= {"torch.nn.CrossMapLRN2d"}
    listed = run("kinds").out
    assert "standardize" in listed
    assert "Conv2d" in listed
    conv = run("kinds", "Conv2d", "--json").json["kind"]
    options = {option["name"]: option for option in conv["options"]}
    assert options["out_channels"]["default"] == ""
    assert options["in_channels"]["default"] == "follows from the input"
    assert options["padding"]["default"] == "0"
    shown = run("kinds", "classes").out
    assert "the column of labels" in shown
    assert "NAME: {kind: classes, target: …}" in shown


def test_a_users_own_file_brings_its_kinds(run: Command, tmp_path: Path) -> None:
    (tmp_path / "my_own_layers.py").write_text(
        'from torch import nn\n\n\nclass Twice(nn.Module):\n    """Twice what arrives."""\n\n'
        "    def __init__(self, times: int = 2) -> None:\n        super().__init__()\n        self.times = times\n\n"
        "    def forward(self, x):\n        return x * self.times\n"
    )
    done = run("kinds", "my_own_layers.Twice", "--code", tmp_path / "my_own_layers.py", "--json")
    assert done.json["kind"]["does"] == "Twice what arrives"
    assert done.json["kind"]["options"][0] == {"name": "times", "type": "a whole number", "default": "2", "meaning": ""}
