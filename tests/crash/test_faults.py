"""Every effect of a scenario fails once, in every way: nothing acknowledged is lost, and the next try succeeds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from layerwise.errors import Damaged
from tests.crash.faults import CALL_KINDS, KINDS
from tests.crash.scenarios import SHARED, Scenario, Session, first, litter
from tests.crash.trials import Template, Trial, template, trials
from tests.support.counts import report


def commit(session: Session) -> None:
    """One version with a new layer and an old one."""
    session.commit("net", {"body": SHARED, "head": b"new" * 10})


def dataset(session: Session) -> None:
    """One dataset."""
    session.add("rows-new", 5)


def alias(session: Session) -> None:
    """One alias."""
    session.alias("net@1", "good")


def collect(session: Session) -> None:
    """A collection that removes what no version names and codes the rest."""
    session.repo.gc(yes=True, cold_after=timedelta(0), dead_share=0.0)


def repair(session: Session) -> None:
    """The catalog made anew."""
    session.repo.repair()


def verify(session: Session) -> None:
    """Every byte looked at."""
    if not session.repo.verify().sound:
        raise Damaged("verify found something")


WITHOUT_ENOSPC = tuple(kind for kind in KINDS if kind != "ENOSPC")
"""A full disk fails as a broken one does, but for what is half written, which ``short write`` has."""

ALL: Sequence[Scenario] = (commit, dataset, alias, first, collect, repair, verify)


@pytest.fixture(scope="module")
def base() -> Iterator[Template]:
    with template(litter) as made:
        yield made


def check(base: Template, scenarios: Sequence[Scenario], kinds: Sequence[str], *, calls: bool) -> list[Trial]:
    """Try all faults, print what was tried and return what went wrong."""
    bad: list[Trial] = []
    for scenario in scenarios:
        started = time.monotonic()
        found = list(trials(base, scenario, kinds, calls=calls))
        wrong = [trial for trial in found if trial.wrong]
        where = "call of the operating system" if calls else "primitive"
        counts = ", ".join(f"{count} {kind}" for kind, count in Counter(trial.kind for trial in found).items())
        claim = f"a fault at every {where} of {scenario.__name__} ({counts}): wrong"
        report(claim, len(found), len(wrong), seconds=time.monotonic() - started)
        assert len(found) > len(kinds)
        bad += wrong
    return bad


def test_a_fault_at_any_primitive_of_a_commit_loses_nothing(base: Template) -> None:
    assert check(base, [commit], KINDS, calls=False) == []


def test_a_fault_at_any_call_of_a_commit_loses_nothing(base: Template) -> None:
    assert check(base, [commit], ["EIO", *CALL_KINDS[3:]], calls=True) == []


def test_a_fault_at_any_primitive_of_a_collection_loses_nothing(base: Template) -> None:
    assert check(base, [collect], WITHOUT_ENOSPC, calls=False) == []


def test_a_fault_at_any_primitive_of_a_repair_loses_nothing(base: Template) -> None:
    assert check(base, [repair], WITHOUT_ENOSPC, calls=False) == []


@pytest.mark.slow
def test_a_fault_at_any_primitive_of_any_scenario_loses_nothing(base: Template) -> None:
    assert check(base, ALL, KINDS, calls=False) == []


@pytest.mark.slow
def test_a_fault_at_any_call_of_any_scenario_loses_nothing(base: Template) -> None:
    assert check(base, ALL, CALL_KINDS, calls=True) == []
