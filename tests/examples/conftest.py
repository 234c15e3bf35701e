"""The examples as a user has them: a folder of one's own with the example's files, and the data beside them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerwise.cli import main
from layerwise.engine.model import Model

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DATA = Path(os.environ.get("LAYERWISE_EXAMPLE_DATA") or ROOT.parent / "shared" / "data")

FILES = {
    "digits": "digits.npz",
    "credit": "credit.csv",
    "spam": "sms_spam.csv",
    "sunspots": "sunspots.csv",
    "xrays": "pneumoniamnist.npz",
}
"""The examples, and the file that each learns from."""

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Example:
    """One example, copied into a folder of its own, which is the current one."""

    name: str
    folder: Path

    @property
    def commands(self) -> list[list[str]]:
        """The commands of its README, in order, as words."""
        text = "".join(_BLOCK.findall((self.folder / "README.md").read_text()))
        return [shlex.split(line[2:]) for line in text.splitlines() if line.startswith("$ ")]

    def run(self, words: Sequence[str]) -> None:
        """Run a command as a shell would; it must succeed."""
        program, *rest = words
        if program == "layerwise":
            assert main(rest) == 0, shlex.join(words)
        else:
            assert program == "python", f"a README runs layerwise and python, found {program}"
            before, sys.argv = sys.argv, rest
            try:
                runpy.run_path(rest[0], run_name="__main__")
            finally:
                sys.argv = before

    def train(self, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
        """Run all commands up to the training, which takes ``options``, and return what it made."""
        for words in self.commands:
            if words[:2] == ["layerwise", "train"]:
                capsys.readouterr()
                self.run([*words, "--json", *options])
                found: dict[str, Any] = json.loads(capsys.readouterr().out)
                return found
            self.run(words)
        raise AssertionError(f"the README of {self.name} trains nothing")


def example(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Example:
    """Copy an example into ``folder`` and go there, or skip the test where its data is not at hand."""
    shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)
    if not (folder / "make_data.py").exists():
        source = DATA / FILES[name]
        if not source.exists():
            pytest.skip(f"{FILES[name]} is not in {DATA}; say where it is: LAYERWISE_EXAMPLE_DATA=FOLDER")
        (folder / FILES[name]).symlink_to(source.resolve())
    return Example(name, folder)


def sample(here: Example) -> None:
    """Put some rows of an example's data in the place of all, for what need not be learned well."""
    path = here.folder / FILES[here.name]
    if path.suffix == ".csv":
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[:601]
        path.unlink()
        path.write_text("".join(lines), encoding="utf-8")
    else:
        with np.load(path) as archive:
            arrays = {name: archive[name][::10] for name in archive.files}
        path.unlink()
        np.savez(path, **arrays)


def twin(name: str) -> Model:
    """Return the model that an example's Python file describes."""
    path = EXAMPLES / name / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model: Model = module.model
    return model
