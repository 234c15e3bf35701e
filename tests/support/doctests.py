"""Runs the examples in every docstring of Layerwise and prints, as JSON, what failed and what was skipped.

``python tests/support/doctests.py``: a process of its own, so that examples run as users run them, without the
run-time type checker of the tests, and so that the kinds that they register are gone afterwards.
"""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

import layerwise as lw

NAMES = {"lw": lw, "np": np, "pa": pa, "torch": torch, "nn": nn}
"""What an example may use beside its module's own names, without importing it."""


def modules() -> list[str]:
    """Return every module but those that run when imported."""
    found = [module.name for module in pkgutil.walk_packages(lw.__path__, "layerwise.")]
    return sorted(name for name in found if not name.endswith("__main__"))


def run(module: str) -> dict[str, Any]:
    """Return what the examples of a module said that they should not, and the lines that were skipped."""
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    skipped: list[str] = []
    for test in doctest.DocTestFinder().find(importlib.import_module(module), extraglobs=NAMES):
        skipped += [line.source.strip() for line in test.examples if doctest.SKIP in line.options]
        runner.run(test, out=said.append)
    return {"failed": "".join(said), "skipped": skipped, "run": runner.tries}


if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(2)
    print(json.dumps({module: run(module) for module in modules()}))
