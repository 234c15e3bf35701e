"""Disk: names are held to a pattern, files appear whole or not at all, failed fsyncs are not tried again."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import Conflict, InvalidFile, InvalidName
from layerwise.store.disk import Buffer, Disk, write_file

PATH_LIKE = (
    "../x",
    "/etc/passwd",
    "a/../b",
    "a//b",
    "./a",
    "a/.",
    "~",
    "C:\\x",
    "a\\b",
    "a\0b",
    "a\n",
    "",
    ".hidden",
    "packs/..",
    "x" * 10_000,
    "é",
    "A",
    "a/b/c/d/e",
)


class Noting(Disk):
    """Notes every effect, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.effects: list[str] = []

    def write(self, name: str, chunks: Sequence[Buffer]) -> None:
        self.effects.append("write")
        super().write(name, chunks)

    def rename(self, source: str, target: str) -> None:
        self.effects.append(f"rename {target}")
        super().rename(source, target)

    def make_folder(self, folder: str) -> None:
        self.effects.append(f"make {folder}")
        super().make_folder(folder)

    def sync_folder(self, folder: str | None = None) -> None:
        self.effects.append(f"sync {folder or '.'}")
        super().sync_folder(folder)


@pytest.fixture
def disk(tmp_path: Path) -> Noting:
    (tmp_path / "tmp").mkdir()
    return Noting(tmp_path)


@pytest.mark.parametrize("name", PATH_LIKE)
def test_a_name_like_a_path_is_refused_by_every_primitive(disk: Noting, name: str) -> None:
    for effect in (disk.read, disk.unlink, disk.list, disk.sync_folder, disk.make_folder):
        with pytest.raises(InvalidName):
            effect(name)
    with pytest.raises(InvalidName):
        disk.write(name, [b""])
    for names in ((name, "a"), ("a", name)):
        with pytest.raises(InvalidName):
            disk.rename(*names)
    with pytest.raises(InvalidName), disk.lock(name):
        pass


@given(st.text(max_size=30))
def test_whatever_name_is_taken_stays_inside_the_folder(name: str) -> None:
    disk = Disk("/nowhere/repository")
    try:
        path = disk.at(name)
    except InvalidName:
        return
    assert os.path.normpath(path).startswith("/nowhere/repository/")


def test_published_bytes_come_back(disk: Noting) -> None:
    disk.publish("runs/r1/step-1.safetensors", [b"one", bytearray(b"two"), memoryview(b"three"), b""])
    view = disk.read("runs/r1/step-1.safetensors")
    assert bytes(view) == b"onetwothree"
    assert view.readonly


def test_an_empty_file_is_read(disk: Noting) -> None:
    disk.publish("runs/empty", [])
    assert bytes(disk.read("runs/empty")) == b""


def test_order_of_effects_is_write_folder_rename_sync(disk: Noting) -> None:
    """Section 7 of docs/format.md; the parent is fsync'ed before the pack is, and only once a process."""
    disk.publish("packs/ab/x.pack", [b"1"])
    disk.publish("packs/ab/y.pack", [b"2"])
    assert disk.effects == [
        *("write", "make packs", "sync .", "make packs/ab", "sync packs", "rename packs/ab/x.pack"),
        *("sync packs/ab", "write", "rename packs/ab/y.pack", "sync packs/ab"),
    ]


