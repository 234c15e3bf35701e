"""A process that reads malformed inputs under limits: of memory, a cap above what it has when it begins; of time, each.

``python -m tests.fuzz.worker PLAN PLACE`` does the jobs of the JSON file ``PLAN`` and prints a line of JSON for every
input that fails, and one at the end. ``PLACE`` says at any moment which input is being read: when this process dies,
who started it knows of what.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerwise.errors import LayerwiseError
from tests.fuzz import faults
from tests.fuzz.parser import Parser

CAP = 256 << 20
"""Bytes of memory that an input may take above what the process had."""

SECONDS = 2.0
"""Seconds of processor time that an input may take: of a busy machine's clock they say nothing."""


@dataclass(frozen=True)
class Job:
    """Inputs ``start`` to ``stop`` of one parser."""

    parser: str
    start: int
    stop: int


def outcome(read: Callable[[bytes], None], data: bytes) -> str:
    """Return how reading ended: ``accepted``, ``refused``, or what was wrong."""
    try:
        read(data)
    except LayerwiseError as error:
        # An error of ours that hides a want of memory is none of ours.
        return "MemoryError behind an error of ours" if _starved(error) else "refused"
    except MemoryError:
        return "more memory than the cap"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "accepted"


def _starved(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__context__
    return False


def _bound() -> int:
    """Return how much memory an input may bring this process to, in bytes, and let its time run out with a signal."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    used = int(next(line for line in status.splitlines() if line.startswith("VmData")).split()[1]) << 10
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    return used + CAP


@contextmanager
def _limited(bound: int) -> Iterator[None]:
    """Hold what is inside to its memory and its time; to make an input may take more."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _loaded(jobs: Sequence[Job]) -> dict[str, Parser]:
    """Return the parsers, each loaded and run once: what that takes is not an input's."""
    if all(job.parser in faults.PARSERS for job in jobs):
        return faults.PARSERS
    from tests.fuzz import parsers, rows

    known = {row.id: row.parser for row in rows.ROWS}
    for name in dict.fromkeys(known.get(job.parser, job.parser) for job in jobs):
        for data in parsers.PARSERS[name].inputs:
            if (ended := outcome(parsers.PARSERS[name].read, data)) != "accepted":
                raise SystemExit(f"a whole input of {name} is not accepted: {ended}")
    return parsers.PARSERS | rows.PARSERS


def _run(job: Job, parser: Parser, seed: int, place: int, bound: int, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    for number in range(job.start, job.stop):
        os.pwrite(place, f"{job.parser}\n{number}\n".ljust(64).encode(), 0)
        data = parser.input(seed, number)
        with _limited(bound):
            ended = outcome(parser.read, data)
        counts[f"{job.parser}: {ended if ended in ('accepted', 'refused') else 'failed'}"] += 1
        if ended not in ("accepted", "refused"):
            yield {"parser": job.parser, "number": number, "what": ended}


def main() -> None:
    """Do the jobs of a plan."""
    warnings.simplefilter("ignore")
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    jobs = [Job(**job) for job in plan["jobs"]]
    found = _loaded(jobs)
    bound = _bound()
    counts: Counter[str] = Counter()
    place = os.open(sys.argv[2], os.O_WRONLY)
    for job in jobs:
        for failure in _run(job, found[job.parser], plan["seed"], place, bound, counts):
            print(json.dumps(failure), flush=True)
    print(json.dumps({"counts": counts}), flush=True)


if __name__ == "__main__":
    main()
