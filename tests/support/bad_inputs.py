"""One bad input: how a user comes to give it, and what has to be said. The tables are in the files beside this one."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

import layerwise as lw
from layerwise.cli import main
from layerwise.errors import LayerwiseError
from layerwise.repo import Repository
from tests.support.flowers import flowers, small

Content = str | bytes | Callable[[Path], object]
"""What is in a file: text, bytes, or a function that writes it at the path it is given."""


@dataclass(frozen=True)
class Told:
    """What a user is told: the exception's class and its message."""

    kind: str
    message: str


@dataclass(frozen=True)
class Bench:
    """A prepared repository that no bad input may change, and an empty folder, which is the current one."""

    repository: Path
    folder: Path
    opened: list[Repository] = field(default_factory=list)

    @property
    def repo(self) -> Repository:
        """The repository, opened, for calls in Python."""
        if not self.opened:
            self.opened.append(Repository(self.repository))
        return self.opened[0]

    def close(self) -> None:
        """Close the repository."""
        while self.opened:
            self.opened.pop().close()

    def write(self, files: Mapping[str, Content]) -> None:
        """Write files into the folder."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)

    def command(self, *arguments: str, stdin: bytes = b"") -> Told:
        """Run a command line that has to fail as a user's mistake does: exit code 2, and one error, the last line."""
        out, err = io.StringIO(), io.StringIO()
        with _stdin(stdin), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["--repository", str(self.repository), *arguments, "--json"])
        lines = err.getvalue().splitlines()
        assert code == 2, f"exit code {code}: {lines}"
        told = json.loads(out.getvalue())["error"]
        assert [line for line in lines if line.startswith("error: ")] == lines[-1:] == [f"error: {told['message']}"]
        return Told(told["type"], told["message"])

    def call(self, function: Callable[[Bench], object]) -> Told:
        """Call a function that has to raise an error of ours."""
        try:
            given = function(self)
        except LayerwiseError as error:
            return Told(type(error).__name__, str(error))
        raise AssertionError(f"nothing was raised; it returned {given!r:.200}")


@contextlib.contextmanager
def _stdin(data: bytes) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = SimpleNamespace(buffer=io.BytesIO(data))
    try:
        yield
    finally:
        sys.stdin = before


@dataclass(frozen=True)
class Bad:
    """One bad input.

    Attributes:
        id: the row's name.
        provoke: gives it as a user would, and returns what the user is told.
        error: the class of the error.
        says: what the message has to hold: where, what was found, what was expected or how to cure it.
    """

    id: str
    provoke: Callable[[Bench], Told]
    error: str
    says: tuple[str, ...]


def command(
    id: str,
    arguments: list[str],
    error: str,
    *says: str,
    files: Mapping[str, Content] | None = None,
    stdin: bytes = b"",
) -> Bad:
    """A command line, with the files that it names."""

    def provoke(bench: Bench) -> Told:
        bench.write(files or {})
        return bench.command(*arguments, stdin=stdin)

    return Bad(id, provoke, error, says)


def file(id: str, text: str | bytes, error: str, *says: str, more: tuple[str, ...] = ()) -> Bad:
    """A model's file, given to ``train``."""
    return command(id, ["train", "model.yaml", *more], error, *says, files={"model.yaml": text})


def layers(id: str, text: str, error: str, *says: str, data: str = "things", train: str = "epochs: 1") -> Bad:
    """The layers of a model's file, one a line: the first stands on line 4."""
    body = "".join(f"  {line}\n" for line in text.strip("\n").splitlines())
    return file(id, f"model: bad\ndata: {data}\nlayers:\n{body}train: {{{train}}}\n", error, *says)


def table(id: str, name: str, content: Content, error: str, *says: str, more: tuple[str, ...] = ()) -> Bad:
    """A file or folder, given to ``data add``."""
    return command(id, ["data", "add", "new", name, *more], error, *says, files={name: content})