def test_file_and_folder_are_really_fsynced(disk: Noting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
        disk.publish("packs/a", [b"1"])
    paths = (tmp_path, tmp_path / "packs", tmp_path / "packs/a")
    root, folder, file = (path.stat().st_ino for path in paths)
    assert synced == [file, root, folder]


def test_a_folder_that_somebody_else_made_is_made_durable_too(disk: Noting, tmp_path: Path) -> None:
    (tmp_path / "packs" / "ab").mkdir(parents=True)
    disk.publish("packs/ab/x.pack", [b"1"])
    assert disk.effects.index("sync packs") < disk.effects.index("rename packs/ab/x.pack")


def test_a_file_is_never_written_over_in_place(disk: Noting) -> None:
    disk.publish("a", [b"old"])
    before = disk.read("a")
    with pytest.raises(FileExistsError):
        disk.write("a", [b"new"])
    disk.publish("a", [b"new"])
    assert (bytes(before), bytes(disk.read("a"))) == (b"old", b"new")


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
def test_a_failed_effect_leaves_no_file(
    disk: Noting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    calls = []

    def fail(*arguments: object) -> None:
        calls.append(arguments)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        with pytest.raises(OSError, match="Input/output error"):
            disk.publish("a", [b"bytes"])
    assert len(calls) == 1, "a failed effect was tried again"
    assert os.listdir(tmp_path / "tmp") == []
    assert not (tmp_path / "a").exists()


def test_a_short_write_goes_on_where_it_stopped(disk: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        disk.publish("a", [b"0123456789", b"abc"])
    assert bytes(disk.read("a")) == b"0123456789abc"


def test_a_write_that_lies_is_noticed(disk: Noting, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: len(data))
        with pytest.raises(OSError, match="wrote 5 bytes and the file has 0"):
            disk.publish("a", [b"bytes"])


def test_sweep_takes_what_the_dead_left_and_nothing_while_somebody_writes(disk: Noting, tmp_path: Path) -> None:
    (tmp_path / "tmp" / "1-dead").write_bytes(b"half")
    with disk.lock("tmp.lock", shared=True):
        assert disk.sweep() == 0
    assert disk.sweep() == 1
    assert os.listdir(tmp_path / "tmp") == []


def test_nothing_is_swept_from_under_a_writer(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    swept: list[int] = []

    class Swept(Disk):
        def rename(self, source: str, target: str) -> None:
            swept.append(Disk(tmp_path).sweep())
            super().rename(source, target)

    Swept(tmp_path).publish("a", [b"bytes"])
    assert swept == [0]
    assert (tmp_path / "a").read_bytes() == b"bytes"


def test_two_writers_share_the_lock_and_one_alone_waits(disk: Noting) -> None:
    refused = pytest.raises(Conflict, match=r"tmp\.lock for 0 seconds")
    with disk.lock("tmp.lock", shared=True), disk.lock("tmp.lock", shared=True), refused:
        disk.lock("tmp.lock", wait=0).__enter__()
    with disk.lock("tmp.lock", wait=0):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_keeps_no_lock(disk: Noting) -> None:
    """A data loader's child, forked while a lock is held, has its descriptor for as long as it lives."""
    begin, end = os.pipe()
    with disk.lock("catalog.lock"):
        child = os.fork()
        if child == 0:
            os.close(end)
            os.read(begin, 1)
            os._exit(0)
    with disk.lock("catalog.lock", wait=0):
        pass
    os.close(end)
    os.waitpid(child, 0)
    os.close(begin)


def test_a_lock_is_had_when_its_holder_lets_go(disk: Noting) -> None:
    with disk.lock("catalog.lock"):
        got: list[bool] = []

        def wait() -> None:
            with disk.lock("catalog.lock", wait=30):
                got.append(True)

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.05)
        assert not got
    thread.join(30)
    assert got


def test_scratch_is_writable_and_has_no_name(disk: Noting, tmp_path: Path) -> None:
    scratch = disk.scratch(100_000)
    scratch[:5] = b"hello"
    assert (len(scratch), scratch[:6]) == (100_000, b"hello\0")
    assert os.listdir(tmp_path / "tmp") == []


def test_a_users_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "Any name, even ünusual.json"
    write_file(target, [b"old"])
    target.chmod(0o640)
    write_file(target, [b"new", b"er"])
    assert target.read_bytes() == b"newer"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == [target.name]


def test_a_users_file_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.json"
    write_file(target, [b"old"])

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for broken in ("write", "fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, fail)
            with pytest.raises(OSError, match="No space left"):
                write_file(target, [b"new"])
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_users_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", [b"new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_users_file_needs_a_folder_and_a_free_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="make it first"):
        write_file(tmp_path / "absent" / "out", [b""])
    with pytest.raises(InvalidFile, match="is not a file"):
        write_file(tmp_path, [b""])
    with pytest.raises(InvalidFile, match="NUL"):
        write_file("a\0b", [b""])
