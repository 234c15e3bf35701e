"""What the store once did not keep."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from layerwise.errors import Conflict, LayerwiseError
from layerwise.store.catalog.database import Database
from layerwise.store.disk import Disk
from tests.crash.holds import checking
from tests.crash.scenarios import Session, collect, littered, on_disk, prepare, record, revive
from tests.crash.states import MODES, WHOLE, crashes


def test_a_collector_needs_no_file_system_that_renames_whole() -> None:
    found: list[str] = []
    with checking() as checker:
        for seed in range(12):
            recording = record([collect, revive], seed, base=littered())
            for state in crashes(recording.log, seed=seed, tries=40, start=recording.start, modes=MODES):
                found += checker.check(state)
            if found:
                break
    assert found == []


def test_what_a_collector_registers_is_durable() -> None:
    found: list[str] = []
    with checking() as checker:
        # Before the writer's eighth turn it has no file yet.
        for turn in range(8, 30):
            recording = record([revive, collect], turn, base=littered(), switch_at=turn)
            for state in crashes(recording.log, seed=1, tries=4, start=recording.start, modes=WHOLE):
                found += checker.check(state, trash=True)
            if found:
                break
    assert found == []


def test_a_full_disk_under_the_catalog_is_an_error_of_ours_or_of_the_system() -> None:
    with on_disk() as folder, _full_database():
        session = Session(folder / "repository", Disk(folder / "repository"), lambda _: None)
        prepare(session)
        try:
            with pytest.raises((OSError, LayerwiseError)):
                _fill(session)
        finally:
            session.close()


def _fill(session: Session) -> None:
    for number in range(200):
        session.commit("net", {"body": bytes([number]) * 3_000})


@contextlib.contextmanager
def _full_database() -> Iterator[None]:
    def cap(connection: object, _record: object) -> None:
        # SQLite lets a database have the pages that it has, and no more.
        connection.execute("PRAGMA max_page_count=60")  # type: ignore[attr-defined]

    sa.event.listen(sa.pool.Pool, "connect", cap)
    try:
        yield
    finally:
        sa.event.remove(sa.pool.Pool, "connect", cap)


def test_a_forgotten_repository_does_not_wait_for_the_thread_that_it_is_collected_in(tmp_path: Path) -> None:
    held: list[bool] = []
    waits: list[str] = []

    @contextlib.contextmanager
    def lock(*, wait: float = 60.0) -> Iterator[None]:
        if held and wait:
            waits.append("the thread that holds the lock waits for it")
        if held:
            raise Conflict("it is held")
        held.append(True)
        try:
            yield
        finally:
            held.pop()

    url = sa.URL.create("sqlite", database=str(tmp_path / "catalog.sqlite"))
    forgotten, used = Database(url, lock), Database(url, lock)
    with forgotten.reading():
        pass
    with used.writing():
        del forgotten
        gc.collect()
    used.close()
    assert waits == []
