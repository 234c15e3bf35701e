"""A user's mistake is one line, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from layerwise.cli import main
from layerwise.cli.look import list_models
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
