"""A tiny trained repository, and the command in this process."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from layerwise.cli import main

MODEL = """\
model: flowers
data: flowers-data
layers:
  a:      {kind: column, column: a}
  b:      {kind: column, column: b}
  both:   {kind: join, inputs: [a, b]}
  even:   {kind: standardize}
  hidden: {kind: torch.nn.Linear, out_features: 8, activation: relu, owner: maria}
  scores: {kind: torch.nn.Linear, out_features: 2}
  kind:   {kind: classes, target: kind}
train: {epochs: 2, batch: 16, lr: 0.05, seed: 1, threads: 1}
"""


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Command(Protocol):
    """Runs one command line in this process."""

    def __call__(self, *words: object) -> Done: ...


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command; its screen has 120 columns and no colours."""
    monkeypatch.setenv("COLUMNS", "120")

    def command(*words: object) -> Done:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Done(code, *capsys.readouterr())

    return command


def write_flowers(path: Path, rows: int = 80) -> Path:
    """Write a table of two sorts of flowers that two numbers tell apart."""
    draw = random.Random(1)
    lines = ["id,a,b,kind"]
    for number in range(rows):
        rose = number % 2
        kind = "rose" if rose else "tulip"
        lines.append(f"f{number},{draw.gauss(rose * 2, 1):.3f},{draw.gauss(-rose, 1):.3f},{kind}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with flowers.csv, flowers.yaml and a repository that holds flowers@1. Read it; do not write to it."""
    folder = tmp_path_factory.mktemp("trained")
    write_flowers(folder / "flowers.csv")
    (folder / "flowers.yaml").write_text(MODEL)
    where = ["--repository", str(folder / ".layerwise")]
    added = main([*where, "data", "add", "flowers-data", str(folder / "flowers.csv"), "--key", "id", "-m", "the first"])
    made = main([*where, "train", str(folder / "flowers.yaml"), "-m", "a try"])
    assert (added, made) == (0, 0)
    return folder


@pytest.fixture
def own(trained: Path, tmp_path: Path, own_repository: Path) -> Path:
    """A copy of the trained folder, to write to; its repository is the one that commands find."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    assert own_repository == tmp_path / ".layerwise"
    return tmp_path


@pytest.fixture
def files() -> Callable[[Path], set[str]]:
    """A function that lists everything in a folder, but what the catalog makes for itself while it is open."""

    def listed(folder: Path) -> set[str]:
        found = (str(path.relative_to(folder)) for path in folder.rglob("*"))
        return {name for name in found if not name.endswith(("-wal", "-shm", ".lock"))}

    return listed
