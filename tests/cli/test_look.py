"""``layerwise look``: what left a layer, for rows that are kept and for any others."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np

from layerwise.cli.reference import keys_of
from layerwise.engine.version import load
from layerwise.repo import Repository
from tests.cli.conftest import Command

ROW = '{"a": 1.0, "b": 2.0}'


def test_a_version_alone_lists_its_layers_and_what_is_kept_of_each(run: Command, own: Path) -> None:
    found = run("look", "flowers", "--json").json
    assert set(found) == {"version", "layers", "records"} <= keys_of("look")
    assert [layer["layer"] for layer in found["layers"]] == ["a", "b", "both", "even", "hidden", "scores", "kind"]
    layers = {layer["layer"]: layer for layer in found["layers"]}
    rows = found["records"][0]["rows"]
    assert rows > 0
    assert (layers["hidden"]["rows"], layers["hidden"]["shape"], layers["hidden"]["dtype"]) == (rows, [8], "float32")
    assert layers["hidden"]["bytes"] == rows * 8 * 4
    assert layers["kind"]["rows"] == 0
    shown = run("look", "flowers").out
    assert f"flowers@1: {rows} rows of flowers-data@1, kept by train until " in shown
    assert "float32" in shown


def test_rows_that_are_kept_are_shown_and_it_is_said(run: Command, own: Path) -> None:
    found = run("look", "flowers/hidden", "--rows", 3, "--json").json
    assert set(found) == keys_of("look") - {"layers", "records", "png", "html", "csv"}
    assert (found["version"], found["layer"], found["source"], len(found["rows"])) == ("flowers@1", "hidden", "kept", 3)
    with Repository(own / ".layerwise") as repo:
        expected = load("flowers", repo=repo).layer("hidden").record([row["row"] for row in found["rows"]])
    assert [row["values"] for row in found["rows"]] == expected.tolist()
    assert all(row["key"].startswith("f") for row in found["rows"])
    shown = run("look", "flowers/hidden", "--rows", 3).out
    assert "flowers@1/hidden, 3 rows, kept; " in shown
    assert "more, --rows N shows them" in shown


def test_every_way_to_give_a_row_gives_the_same_values(run: Command, own: Path) -> None:
    lines = (own / "flowers.csv").read_text().splitlines()
    (own / "one.csv").write_text("\n".join([lines[0], lines[4]]) + "\n")
    _, a, b, _ = lines[4].split(",")
    row = json.dumps({"a": float(a), "b": float(b)})
    ways = (["--row", 3], ["--row", "f3"], ["--data", "flowers-data", "--row", 3], [own / "one.csv"], ["--row", row])
    found = [run("look", "flowers@1/hidden", *words, "--json").json["rows"] for words in ways]
    assert all(one[0]["values"] == found[0][0]["values"] for one in found)
    assert [one[0]["row"] for one in found] == [3, 3, 3, 0, 0]


def test_what_is_not_kept_is_computed_and_with_keep_is_kept(run: Command, own: Path) -> None:
    kept = {row["row"] for row in run("look", "flowers/hidden", "--rows", 1000, "--json").json["rows"]}
    other = min(set(range(80)) - kept)
    words = ["look", "flowers/hidden", "--row", other]
    first = run(*words, "--json").json
    assert (first["source"], first["from"]) == ("computed", [])
    assert "computed from the rows" in run(*words).out
    assert "kept: 1 row of flowers@1/hidden, 32 bytes" in run(*words, "--keep").err
    again = run(*words, "--json").json
    assert (again["source"], again["rows"]) == ("kept", first["rows"])
    assert "it was kept already" in run(*words, "--keep").err


def test_a_row_of_ones_own_cannot_be_kept(run: Command, own: Path) -> None:
    done = run("look", "flowers/hidden", "--row", ROW, "--keep")
    assert done.code == 2
    assert "these are from elsewhere" in done.err


def test_values_are_written_as_a_table_with_a_column_a_number(run: Command, own: Path) -> None:
    done = run("look", "flowers/hidden", "--row", 3, "--row", "f7", "--csv", own / "hidden.csv")
    assert done.out == f"{own / 'hidden.csv'} has flowers@1/hidden\n"
    rows = list(csv.DictReader(io.StringIO((own / "hidden.csv").read_text())))
    values = run("look", "flowers/hidden", "--row", 3, "--row", 7, "--json").json["rows"]
    assert [(row["row"], row["key"]) for row in rows] == [("3", "f3"), ("7", "f7")]
    assert [[float(row[f"hidden[{at}]"]) for at in range(8)] for row in rows] == [row["values"] for row in values]


def test_pictures_are_files_and_a_page_is_offline(run: Command, own: Path) -> None:
    done = run("look", "flowers/hidden", "--rows", 2, "--png", own / "a.png", "--html", own / "a.html")
    assert done.code == 0, done.err
    assert (own / "a.png").read_bytes().startswith(b"\x89PNG\r\n")
    page = (own / "a.html").read_text()
    assert "hidden" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=|https?:(?!//www\.w3\.org/2000/svg)", page)
    found = run("look", "flowers/hidden", "--rows", 2, "--png", own / "b.png", "--json").json
    assert found["png"] == str(own / "b.png")


def test_pictures_are_drawn_where_they_are_asked_for(run: Command, own: Path) -> None:
    plain, drawn = (
        run("look", "flowers/hidden", "--rows", 2).out,
        run("look", "flowers/hidden", "--rows", 2, "--pictures").out,
    )
    assert "what left it" in plain
    assert "what left it" not in drawn
    assert "row f" in drawn


def test_an_answer_rests_on_a_layers_outputs(run: Command, own: Path) -> None:
    found = run("look", "flowers/hidden", "--row", 3, "--attribute", "--json").json
    assert (found["what"], len(found["rows"][0]["values"])) == ("attribution", 8)
    for_tulip = run("look", "flowers/hidden", "--row", 3, "--attribute", "--target", "tulip", "--json").json
    assert for_tulip["rows"][0]["target"] == "tulip"
    shown = run("look", "flowers/hidden", "--row", 3, "--attribute").out
    assert "what the answer rests on at flowers@1/hidden, 1 row, by integrated gradients" in shown


def test_a_record_that_is_damaged_is_named_and_never_the_answer(run: Command, own: Path) -> None:
    words = ["look", "flowers/scores", "--rows", 3]
    before = run(*words, "--json").json
    assert before["source"] == "kept"
    damage(own, "scores")
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert "the record of flowers@1/scores, rows 0 to " in done.err
    assert "so that it is computed: layerwise records flowers@1 --forget" in done.err
    assert run("look", "flowers/hidden", "--rows", 3).code == 0
    assert run("records", "flowers@1", "--forget").code == 0
    after = run(*words, "--json").json
    assert (after["source"], after["rows"]) == ("computed", before["rows"])


def damage(folder: Path, layer: str) -> None:
    """Change a bit of what is kept of a layer."""
    with Repository(folder / ".layerwise") as repo:
        record = repo.records(repo.find("flowers").digest).find(layer)[0]
        begins = bytes(record.take(np.arange(8))["values"].data)
    (pack,) = [path for path in folder.rglob("*.pack") if begins in path.read_bytes()]
    data = bytearray(pack.read_bytes())
    data[data.index(begins)] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(data)


ODD = ("<script>alert(1)</script>", "\x1b[31mred\x1b[0m", "\u202eabc", "a\nb")


def test_what_stands_in_the_data_is_shown_and_never_acts(run: Command, tmp_path: Path) -> None:
    rows = [{"id": f"{ODD[at % 4]} {at}", "word": ODD[at // 4 % 4], "kind": f"{ODD[at % 2]}"} for at in range(48)]
    (tmp_path / "odd.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "odd.yaml").write_text(
        "model: odd\ndata: odd-data\nlayers:\n  word: {kind: column, column: word}\n  hot: {kind: one_hot}\n"
        "  scores: {kind: torch.nn.Linear, out_features: 2}\n  kind: {kind: classes, target: kind}\n"
        "train: {epochs: 1, batch: 16, seed: 1, threads: 1}\n"
    )
    assert run("data", "add", "odd-data", tmp_path / "odd.jsonl", "--key", "id").code == 0
    assert run("train", tmp_path / "odd.yaml").code == 0
    page = tmp_path / "a.html"
    for words in (
        ["look", "odd/word"], ["look", "odd/word", "--pictures"], ["trace", "odd", "--row", "1"],
        ["trace", "odd", "--row", "1", "--pictures"], ["nearest", "odd/hot", "--row", "1"],
        ["nearest", "odd/hot", "--row", "1", "--pictures"], ["top", "odd/hot", "--unit", "0"],
        ["compare", "odd", "--row", "1", "--row", "2"], ["trace", "odd", "--row", "1", "--html", page],
    ):  # fmt: skip
        done = run(*words)
        assert done.code == 0, done.err
        assert not {character for character in done.out + done.err if not character.isprintable()} - {"\n"}
    assert "<script" not in page.read_text()
    assert "\x1b" not in page.read_text()
