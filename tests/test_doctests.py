"""Every example in a docstring runs and gives what it says."""

from __future__ import annotations

import functools
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import layerwise as lw

RUNNER = Path(__file__).parent / "support" / "doctests.py"

MOST_SKIPPED = 36
"""Lines that need a repository or a training; what they show runs in the guides instead (``test_docs``)."""


@functools.cache
def results() -> dict[str, Any]:
    """Run all examples once, in a process of their own."""
    done = subprocess.run([sys.executable, str(RUNNER)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


MODULES = sorted(found.name for found in pkgutil.walk_packages(lw.__path__, "layerwise."))


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__main__")])
def test_the_examples_of_a_module_run(module: str) -> None:
    assert not results()[module]["failed"], results()[module]["failed"]


def test_most_examples_are_run() -> None:
    """An example is skipped only where it needs a training or a file, so the number stays small."""
    skipped = [f"{module}: {line}" for module, found in results().items() for line in found["skipped"]]
    assert len(skipped) <= MOST_SKIPPED, "\n".join(skipped)
    assert sum(found["run"] for found in results().values()) > 10 * len(skipped)
