"""What the catalog takes for many runs and many metrics, and what noting a metric costs a training thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from benchmarks.store_work import clock, held, repository
from layerwise.canonical import encode
from layerwise.engine.journal import Journal
from layerwise.repo import Repository
from layerwise.store.catalog import tables
from layerwise.store.catalog.rows import insert
from layerwise.store.rows import RunFilter

RUNS, METRICS, NOTED = 0.2, 1.0, 50e-6


def show(runs: int, keys: int, steps: int) -> None:
    """Print it.

    Args:
        runs: how many runs.
        keys: how many metrics one of them has.
        steps: how many are noted.
    """
    with repository() as repo:
        fill(repo, runs, keys)
        pages: dict[str, tuple[Callable[[], object], float]] = {
            f"the newest 100 of {runs:,} runs, and their count": (partial(repo.find_runs, RunFilter()), RUNS),
            "those of one model that failed": (partial(repo.find_runs, RunFilter("model7", "failed")), RUNS),
            "those that failed, since a day": (
                partial(repo.find_runs, RunFilter(status="failed", since="2026-01-20")), RUNS
            ),
            f"those of somebody, the page after {runs // 2:,}": (
                partial(repo.find_runs, RunFilter(actor="m", offset=runs // 2)), RUNS
            ),
            f"a page of 1,000 of a run's {keys:,} metrics": (partial(repo.metric_keys, "r0", after="layer3"), METRICS),
            "its metrics that begin so": (partial(repo.metric_keys, "r0", prefix="layer49"), METRICS),
        }  # fmt: skip
        print("## The catalog: the median of 11\n")
        for what, (question, limit) in pages.items():
            took = sorted(clock(question) for _ in range(11))[5]
            print(f"- {what}: {took * 1e3:,.1f} ms; at most {limit * 1e3:,.0f}: {held(took, limit)}")
        logging(repo, steps)


def logging(repo: Repository, steps: int) -> None:
    """Print what noting a metric costs the training thread, while another writes them down."""
    took = []
    with Journal(partial(repo.log_metrics, "r1"), pause=0.05) as journal:
        for step in range(1, steps + 1):
            values = {"train/loss": 1.0 / step, "validation/accuracy": 0.5}
            took.append(clock(partial(journal.note, step, values)))
            if step % 50 == 0:
                time.sleep(0.005)
    took.sort()
    late = took[steps * 99 // 100]
    print(f"- noting a metric on the training thread: median {took[steps // 2] * 1e6:.1f} µs, p99 {late * 1e6:.1f}, "
          f"most {took[-1] * 1e6:,.0f}; p99 at most {NOTED * 1e6:.0f}: {held(late, NOTED)}\n")  # fmt: skip


def fill(repo: Repository, runs: int, keys: int) -> None:
    """Write the runs down, all at once, and the metrics of the first."""
    rows = []
    for number in range(runs):
        made = f"2026-01-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00+00:00"
        rows.append({
            "id": f"r{number}", "model": f"model{number % 50}", "status": ("done", "failed", "stopped")[number % 3],
            "version": None, "created": made, "finished": made, "actor": "m",
            "config": encode({"training": {"lr": 1e-3 * number, "epochs": 10}}).decode(),
        })  # fmt: skip
    repo.models()
    with repo.store.catalog._ledger._database.writing() as connection:
        insert(connection, tables.run, rows)
    repo.log_metrics("r0", {1: {f"layer{number}/norm": float(number) for number in range(keys)}})
