"""A user's mistake is one line, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from layerwise.cli import main
from layerwise.cli.listing import list_models
from tests.cli.conftest import Command

TABLE: tuple[tuple[str, str], ...] = (
    ("lst", "Did you mean 'list'?"),
    ("log", "Missing argument 'NAME'"),
    ("log nothere", "There is: flowers."),
    ("log flowers --bogus", "No such option: --bogus"),
    ("list --repository x", "it stands before the command"),
    ("show flowers@99", "its newest is 1"),
    ("show flowers@champion", "champion"),
    ("show flowers/hidden", "names a layer"),
    ("show flowers@1/hidden:2", "write flowers@1"),
    ("show ../../etc/passwd", "is not"),
    ("show missing.yaml", "cannot be read"),
    ("show flowers --yaml --mermaid", "choose one"),
    ("show flowers --data flowers-data", "--data is for a model's file"),
    ("alias flowers@1", "which alias?"),
    ("alias flowers nope --drop", "no alias 'nope'"),
    ("alias flowers@1 9bad", "is not an alias"),
    ("train missing.yaml", "cannot be read"),
    ("train flowers.yaml --set train.epochs=abc", "expected a whole number"),
    ("train flowers.yaml --set layers.hidden.out_featurs=3", "Did you mean 'out_features'?"),
    ("train flowers.yaml --data nothere", "There is: flowers-data."),
    ("train flowers.yaml --code missing.py", "no such file"),
    ("train flowers.yaml --code flowers.csv", "is not a Python file"),
    ("train flowers.yaml --code json.py", "rename the file"),
    ("train flowers.yaml --code broken_code.py", "broken_code.py:2: ZeroDivisionError"),
    ("train flowers.yaml --code worse_code.py", "worse_code.py:1: SyntaxError"),
    ("predict flowers", "which rows?"),
    ("predict flowers flowers.csv --data flowers-data", "more than one"),
    ("predict flowers missing.csv", "no such file"),
    ("predict flowers flowers.csv --out x.txt", "expected one of .csv, .parquet, .jsonl"),
    ("predict flowers flowers.csv --out no/x.csv", "make it first"),
    ("predict flowers --row {oops", "--row 1 is not JSON"),
    ("predict flowers --row oops", "flowers-data@1 has no row 'oops', nor one of that key; the rows are 0 to 79"),
    ("predict flowers flowers.csv --row f3", "flowers.csv has no row 'f3'; the rows are 0 to 79"),
    ('predict flowers --row {"a":1,"b":1} --row 3', "more than one"),
    ('trace flowers flowers.csv --row {"a":1,"b":1}', "more than one"),
    ("trace flowers", "which rows?"),
    ("trace flowers --row 80", "flowers-data@1 has no row 80; the rows are 0 to 79"),
    ("predict flowers --row [1]", "expected an object"),
    ("predict flowers --row {}", "no columns"),
    ('predict flowers --row {"b":1}', "no column 'a'"),
    ('predict flowers --row {"a":"x","b":1}', "the column 'a' is string and was"),
    ("trace flowers flowers.csv --row 99", "the rows are 0 to 79"),
    ("trace flowers flowers.csv --row -1", "the rows are 0 to 79"),
    ("evaluate flowers --split tst", "Did you mean 'test'?"),
    ("evaluate flowers --record some", "There is: all, off, sample:256, stats."),
    ("train flowers.yaml --record al", "Did you mean 'all'?"),
    ("train flowers.yaml --layers hiden", "Did you mean 'hidden'?"),
    ("train flowers.yaml --record-dtype float8", "expected float16"),
    ("train flowers.yaml --record-cap lots", "such as 500MB or 2GiB"),
    ("train flowers.yaml --record-age soon", "such as 90d, 12h or 2w"),
    ("look nothere", "There is: flowers."),
    ("look flowers@9/hidden", "its newest is 1"),
    ("look flowers/hiden", "Did you mean 'hidden'?"),
    ("look flowers/kind", "look at 'scores', or predict"),
    ("look flowers/hidden:3", "runs 1 times a row, and there is no pass 'hidden:3'"),
    ("look flowers/a/b", "is not an address"),
    ("look flowers --row 3", "which layer? Write flowers/LAYER"),
    ("look flowers --png a.png", "which layer?"),
    ("look flowers/hidden --row 80", "flowers-data@1 has no row 80; the rows are 0 to 79"),
    ("look flowers/hidden --row f80", "no row 'f80', nor one of that key"),
    ("look flowers/hidden --rows 0", "Invalid value for '--rows'"),
    ('look flowers/hidden --row {"a":1}', "no column 'b'"),
    ('look flowers/hidden --row {"a":"x","b":1}', "the column 'a' is string and was"),
    ("look flowers/hidden missing.csv", "no such file"),
    ("look flowers/hidden --png a.jpg", "the ending '.jpg' does not fit; expected .png"),
    ("look flowers/hidden --html .layerwise", "is a folder; name a file in it"),
    ("look flowers/hidden --csv no/a.csv", "make it first"),
    ("look flowers/hidden --target rose", "add --attribute"),
    ("look flowers/hidden --attribute --keep", "choose one"),
    ("look flowers/hidden --attribute --target rosy", "Did you mean 'rose'?"),
    ("look flowers/hidden flowers.csv --keep", "these are from elsewhere"),
    ("trace flowers --row 3 --patch hidden", "is not LAYER=VALUE"),
    ("trace flowers --row 3 --patch hiden=0", "Did you mean 'hidden'?"),
    ("trace flowers --row 3 --patch hidden=[1,2]", "has the shape [8]"),
    ("trace flowers --row 3 --patch hidden=rose", "cannot take the place of what left it"),
    ("trace flowers --row 3 --png flowers.csv", "the ending '.csv' does not fit"),
    ("compare flowers --row 3", "two rows are compared, found 1"),
    ("compare flowers flowers.csv", "two rows are compared, found 80"),
    ("compare flowers --row 3 --row 99", "the rows are 0 to 79"),
    ("nearest flowers --row 3", "which layer?"),
    ("nearest flowers/hidden", "which rows?"),
    ("nearest flowers/hidden --row 3 --metric euclid", "Did you mean 'euclidean'?"),
    ("nearest flowers/hidden --row 3 -k 0", "Invalid value for '-k'"),
    ("top flowers/hidden --unit 8", "8 units, 0 to 7"),
    ("top flowers/scores --unit rosy", "Did you mean 'rose'?"),
    ("top flowers/hidden --unit rose", "Its units have no names: take 0 to 7."),
    ("top flowers/hidden --unit 1,2", "there is no place [1, 2]"),
    ("stats flowers --epoch 9", "there are 1 to 2"),
    ("stats flowers --layer hiden", "Did you mean 'hidden'?"),
    ("stats r-000000000000", "no run"),
    ("records nothere", "There is: flowers."),
    ("records --older 30d", "add --forget"),
    ("records --forget --older soon", "write 30d"),
    ("records --forget --older never", "forgets nothing"),
    ("records --forget --over lots", "write 500MB"),
    ("evaluate nothere", "There is: flowers."),
    ("kinds standardise", "Did you mean 'standardize'?"),
    ("data show nothere", "There is: flowers-data."),
    ("data show flowers-data@9", "9"),
    ("data diff flowers-data@1 flowers-data@2", "2"),
    ("data add flowers-data missing.csv", "no such file"),
    ("data add bad.name flowers.csv", "is not a dataset's name"),
    ("data add more flowers.csv --key nothere", "nothere"),
)


@pytest.mark.parametrize(("words", "told"), TABLE, ids=[words for words, _ in TABLE])
def test_a_mistake_is_one_line_and_nothing_is_written(
    run: Command, own: Path, files: Callable[[Path], set[str]], monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    monkeypatch.chdir(own)
    (own / "json.py").write_text("")
    (own / "broken_code.py").write_text("x = 1\nx / 0\n")
    (own / "worse_code.py").write_text("def\n")
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    before = files(own)
    done = run(*words.split(" "))
    assert done.code == 2, done.out
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert told in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert files(own) == before
    again = run(*words.split(" "), *(["--json"] if "--json" not in words else []))
    assert again.json["error"]["message"] in again.err
    assert set(again.json["error"]) == {"type", "message"}


def test_reading_makes_no_repository(run: Command, tmp_path: Path, own_repository: Path) -> None:
    (tmp_path / "a.yaml").write_text("model: a\nlayers:\n  x: {kind: column, column: x}\n")
    looking = ["list", "log a", "show a", "alias a", "data list", "data show a", "data diff a a"]
    looking += ["look a", "look a/b", "stats a", "records", "top a/b", "nearest a/b -", "compare a -"]
    lines = [*looking, "evaluate a", "predict a -", "trace a -", "export a out", f"train {tmp_path / 'a.yaml'}"]
    for words in lines:
        done = run(*words.split())
        assert done.code == 2
        assert "layerwise data add NAME FILE" in done.err
        assert not own_repository.exists()


def test_names_from_the_command_line_do_not_act_on_the_terminal(run: Command, own: Path) -> None:
    for name in ("\x1b[31mred", "a\nb", "\u202eabc", "[red]x[/red]", "a\x9b31m"):
        for words in (
            ["log", name],
            ["show", name],
            ["data", "show", name],
            ["kinds", name],
            ["train", f"{name}.yaml"],
        ):
            done = run(*words)
            assert done.code == 2
            assert done.err.count("\n") == 1
            assert not set(done.err[:-1]) & set("\x1b\n\u202e\x9b")


def test_what_the_system_refuses_is_told_in_one_line(run: Command, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "some/file")

    monkeypatch.setattr("layerwise.store.disk._write_new", full)
    done = run("predict", "flowers", "--data", "flowers-data", "--out", own / "a.csv")
    assert (done.code, done.err) == (2, "error: some/file: No space left on device\n")
    assert not (own / "a.csv").exists()


def test_a_defect_of_ours_is_no_users_mistake(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("layerwise.repo.Repository.models", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        main(["list"])
    assert list_models.__doc__


def test_help_is_shown_where_no_command_is(run: Command) -> None:
    done = run()
    assert "Usage: layerwise" in done.out
    assert "error" not in done.err
    assert run("--help").code == 0
    assert run("--version").out.startswith("layerwise 0.")
    assert set(run("version", "--json").json) == {"layerwise", "python", "torch"}
