"""One row of one layer of many versions, ten thousand rows at once, and what ten versions take up on the disk."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from benchmarks.record_lance import MANY, Answer, clock
from benchmarks.record_lance import lance as lance_of
from benchmarks.record_store import CHANGED, LAYERS, Kept, kept, names
from benchmarks.store_work import folder, held

MEDIAN, LATE, LANCE, GATHER, BYTES = 5e-6, 50e-6, 50, 1.3, 0.33


@dataclass
class Times:
    """Nanoseconds of every question."""

    ours: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    theirs: list[int] = field(default_factory=list)


def show(*, rows: int, units: int, versions: int, rounds: int, count: int, peers: bool) -> None:
    """Print what a row costs, and what the versions take up."""
    with kept(rows, units, versions) as made, folder() as path, ExitStack() as stack:
        said, ask = (
            stack.enter_context(lance_of(path, rows, units, LAYERS)) if peers else ("left out", nothing)
        )  # fmt: skip
        print(f"## One row of one layer out of {rows:,} rows, {LAYERS} layers, {versions} versions; {units} units, "
              f"float32; Lance {said}\n")  # fmt: skip
        warm(made)
        times, gathers, lances = Times(), list[tuple[int, ...]](), list[int]()
        for turn in range(rounds):
            times.ours += singles(made, count, 3 * turn)
            answer = ask(count // 10, turn)
            times.theirs += answer["one"]
            times.again += singles(made, count, 3 * turn + 1)
            gathers += many(made, turn)
            lances += answer["many"]
        one_row({"layerwise": times.ours, "layerwise again (A/A)": times.again, "Lance's take": times.theirs})
        many_rows(gathers, lances)
        on_disk(made)


def nothing(count: int, seed: int) -> Answer:
    """Answer for Lance where it is left out."""
    return {"one": [], "many": []}


def warm(made: Kept) -> None:
    """Ask every layer of every version for rows all over it: what is read first is compared with its digest."""
    everywhere = np.linspace(0, made.rows - 1, 4096).astype(np.int64)
    for version in made.versions:
        for name in names():
            version.layer(name).record(everywhere)


def singles(made: Kept, count: int, seed: int) -> list[int]:
    """Return what single rows cost, of any layer of any version."""
    draw = np.random.default_rng(seed)
    chosen = zip(
        draw.integers(0, len(made.versions), count).tolist(), draw.integers(0, LAYERS, count).tolist(),
        draw.integers(0, made.rows, count).tolist(), strict=True,
    )  # fmt: skip
    layers = names()
    questions = [(made.versions[version], layers[layer], row) for version, layer, row in chosen]
    return [clock(lambda v=v, n=n, r=r: v.layer(n).record(r)) for v, n, r in questions]  # type: ignore[misc]


def many(made: Kept, seed: int) -> list[tuple[int, ...]]:
    """Return what 10,000 rows cost with us, by ``array[rows]`` and by ``numpy.take``, of an array in memory.

    Each gets rows of its own, every time: whoever comes second finds them in the processor's cache.
    """
    draw = np.random.default_rng(1000 + seed)
    version, name = made.versions[seed % len(made.versions)], names()[seed % LAYERS]
    layer = version.layer(name)
    array = layer.record(np.arange(made.rows)).numpy()
    works = [layer.record, lambda rows: array[rows], lambda rows: np.take(array, rows, axis=0)]
    found = []
    for turn in range(6):
        costs = [0, 0, 0]
        for at in (range(3), range(2, -1, -1))[turn % 2]:
            rows = draw.integers(0, made.rows, MANY)
            costs[at] = clock(lambda work=works[at], rows=rows: work(rows))  # type: ignore[misc]
        found.append(tuple(costs))
    assert np.array_equal(layer.record(rows).numpy(), array[rows])
    return found


def one_row(runs: Mapping[str, Sequence[int]]) -> None:
    """Print the table of single rows and the limits."""
    print("| variant | questions | median | 99th of 100 | least |\n| --- | ---: | ---: | ---: | ---: |")
    for name, found in runs.items():
        if found:
            median, late, least = (us(float(np.percentile(found, at))) for at in (50, 99, 0))
            print(f"| {name} | {len(found):,} | {median} | {late} | {least} |")
    ours = [float(np.percentile(runs["layerwise"], at)) * 1e-9 for at in (50, 99)]
    print(f"\nmedian at most 5 µs: {held(ours[0], MEDIAN)}; 99th of 100 at most 50 µs: {held(ours[1], LATE)}\n")
    theirs = runs["Lance's take"]
    if theirs:
        times = statistics.median(theirs) * 1e-9 / ours[0]
        print(f"Lance's median is {times:,.0f} times ours; at least {LANCE}: {held(LANCE, times)}\n")


def many_rows(gathers: Sequence[tuple[int, ...]], lances: Sequence[int]) -> None:
    """Print what many rows at once cost."""
    ours = statistics.median(costs[0] for costs in gathers)
    print(f"{MANY:,} rows at once: ours {us(ours)}; {len(gathers)} times each, others every time; at most {GATHER}")
    for at, name in ((1, "array[rows]"), (2, "numpy.take")):
        ratio = statistics.median(costs[0] / costs[at] for costs in gathers)
        print(
            f"- {ratio:.2f} of {name}, {us(statistics.median(costs[at] for costs in gathers))}: {held(ratio, GATHER)}"
        )
    print(f"- Lance's take {us(statistics.median(lances))}\n" if lances else "")


def on_disk(made: Kept) -> None:
    """Print what the records take up."""
    share = made.bytes / made.naive
    print(
        f"{len(made.versions)} versions, the last {CHANGED} of {LAYERS} layers changed: "
        f"{made.bytes / 1e6:,.1f} MB of {made.naive / 1e6:,.1f} MB, {share:.4f}; at most {BYTES}: "
        f"{held(share, BYTES)}\n"
    )


def us(nanoseconds: float) -> str:
    """Return a time as a person reads it."""
    return f"{nanoseconds / 1000:,.3g} µs" if nanoseconds < 1e6 else f"{nanoseconds / 1e6:,.3g} ms"
