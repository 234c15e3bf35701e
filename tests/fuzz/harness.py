"""Workers are started, watched, and started again behind the input that killed one; what came of it all is counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.fuzz.worker import Job

PATIENCE = 600
"""Seconds of the clock after which a worker that says nothing is given up, for each 10,000 inputs."""

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Failure:
    """An input that was neither accepted nor refused: input ``number`` of a parser, under the seed of the run."""

    parser: str
    number: int
    what: str


@dataclass
class Result:
    """What came of a run.

    Attributes:
        counts: how many inputs ended how, by ``parser: accepted``, ``parser: refused``.
        failures: the others.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def tried(self, parser: str) -> int:
        """Return how many inputs a parser was given."""
        return sum(count for name, count in self.counts.items() if name.rpartition(":")[0] == parser)


def run(jobs: Sequence[Job], seed: int, *, workers: int = 1) -> Result:
    """Do the jobs, each worker an equal share of them."""
    result = Result()
    with ThreadPoolExecutor(workers) as pool:
        for part in pool.map(lambda share: _shared(share, seed), [jobs[place::workers] for place in range(workers)]):
            result.counts += part.counts
            result.failures += part.failures
    return result


def pieces(counts: dict[str, int], size: int) -> list[Job]:
    """Return jobs of at most ``size`` inputs for so many of each parser, the parsers in turn."""
    jobs = [
        Job(name, start, min(start + size, count)) for name, count in counts.items() for start in range(0, count, size)
    ]
    return sorted(jobs, key=lambda job: job.start)


def _shared(jobs: Sequence[Job], seed: int) -> Result:
    result = Result()
    left = list(jobs)
    while left:
        left = _once(left, seed, result)
    return result


def _once(jobs: list[Job], seed: int, result: Result) -> list[Job]:
    """Run one worker to its end or its death, and return the jobs that are left."""
    with tempfile.TemporaryDirectory() as folder:
        plan, place = Path(folder, "plan"), Path(folder, "place")
        plan.write_text(json.dumps({"seed": seed, "jobs": [asdict(job) for job in jobs]}), encoding="utf-8")
        place.write_text("", encoding="utf-8")
        inputs = sum(job.stop - job.start for job in jobs)
        command = [sys.executable, "-m", "tests.fuzz.worker", str(plan), str(place)]
        # Arrow's own allocator reserves what it does not use; ours is the memory that is counted.
        environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            timeout=PATIENCE * (1 + inputs / 10_000),
            check=False,
        )
        died = place.read_text(encoding="utf-8").split("\n")
    finished = _told(done.stdout.decode(), result)
    if finished:
        return []
    if done.returncode >= 0 or len(died) < 2:
        raise RuntimeError(f"a worker ended, of a fault of its own, with {_ending(done.returncode)} at {died[:2]}")
    result.failures.append(Failure(died[0], int(died[1]), _ending(done.returncode)))
    return _behind(jobs, died[0], int(died[1]), result)


def _told(output: str, result: Result) -> bool:
    for line in output.splitlines():
        said = json.loads(line)
        if "counts" in said:
            result.counts += Counter(said["counts"])
            return True
        result.failures.append(Failure(**said))
    return False


def _ending(code: int) -> str:
    if code == -signal.SIGPROF:
        return "more time than the limit"
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _behind(jobs: Iterable[Job], parser: str, number: int, result: Result) -> list[Job]:
    """Return the jobs that come after the input that a worker died of; what it did before is counted as read."""
    left: list[Job] = []
    found = False
    for job in jobs:
        here = job.parser == parser and job.start <= number < job.stop
        if here or not found:
            stop = number + 1 if here else job.stop
            result.counts[f"{job.parser}: before a death"] += stop - job.start
        if here and number + 1 < job.stop:
            left.append(Job(parser, number + 1, job.stop))
        elif not here and found:
            left.append(job)
        found = found or here
    return left


def minimised(data: bytes, fails: Callable[[bytes], bool], tries: int = 2_000) -> bytes:
    """Return a smaller input that still fails: pieces are left out, then bytes become zeros, while it does.

    >>> minimised(b"some text with an x in it", lambda data: b"x" in data)
    b'x'
    """
    size = max(1, len(data) // 2)
    while size and tries > 0:
        start = 0
        while start < len(data) and tries > 0:
            tries -= 1
            shorter = data[:start] + data[start + size :]
            if fails(shorter):
                data = shorter
            else:
                start += size
        size //= 2
    return data
