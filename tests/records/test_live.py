"""The file of a live recording: what is in it is what was written, whole, and what is no such file is refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from layerwise.errors import InvalidFile, NotFound
from layerwise.records.live import LiveHeader, forget_live, live_files, live_layers, make_live, read_live
from layerwise.store.disk import Disk

RUN = "r-0123456789ab"


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


HEADER = LiveHeader(RUN, "a", "F32", (2,), 3, False, "d" * 64, "2026-01-31T09:30:00+00:00", None)


def cut(data: bytearray) -> bytearray:
    return data[:-1]


def flip(data: bytearray) -> bytearray:
    return data.replace(b'"F32"', b'"X32"')


def longer(data: bytearray) -> bytearray:
    return data[:8] + (1 << 40).to_bytes(8, "little") + data[16:]


def unfinished(data: bytearray) -> bytearray:
    return bytearray(8) + data[8:]


def many(data: bytearray) -> bytearray:
    return data.replace(b'"rows":3', b'"rows":9')


@pytest.mark.parametrize("damage", [cut, flip, longer, unfinished, many, lambda data: data[:5]])
def test_a_file_that_is_not_one_is_refused_and_its_run_has_the_rest(
    disk: Disk, damage: Callable[[bytearray], bytearray]
) -> None:
    make_live(disk, 1, HEADER)
    make_live(disk, 0, LiveHeader(RUN, "", "I64", (), 3, False, "d" * 64, "2026-01-31T09:30:00+00:00", None))
    name = live_files(disk)[RUN][1]
    path = disk.at(name)
    path.write_bytes(damage(bytearray(path.read_bytes())))
    with pytest.raises(InvalidFile):
        read_live(disk, name)
    assert list(live_layers(disk, RUN)) == [""]


def test_rows_that_were_never_written_are_told_from_those_that_hold_zeros(disk: Disk) -> None:
    made = make_live(disk, 1, HEADER)
    made.stamps[2] = 7
    read = read_live(disk, live_files(disk)[RUN][0])
    raw, lengths, stamps = read.take(np.array([2, 0, 2]))
    assert stamps.tolist() == [7, 0, 7]
    assert (raw.shape, lengths.shape) == ((3, 8), (0,))
    made.values.view("<f4")[4:] = 2.5
    assert read.take(np.array([2]))[0].view("<f4").tolist() == [[2.5, 2.5]]
    assert not read.values.flags.writeable


def test_a_header_that_asks_for_too_much_is_refused() -> None:
    for shape, rows in (((1 << 45, 1 << 45), 1), ((2,), 0), ((0,), 3), ((1,) * 2000, 3)):
        with pytest.raises(InvalidFile):
            LiveHeader(RUN, "a", "F32", shape, rows, False, "", "", None)


def test_a_file_that_finds_no_room_leaves_nothing(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        make_live(disk, 1, HEADER)
    assert live_files(disk) == {}
    with pytest.raises(NotFound):
        live_layers(disk, RUN)


def test_only_what_is_past_its_time_is_forgotten_and_then_all(disk: Disk) -> None:
    for number, expires in enumerate([None, "2026-01-31T09:30:01+00:00", "2999-01-31T09:30:00+00:00", "nonsense"]):
        make_live(disk, number, LiveHeader(RUN, "abcd"[number], "F32", (2,), 3, False, "", "", expires))
    assert forget_live(disk, expired=True)[0] == 1
    assert forget_live(disk, "r-" + "f" * 12) == (0, 0)
    assert forget_live(disk, RUN)[0] == 3
    assert live_files(disk) == {}
