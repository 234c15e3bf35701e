"""Holds what is loaded before anything is asked: ``import layerwise`` and ``--help`` answer at once."""

from __future__ import annotations

import subprocess
import sys

REPORT = """
foreign = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print("LOADED", *sorted(foreign - {"__main__", "__mp_main__"}))
"""


def load(code: str) -> list[str]:
    """Return the top-level modules that ``code`` loads in a fresh interpreter, but the standard library's."""
    program = f"import sys\nbefore = set(sys.modules)\n{code}\n{REPORT}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    word, *names = done.stdout.splitlines()[-1].split()
    assert word == "LOADED"
    return names


def test_import_loads_nothing_else() -> None:
    assert load("import layerwise\nassert layerwise.__version__") == ["layerwise"]


def test_help_loads_only_what_draws_it() -> None:
    code = """
import runpy
sys.argv = ["layerwise", "--help"]
try:
    runpy.run_module("layerwise.cli", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
"""
    drawing = ["annotated_doc", "markdown_it", "mdurl", "pygments", "rich", "shellingham", "typer"]
    assert load(code) == sorted(["layerwise", *drawing])
