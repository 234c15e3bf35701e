"""Malformed packs, manifests, tables, configs, checkpoints and states: refused by name, within memory and time.

The inputs are drawn from a seed; an input that failed once stands in `rows` by name. The long tier takes the number of
inputs from ``LAYERWISE_FUZZ`` and the seed from ``LAYERWISE_FUZZ_SEED``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.fuzz import faults, harness, rows
from tests.fuzz.harness import Failure, Result
from tests.fuzz.parsers import PARSERS
from tests.fuzz.worker import Job, outcome
from tests.support.counts import report

SEED = 3
INPUTS = 10_000
SHARES = {
    "tensor frames": 0.14,
    "packs": 0.11,
    "coded objects": 0.08,
    "JSON": 0.1,
    "model manifests": 0.11,
    "dataset manifests": 0.11,
    "blocks of rows": 0.2,
    "checkpoints": 0.05,
    "configs": 0.05,
    "scikit-learn states": 0.05,
}
"""Which part of the inputs each parser gets."""


def shared(inputs: int) -> dict[str, int]:
    """Return how many of so many inputs each parser gets."""
    return {name: round(inputs * share) for name, share in SHARES.items()}


def told_all(result: Result, counts: dict[str, int], seed: int, began: float) -> None:
    """Print what came of each parser's inputs."""
    for name, count in counts.items():
        assert result.tried(name) == count, name
        bad = [failure for failure in result.failures if failure.parser == name]
        report(f"malformed {name}: crash, memory, time, wrong acceptance", count, len(bad), seed=seed)
    bad = [failure for failure in result.failures if failure.parser in counts]
    seconds = time.perf_counter() - began
    report("malformed inputs in all", sum(counts.values()), len(bad), seed=seed, seconds=seconds)


def told(failures: list[Failure]) -> str:
    """Return what failed, each as it can be had again."""
    return "\n".join(f"PARSERS[{f.parser!r}].input(seed, {f.number}): {f.what}" for f in failures[:20])


@pytest.fixture(scope="module")
def result() -> Result:
    """What came of the inputs of a seed, and of those that have a name, read by a process with the limits."""
    began, counts = time.perf_counter(), shared(INPUTS)
    found = harness.run([*harness.pieces(counts, 2_000), *(Job(row.id, 0, 1) for row in rows.ROWS)], SEED)
    told_all(found, counts, SEED, began)
    return found


@pytest.mark.parametrize("name", SHARES)
def test_every_malformed_input_is_refused_by_name_within_memory_and_time(name: str, result: Result) -> None:
    failures = [failure for failure in result.failures if failure.parser == name]
    assert failures == [], told(failures)
    # Inputs that were all refused at the door, or all let through, would show nothing.
    assert result.counts[f"{name}: accepted"] >= 0.005 * result.tried(name)
    assert result.counts[f"{name}: refused"] >= 0.2 * result.tried(name)


@pytest.mark.slow
def test_every_malformed_input_of_the_long_tier_is_refused_too() -> None:
    seed = int(os.environ.get("LAYERWISE_FUZZ_SEED", str(time.time_ns() % 10**9)))
    began, counts = time.perf_counter(), shared(int(os.environ.get("LAYERWISE_FUZZ", "10000000")))
    found = harness.run(harness.pieces(counts, 2_000), seed, workers=os.cpu_count() or 1)
    told_all(found, counts, seed, began)
    assert found.failures == [], f"seed {seed}\n{told(found.failures)}"


@pytest.mark.parametrize("row", rows.ROWS, ids=lambda row: f"{row.parser}: {row.id}")
def test_an_input_with_a_name_is_refused_and_says_why(row: rows.Row, result: Result) -> None:
    assert [failure.what for failure in result.failures if failure.parser == row.id] == []
    assert result.counts[f"{row.id}: refused"] == 1


def test_the_table_has_every_name_once() -> None:
    assert len({row.id for row in rows.ROWS}) == len(rows.ROWS)
    assert {row.parser for row in rows.ROWS} <= set(PARSERS)
    assert set(SHARES) == set(PARSERS)


def test_the_harness_sees_every_sort_of_fault() -> None:
    result = harness.run(
        [Job(name, 0, 30) for name in ("crash", "abort", "hoard", "hide", "leak", "serve", "well")], SEED
    )
    result_of_time = harness.run([Job("hang", 0, 4)], SEED)
    for name, what in faults.EXPECTED.items():
        found = result_of_time if name == "hang" else result
        seen = {failure.what for failure in found.failures if failure.parser == name}
        assert seen == {what}, name
        assert found.tried(name) == (4 if name == "hang" else 30)
    assert result.counts["well: refused"] + result.counts["well: accepted"] == 30


@pytest.mark.parametrize("name", sorted(set(PARSERS) - {"scikit-learn states"}))
def test_the_same_seed_and_number_are_the_same_input(name: str) -> None:
    parser = PARSERS[name]
    assert [parser.input(1, number) for number in range(20)] == [parser.input(1, number) for number in range(20)]
    assert len({parser.input(1, number) for number in range(20)}) > 10
    assert {outcome(parser.read, data) for data in parser.inputs} == {"accepted"}


def test_an_input_that_fails_is_made_smaller() -> None:
    assert harness.minimised(b"a" * 1000 + b"fault" + b"b" * 1000, lambda data: b"fault" in data) == b"fault"


def test_no_binary_file_is_kept_here() -> None:
    assert {path.suffix for path in Path(__file__).parent.iterdir() if path.name != "__pycache__"} == {".py"}