def python(id: str, function: Callable[[Bench], object], error: str, *says: str) -> Bad:
    """A call in Python."""
    return Bad(id, lambda bench: bench.call(function), error, says)


def prepare(path: Path) -> None:
    """Make the repository: ``flowers`` and a version of a model of it, ``things`` of every type, ``parts``."""
    with Repository(path) as repo:
        repo.add_dataset("flowers", flowers(60))
        lw.train(small(epochs=1), repo=repo)
        repo.set_alias("flower@1", "champion")
        repo.add_dataset("things", things())
        repo.add_dataset("parts", parts())


def things(rows: int = 40) -> dict[str, Any]:
    """Return a table with a column of every type."""
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=rows)
    return {
        "number": numbers,
        "gaps": pa.array([None if row % 5 == 0 else float(row) for row in range(rows)]),
        "nan": pa.array(np.where(np.arange(rows) % 7 == 0, np.nan, numbers)),
        "negative": -1.0 - np.abs(numbers),
        "whole": np.arange(rows),
        "flag": np.arange(rows) % 2 == 0,
        "text": [f"word{row % 3} and more" for row in range(rows)],
        "when": np.datetime64("2026-01-01", "us") + np.arange(rows) * np.timedelta64(1, "h"),
        "image": draw.integers(0, 255, (rows, 1, 8, 8)).astype(np.uint8),
        "pixels": draw.random((rows, 1, 8, 8)).astype(np.float32),
        "vector": draw.normal(size=(rows, 4)).astype(np.float32),
        "steps": draw.normal(size=(rows, 6, 3)).astype(np.float32),
        "list": pa.array([list(range(row % 4)) for row in range(rows)], pa.list_(pa.int64())),
        "tags": pa.array([["a", "b"][: row % 3] for row in range(rows)], pa.list_(pa.string())),
        "bytes": pa.array([b"not an image"] * rows, pa.binary()),
        "label": np.where(np.arange(rows) % 2 == 0, "yes", "no"),
        "three": [("a", "b", "c")[row % 3] for row in range(rows)],
        "same": ["one"] * rows,
        "holes": pa.array([None if row % 6 == 0 else "yes" if row % 2 else "no" for row in range(rows)]),
    }


def parts(rows: int = 30) -> dict[str, Any]:
    """Return a table whose split is a column, with values that only the validation rows have."""
    part = ["validation" if row % 5 == 0 else "train" for row in range(rows)]
    train = np.array(part) == "train"
    return {
        "x": np.linspace(0, 1, rows),
        "colour": np.where(train, np.where(np.arange(rows) % 2 == 0, "red", "blue"), "blu"),
        "label": np.where(train, np.where(np.arange(rows) % 2 == 0, "yes", "no"), "yess"),
        "fine": np.where(np.arange(rows) % 2 == 0, "yes", "no"),
        "part": part,
        "odd": ["train" if row else "trian" for row in range(rows)],
        "tested": ["test"] * rows,
    }


def state(repository: Path, *, without: tuple[str, ...] = ()) -> dict[str, object]:
    """Return all that is in a repository: every file with its size, and every row of the catalog's other tables.

    How many leases there were counts nothing. Where a run may leave its row, it may also leave its number in the log of
    names.
    """
    may_change = ("change", *without) if without else ()
    files: dict[str, object] = {
        str(path.relative_to(repository)): path.stat().st_size
        for path in sorted(repository.rglob("*"))
        if path.is_file() and not path.name.startswith("catalog.") and not (without and path.name == "names.log")
    }
    with contextlib.closing(sqlite3.connect(f"file:{repository / 'catalog.sqlite'}?mode=ro", uri=True)) as catalog:
        left_out = tuple(f'INSERT INTO "{table}"' for table in ("sqlite_sequence", *may_change))
        files["catalog"] = tuple(row for row in catalog.iterdump() if not row.startswith(left_out))
    return files
