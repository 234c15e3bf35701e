"""How soon Layerwise answers: ``import layerwise`` and ``layerwise --help``, each in a fresh process.

``python -m benchmarks.start``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.measure import Sample, interleave, median, ms, surroundings, table, timed, versions

BASE = "python alone"
IMPORT, HELP = "import layerwise", "layerwise --help"
LIMITS = {IMPORT: 0.3, HELP: 0.5}


def commands() -> dict[str, list[str]]:
    """Return what is started, by name. ``-c pass`` is what Python itself takes, and the control beside it."""
    script = Path(sys.executable).with_name("layerwise")
    layerwise = [str(script)] if script.exists() else [sys.executable, "-m", "layerwise.cli"]
    return {
        BASE: [sys.executable, "-c", "pass"],
        IMPORT: [sys.executable, "-c", "import layerwise"],
        HELP: [*layerwise, "--help"],
        "layerwise.Model (with torch)": [sys.executable, "-c", "import layerwise; layerwise.Model"],
        "import torch": [sys.executable, "-c", "import torch"],
        f"{BASE} again (A/A)": [sys.executable, "-c", "pass"],
    }


def start(command: Sequence[str]) -> Sample:
    """Return what a process cost from its start to its end."""
    run = partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return timed(run)[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12, help="how often each is started (12)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one round, nothing that loads torch")
    said = parser.parse_args(arguments)
    chosen = {name: line for name, line in commands().items() if not (said.quick and "torch" in name)}
    print(f"# Start: {', '.join(f'{name} at most {limit} s' for name, limit in LIMITS.items())}\n")
    print(surroundings(1, versions("layerwise", "typer", "rich", "torch")))
    runs = interleave({name: partial(start, line) for name, line in chosen.items()}, 1 if said.quick else said.rounds)
    print(f"\n{table(runs, base=BASE)}\n")
    for name, limit in LIMITS.items():
        found = median(runs[name])
        print(f"{name}: {ms(found)} of CPU against {limit} s: {'held' if found <= limit else 'NOT held'}")


if __name__ == "__main__":
    main()
