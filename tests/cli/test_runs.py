"""``layerwise runs`` and ``metrics``, as a person types them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from layerwise.cli.app import main
from layerwise.repo import Repository
from tests.support.repositories import commit


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "r"
    with Repository(path) as repo:
        for seed in range(1, 6):
            commit(repo, seed, model="digits" if seed % 2 else "spam")
        repo.start_run("r-broken", "digits", {"data": "digits-data@1"})
        repo.log_metrics(
            "r-broken", {step: {"train/loss": math.nan if step == 3 else 1 / step} for step in range(1, 60)}
        )
        repo.finish_run("r-broken", "failed", None)
    return path


def said(capsys: pytest.CaptureFixture[str], path: Path, *words: str) -> str:
    assert main(["--repository", str(path), *words]) == 0
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_runs_show_how_they_stand_and_what_they_made(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, path, "runs")
    assert all(word in text for word in ("r-digits-5", "digits@3", "spam@2", "failed", "r-broken", "digits-data@1"))


def test_runs_are_found_by_model_and_status(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, path, "runs", "digits", "--status", "done", "--json"))
    assert found["total"] == 3
    assert {run["id"] for run in found["runs"]} == {"r-digits-1", "r-digits-3", "r-digits-5"}
    text = said(capsys, path, "runs", "--limit", "2", "--skip", "1")
    assert "2 to 3 of 6 runs" in text
    assert "no run is like that" in said(capsys, path, "runs", "--by", "nobody")


def test_metrics_show_the_last_value_and_a_curve(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, path, "metrics", "r-digits-1")
    assert "train/loss" in text
    assert "█▄▂▁▁" in text
    text = said(capsys, path, "metrics", "r-broken", "--key", "train/")
    assert "×" in text
    found = json.loads(said(capsys, path, "metrics", "r-digits-1", "--limit", "1", "--json"))
    assert found["more"] is True
    assert found["metrics"] == {"train/loss": [[step, 1 / step] for step in range(1, 6)]}


@pytest.mark.parametrize(
    "words",
    [
        ("metrics", "r-digits-9"), ("runs", "--status", "ran"), ("runs", "--since", "yesterday"), ("runs", "../x"),
        ("runs", "--limit", "0"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert main(["--repository", str(path), *words]) == 2
    assert "Traceback" not in capsys.readouterr().err
