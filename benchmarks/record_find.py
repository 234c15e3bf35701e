"""Which rows excite a unit most, and which are nearest to a row: exact, held beside brute force in float64."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measure import Sample, interleave, ms, timed
from benchmarks.record_store import Kept, kept
from benchmarks.store_work import held, used

LAYER, TOP, NEAR = "dense6", 20, 10
TIME, SHARE, NEAREST = 1e-3, 0.20, 50e-3

Array = np.ndarray[Any, Any]


def show(*, rows: int, few: int, units: int, rounds: int) -> None:
    """Print what the questions cost.

    Args:
        rows: of the record whose nearest rows are asked for.
        few: of the record whose top rows are asked for.
        units: of the layer.
        rounds: how often each is asked.
    """
    with kept(few, units, 1, [LAYER]) as made:
        top(made, rounds)
    with kept(rows, units, 1, [LAYER]) as made:
        nearest(made, rounds)


def top(made: Kept, rounds: int) -> None:
    """Print what the top rows of a unit cost, and the bytes of the index."""
    view = made.versions[0].layer(LAYER)
    values = view.record(np.arange(made.rows)).numpy()
    before = used(made.repo.path)
    first = timed(partial(view.top, unit=0, k=TOP))[1]
    index = used(made.repo.path) - before
    for unit in range(made.units):
        hold(view.top(unit=unit, k=TOP), np.argsort(-values[:, unit], kind="stable")[:TOP])
    draw = np.random.default_rng(0)
    runs = interleave(in_turns(partial(view.top, k=TOP), "unit", partial(draw.integers, made.units), 20), rounds)
    print(f"## The {TOP} rows that excite a unit most, of {made.rows:,}; {made.units} units, float32\n")
    costs(runs, TIME)
    print(f"the first question makes the index: {ms(first.cpu)} of CPU; it is {index / 1e6:,.2f} MB, "
          f"{index / made.bytes:.4f} of the records; at most {SHARE}: {held(index / made.bytes, SHARE)}\n"
          f"all {made.units} units: the same rows as by sorting all values\n")  # fmt: skip


def nearest(made: Kept, rounds: int) -> None:
    """Print what the nearest rows cost."""
    view = made.versions[0].layer(LAYER)
    values = view.record(np.arange(made.rows)).numpy()
    first = timed(partial(view.nearest, 0, k=NEAR))[1]
    draw = np.random.default_rng(1)
    for row in draw.integers(made.rows, size=3).tolist():
        hold(view.nearest(row, k=NEAR), brute(values, row))
    runs = interleave(in_turns(partial(view.nearest, k=NEAR), "row", partial(draw.integers, made.rows), 1), rounds)
    print(f"## The {NEAR} rows nearest to a row, of {made.rows:,}; {made.units} units, float32\n")
    costs(runs, NEAREST)
    print(f"the first question keeps the rows' squares: {ms(first.cpu)} of CPU\n"
          f"3 rows: the same neighbours as by brute force in float64\n")  # fmt: skip


def in_turns(
    ask: Callable[..., object], name: str, draw: Callable[[], Any], together: int
) -> dict[str, Callable[[], Sample]]:
    """Return the question and its control, each time of other units or rows; so many are timed together, a mean."""

    def run() -> Sample:
        said = [{name: int(draw())} for _ in range(together)]
        cost = timed(lambda: [ask(**one) for one in said])[1]
        return Sample(cost.cpu / together, cost.wall / together)

    return {"layerwise": run, "layerwise again (A/A)": run}


def costs(runs: dict[str, list[Sample]], limit: float) -> None:
    """Print the table of a question and whether its limit was held, in CPU and in wall time."""
    print("| variant | CPU, median | wall, median | wall, least |\n| --- | ---: | ---: | ---: |")
    for name, found in runs.items():
        cpu, wall = (statistics.median(getattr(one, part) for one in found) for part in ("cpu", "wall"))
        print(f"| {name} | {ms(cpu)} | {ms(wall)} | {ms(min(one.wall for one in found))} |")
    found = runs["layerwise"]
    cpu, wall = (statistics.median(getattr(one, part) for one in found) for part in ("cpu", "wall"))
    print(f"\nat most {ms(limit)}: CPU {held(cpu, limit)}, wall {held(wall, limit)}\n")


def brute(values: Array, row: int) -> Array:
    """Return the rows nearest to one, by all differences in float64; of equals the lower position first."""
    point = values[row].astype(np.float64)
    squares = np.concatenate([
        np.square(part.astype(np.float64) - point).sum(1) for part in np.array_split(values, -(-len(values) // 65536))
    ])  # fmt: skip
    squares[row] = np.inf
    return np.argsort(squares, kind="stable")[:NEAR]


def hold(found: Any, wanted: Array) -> None:
    """Stop where rows are not the right ones."""
    positions = np.asarray(found.positions)
    if not np.array_equal(positions, wanted):
        raise SystemExit(f"NOT exact: found the rows {positions.tolist()}; brute force finds {wanted.tolist()}")
