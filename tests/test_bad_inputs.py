"""Whatever is wrong in what a user gives is told in one line that names the place, and nothing is written."""

from __future__ import annotations

import pickle
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from layerwise import errors
from tests.support import (
    bad_inputs_commands,
    bad_inputs_damage,
    bad_inputs_graphs,
    bad_inputs_kinds,
    bad_inputs_names,
    bad_inputs_tables,
    bad_inputs_values,
    bad_inputs_yaml,
)
from tests.support.bad_inputs import Bad, Bench, prepare, state

TABLES = (
    bad_inputs_names,
    bad_inputs_yaml,
    bad_inputs_kinds,
    bad_inputs_graphs,
    bad_inputs_tables,
    bad_inputs_values,
    bad_inputs_commands,
    bad_inputs_damage,
)
ROWS: list[Bad] = [row for table in TABLES for row in table.ROWS]

LONGEST = 500
"""Characters that a person reads in one go."""

SECRET = "root:x:0:0"
"""What would stand in a message that had read /etc/passwd."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "repository"
    prepare(path)
    return path


@pytest.fixture
def bench(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    bench = Bench(repository, folder)
    yield bench
    bench.close()


@pytest.fixture
def nothing_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where anything is unpickled."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)


def hold_readable(message: str, folder: Path) -> None:
    assert message.isprintable(), "a message is one line, and does nothing to a terminal"
    assert len(message.replace(str(folder), "")) <= LONGEST
    assert not re.search(r"0x[0-9a-f]{8}|Traceback|\"'|'\"", message), "an address in memory, or quotes in quotes"
    assert SECRET not in message


@pytest.mark.parametrize("bad", ROWS, ids=lambda bad: bad.id)
@pytest.mark.usefixtures("nothing_unpickled")
def test_a_bad_input_is_one_error_that_names_the_place_and_the_cure_and_writes_nothing(bad: Bad, bench: Bench) -> None:
    before = state(bench.repository)
    told = bad.provoke(bench)
    bench.close()
    assert told.kind == bad.error, told.message
    assert [words for words in bad.says if words not in told.message] == [], told.message
    hold_readable(told.message, bench.folder)
    assert state(bench.repository) == before
    assert {"antigravity", "mine"}.isdisjoint(sys.modules), "something was imported by its name"


@pytest.mark.parametrize("bad", bad_inputs_values.LATE, ids=lambda bad: bad.id)
def test_what_only_a_step_can_tell_is_one_error_and_makes_no_version(bad: Bad, bench: Bench) -> None:
    before = state(bench.repository, without=("run", "metric"))
    told = bad.provoke(bench)
    assert told.kind == bad.error, told.message
    assert [words for words in bad.says if words not in told.message] == [], told.message
    hold_readable(told.message, bench.folder)
    assert bench.repo.runs("bad")[0].status == "failed"
    bench.close()
    assert state(bench.repository, without=("run", "metric")) == before


def test_the_table_is_whole() -> None:
    assert len(ROWS) >= 200
    assert [id for id, count in Counter(bad.id for bad in ROWS).items() if count > 1] == []
    for bad in ROWS:
        assert bad.error == "Usage" or issubclass(getattr(errors, bad.error), errors.LayerwiseError), bad.id
        assert bad.says, bad.id
