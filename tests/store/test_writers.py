"""Real processes: writers that meet on one head, and writers that are killed at each step."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import layerwise.words
from layerwise.store.store import Store

SOURCE = str(Path(layerwise.words.__file__).parents[1])

COMMON = """
import os, signal, sys
from layerwise.errors import Conflict
from layerwise.store.catalog.catalog import Entry
from layerwise.store.disk import Disk
from layerwise.store.store import Store

def commit(store, message, *objects):
    with store.objects.writing() as writer:
        for content in objects:
            writer.put([content])
        manifest = writer.put([message.encode()])
        while True:
            head = store.catalog.head("model", "digits")
            before = head.number if head else None
            entry = Entry("model", "digits", (before or 0) + 1, manifest, "main", before,
                          "2026-01-31T09:30:00+00:00", "maria", message)
            try:
                writer.publish(entry, expected=before, names=[])
            except Conflict:
                continue
            print(entry.number, message, flush=True)
            return
"""

WRITER = """
with Store.open(sys.argv[1]) as store:
    for step in range(int(sys.argv[3])):
        commit(store, f"{sys.argv[2]}-{step}", b"shared", os.urandom(100))
"""

# Dies at the n-th effect, before it, half way through it (a write), or after it.
KILLED = """
class Dying(Disk):
    left = int(sys.argv[2])

    def effect(self, act, half=None):
        self.left -= 1
        if self.left == 0 and sys.argv[3] != "after":
            if half is not None and sys.argv[3] == "half":
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        act()
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, name, chunks):
        whole = b"".join(chunks)
        begin = super().write
        self.effect(lambda: begin(name, [whole]), lambda: begin(name, [whole[: len(whole) // 2]]))

    def rename(self, source, target):
        begin = super().rename
        self.effect(lambda: begin(source, target))

    def make_folder(self, folder):
        begin = super().make_folder
        self.effect(lambda: begin(folder))

    def sync_folder(self, folder=None):
        begin = super().sync_folder
        self.effect(lambda: begin(folder))

disk = Dying(sys.argv[1])
with Store.open(sys.argv[1], disk=disk) as store:
    publish = store.catalog.publish
    store.catalog.publish = lambda *a, **k: disk.effect(lambda: publish(*a, **k))
    commit(store, "second", b"weights")
"""

EFFECTS = 4
"""Of the second commit: write, rename, sync, publish."""

DEATHS = [(1, "before"), (1, "half"), *((step, "after") for step in range(1, EFFECTS + 1))]
"""After one effect is before the next."""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMON + script, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, errors = process.communicate(timeout=120)
    assert process.returncode in (0, -signal.SIGKILL), errors
    return process.returncode, output


def check_whole(store: Store, acknowledged: list[tuple[int, str]]) -> None:
    """Hold section 8 of docs/format.md: no gap, no twin, no loss, every manifest readable, nothing half written."""
    entries = store.catalog.entries("model", "digits")
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry.parent or 0 for entry in entries] == list(range(len(entries)))
    assert {(e.number, e.message) for e in entries} >= set(acknowledged)
    assert all(bytes(store.objects.get(entry.digest)) == entry.message.encode() for entry in entries)
    assert list(store.path.glob("tmp/*")) == []


def acknowledged(output: str) -> list[tuple[int, str]]:
    return [(int(number), message) for number, message in map(str.split, output.splitlines())]


def test_eight_writers_on_one_head_lose_nothing(tmp_path: Path) -> None:
    """8 processes × 20 commits: 160 numbers without gap or twin, each with the message of who got it."""
    writers = [start(WRITER, tmp_path / "r", who, 20) for who in "abcdefgh"]
    done = [line for writer in writers for line in acknowledged(finish(writer)[1])]
    assert len(done) == 160
    assert len({message for _, message in done}) == 160
    with Store.open(tmp_path / "r", create=False) as store:
        check_whole(store, done)
        assert len(store.catalog.entries("model", "digits")) == 160


@pytest.mark.parametrize(("step", "when"), DEATHS)
def test_a_writer_killed_at_any_step_leaves_nothing_visible(tmp_path: Path, step: int, when: str) -> None:
    path = tmp_path / "r"
    first = acknowledged(finish(start(WRITER, path, "first", 1))[1])
    code, output = finish(start(KILLED, path, step, when))
    assert (code, output) == (-signal.SIGKILL, "")
    with Store.open(path, create=False) as store:
        check_whole(store, first)
        # Killed between the last effect and its answer, the version is there: nobody was told, nothing is lost.
        assert len(store.catalog.entries("model", "digits")) == (2 if step == EFFECTS else 1)
    done = first + acknowledged(finish(start(WRITER, path, "third", 1))[1])
    with Store.open(path, create=False) as store:
        check_whole(store, done)
        assert len(done) == 2


def test_the_killed_commit_has_that_many_effects(tmp_path: Path) -> None:
    """Keeps EFFECTS honest: one more effect would be one that no test kills."""
    finish(start(WRITER, tmp_path / "r", "first", 1))
    assert finish(start(KILLED, tmp_path / "r", EFFECTS + 1, "before"))[0] == 0


@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_writers_killed_at_random_lose_nothing_they_acknowledged(tmp_path: Path, delay: float) -> None:
    path = tmp_path / "r"
    done = acknowledged(finish(start(WRITER, path, "first", 1))[1])
    writers = [start(WRITER, path, who, 10_000) for who in "ab"]
    for writer in writers:
        assert writer.stdout is not None
        done += acknowledged(writer.stdout.readline())
    with contextlib.suppress(subprocess.TimeoutExpired):
        writers[0].wait(timeout=delay)
    for writer in writers:
        writer.kill()
        done += acknowledged(finish(writer)[1])
    with Store.open(path, create=False) as store:
        check_whole(store, done)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_opens_the_catalog_for_itself(tmp_path: Path) -> None:
    """Data loaders fork: a connection that crosses a fork breaks SQLite's locks."""
    script = """
with Store.open(sys.argv[1]) as store:
    commit(store, "first", b"1")
    child = os.fork()
    commit(store, "child" if child == 0 else "parent", b"2")
    if child:
        assert os.waitpid(child, 0)[1] == 0
"""
    output = finish(start(script, tmp_path / "r"))[1]
    done = acknowledged(output)
    assert sorted(message for _, message in done) == ["child", "first", "parent"]
    with Store.open(tmp_path / "r", create=False) as store:
        check_whole(store, done)
