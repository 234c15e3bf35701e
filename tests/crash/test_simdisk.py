"""The model is the disk: the same work asks the same of both, and the model never touches a real file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from layerwise.store import disk as disks
from layerwise.store.disk import Disk
from tests.crash.simdisk import FileSynced, Filled, FolderSynced, Linked, Operation, Renamed, SimDisk, Unlinked, World
from tests.crash.states import crashes, last_state


def work(disk: Disk) -> None:
    """Every primitive, and what is made of them."""
    for folder in ("tmp", "packs", "packs/ab", "trash"):
        disk.make_folder(folder)
    disk.publish("packs/ab/one.pack", [b"one", b"two"])
    disk.append("names.log", b"a line")
    disk.publish("packs/ab/one.pack", [b"one", b"two"])
    disk.append("names.log", b"another")
    disk.move("packs/ab/one.pack", "trash/one.pack")
    disk.discard("trash/one.pack")
    disk.discard("trash/one.pack")
    disk.write("tmp/left", [b"by a dead writer"])
    assert disk.sweep() == 1
    assert bytes(disk.read("names.log")) == b"a lineanother"
    assert disk.exists("packs/ab")
    assert not disk.exists("packs/cd")
    assert list(disk.list("packs")) == ["ab"]


class Watched:
    """The module ``os``, whose calls that change something are written down as the model writes them."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._folders: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        note: Callable[..., str | None] | None = getattr(self, f"note_{name}", None)
        if note is None:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            said = note(*args)
            given = real(*args, **kwargs)
            if name == "open":
                self._folders.discard(given)
                if args[1] & os.O_DIRECTORY:
                    self._folders.add(given)
            self.seen += [said] if said else []
            return given

        return call

    def note_open(self, path: Path, flags: int, *_: int) -> str | None:
        lock = str(path).endswith(".lock")
        return "Linked" if flags & os.O_CREAT and not lock and not os.path.exists(path) else None

    def note_write(self, *_: Any) -> str:
        return "Filled"

    def note_fsync(self, descriptor: int) -> str:
        return "FolderSynced" if descriptor in self._folders else "FileSynced"

    def note_replace(self, *_: Any) -> str:
        return "Renamed"

    def note_link(self, *_: Any) -> str:
        return "Linked"

    def note_unlink(self, path: Path) -> str | None:
        return "Unlinked" if os.path.exists(path) else None

    def note_makedirs(self, path: Path, *_: Any) -> str | None:
        return None if os.path.isdir(path) else "Linked"


def names(log: list[Operation]) -> list[str]:
    """Return the kinds of operations, the chunks of one write as one."""
    return [type(operation).__name__ for operation in log]


def test_the_model_does_what_the_disk_does(tmp_path: Path) -> None:
    watched = Watched()
    with patch.object(disks, "os", watched):
        work(Disk(tmp_path))
    chunks = [
        name for number, name in enumerate(watched.seen) if (name, watched.seen[number - 1]) != ("Filled", "Filled")
    ]
    world = World()
    work(SimDisk(tmp_path / "model", world))
    assert names(world.log) == chunks
    assert {type(operation) for operation in world.log} == {
        Linked, Filled, FileSynced, Renamed, Unlinked, FolderSynced,
    }  # fmt: skip


def test_the_model_touches_no_file(tmp_path: Path) -> None:
    work(SimDisk(tmp_path / "absent", World()))
    assert not (tmp_path / "absent").exists()


def test_what_was_not_synced_may_be_lost_and_what_was_is_there() -> None:
    log: list[Operation] = [
        Linked("a", 1), Filled(1, b"bytes"), FileSynced(1), Linked("b", 2), Filled(2, b"bytes"), FolderSynced(""),
        Renamed("a", "c", 1),
    ]  # fmt: skip
    found = {tuple(sorted(state.files.items())) for state in crashes(log, seed=1, tries=60, start=len(log) - 1)}
    assert {files[-1] for files in found if files[-1][0] == "c"} == {("c", b"bytes")}
    assert any(name == "b" and data == b"" for files in found for name, data in files)
    assert any({"a", "c"}.isdisjoint(dict(files)) for files in found), "the halves of a rename"
    assert last_state(log).files == {"b": b"bytes", "c": b"bytes"}
