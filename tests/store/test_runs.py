"""Runs and their metrics, as the catalog keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from layerwise.errors import Conflict, Invalid, InvalidName, NotFound
from layerwise.store.catalog.catalog import Catalog, Ledger, RunRow
from layerwise.store.rows import RunFilter

RUN = RunRow(
    id="r1",
    model="digits",
    status="running",
    version=None,
    created="2026-01-31T09:30:00.123456+00:00",
    finished=None,
    actor="maria",
    config={"epochs": 10, "lr": 1e-3, "nested": {"betas": [0.9, 0.999]}, "name": "größer"},
)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(Ledger(tmp_path / "catalog.sqlite"))
    yield catalog
    catalog.close()


def test_a_run_comes_back_with_its_settings(catalog: Catalog) -> None:
    catalog.runs.start(RUN)
    assert list(catalog.runs.find().runs) == list(catalog.runs.find(RunFilter("digits")).runs) == [RUN]
    assert list(catalog.runs.find(RunFilter("other")).runs) == []


def test_a_finished_run_says_how_and_when(catalog: Catalog) -> None:
    catalog.runs.start(RUN)
    catalog.runs.finish("r1", "done", 3)
    found = catalog.runs.find().runs[0]
    assert (found.status, found.version) == ("done", 3)
    assert found.finished is not None


def test_the_newest_runs_come_first(catalog: Catalog) -> None:
    for day in range(1, 10):
        catalog.runs.start(replace(RUN, id=f"r{day}", created=f"2026-01-0{day}T00:00:00+00:00"))
    assert [run.id for run in catalog.runs.find(RunFilter(limit=3)).runs] == ["r9", "r8", "r7"]


def test_an_id_is_used_once(catalog: Catalog) -> None:
    catalog.runs.start(RUN)
    with pytest.raises(Conflict, match="there is a run 'r1' already"):
        catalog.runs.start(RUN)


def test_metrics_come_back_by_step_and_key(catalog: Catalog) -> None:
    catalog.runs.start(RUN)
    catalog.runs.log("r1", {2: {"loss": 0.25}})
    catalog.runs.log("r1", {1: {"loss": 0.5, "accuracy": 0.1}})
    assert catalog.runs.metrics("r1") == [(1, "accuracy", 0.1), (1, "loss", 0.5), (2, "loss", 0.25)]


def test_a_step_logged_again_is_replaced(catalog: Catalog) -> None:
    """A run that goes on from a checkpoint repeats some steps."""
    catalog.runs.start(RUN)
    catalog.runs.log("r1", {1: {"loss": 0.5, "accuracy": 0.1}})
    catalog.runs.log("r1", {1: {"loss": 0.4}})
    catalog.runs.log("r1", {1: {}})
    assert catalog.runs.metrics("r1") == [(1, "accuracy", 0.1), (1, "loss", 0.4)]


def test_a_loss_that_is_not_finite_is_kept(catalog: Catalog) -> None:
    catalog.runs.start(RUN)
    catalog.runs.log("r1", {1: {"a": math.inf, "b": -math.inf, "c": math.nan}})
    values = [value for _, _, value in catalog.runs.metrics("r1")]
    assert values[:2] == [math.inf, -math.inf]
    assert math.isnan(values[2])


def test_many_metrics_of_one_step_are_kept(catalog: Catalog) -> None:
    catalog.runs.start(RUN)
    many = {f"layer{n}/norm": float(n) for n in range(1500)}
    catalog.runs.log("r1", {0: many})
    catalog.runs.log("r1", {0: many})
    assert {key: value for _, key, value in catalog.runs.metrics("r1")} == many


def test_a_run_that_is_not_there_is_named_with_the_nearest(catalog: Catalog) -> None:
    catalog.runs.start(replace(RUN, id="digits-17"))
    for ask in (
        lambda: catalog.runs.metrics("digits-71"),
        lambda: catalog.runs.log("digits-71", {1: {"loss": 1.0}}),
        lambda: catalog.runs.finish("digits-71", "done", None),
    ):
        with pytest.raises(NotFound, match=r"no run 'digits-71'\. Did you mean 'digits-17'\?"):
            ask()


@pytest.mark.parametrize("bad", ["../x", "/etc/passwd", "a/b", "a\0b", "x" * 10_000, "", "A", "a.b"])
def test_an_id_like_a_path_is_refused(catalog: Catalog, bad: str) -> None:
    with pytest.raises(InvalidName):
        catalog.runs.start(replace(RUN, id=bad))
    with pytest.raises(NotFound):
        catalog.runs.metrics(bad)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(RUN, model="a/b"),
        replace(RUN, status="ran"),
        replace(RUN, created="now"),
        replace(RUN, config={"lr": math.nan}),
        replace(RUN, config={"made by": object()}),
    ],
)
def test_a_run_must_be_what_it_says(catalog: Catalog, wrong: RunRow) -> None:
    with pytest.raises(Invalid):
        catalog.runs.start(wrong)
    assert list(catalog.runs.find().runs) == []


def test_a_metric_needs_a_key_and_a_step(catalog: Catalog) -> None:
    catalog.runs.start(RUN)
    for step, key in ((-1, "loss"), (2**63, "loss"), (1, ""), (1, "x" * 501)):
        with pytest.raises(InvalidName):
            catalog.runs.log("r1", {step: {key: 1.0}})
    with pytest.raises(InvalidName, match=r"is not how a run ends\. Did you mean 'done'\?"):
        catalog.runs.finish("r1", "dome", None)


def test_runs_are_found_by_every_field_and_counted(catalog: Catalog) -> None:
    for number in range(60):
        made = f"2026-01-{1 + number % 30:02}T{number % 24:02}:00:00+00:00"
        model, status, actor = (
            ("a", "b")[number % 2],
            ("done", "failed", "stopped")[number % 3],
            ("x", "y")[number % 5 > 0],
        )
        catalog.runs.start(replace(RUN, id=f"r{number:02}", model=model, status=status, actor=actor, created=made))
    everything = catalog.runs.find(RunFilter(limit=1000)).runs
    assert len(everything) == 60
    assert list(everything) == sorted(everything, key=lambda run: (run.created, run.id), reverse=True)
    for wanted in (
        RunFilter("a"), RunFilter(status="failed"), RunFilter(actor="x"), RunFilter("b", "done", "y"),
        RunFilter(since="2026-01-10"), RunFilter(until="2026-01-10T12:00:00"), RunFilter("a", since="2026-01-20"),
    ):  # fmt: skip
        expected = [
            run.id
            for run in everything
            if run.model == (wanted.model or run.model)
            and run.status == (wanted.status or run.status)
            and run.actor == (wanted.actor or run.actor)
            and (wanted.since or "") <= run.created < (wanted.until or "9")
        ]
        assert 0 < len(expected) < 60
        found = catalog.runs.find(replace(wanted, limit=7))
        assert ([run.id for run in found.runs], found.total) == (expected[:7], len(expected))
        rest = catalog.runs.find(replace(wanted, offset=7, limit=1000)).runs
        assert [run.id for run in rest] == expected[7:]
        turned = catalog.runs.find(replace(wanted, oldest_first=True, limit=1000)).runs
        assert [run.id for run in turned] == expected[::-1]


@pytest.mark.parametrize(
    "wrong",
    [
        RunFilter("../x"), RunFilter(status="ran"), RunFilter(since="yesterday"), RunFilter(until="'; DROP TABLE run"),
        RunFilter(actor="a\0"), RunFilter(limit=0), RunFilter(limit=10**9), RunFilter(offset=-1),
    ],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_refused(catalog: Catalog, wrong: RunFilter) -> None:
    with pytest.raises(InvalidName):
        catalog.runs.find(wrong)


def test_keys_come_page_by_page_with_their_last_values(catalog: Catalog) -> None:
    catalog.runs.start(RUN)
    for step in (1, 2, 3):
        catalog.runs.log("r1", {step: {f"layer{n:03}/norm": n + step / 10 for n in range(100)} | {"loss": 1 / step}})
    catalog.runs.log("r1", {9: {"loss": math.nan}})
    first = catalog.runs.keys("r1", limit=60)
    assert [(key.key, key.steps, key.last, key.value) for key in first[:2]] == [
        ("layer000/norm", 3, 3, 0.3), ("layer001/norm", 3, 3, 1.3),
    ]  # fmt: skip
    rest = catalog.runs.keys("r1", after=first[-1].key)
    assert len(first) + len(rest) == 101
    assert (rest[-1].key, rest[-1].steps, rest[-1].last) == ("loss", 4, 9)
    assert math.isnan(rest[-1].value)
    assert [key.key for key in catalog.runs.keys("r1", prefix="layer01")] == [f"layer01{n}/norm" for n in range(10)]
    assert catalog.runs.metrics("r1", ["layer001/norm"]) == [(n, "layer001/norm", 1 + n / 10) for n in (1, 2, 3)]
    with pytest.raises(NotFound):
        catalog.runs.keys("r7")
