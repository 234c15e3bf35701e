"""Break each rule of the protocol: some check must find it. Without that, "0 of N" would say little."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from layerwise.errors import Conflict, NotFound
from layerwise.store.catalog.catalog import Entry
from layerwise.store.disk import Disk
from layerwise.store.store import CONFIG
from layerwise.words import Digest
from tests.crash.holds import checking
from tests.crash.mutants import MUTANTS
from tests.crash.processes import Died
from tests.crash.scenarios import (
    CREATED,
    PAIRS,
    SHARED,
    Recording,
    Session,
    collect_once,
    first,
    held_up,
    littered,
    on_disk,
    prepare,
    prepared,
    record,
    reuse,
    second,
    twin,
)
from tests.crash.states import MODES, WHOLE, crashes, last_state
from tests.crash.trials import template, trials
from tests.support.counts import report

Check = Callable[[], Iterator[str]]
"""Gives what it finds wrong, a sentence each; stopped at the first."""

PATIENCE = 60
"""Runs that a check makes before it finds nothing."""

NEVER = 1_000_000
"""A turn that no process has: the first runs on to its end."""


def states(
    recordings: Iterable[Recording], *, tries: int, modes: Sequence[str] = MODES, share: float = 1.0
) -> Iterator[str]:
    """Give what is wrong in crash states of recordings; at the end of each, where nothing was lost, first."""
    with checking() as checker:
        for number, recording in enumerate(recordings):
            yield from checker.check(last_state(recording.log), trash=True)
            drawn = crashes(recording.log, seed=number, tries=tries, start=recording.start, modes=modes, share=share)
            for count, state in enumerate(drawn):
                half_made = CONFIG in state.files and state.database is None
                yield from checker.check(state, thorough=half_made or count % 200 == 199)
            checker.close()


def power() -> Iterator[str]:
    yield from states((record(PAIRS[n % 3], n, base=prepared()) for n in range(PATIENCE)), tries=24)


def killed() -> Iterator[str]:
    """One writer runs until it is killed, and then another does the same."""
    for step in range(1, 30):
        recording = record([twin, twin], 0, base=prepared(), dies={0: step}, switch_at=NEVER)
        yield from states([recording], tries=24)


def making() -> Iterator[str]:
    yield from states((record(PAIRS[n % 3], n) for n in range(4)), tries=60, share=0.5)


def racing() -> Iterator[str]:
    yield from states(held_up([twin, twin], prepared()), tries=1)


def sweeping() -> Iterator[str]:
    yield from states(held_up([first, second], prepared()), tries=1)


def collecting() -> Iterator[str]:
    yield from states(held_up([reuse, collect_once], littered()), tries=1, modes=WHOLE)


def marking() -> Iterator[str]:
    yield from states(held_up([collect_once, reuse], littered()), tries=1, modes=WHOLE)


def tidying() -> Iterator[str]:
    """A collector that is killed: what it says is in the trash is there."""
    for step in itertools.count(1):
        recording = record([collect_once], step, base=littered(), dies={0: step})
        yield from states([recording], tries=0)
        if recording.steps[0] < step:
            break


def commit(session: Session) -> None:
    """One version with a new layer and an old one."""
    session.commit("net", {"body": SHARED, "head": b"new" * 10})


def syncs() -> Iterator[str]:
    yield from _faulty(["EIO"], calls=True)


def writes() -> Iterator[str]:
    yield from _faulty(["writes less", "writes less and says nothing"], calls=True)


def leftovers() -> Iterator[str]:
    yield from _faulty(["dies half way"], calls=False)


def _faulty(kinds: Sequence[str], *, calls: bool) -> Iterator[str]:
    with template(prepare) as base:
        for trial in trials(base, commit, kinds, calls=calls):
            yield from trial.wrong


def contract() -> Iterator[str]:
    """What the catalog must refuse, asked of it directly."""
    with on_disk() as folder:
        session = Session(folder / "repository", Disk(folder / "repository"), lambda _: None)
        prepare(session)
        catalog = session.repo.store.catalog
        head = catalog.find("model", "net")

        def entry(number: int) -> Entry:
            return Entry("model", "net", number, head.digest, "main", head.number, CREATED, "", "")

        lease = catalog.packs.take_lease()
        catalog.packs.end_lease(lease)
        absent = [Digest("0" * 64)]
        refused: list[tuple[str, int, dict[str, Any]]] = [
            ("a number after a gap", 7, {"expected": 1}),
            ("a head that moved", 2, {"expected": None}),
            ("a lease that ended", 2, {"expected": 1, "lease": lease}),
            ("an object that is absent", 2, {"expected": 1, "names": absent}),
        ]
        for what, number, how in refused:
            with suppress(Conflict, NotFound):
                catalog.publish(entry(number), **how)
                yield f"published in spite of {what}"
                break
        session.close()


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        power,
        killed,
        making,
        racing,
        sweeping,
        collecting,
        marking,
        tidying,
        syncs,
        writes,
        leftovers,
        contract,
    )
}


def first_finding(check: Check) -> str | None:
    """Return the first thing that a check finds wrong; what a run raises is found too."""
    try:
        return next(iter(check()), None)
    except (Exception, Died) as error:
        return f"{type(error).__name__}: {error}"


def test_every_mutant_of_the_protocol_is_found() -> None:
    prepared(), littered()
    started = time.monotonic()
    survived = []
    for mutant in MUTANTS:
        begun = time.process_time()
        with mutant.patch():
            found = first_finding(CHECKS[mutant.check])
        print(
            f"  {mutant.rule}: {(found or 'NOT FOUND')[:110]} ({mutant.check}, {time.process_time() - begun:.1f} s)",
            flush=True,
        )
        survived += [mutant.rule] if found is None else []
    caught = len(MUTANTS) - len(survived)
    report(
        f"mutants of the protocol: {caught} of {len(MUTANTS)} found; survived",
        len(MUTANTS),
        len(survived),
        seconds=time.monotonic() - started,
    )
    assert survived == []


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_a_check_that_is_to_find_mutants_finds_nothing_without_them(name: str) -> None:
    assert first_finding(CHECKS[name]) is None
