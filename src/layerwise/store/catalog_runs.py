"""Runs and their metrics in the catalog."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import sqlalchemy as sa

from layerwise import canonical
from layerwise.errors import InvalidName, nearest
from layerwise.store import catalog_queries as queries
from layerwise.store import catalog_rows as rows
from layerwise.store import catalog_tables as sql
from layerwise.store.catalog_ledger import Ledger
from layerwise.store.rows import STATUSES, RunRow, check_run
from layerwise.words import parse_name, shorten


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

    def newest(self, model: str | None = None, limit: int = 100) -> list[RunRow]:
        """Return the newest runs first, of one model or of all."""
        query = sa.select(sql.run).order_by(sql.run.c.created.desc(), sql.run.c.id.desc()).limit(limit)
        if model is not None:
            query = query.where(sql.run.c.model == parse_name(model))
        with self._ledger.reading() as connection:
            found = [rows.opened(sql.run, row) for row in connection.execute(query).mappings()]
        return [
            RunRow(**{**row, "config": canonical.decode(row["config"].encode(), f"run {row['id']}")}) for row in found
        ]

    def metrics(self, run: str) -> list[tuple[int, str, float]]:
        """Return the metrics of a run as (step, key, value), by step and then key. Raises NotFound."""
        columns = sql.metric.c
        with self._ledger.reading() as connection:
            queries.check_run_is_there(connection, run)
            found = rows.select(connection, sql.metric, [columns.run == run], columns.step, columns.key)
        return [(row["step"], row["key"], math.nan if row["value"] is None else row["value"]) for row in found]


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
