"""What of the world around a run can change its bits or must be known to make it again."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch

MAX_DIFF = 1 << 20
"""Largest uncommitted diff that is kept with a run, in bytes; a larger one is cut and said to be."""


class GitState(NamedTuple):
    """The commit of a checkout and its uncommitted diff; None where there is none."""

    commit: str | None
    diff: str | None


@dataclass(frozen=True)
class Environment:
    """Packages, interpreter, processor and threads of a run; the commit and uncommitted diff of the code around it."""

    python: str
    system: str
    processor: str
    threads: int
    capability: str
    blas: str
    device: str
    packages: dict[str, str]
    git: Future[GitState]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, once git has answered."""
        said = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "git"}
        return {**said, **self.git.result()._asdict()}


def capture(device: torch.device, folder: Path | None = None) -> Environment:
    """Return the environment as it is now, with the git state of ``folder`` (the current one if not given)."""
    # Git takes longer than all else before the first step, and its answer is needed only at the end.
    executor = ThreadPoolExecutor(1, "layerwise-git")
    git = executor.submit(git_state, folder or Path.cwd())
    executor.shutdown(wait=False)
    return Environment(
        python=platform.python_version(),
        system=platform.platform(),
        processor=processor(),
        threads=torch.get_num_threads(),
        capability=torch.backends.cpu.get_cpu_capability(),
        blas=os.environ.get("MKL_CBWR", ""),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        packages=packages(),
        git=git,
    )


@functools.cache
def packages() -> dict[str, str]:
    """Return the installed packages and their versions, sorted, as the names of their folders say them."""
    # importlib.metadata opens a file of each package: 65 ms for 85 of them, a twentieth of a short training.
    found: dict[str, str] = {}
    for folder in reversed([Path(entry) for entry in sys.path]):
        for info in (*folder.glob("*.egg-info"), *folder.glob("*.dist-info")):
            name, version, *_ = [*info.stem.split("-"), ""]
            found[re.sub(r"[_.]+", "-", name).lower()] = version
    return {name: version for name, version in sorted(found.items()) if version}


@functools.cache
def processor() -> str:
    """Return the processor's name and how many of its threads this process may use."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} threads"


def git_state(folder: Path) -> GitState:
    """Return the commit and the uncommitted diff of the checkout that ``folder`` is in; None where there is none."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return GitState(None, None)
    diff = _git(folder, "diff", "HEAD", "--no-ext-diff", "--no-textconv")
    if diff is not None and len(diff) > MAX_DIFF:
        diff = f"{diff[:MAX_DIFF]}\n… cut: the diff has {len(diff):,} characters\n"
    return GitState(commit.strip(), diff or None)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, timeout=20, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", errors="replace")
