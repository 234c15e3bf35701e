"""Measuring on a machine that others use too: variants interleaved in one run, CPU time, medians, a control.

Only the standard library is imported, so that the peers' environment can use it as well.

>>> runs = interleave({"sum": lambda: timed(lambda: sum(range(1000)))[1]}, rounds=4)
>>> print(table(runs, base="sum"))  # doctest: +ELLIPSIS
| variant | CPU, median | wall, least | times sum | quartiles of the rounds |
...
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """What one piece of work cost: seconds of CPU (of this process and the children that it waited for) and of wall."""

    cpu: float
    wall: float


def cpu_time() -> float:
    """Return the seconds of CPU that this process and the children that it waited for have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(work: Callable[[], T]) -> tuple[T, Sample]:
    """Return what ``work`` returned and what it cost. Garbage of earlier work is collected before, not during it."""
    gc.collect()
    cpu, wall = cpu_time(), time.perf_counter()
    found = work()
    return found, Sample(cpu_time() - cpu, time.perf_counter() - wall)


def interleave(variants: Mapping[str, Callable[[], T]], rounds: int, *, warm: bool = True) -> dict[str, list[T]]:
    """Return what each variant gave in each round.

    The variants take turns, A B C and then C B A, so that what changes slowly on the machine meets all of them alike.

    Args:
        variants: what to run, by name.
        rounds: how often.
        warm: whether one more round goes before, uncounted.
    """
    found: dict[str, list[T]] = {name: [] for name in variants}
    for turn in range(-1 if warm else 0, rounds):
        for name in sorted(variants, key=list(variants).index, reverse=turn % 2 == 1):
            made = variants[name]()
            if turn >= 0:
                found[name].append(made)
    return found


def table(runs: Mapping[str, Sequence[Sample]], *, base: str) -> str:
    """Return a Markdown table of costs beside ``base``, one line a variant.

    The ratio is the median of the ratios round by round, of CPU time: a round's variants ran one after the other, so
    that a busy minute of the machine is in both. Claim only what lies outside the ratio of the control.
    """
    lines = [
        f"| variant | CPU, median | wall, least | times {base} | quartiles of the rounds |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, samples in runs.items():
        cpu, least = median(samples), min(sample.wall for sample in samples)
        ratios = [one.cpu / two.cpu for one, two in zip(samples, runs[base], strict=True)]
        low, high = quartiles(ratios)
        lines.append(
            f"| {name} | {ms(cpu)} | {ms(least)} | {statistics.median(ratios):.3f} | {low:.3f} to {high:.3f} |"
        )
    return "\n".join(lines)


def median(samples: Sequence[Sample]) -> float:
    """Return the median of the CPU times, in seconds."""
    return statistics.median(sample.cpu for sample in samples)


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the lower and the upper quartile."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def ms(seconds: float) -> str:
    """Return a time as a person reads it, e.g. ``1,234 ms`` or ``0.53 ms``."""
    number = seconds * 1000
    return f"{number:,.0f} ms" if number >= 100 else f"{number:.3g} ms"


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages; those that are not installed are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def surroundings(threads: int, packages: Mapping[str, str]) -> str:
    """Return what to print above every table: the command, versions, processor, threads, the machine's load."""
    modules = [Path(sys.argv[0]).stem, *sys.argv[1:]]
    said = ", ".join(f"{name} {number}" for name, number in packages.items())
    return "\n".join([
        f"command: python -m benchmarks.{shlex.join(modules)}",
        f"versions: Python {platform.python_version()}, {said}",
        f"machine: {processor()}; threads {threads}; load {os.getloadavg()[0]:.1f} at the start",
    ])  # fmt: skip


def processor() -> str:
    """Return the processor's name and how many of its cores this process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.machine()}, {cores} cores"
