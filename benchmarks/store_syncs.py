"""How often a commit of 100 small layers waits for the disk.

Ours are counted in this process; ``strace``, where it may be used, counts SQLite's too, in another that commits ten
times between two marks: ``python -m benchmarks.store_syncs FOLDER``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from layerwise.repo import LayerState, Repository, now
from layerwise.store.tensors import RawTensor
from layerwise.versions.manifest import Manifest

ROOT = Path(__file__).parents[1]
COMMITS, LAYERS, BYTES = 10, 100, 16_000
LIMIT = 3
# A call that another thread's cuts in two has its end on a line of its own, without a path.
_CALL = re.compile(r"\b(?:fsync|fdatasync)\(\d+<([^>]*)>")
_SORTS = {"tmp": "a pack", "packs": "its folder", "catalog.sqlite-wal": "SQLite's log"}


def commit(repo: Repository) -> None:
    """Keep a new version of 100 layers of 16 KB, all of them new."""
    weights = {f"layer{number}": RawTensor("F32", (BYTES // 4,), os.urandom(BYTES)) for number in range(LAYERS)}
    layers = {path: LayerState("torch.nn.Linear.v1", {"weight": weight}, {}) for path, weight in weights.items()}
    repo.commit(lambda number, parent: Manifest("small", number, {"layers": []}, {}, created=now()), layers, {})


def show(folder: Path) -> None:
    """Print how often a commit waits; ``folder`` is empty and on the disk that is measured."""
    with Repository(folder / "ours") as repo:
        commit(repo)
        with patch("os.fsync", wraps=os.fsync) as counted:
            commit(repo)
    print(f"fsyncs of a commit: {counted.call_count} of ours, counted in the process")
    found = trace(folder.resolve())
    if isinstance(found, str):
        print(f"SQLite's own are not counted: {found}\n")
        return
    each = ", ".join(f"{number / COMMITS:g} of {what}" for what, number in found.items())
    whole = found.total() / COMMITS
    said = "held" if whole <= LIMIT else "NOT held"
    print(f"by strace, SQLite's too: {whole:g} ({each}), the mean of {COMMITS}; at most {LIMIT}: {said}\n")


def trace(folder: Path) -> Counter[str] | str:
    """Return how often each sort of file was waited for in ten commits, or why that cannot be told."""
    strace, log = shutil.which("strace"), folder / "trace.txt"
    if strace is None:
        return "strace is not installed"
    command = [strace, "-f", "-y", "-qq", "-e", "signal=none", "-e", "trace=fsync,fdatasync", "-o", str(log)]
    done = subprocess.run(
        [*command, sys.executable, "-m", "benchmarks.store_syncs", str(folder)], cwd=ROOT, check=False
    )
    if done.returncode:
        return f"strace ended with exit code {done.returncode}; tracing may be forbidden here"
    calls = [Path(path).relative_to(folder) for path in _CALL.findall(log.read_text(encoding="utf-8"))]
    begin, end = calls.index(Path("begin")), calls.index(Path("end"))
    firsts = (path.parts[1] for path in calls[begin + 1 : end])
    return Counter(_SORTS.get(first, first) for first in firsts)


def commits(folder: Path) -> None:
    """Commit once, and then ten times between two marks."""
    with Repository(folder / "traced") as repo:
        commit(repo)
        mark(folder / "begin")
        for _ in range(COMMITS):
            commit(repo)
        mark(folder / "end")


def mark(file: Path) -> None:
    """Fsync an empty file, whose name is then in the trace."""
    with file.open("wb") as opened:
        os.fsync(opened.fileno())


if __name__ == "__main__":
    commits(Path(sys.argv[1]))
