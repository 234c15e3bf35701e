"""The benchmarks run and print their tables. No figure is held here: a machine that is busy would break the promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import Sample, interleave, table

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


@pytest.mark.parametrize(("warm", "turns"), [(True, "baabba"), (False, "abba")])
def test_variants_take_turns_there_and_back(warm: bool, turns: str) -> None:
    seen: list[str] = []
    found = interleave({name: lambda name=name: seen.append(name) for name in "ab"}, 2, warm=warm)  # type: ignore[misc]
    assert "".join(seen) == turns
    assert {name: len(runs) for name, runs in found.items()} == {"a": 2, "b": 2}


def test_a_ratio_is_the_median_of_the_rounds_with_their_quartiles() -> None:
    runs = {"plain": [Sample(1.0, 2.0)] * 5, "ours": [Sample(cpu, 3.0) for cpu in (1.0, 1.1, 1.2, 1.3, 9.0)]}
    assert rows(table(runs, base="plain"))[2] == ["ours", "1,200 ms", "3,000 ms", "1.200", "1.100 to 1.300"]
