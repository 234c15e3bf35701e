"""Simulated loss of power after every operation: what was acknowledged is kept, and what is there is whole."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from tests.crash.holds import checking
from tests.crash.scenarios import (
    COLLECTORS,
    PAIRS,
    Recording,
    collect,
    first,
    held_up,
    littered,
    prepared,
    record,
    revive,
    second,
    twin,
)
from tests.crash.states import MODES, WHOLE, State, crashes
from tests.support.counts import report

SEED = 3
FEW = 4_000
MANY = 1_000_000

TRIES = 48
"""States that are drawn after one operation; those that came before are not counted again."""

THOROUGH = 100
"""One state in so many is opened as a new process does it, and written to; all are looked at."""


def wanted(otherwise: int) -> int:
    """Return how many states are to be tried."""
    return int(os.environ.get("LAYERWISE_CRASH_STATES", otherwise))


def two_writers() -> Iterator[Recording]:
    """Give runs of two writers, their turns drawn anew each time."""
    for number in itertools.count():
        yield record(PAIRS[number % len(PAIRS)], SEED + number, base=prepared())


def two_makers() -> Iterator[Recording]:
    """Give runs of two writers that find nothing, and make the repository, both at once."""
    for number in itertools.count():
        yield record(PAIRS[number % len(PAIRS)], SEED + number)


def collecting() -> Iterator[Recording]:
    """Give runs of a collector beside a writer, or beside another; every second time one of them is killed."""
    for number in itertools.count():
        dies = {number // 2 % 2: 1 + number * 7 % 60} if number % 2 else None
        yield record(COLLECTORS[number // 2 % len(COLLECTORS)], SEED + number, base=littered(), dies=dies)


def one_killed() -> Iterator[Recording]:
    """Give runs in which one of two writers is killed, before its first effect, its second, and so on, and again."""
    for number in itertools.count():
        pair, place = ((first, second), (twin, twin))[number % 2], number // 2 % 2
        for step in itertools.count(1):
            recording = record(pair, SEED + step, base=prepared(), dies={place: step})
            yield recording
            if recording.steps[place] < step:
                break


def lose_power(
    recordings: Iterable[Recording],
    states: int,
    tries: int = TRIES,
    thorough: int = THOROUGH,
    share: float = 1.0,
    modes: Sequence[str] = MODES,
) -> tuple[int, int, list[str]]:
    """Check so many crash states of recordings; return how many were checked, how many opened, and what is wrong."""
    done, bad = 0, []
    with checking() as checker:
        for number, recording in enumerate(recordings):
            how = {"tries": tries, "start": recording.start, "share": share, "modes": modes}
            for state in crashes(recording.log, seed=SEED + number, **how):  # type: ignore[arg-type]
                done += 1
                wrong = checker.check(state, thorough=done % thorough == 0)
                bad += [_said(number, state, wrong)] if wrong else []
                if done == states:
                    return done, checker.opened, bad
            checker.close()
    return done, checker.opened, bad


def _said(number: int, state: State, wrong: Sequence[str]) -> str:
    return f"run {number}, power lost ({state.mode}): {'; '.join(wrong)[:500]}"


def show(claim: str, recordings: Iterable[Recording], states: int, **how: Any) -> None:
    """Check crash states and print how many; none may be bad."""
    started = time.monotonic()
    done, opened, bad = lose_power(recordings, states, **how)
    claim = f"{claim}: crash states in which something is lost or damaged ({opened:,} opened and written to)"
    report(claim, done, len(bad), seed=SEED, seconds=time.monotonic() - started)
    assert bad[:3] == []
    assert done == states


def test_two_writers_lose_nothing_with_the_power() -> None:
    show("two writers", two_writers(), wanted(FEW))


def test_what_one_writer_left_when_killed_costs_the_other_nothing() -> None:
    show("two writers, one killed", one_killed(), wanted(FEW) // 4, tries=12)


def test_a_repository_that_was_being_made_can_be_made_again() -> None:
    show("two makers of one repository", two_makers(), wanted(FEW) // 100, tries=8, thorough=1, share=0.03)


def test_a_collector_beside_a_writer_loses_nothing_with_the_power() -> None:
    show("a collector beside a writer", collecting(), wanted(FEW) // 2, tries=24, modes=WHOLE)


@pytest.mark.slow
def test_two_writers_lose_nothing_in_a_million_states() -> None:
    show("two writers, long", two_writers(), wanted(MANY), tries=400)


@pytest.mark.slow
def test_a_killed_writer_costs_the_other_nothing_in_many_states() -> None:
    show("two writers, one killed, long", one_killed(), wanted(MANY) // 4, tries=100)


@pytest.mark.slow
def test_a_repository_can_be_made_again_after_many_crashes() -> None:
    show("two makers of one repository, long", two_makers(), wanted(MANY) // 200, tries=8, thorough=1)


@pytest.mark.slow
def test_a_collector_beside_a_writer_loses_nothing_in_many_states() -> None:
    show("a collector beside a writer, long", collecting(), wanted(MANY) // 4, tries=100, modes=WHOLE)


@pytest.mark.slow
def test_a_collector_may_run_between_any_two_steps_of_a_writer() -> None:
    runs = itertools.chain(held_up([revive, collect], littered()), held_up([collect, revive], littered()))
    started = time.monotonic()
    done, _, bad = lose_power(runs, wanted(MANY), tries=40, modes=WHOLE)
    claim = "one held up at each of its turns, a writer or a collector, the other running through: crash states wrong"
    report(claim, done, len(bad), seed=SEED, seconds=time.monotonic() - started)
    assert bad[:3] == []
