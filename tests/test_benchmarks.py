"""The benchmarks run and print their tables. No figure is held here: a machine that is busy would break the promise."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.measure import Sample, interleave, table
from benchmarks.store_work import Turns

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(printed: str) -> list[list[str]]:
    """Return the cells of every line of the tables."""
    lines = [line for line in printed.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_training_prints_ours_beside_a_loop_by_hand_that_learns_the_same_weights() -> None:
    printed = run("benchmarks.training", "--quick")
    assert "torch 2." in printed
    assert "threads 1" in printed
    outcomes = {cells[0]: cells[1:] for cells in rows(printed) if len(cells) == 4}
    assert outcomes["layerwise"] == outcomes["by hand"]
    assert "X-rays left out" in printed


def test_start_prints_both_limits() -> None:
    printed = run("benchmarks.start", "--quick")
    names = [cells[0] for cells in rows(printed)]
    assert {"python alone", "import layerwise", "layerwise --help"} <= set(names)
    assert "against 0.3 s" in printed
    assert "against 0.5 s" in printed


def test_store_prints_a_commit_beside_the_whole_and_what_is_kept_of_versions() -> None:
    printed = run("benchmarks.store", "--quick")
    names = [cells[0] for cells in rows(printed)]
    whole = ("the whole + fsync, a new file", "the whole + fsync, the last one removed")
    assert {*whole, "layerwise", "the whole again, a new file (A/A)"} <= set(names)
    assert {"layerwise, all", "layerwise, all, compared each time", "layerwise, one layer"} <= set(names)
    assert {"light", "cold, after gc"} <= set(names)
    for title in ("Commit: 2 of 6 layers", "Which layers differ", "The catalog", "3 versions of one MLP"):
        assert f"## {title}" in printed
    for limit in (
        "at most 0.1\n",
        "at most 1.001: ",
        "at most 1.1\n",
        "at most 0.03\n",
        "at most 200: ",
        "at most 1,000: ",
    ):
        assert limit in printed
    assert "fsyncs of a commit: 2 of ours" in printed


def test_record_prints_what_recording_costs_and_what_records_are_good_for() -> None:
    printed = run("benchmarks.record", "--quick")
    weights = {cells[0]: cells[3] for cells in rows(printed) if len(cells) == 4 and "MB" in cells[1]}
    assert weights["layerwise, every layer, float16"] == weights["layerwise, nothing recorded"]
    assert weights["plain hooks"] == weights["by hand, nothing kept"]
    for title in (
        "16-layer MLP",
        "One row of one layer",
        "The 20 rows that excite",
        "The 10 rows nearest",
        "dense3, dense5",
    ):
        assert f"## {title}" in printed
    for said in ("the same rows as by sorting all values", "as by brute force in float64", "the bits are the same"):
        assert said in printed
    for limit in ("at most 1.08: ", "at most 5 µs: ", "at most 0.33: ", "at most 0.2: ", "at most 1.2: "):
        assert limit in printed


def test_cold_prints_our_bytes_of_a_light_and_of_a_heavy_fine_tune() -> None:
    table_of = {cells[0]: cells[1:] for cells in rows(run("benchmarks.cold", "--quick"))}
    assert {"MLP, light", "MLP, heavy"} <= set(table_of)
    assert all(0 < float(table_of[name][4]) < 1 for name in ("MLP, light", "MLP, heavy"))


def test_all_variants_of_a_round_meet_the_same_network() -> None:
    steps: list[int] = []
    turns = Turns(lambda: steps.append(1))
    met: dict[str, list[int]] = {"a": [], "b": []}

    def variant(name: str) -> None:
        turns.begin(name)
        met[name].append(len(steps))

    interleave({name: partial(variant, name) for name in met}, 3)
    assert met == {"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("name", "listed"), [("", "peers.txt"), ("store", "peers-store.txt"), ("record", "peers-record.txt")]
)
def test_an_environment_of_peers_that_is_there_is_not_made_again(
    name: str, listed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "HERE", tmp_path)
    folder = tmp_path / listed.replace("peers", ".venv-peers").removesuffix(".txt")
    folder.mkdir()
    for file in (tmp_path / listed, folder / "installed.txt"):
        file.write_text("one==1.0\n", encoding="utf-8")
    assert peers.peers_python(name) == folder / "bin" / "python"


@pytest.mark.parametrize(("warm", "turns"), [(True, "baabba"), (False, "abba")])
def test_variants_take_turns_there_and_back(warm: bool, turns: str) -> None:
    seen: list[str] = []
    found = interleave({name: lambda name=name: seen.append(name) for name in "ab"}, 2, warm=warm)  # type: ignore[misc]
    assert "".join(seen) == turns
    assert {name: len(runs) for name, runs in found.items()} == {"a": 2, "b": 2}


def test_a_ratio_is_the_median_of_the_rounds_with_their_quartiles() -> None:
    runs = {"plain": [Sample(1.0, 2.0)] * 5, "ours": [Sample(cpu, 3.0) for cpu in (1.0, 1.1, 1.2, 1.3, 9.0)]}
    assert rows(table(runs, base="plain"))[2] == ["ours", "1,200 ms", "3,000 ms", "1.200", "1.100 to 1.300"]
