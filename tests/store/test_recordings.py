"""The catalog's sets of records: a table that older catalogs get, checksums, numbers that are never given twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from layerwise.errors import Damaged, InvalidName, NotFound, Unsupported
from layerwise.store.rows import Recording
from layerwise.store.store import Store
from layerwise.words import Digest

VERSION = Digest("a" * 64)
MADE = "2026-01-31T09:30:00+00:00"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A repository of its own."""
    with Store.open(tmp_path / "r") as opened:
        yield opened


def register(store: Store, content: bytes, part: str = "", record: Digest | None = None) -> Recording:
    """Register an object as a set of records, or as a part of one."""
    with store.objects.writing() as writer:
        digest = writer.put([content])
        row = Recording(record or digest, part, digest, VERSION, len(content), MADE, None)
        writer.publish_recording(row, names={digest})
    return row


def as_before(path: Path, schema: int = 2) -> None:
    """Take the table out again: schema 2 was this one without it."""
    with closing(sqlite3.connect(path / "catalog.sqlite")) as sql, sql:
        sql.execute("DROP TABLE recording")
        sql.execute("UPDATE schema_version SET version = ?", (schema,))


def shape(path: Path) -> set[tuple[str, str, str]]:
    """Return the tables and indexes of a catalog, as SQLite has them written down."""
    with closing(sqlite3.connect(path / "catalog.sqlite")) as sql:
        return set(sql.execute("SELECT type, name, sql FROM sqlite_master"))


def test_a_catalog_of_schema_2_opens_holds_what_it_held_and_takes_records(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store, store.objects.writing() as writer:
        digest = writer.put([b"before"])
    new = shape(tmp_path / "r")
    as_before(tmp_path / "r")
    assert shape(tmp_path / "r") != new
    with Store.open(tmp_path / "r") as store:
        assert bytes(store.objects.get(digest)) == b"before"
        assert store.catalog.recordings.every() == []
        register(store, b"{}")
        assert len(store.catalog.recordings.of(VERSION)) == 1
        assert store.catalog.check().wrong == []
    assert shape(tmp_path / "r") == new


def test_a_newer_schema_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    Store.open(tmp_path / "r").catalog.names("model")
    as_before(tmp_path / "r", schema=4)
    before = shape(tmp_path / "r")
    with (
        Store.open(tmp_path / "r") as store,
        pytest.raises(Unsupported, match="schema 4 and this Layerwise reads up to 3"),
    ):
        store.catalog.recordings.every()
    assert shape(tmp_path / "r") == before


def test_the_newest_comes_first_and_a_part_is_found_by_its_set(store: Store) -> None:
    first, second = register(store, b"first"), register(store, b"second")
    part = register(store, b"part", "units.v1:output:edges", first.record)
    found = store.catalog.recordings.of(VERSION)
    assert [replace(row, number=0) for row in found] == [part, second, first]
    assert [row.number for row in found] == [3, 2, 1]
    assert store.catalog.recordings.part(first.record, part.part) == found[0]
    assert store.catalog.recordings.part(second.record, part.part) is None
    assert store.catalog.recordings.of(Digest("b" * 64)) == []


def test_a_set_that_is_registered_again_is_one_row(store: Store) -> None:
    register(store, b"same")
    register(store, b"same")
    assert [row.number for row in store.catalog.recordings.every()] == [2]


def test_a_number_is_never_given_twice(store: Store) -> None:
    last = register(store, b"last")
    assert store.catalog.recordings.forget([last.record]) == 1
    register(store, b"next")
    assert [row.number for row in store.catalog.recordings.every()] == [2]


def test_to_forget_a_set_forgets_its_parts_and_counts_sets(store: Store) -> None:
    first, second = register(store, b"first"), register(store, b"second")
    register(store, b"part", "units", first.record)
    assert store.catalog.recordings.forget([first.record, Digest("f" * 64)]) == 1
    assert [row.record for row in store.catalog.recordings.every()] == [second.record]
    assert store.catalog.recordings.forget([]) == 0


def test_a_part_of_a_set_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(NotFound, match="they were forgotten meanwhile"):
        register(store, b"part", "units", Digest("f" * 64))


def test_a_set_that_needs_what_is_not_stored_is_refused(store: Store) -> None:
    with store.objects.writing() as writer:
        digest = writer.put([b"set"])
        row = Recording(digest, "", digest, VERSION, 3, MADE, None)
        with pytest.raises(NotFound, match=f"names the object {'e' * 64}, which is not stored"):
            writer.publish_recording(row, names={Digest("e" * 64)})
    assert store.catalog.recordings.every() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"version": "../x"}, {"digest": "x"}, {"bytes": -1}, {"bytes": 2**63}, {"created": "yesterday"},
        {"expires": "tomorrow"}, {"part": "x" * 3_000}, {"part": "\0"},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_the_catalog_cannot_hold_is_refused(store: Store, bad: dict[str, object]) -> None:
    row = register(store, b"set")
    with store.objects.writing() as writer, pytest.raises(InvalidName):
        writer.publish_recording(replace(row, **bad), names=set())  # type: ignore[arg-type]


def test_a_changed_row_is_damaged_and_found_by_the_check(store: Store) -> None:
    register(store, b"set")
    with closing(sqlite3.connect(store.path / "catalog.sqlite")) as sql, sql:
        sql.execute("UPDATE recording SET expires = '2999-01-01T00:00:00+00:00'")
    with pytest.raises(Damaged, match="table 'recording'"):
        store.catalog.recordings.every()
    assert any("'recording'" in sentence for sentence in store.catalog.check().wrong)
