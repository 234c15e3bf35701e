"""``layerwise runs`` and ``metrics``: what ran, how it stands, and its curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli import screen
from layerwise.cli.options import AsJson, open_repository

if TYPE_CHECKING:
    from layerwise.repo import Repository
    from layerwise.store.rows import MetricKey, RunRow

BARS = "▁▂▃▄▅▆▇█"
OF_LAYERS = "layers/"
LAST_OF_LAYERS = f"{OF_LAYERS}\U0010ffff"
CURVE = 24
"""Most characters of a curve: more steps are thinned."""

Limit = Annotated[int, typer.Option(metavar="N", help="How many to show.", min=1, max=100_000)]


def runs(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Runs of this model alone.")] = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="running, done, stopped or failed.")] = None,
    by: Annotated[str | None, typer.Option(metavar="WHO", help="Runs of this person alone.")] = None,
    since: Annotated[str | None, typer.Option(metavar="DAY", help="From this day on: 2026-01-31 (UTC).")] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Before this day.")] = None,
    limit: Limit = 20,
    skip: Annotated[int, typer.Option(metavar="N", help="Leave out the first N.", min=0)] = 0,
    oldest: Annotated[bool, typer.Option("--oldest", metavar="", help="The oldest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs: when, by whom, how they stand, and the versions that they made."""
    from layerwise.store.rows import RunFilter

    wanted = RunFilter(model, status, by, since, until, oldest, limit, skip)
    with open_repository(context) as repo:
        page = repo.find_runs(wanted)
    if as_json:
        screen.print_json({"total": page.total, "runs": list(page.runs)})
        return
    if not page.runs:
        screen.note("no run is like that" if page.total or wanted != RunFilter(limit=limit) else "nothing ran yet")
        return
    heads = ("run", "model", "status", "version", "data", "began (UTC)", "took", "who")
    spare = ("who", "data", "took")
    screen.show(screen.columns(*heads, rows=[_row(run) for run in page.runs], right=["took"], spare=spare))
    if page.total > len(page.runs):
        screen.note(
            f"{skip + 1:,} to {skip + len(page.runs):,} of {screen.plural(page.total, 'run')}; --skip and --limit"
        )


def _row(run: RunRow) -> list[object]:
    styles = {"done": screen.GOOD, "failed": screen.BAD}
    version = f"{run.model}@{run.version}" if run.version else ""
    data = run.config.get("data")
    return [
        screen.words(run.id, screen.NAME), run.model, screen.words(run.status, styles.get(run.status, "")), version,
        data if isinstance(data, str) else "", screen.moment(run.created), _took(run), run.actor,
    ]  # fmt: skip


def _took(run: RunRow) -> str:
    from datetime import datetime

    if run.finished is None:
        return ""
    seconds = (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.created)).total_seconds()
    return screen.duration(max(seconds, 0.0))


def metrics(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run: layerwise runs lists them.")],
    key: Annotated[str, typer.Option("--key", metavar="PREFIX", help="Only metrics that begin so: validation/.")] = "",
    after: Annotated[str, typer.Option(metavar="KEY", help="The page after this metric.")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Show the metrics of a run: the last value of each, and its curve.

    Statistics of layers, whose names begin with layers/, are shown where --key asks for them, and by layerwise stats.
    """
    with open_repository(context) as repo:
        keys = _keys(repo, run, key, after, limit + 1)
        more, keys = len(keys) > limit, keys[:limit]
        values = repo.metrics(run, [found.key for found in keys])
    curves: dict[str, list[tuple[int, float]]] = {found.key: [] for found in keys}
    for step, name, value in values:
        curves[name].append((step, value))
    if as_json:
        screen.print_json({"run": run, "metrics": curves, "more": more})
        return
    if not keys:
        screen.note(f"{run} has no metric{f' that begins with {key}' if key else ''}")
        return
    rows = [_metric(found, [value for _, value in curves[found.key]]) for found in keys]
    heads = ("metric", "last", "at", "least", "most", "curve")
    screen.show(screen.columns(*heads, rows=rows, right=heads[1:5], spare=("most", "least")))
    if more:
        screen.note(f"there are more; the next page: layerwise metrics {run} --after {keys[-1].key}")


def _keys(repo: Repository, run: str, prefix: str, after: str, limit: int) -> list[MetricKey]:
    found = repo.metric_keys(run, prefix, after, limit)
    if prefix or after.startswith(OF_LAYERS):
        return found
    kept = [one for one in found if not one.key.startswith(OF_LAYERS)]
    if len(kept) < len(found):
        # Those behind them, as if they were not there.
        kept += repo.metric_keys(run, prefix, LAST_OF_LAYERS, limit)
    return sorted({one.key: one for one in kept}.values(), key=lambda one: one.key)[:limit]


def _metric(found: MetricKey, values: Sequence[float]) -> list[Any]:
    finite = [value for value in values if math.isfinite(value)]
    least, most = (min(finite), max(finite)) if finite else (math.nan, math.nan)
    return [
        screen.words(found.key, screen.NAME), screen.number(found.value), found.last, screen.number(least),
        screen.number(most), curve(values),
    ]  # fmt: skip


def curve(values: Sequence[float]) -> str:
    """Return values as a line of small bars; what is no number is a cross, and long series are thinned.

    >>> curve([1.0, 2.0, 3.0, float("nan"), 8.0])
    '▁▂▃×█'
    """
    if len(values) > CURVE:
        ends = [at * len(values) // CURVE for at in range(CURVE + 1)]
        # A mean of what is no number is none: nothing that went wrong is thinned away.
        values = [sum(values[begin:end]) / (end - begin) for begin, end in pairwise(ends)]
    finite = [value for value in values if math.isfinite(value)]
    least, spread = (min(finite), max(finite) - min(finite)) if finite else (0.0, 0.0)

    def bar(value: float) -> str:
        if not math.isfinite(value):
            return "×"
        return BARS[round((value - least) / spread * (len(BARS) - 1))] if spread else BARS[3]

    return "".join(bar(value) for value in values)
