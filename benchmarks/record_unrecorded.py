"""Layers that were never recorded: two hundred mixed questions beside the cheaper of reading and recomputing.

Every question is asked in three ways, in turns: as it comes; with the records of the nearest layer read whatever that
costs; and with everything computed from the rows. The second and third differ from the first in one decision alone.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.measure import interleave, ms
from benchmarks.record_store import Kept, kept
from benchmarks.store_work import held

RECORDED, ASKED = ("dense1", "dense4"), ("dense3", "dense5", "dense7")
SIZES = (1, 10, 100, 1000, 10_000)
LIMIT = 1.2
OURS, READ, COMPUTE, AGAIN = "layerwise", "always read", "always compute from the rows", "layerwise again (A/A)"

Question = tuple[str, Any]
Decide = Callable[..., frozenset[str]]


def show(*, rows: int, units: int, questions: int, rounds: int) -> None:
    """Print what the questions cost."""
    with kept(rows, units, 1, RECORDED) as made:
        asked = drawn(made, questions)
        equal(made, asked)
        ways: dict[str, Decide | None] = {OURS: None, READ: all_of_it, COMPUTE: nothing, AGAIN: None}
        runs = {way: costs(made, asked, decide) for way, decide in ways.items()}
        found = interleave(runs, rounds)
    said = f"{', '.join(ASKED)} were never recorded, {' and '.join(RECORDED)} were"
    print(f"## {said}: {questions} questions, {rows:,} rows, {units} units\n")
    report({way: [statistics.median(one) for one in zip(*each, strict=True)] for way, each in found.items()}, asked)


def drawn(made: Kept, count: int) -> list[Question]:
    """Return questions: of which layer, which rows; single ones, some in a run, some all over the dataset."""
    draw = np.random.default_rng(5)
    found: list[Question] = []
    for at in range(count):
        size = min(SIZES[at % len(SIZES)], made.rows // 2)
        start = int(draw.integers(0, made.rows - size))
        rows: Any = start if size == 1 else slice(start, start + size)
        if at % 2 and size > 1:
            rows = draw.integers(0, made.rows, size)
        found.append((ASKED[int(draw.integers(len(ASKED)))], rows))
    return [found[at] for at in draw.permutation(count)]


def costs(made: Kept, asked: Sequence[Question], decide: Decide | None) -> Callable[[], list[float]]:
    """Return what asks all questions once, and gives the CPU time of each."""

    def run() -> list[float]:
        # Once for all of them: it takes longer than most questions.
        gc.collect()
        with decided(decide):
            return [one(made, question) for question in asked]

    return run


def one(made: Kept, question: Question) -> float:
    """Return the seconds of CPU that a question costs."""
    layer, rows = question
    view = made.versions[0].layer(layer)
    begin = time.process_time()
    view.look(rows)
    return time.process_time() - begin


@contextmanager
def decided(decide: Decide | None) -> Iterator[None]:
    """Have it decided so which records are read."""
    if decide is None:
        yield
        return
    with mock.patch("layerwise.engine.looking.asking.cheapest", decide):
        yield


def all_of_it(_graph: Any, _network: Any, seconds: Mapping[str, float], *_: Any, **__: Any) -> frozenset[str]:
    """Read what is kept, whatever it costs."""
    return frozenset(seconds)


def nothing(*_: Any, **__: Any) -> frozenset[str]:
    """Read nothing."""
    return frozenset()


def equal(made: Kept, asked: Sequence[Question]) -> None:
    """Stop where an answer differs by a bit from that computed from the rows; what is run here is run no first time."""
    for layer, rows in asked[:20]:
        view = made.versions[0].layer(layer)
        answers = []
        for decide in (None, all_of_it, nothing):
            with decided(decide):
                answers.append(view.look(rows))
        if any(not np.array_equal(answers[0].values.numpy(), other.values.numpy()) for other in answers[1:]):
            raise SystemExit(f"NOT the same bits: {layer}, {rows}")


def report(found: Mapping[str, Sequence[float]], asked: Sequence[Question]) -> None:
    """Print the sums, by size of the question, and the limit."""
    sizes = [size_of(rows) for _, rows in asked]
    best = [min(pair) for pair in zip(found[READ], found[COMPUTE], strict=True)]
    columns = sorted(set(sizes))
    print(f"| way | all questions | {' | '.join(f'{size:,} rows' for size in columns)} |")
    print(f"| --- | ---: |{' ---: |' * len(columns)}")
    for way, each in {**found, "the cheaper of both, question by question": best}.items():
        cells = [middle(each, [size == one for size in sizes]) for one in columns]
        print(f"| {way} | {ms(sum(each))} | {' | '.join(cells)} |")
    ours, again = (sum(found[way]) / sum(best) for way in (OURS, AGAIN))
    whole = sum(found[OURS]) / min(sum(found[READ]), sum(found[COMPUTE]))
    print(
        f"\nours: {ours:.3f} of the cheaper, question by question (control {again:.3f}), {whole:.3f} of the cheaper "
        f"way for all; at most {LIMIT}: {held(ours, LIMIT)}\nthe bits are the same in all three ways\n"
    )


def size_of(rows: Any) -> int:
    """Return how many rows a question is about."""
    if isinstance(rows, slice):
        return int(rows.stop - rows.start)
    return 1 if isinstance(rows, int) else len(rows)


def middle(costs: Sequence[float], wanted: Sequence[bool]) -> str:
    """Return the median of the costs that are wanted."""
    return ms(statistics.median(cost for cost, one in zip(costs, wanted, strict=True) if one))
