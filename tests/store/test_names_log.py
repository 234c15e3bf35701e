"""The log of names: what is whole in it is read, whatever happened to the rest, and the next change heals it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.canonical import encode
from layerwise.errors import Damaged
from layerwise.store.catalog.catalog import Entry
from layerwise.store.disk import Buffer, Disk
from layerwise.store.names_log import NAME, NamesLog
from layerwise.store.store import Store
from tests.support.counts import report

MADE = "2026-01-31T09:30:00+00:00"


def record(number: int, size: int = 10) -> tuple[int, bytes]:
    return number, encode({"do": "set_alias", "text": f"{number} ä\n" * size})


def log_of(folder: Path, count: int, size: int = 10) -> tuple[NamesLog, Path]:
    log = NamesLog(Disk(folder))
    log.append([record(number, size) for number in range(1, count + 1)])
    return log, folder / NAME


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    log = NamesLog(Disk(tmp_path))
    assert (log.last(), log.read()) == (0, {})
    log.append([])
    assert not (tmp_path / NAME).exists()
    for number in range(1, 6):
        log.append([record(number)])
        assert log.last() == number
    assert log.read() == {number: {"do": "set_alias", "text": f"{number} ä\n" * 10} for number in range(1, 6)}


@pytest.mark.parametrize("zeros", [0, 1, 5000, 200_000])
def test_a_tail_that_was_cut_off_or_never_written_costs_only_itself(tmp_path: Path, zeros: int) -> None:
    """A loss of power may leave a part of the last lines, and zeros where the rest of them should be."""
    log, path = log_of(tmp_path, 4)
    whole = path.read_bytes()
    ends = [at for at in range(len(whole) + 1) if at == len(whole) or (at and whole[at : at + 1] == b"\n")]
    assert len(ends) == 4
    for cut in range(0, len(whole) + 1, 3 if zeros < 10_000 else 41):
        path.write_bytes(whole[:cut] + bytes(zeros))
        last = sum(end <= cut for end in ends)
        # Zeros right behind a record belong to its line, and nobody can tell how much of that was written.
        last -= bool(zeros and cut in ends)
        assert (log.last(), list(log.read())) == (last, list(range(1, last + 1))), cut
        log.append([record(9)])
        assert (log.last(), list(log.read())) == (9, [*range(1, last + 1), 9]), cut


def test_a_flipped_bit_leaves_its_line_out_and_no_other(tmp_path: Path) -> None:
    log, path = log_of(tmp_path, 5)
    whole, known = path.read_bytes(), log.read()
    bad, random = 0, Random(5)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << random.randrange(8)]) + whole[place + 1 :])
        found = log.read()
        bad += len(found) < 3 or any(known[number] != said for number, said in found.items())
    report("flipped bits of a log of names that changed or hid another record", len(whole), bad, seed=5)
    assert bad == 0


def test_a_record_longer_than_what_is_read_first_is_found(tmp_path: Path) -> None:
    log, path = log_of(tmp_path, 3, size=20_000)
    assert path.stat().st_size > 3 * (1 << 16)
    assert (log.last(), list(log.read())) == (3, [1, 2, 3])
    path.write_bytes(path.read_bytes()[:-1])
    assert log.last() == 2


RECORDS = st.lists(st.tuples(st.integers(1, 10**18 - 1), st.text(max_size=50)), max_size=8, unique_by=lambda it: it[0])


@given(RECORDS, st.binary(max_size=300))
def test_whatever_else_is_in_the_file_whole_records_are_read(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[int, str]], rubbish: bytes
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = NamesLog(Disk(folder))
    (folder / NAME).write_bytes(rubbish)
    for number, text in records:
        log.append([(number, encode({"text": text}))])
    assert log.read() == dict(sorted((number, {"text": text}) for number, text in records))
    assert log.last() == (records[-1][0] if records else 0)


class Forgetful(Disk):
    """A disk whose folder takes no more of the log."""

    full = False

    def append(self, name: str, data: Buffer) -> None:
        if self.full:
            raise OSError(28, "no space left")
        super().append(name, data)


def version(store: Store, number: int) -> None:
    """Publish a version of `digits`, with a manifest of its own."""
    with store.objects.writing() as writer:
        digest = writer.put([b"manifest %d" % number])
        parent = number - 1 or None
        entry = Entry("model", "digits", number, digest, "main", parent, MADE, "maria", "")
        writer.publish(entry, expected=parent, names=[])


def said(store: Store) -> list[Any]:
    return [
        args["entry"]["number"] if "entry" in args else (args["alias"], args.get("number"))
        for args in (change["args"] for change in store.names.read().values() if change)
    ]


def test_every_name_is_in_the_log_in_its_order(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        version(store, 1)
        version(store, 2)
        store.catalog.set_alias("model", "digits", "best", 1)
        store.catalog.drop_alias("model", "digits", "best")
        assert said(store) == [1, 2, ("best", 1), ("best", None)]


@pytest.mark.parametrize("left", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_lines_that_a_loss_of_power_took_back_are_written_again(tmp_path: Path, left: float) -> None:
    with Store.open(tmp_path / "r") as store:
        for number in (1, 2, 3):
            version(store, number)
    path = tmp_path / "r" / NAME
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    with Store.open(tmp_path / "r") as store:
        version(store, 4)
        assert said(store) == [1, 2, 3, 4]
        numbers = list(store.names.read())
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_a_log_that_cannot_be_written_stops_nobody_and_is_healed(tmp_path: Path) -> None:
    disk = Forgetful(tmp_path / "r")
    with Store.open(disk.path, disk=disk) as store:
        version(store, 1)
        disk.full = True
        version(store, 2)
        store.catalog.set_alias("model", "digits", "best", 2)
        assert said(store) == [1]
        assert store.catalog.find("model", "digits", "best").number == 2
        disk.full = False
        version(store, 3)
        assert said(store) == [1, 2, ("best", 2), 3]


def test_two_writers_write_every_change_once_and_in_order(tmp_path: Path) -> None:
    each = 15
    with Store.open(tmp_path / "r") as one, Store.open(tmp_path / "r") as two:
        version(one, 1)
        failed: list[BaseException] = []

        def work(store: Store, who: str) -> None:
            try:
                for step in range(each):
                    store.catalog.set_alias("model", "digits", f"{who}-{step}", 1)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=it) for it in ((one, "one"), (two, "two"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        assert failed == []
        found = said(one)[1:]
        assert len(found) == len(set(found)) == 2 * each
        for who in ("one", "two"):
            assert [alias for alias, _ in found if alias.startswith(who)] == [f"{who}-{step}" for step in range(each)]
        lines = [int(line.split()[1]) for line in (tmp_path / "r" / NAME).read_bytes().split(b"\n") if line]
        assert lines == list(range(lines[0], lines[0] + len(lines)))


def test_a_log_that_knows_more_than_the_catalog_says_what_was_lost(tmp_path: Path) -> None:
    with Store.open(tmp_path / "r") as store:
        version(store, 1)
        old = store.names.last()
    (tmp_path / "copy").write_bytes((tmp_path / "r" / "catalog.sqlite").read_bytes())
    with Store.open(tmp_path / "r") as store:
        version(store, 2)
        new = store.names.last()
    os.replace(tmp_path / "copy", tmp_path / "r" / "catalog.sqlite")
    count = f"{new - old} change" + "s" * (new - old > 1)
    with Store.open(tmp_path / "r") as store, pytest.raises(Damaged, match=f"has lost its last {count}, which the log"):
        store.catalog.names("model")
