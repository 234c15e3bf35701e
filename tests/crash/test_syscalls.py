"""Every system call of a commit that changes something is killed or fails once, by strace, on real files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import layerwise.words
from layerwise.store.disk import Disk
from tests.crash.holds import Promise, look
from tests.crash.scenarios import Session
from tests.support.counts import report

ROOT = Path(__file__).parents[2]
SOURCE = Path(layerwise.words.__file__).parents[1]

CALLS = (
    "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "mkdir", "ftruncate", "fallocate", "flock",
)  # fmt: skip
"""The calls of Linux that change a file, make it durable, or lock it."""

GAP = "odd OperationalError"
"""The error of a catalog whose disk is full or broken, until it is one of ours: tests/crash/test_gaps.py."""

FAULTS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")

SCRIPT = """
import os, sys
from pathlib import Path
from layerwise.errors import LayerwiseError
from layerwise.store.disk import Disk
from tests.crash.scenarios import SHARED, Session
# All is imported: strace counts the calls of each process, and those of the child are those of the commit.
child = os.fork()
if child == 0:
    path = Path(sys.argv[1])
    told = lambda promise: os.write(1, ("told %s %s %d %s\\n" % promise).encode())
    session = Session(path, Disk(path), told)
    try:
        session.commit("net", {"body": SHARED, "head": sys.argv[2].encode() * 20})
    except (OSError, LayerwiseError) as error:
        os.write(2, f"failed {type(error).__name__}".encode())
    except BaseException as error:
        os.write(2, f"odd {type(error).__name__}: {error}".encode())
    os._exit(0)
os.waitpid(child, 0)
"""

pytestmark = pytest.mark.slow


def run(path: Path, message: str, *strace: str) -> subprocess.CompletedProcess[str]:
    """Commit to the repository at ``path`` in a process of its own, under strace where it is said how."""
    command = [*strace, sys.executable, "-c", SCRIPT, str(path), message]
    environment = {"PYTHONPATH": f"{SOURCE}:{ROOT}", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def counted(path: Path) -> dict[str, int]:
    """Return how often the child makes each call."""
    log = path.parent / "calls"
    found = run(path, "counted", "strace", "-ff", "-o", str(log), "-e", f"trace={','.join(CALLS)}")
    assert "told" in found.stdout, found.stderr
    child = max(path.parent.glob("calls.*"), key=lambda file: int(file.suffix[1:]))
    names = re.findall(r"^(\w+)\(", child.read_text(), re.MULTILINE)
    return {name: names.count(name) for name in CALLS}


def promises(output: str) -> list[Promise]:
    """Return what a process said it was told."""
    found = re.findall(r"told (\S+) (\S+) (\d+) (\S+)", output)
    return [(sort, name, int(number), digest) for sort, name, number, digest in found]


def after(path: Path, told: Sequence[Promise]) -> list[str]:
    """Return what is wrong with the repository; it is opened, committed to, and looked at again."""
    kept = list(told)
    session = Session(path, Disk(path), kept.append)
    try:
        wrong = look(session.repo, kept)
        session.commit("net", {"body": b"after" * 9})
        return wrong + look(session.repo, kept)
    except Exception as error:
        return [f"cannot be opened and committed to: {type(error).__name__}: {error}"]
    finally:
        session.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_commit_that_is_killed_or_fails_at_any_system_call_loses_nothing(tmp_path: Path) -> None:
    allowed = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip("this system does not let strace trace")
    base = tmp_path / "base"
    made = promises(run(base, "first").stdout)
    calls = counted(_copy(base, tmp_path / "count" / "repository"))
    started, tried, foreign, wrong = time.monotonic(), 0, 0, []
    for fault in FAULTS:
        for name, count in calls.items():
            for number in range(1, count + 1):
                path = _copy(base, tmp_path / "run" / "repository")
                inject = f"inject={name}:{fault}:when={number}"
                done = run(path, "second", "strace", "-f", "-o", "/dev/null", "-e", f"trace={name}", "-e", inject)
                tried += 1
                found = after(path, made + promises(done.stdout))
                foreign += GAP in done.stderr
                found += [done.stderr] if "odd" in done.stderr and GAP not in done.stderr else []
                wrong += [f"{inject}: {'; '.join(found)[:300]}"] if found else []
    claim = f"{', '.join(FAULTS)} at every system call of a commit ({calls}; {foreign} errors of SQLAlchemy's): wrong"
    report(claim, tried, len(wrong), seconds=time.monotonic() - started)
    assert wrong == []
    assert tried > 30


def _copy(base: Path, path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(base, path)
    return path
