"""The journal: training goes on while the disk writes, nothing noted is lost, and no failure of a writing is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import pytest

from layerwise.engine.journal import Journal

SAID = {"train/loss": 0.5}


class Disk:
    """Writes down which epochs it got, by which thread; only while it is let, and not where it fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.let, self.busy, self.fails = threading.Event(), threading.Event(), fails
        self.kept: list[list[int]] = []
        self.threads: set[int] = set()

    def keep(self, metrics: Mapping[int, Mapping[str, float]]) -> None:
        self.busy.set()
        assert self.let.wait(10)
        if self.fails:
            raise OSError("no space left")
        self.kept.append(list(metrics))
        self.threads.add(threading.get_ident())


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_noting_waits_for_no_disk_and_what_comes_meanwhile_goes_together() -> None:
    disk = Disk()
    with Journal(disk.keep, pause=0.001) as journal:
        journal.note(1, SAID)
        assert disk.busy.wait(10)
        for epoch in (2, 3, 4):
            journal.note(epoch, SAID)
        assert disk.kept == []
        disk.let.set()
        until(lambda: len(disk.kept) == 2)
    assert disk.kept == [[1], [2, 3, 4]]
    assert threading.get_ident() not in disk.threads


def test_a_flush_and_the_end_wait_for_no_pause() -> None:
    disk = Disk()
    disk.let.set()
    with Journal(disk.keep, pause=60.0) as journal:
        journal.note(1, SAID)
        journal.note(2, SAID)
        journal.flush()
        assert disk.kept == [[1, 2]]
        journal.flush()
        journal.note(3, SAID)
    assert disk.kept == [[1, 2], [3]]


def test_a_failed_writing_is_raised_by_the_next_note_and_by_the_flush() -> None:
    disk = Disk(fails=True)
    disk.let.set()
    journal = Journal(disk.keep, pause=0.001)
    journal.__enter__()
    journal.note(1, SAID)
    journal._writer.join(10)
    with pytest.raises(OSError, match="no space left"):
        journal.note(2, SAID)
    with pytest.raises(OSError, match="no space left"):
        journal.flush()
    with pytest.raises(OSError, match="no space left"):
        journal.__exit__(None)


def break_off(disk: Disk) -> None:
    with Journal(disk.keep) as journal:
        journal.note(1, SAID)
        raise ValueError("diverged")


def test_what_broke_a_run_off_counts_more_than_a_failed_writing_and_what_can_be_is_kept() -> None:
    disk = Disk()
    disk.let.set()
    with pytest.raises(ValueError, match="diverged"):
        break_off(disk)
    assert disk.kept == [[1]]
    disk.fails = True
    with pytest.raises(ValueError, match="diverged"):
        break_off(disk)


def test_a_journal_leaves_no_thread() -> None:
    disk = Disk()
    disk.let.set()
    with Journal(disk.keep) as journal:
        journal.note(1, SAID)
    assert not [thread for thread in threading.enumerate() if thread.name == "layerwise-journal"]
