"""The log of changes: numbers from 1 without a gap, each made once, by one writer, and read as it was written."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise import canonical
from layerwise.errors import Damaged, InvalidFile, InvalidName
from layerwise.store.bucket.log import MAX_RECORD, RecordLog
from layerwise.store.disk import Buffer
from tests.support.counts import report


class Memory:
    """A place where a file is made once."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.guard = threading.Lock()

    def create(self, name: str, chunks: Sequence[Buffer]) -> bool:
        data = b"".join(chunks)
        with self.guard:
            return self.files.setdefault(name, data) == data

    def read(self, name: str, limit: int | None = None) -> memoryview:
        if name not in self.files:
            raise FileNotFoundError(name)
        return memoryview(self.files[name])

    def exists(self, name: str) -> bool:
        return name in self.files


def record(number: int) -> bytes:
    return canonical.encode({"args": {"number": number}, "do": "publish"})


def test_records_are_read_as_they_were_written() -> None:
    place = Memory()
    log = RecordLog(place)
    assert log.read(1) is None
    assert all(log.append(number, record(number)) for number in range(1, 12))
    assert [RecordLog(place).read(number) for number in range(1, 12)] == [record(number) for number in range(1, 12)]
    assert RecordLog(place).read(12) is None
    assert sorted(place.files)[:2] == ["log/000000000001.json", "log/000000000002.json"]


def test_a_number_is_taken_once_even_by_equal_records() -> None:
    place = Memory()
    first, second = RecordLog(place), RecordLog(place)
    assert first.append(1, record(1))
    assert not second.append(1, record(1))
    assert not first.append(1, record(1)), "the same writer's second append is another change"
    assert list(place.files) == ["log/000000000001.json"]


def test_of_many_writers_each_number_has_one() -> None:
    place, numbers, writers = Memory(), 50, 8
    won: list[int] = []

    def write() -> None:
        log = RecordLog(place)
        for number in range(1, numbers + 1):
            won.extend([number] if log.append(number, record(number)) else [])

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(won) == list(range(1, numbers + 1))


def test_a_log_that_ends_before_what_was_seen_is_not_written_on() -> None:
    place = Memory()
    RecordLog(place).append(1, record(1))
    with pytest.raises(Damaged, match="ends before record 4"):
        RecordLog(place).append(5, record(5))
    assert list(place.files) == ["log/000000000001.json"]


def test_a_changed_byte_of_a_record_is_found_and_never_served() -> None:
    """Every byte of a record, two bits of each."""
    place = Memory()
    RecordLog(place).append(1, record(1))
    [(name, data)] = place.files.items()
    tried = 0
    for position in range(len(data)):
        for bit in (1, 64):
            place.files[name] = data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]
            tried += 1
            with pytest.raises(Damaged, match=r"log/000000000001\.json"):
                RecordLog(place).read(1)
    report("changed bytes of a record of the log: served", tried, 0)


def test_a_record_under_another_number_is_found() -> None:
    place = Memory()
    log = RecordLog(place)
    log.append(1, record(1))
    place.files["log/000000000002.json"] = place.files["log/000000000001.json"]
    with pytest.raises(Damaged, match="record 2"):
        log.read(2)


@given(data=st.binary(max_size=200))
def test_whatever_lies_there_is_a_record_or_damaged(data: bytes) -> None:
    place = Memory()
    place.files["log/000000000001.json"] = data
    with pytest.raises(Damaged):
        RecordLog(place).read(1)


@pytest.mark.parametrize("text", ["[1, 2]", '{"b":1,"a":2}', "{", "NaN", ""])
def test_what_is_not_canonical_json_is_not_logged(text: str) -> None:
    place = Memory()
    with pytest.raises(InvalidFile):
        RecordLog(place).append(1, text.encode())
    assert place.files == {}


def test_what_is_too_large_is_not_logged() -> None:
    with pytest.raises(InvalidFile, match="too large"):
        RecordLog(Memory()).append(1, b" " * (MAX_RECORD + 1))


@pytest.mark.parametrize("number", [0, -1, 10**12])
def test_numbers_count_from_one(number: int) -> None:
    with pytest.raises(InvalidName):
        RecordLog(Memory()).read(number)


class Counting(Memory):
    """Counts what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def read(self, name: str, limit: int | None = None) -> memoryview:
        self.asked.append(name)
        return super().read(name, limit)


def test_a_long_log_is_read_ahead_and_each_record_is_asked_for_once() -> None:
    place = Counting()
    log = RecordLog(place)
    assert all(log.append(number, record(number)) for number in range(1, 301))
    reader = RecordLog(place)
    assert [reader.read(number) for number in range(1, 302)] == [*map(record, range(1, 301)), None]
    assert len(place.asked) <= 301 + 64, "at its end some are asked for that are not there"
    assert len(set(place.asked[:200])) == 200


def test_who_reads_what_others_just_wrote_asks_for_little_more() -> None:
    """A reader that is always at the end of the log: reading ahead must not become its work."""
    place = Counting()
    writer, reader = RecordLog(place), RecordLog(place)
    for number in range(1, 201):
        writer.append(number, record(number))
        # Looks, takes over, and looks whether there is more: as the catalog does.
        assert reader.read(number) == reader.read(number) == record(number)
        assert reader.read(number + 1) is None
    assert len(place.asked) <= 2 * 200
