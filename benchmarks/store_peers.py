"""Peers beside our commit, as `benchmarks.store` starts them: Git-Theta's hash, hf-xet's chunks, DVC's add.

``python -m benchmarks.store_peers theta|xet|dvc FILE`` runs in the peers' environment and stays there: for each line
that it reads it does that work once, on the file as it is now, and answers with what it cost. The start of Python and
of the library is not timed there; DVC's command is a new process each time, and is timed with its start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.measure import Sample, timed
from benchmarks.peers import peers_python

ROOT = Path(__file__).parents[1]
NAMES = {
    "Git-Theta, the hash of every parameter": "theta",
    "hf-xet, chunks and hashes of the file": "xet",
    "DVC, Repo.add in Python": "dvc",
    "DVC, the command dvc add, its start too": "command",
}

Work = Callable[[], object]
Prepare = Callable[[], Work]
"""Called before each turn, untimed; returns the work."""


def theta(file: Path) -> Prepare:
    """Return what Git-Theta does to every parameter when ``git add`` cleans a checkpoint that is in memory."""
    from git_theta.metadata import TensorMetadata  # type: ignore[import-not-found]
    from safetensors.numpy import load_file

    def prepare() -> Work:
        tensors = load_file(file)
        # Numba compiles it at the first call.
        TensorMetadata.from_tensor(next(iter(tensors.values()))[:10])
        return lambda: [TensorMetadata.from_tensor(tensor) for tensor in tensors.values()]

    return prepare


def xet(file: Path) -> Prepare:
    """Return what hf-xet does to a file before anything is sent: it is cut into chunks, and they are hashed."""
    import hf_xet  # type: ignore[import-untyped, import-not-found, unused-ignore]

    return lambda: partial(hf_xet.hash_files, [str(file)])


def dvc(file: Path) -> Prepare:
    """Return ``dvc add`` as a program calls it, in the repository around the file."""
    from dvc.repo import Repo  # type: ignore[import-not-found]

    def add() -> None:
        with Repo(str(file.parent)) as repo:
            repo.add(str(file))

    return lambda: add


def serve(name: str, file: Path) -> None:
    """Answer until there is no more question."""
    # A library may print.
    answers, sys.stdout = sys.stdout, sys.stderr
    prepare = {"theta": theta, "xet": xet, "dvc": dvc}[name](file)
    for _ in sys.stdin:
        print(json.dumps(asdict(timed(prepare())[1])), file=answers, flush=True)


@contextmanager
def peers(folder: Path, write: Callable[[Path], None]) -> Iterator[dict[str, Callable[[], Sample]]]:
    """Give what each peer does in a round, by name.

    Args:
        folder: for their files, on the disk that is measured.
        write: saves the whole network as it is now.
    """
    python, environment = peers_python("store"), secluded(folder)
    found: dict[str, Callable[[], Sample]] = {}
    with ExitStack() as stack:
        for name, short in NAMES.items():
            file = folder / short / "model.safetensors"
            file.parent.mkdir(parents=True)
            write(file)
            work = command(file, python, environment)
            if short in ("dvc", "command"):
                work("init", "--no-scm")
                work("config", "core.check_update", "false")
            ask: Callable[[], Sample] = partial(work, "add", file.name)
            if short != "command":
                ask = stack.enter_context(process(short, file, python, environment))
            found[name] = partial(turn, file, write, ask)
        yield found


def listed() -> dict[str, str]:
    """Return the versions of the peers, as they are installed."""
    lines = Path(__file__).with_name("peers-store.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==") for line in lines if not line.startswith("#"))
    return {name: found[name] for name in ("git-theta", "hf-xet", "dvc")}


def secluded(folder: Path) -> dict[str, str]:
    """Return an environment in which nobody is told anything, and nothing is written outside of ``folder``."""
    settings = {name: str(folder / "settings" / name) for name in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE")}
    return {
        **os.environ, **{f"DVC_{name}_DIR": path for name, path in settings.items()}, "DVC_NO_ANALYTICS": "1",
        "HF_HOME": str(folder / "settings"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip


def command(file: Path, python: Path, environment: dict[str, str]) -> Callable[..., Sample]:
    """Return what runs a command of DVC, in the folder of a file."""

    def run(*arguments: str) -> Sample:
        said = [str(python), "-m", "dvc", *arguments, "--quiet"]
        return timed(lambda: subprocess.run(said, cwd=file.parent, env=environment, check=True))[1]

    return run


@contextmanager
def process(name: str, file: Path, python: Path, environment: dict[str, str]) -> Iterator[Callable[[], Sample]]:
    """Give what asks a peer, in a process of its own, to do its work once."""
    said = [str(python), "-m", "benchmarks.store_peers", name, str(file)]
    with subprocess.Popen(said, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as running:

        def ask() -> Sample:
            assert running.stdin is not None
            assert running.stdout is not None
            print(file=running.stdin, flush=True)
            line = running.stdout.readline()
            if not line:
                raise SystemExit(f"{name} ended with exit code {running.wait()}; its message stands above")
            return Sample(**json.loads(line))

        # It ends where there is no more to read.
        yield ask


def turn(file: Path, write: Callable[[Path], None], ask: Callable[[], Sample]) -> Sample:
    """Return what a peer's work costs on the network as it is now."""
    file.unlink()
    write(file)
    # What DVC kept of before is whole, makes nothing smaller, and would fill the disk.
    shutil.rmtree(file.parent / ".dvc" / "cache", ignore_errors=True)
    found = ask()
    # DVC leaves its bytes to be written later: not in the time of whoever is next.
    for left in (path for path in file.parent.rglob("*") if path.is_file()):
        with left.open("rb") as opened:
            os.fsync(opened.fileno())
    return found


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
