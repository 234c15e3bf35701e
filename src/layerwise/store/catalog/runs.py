"""Runs and their metrics in the catalog."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from layerwise import canonical
from layerwise.errors import InvalidName, nearest
from layerwise.store.catalog import queries, rows
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.ledger import Ledger
from layerwise.store.rows import STATUSES, MetricKey, RunFilter, RunPage, RunRow, check_filter, check_run
from layerwise.words import shorten

ALL = RunFilter()
"""Every run, the newest hundred first."""


class Runs:
    """What ran, how it stands, and how good it was, step by step."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def start(self, run: RunRow) -> None:
        """Add a run; it survives a loss of power with its first metrics. Raises Conflict where its id is taken."""
        check_run(run)
        said = {**asdict(run), "config": canonical.encode(run.config).decode()}
        self._ledger.change("start_run", said, durable=False)

    def log(self, run: str, steps: Mapping[int, Mapping[str, float]]) -> None:
        """Keep metrics of steps, in one transaction; a key that a step has is replaced. NaN and infinity are kept."""
        for step, metrics in steps.items():
            _check_metrics(step, metrics)
        said = [
            [key, step, queries.to_json(value)] for step, metrics in steps.items() for key, value in metrics.items()
        ]
        self._ledger.change("log_steps", {"run": run, "metrics": said})

    def finish(self, run: str, status: str, version: int | None) -> None:
        """Say how a run ended, and which version it made. Raises NotFound where there is no such run."""
        self._ledger.change("finish_run", ended(run, status, version))

    def find(self, wanted: RunFilter = ALL) -> RunPage:
        """Return a page of the runs that a filter finds, the newest first unless it says otherwise."""
        check_filter(wanted)
        columns = sql.run.c
        where = [
            *(column == value for column, value in (
                (columns.model, wanted.model), (columns.status, wanted.status), (columns.actor, wanted.actor),
            ) if value is not None),
            *([columns.created >= wanted.since] if wanted.since else []),
            *([columns.created < wanted.until] if wanted.until else []),
        ]  # fmt: skip
        order = [columns.created, columns.id] if wanted.oldest_first else [columns.created.desc(), columns.id.desc()]
        page = sa.select(columns.id).where(*where).order_by(*order).limit(wanted.limit).offset(wanted.offset)
        query = sa.select(sql.run).where(columns.id.in_(page)).order_by(*order)
        with self._ledger.reading() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(sql.run).where(*where)) or 0
            found = [rows.opened(sql.run, row) for row in connection.execute(query).mappings()]
        runs = (
            RunRow(**{**row, "config": canonical.decode(row["config"].encode(), f"run {row['id']}")}) for row in found
        )
        return RunPage(tuple(runs), total)

    def keys(self, run: str, prefix: str = "", after: str = "", limit: int = 1000) -> list[MetricKey]:
        """Return the metrics of a run by key, each with its last value; the page after the key ``after``.

        Args:
            run: the run's id.
            prefix: what the keys begin with: ``validation/``.
            after: the last key of the page before.
            limit: how many.

        Raises:
            NotFound: there is no such run.
        """
        inner, outer = sql.metric.alias(), sql.metric
        where = [outer.c.run == run, outer.c.key > after]
        if prefix:
            where += [outer.c.key >= prefix, outer.c.key < prefix + "\U0010ffff"]
        groups = (
            sa.select(outer.c.key, sa.func.count().label("steps"), sa.func.max(outer.c.step).label("last"))
            .where(*where).group_by(outer.c.key).order_by(outer.c.key).limit(limit).subquery()
        )  # fmt: skip
        at_last = (inner.c.run == run, inner.c.key == groups.c.key, inner.c.step == groups.c.last)
        query = sa.select(inner, groups.c.steps).join(groups, sa.and_(*at_last)).order_by(inner.c.key)
        with self._ledger.reading() as connection:
            queries.check_run_is_there(connection, run)
            found = [(rows.opened(sql.metric, row), row["steps"]) for row in connection.execute(query).mappings()]
        return [MetricKey(row["key"], steps, row["step"], _value(row)) for row, steps in found]

    def metrics(self, run: str, keys: Sequence[str] | None = None) -> list[tuple[int, str, float]]:
        """Return the metrics of a run as (step, key, value), by step and then key; of some keys, or all.

        Raises NotFound.
        """
        columns = sql.metric.c
        pages = [[columns.run == run]]
        if keys is not None:
            pages = [[columns.run == run, columns.key.in_(some)] for some in queries.batches(keys)]
        with self._ledger.reading() as connection:
            queries.check_run_is_there(connection, run)
            found = [row for where in pages for row in rows.select(connection, sql.metric, where)]
        return sorted((row["step"], row["key"], _value(row)) for row in found)


def _value(row: Mapping[str, Any]) -> float:
    return math.nan if row["value"] is None else float(row["value"])


def ended(run: str, status: str, version: int | None) -> dict[str, str | int | None]:
    """Return the end of a run, now, as the catalog's changes take it."""
    if status not in STATUSES:
        raise InvalidName(f"{shorten(str(status))} is not how a run ends.{nearest(str(status), STATUSES)}")
    return {"id": run, "status": status, "version": version, "finished": datetime.now(UTC).isoformat()}


def _check_metrics(step: int, metrics: Mapping[str, float]) -> None:
    keys = [key for key in metrics if isinstance(key, str) and 0 < len(key) <= 500]
    if len(keys) != len(metrics) or not queries.is_number(step):
        raise InvalidName(
            f"a metric has a key of 1 to 500 characters and a step from 0; "
            f"found step {step!r} and {shorten(str(list(metrics)))}"
        )
