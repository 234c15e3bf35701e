"""A commit: three fsyncs, one pack, one transaction; nothing of it is visible before it is whole."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import layerwise.words
from layerwise import canonical
from layerwise.errors import Conflict, Moved, NotFound
from layerwise.repo import LayerState, Repository
from layerwise.store import disk as disk_module
from layerwise.store.catalog.catalog import Entry
from layerwise.store.disk import Buffer, Disk
from layerwise.store.packs import MAX_OBJECTS, read_pack
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor
from layerwise.versions.manifest import Manifest
from layerwise.words import Digest

SOURCE = str(Path(layerwise.words.__file__).parents[1])
MADE = "2026-01-31T09:30:00+00:00"


def make(number: int, parent: int | None) -> Manifest:
    return Manifest("digits", number, {}, {}, parent=parent, created=MADE, actor="maria", message="")


def layers(seed: int, count: int = 100, size: int = 16_384) -> dict[str, LayerState]:
    data = random.Random(seed)
    return {
        f"layer-{at}": LayerState("x", {"w": RawTensor("F32", (size // 4,), data.randbytes(size))}, {})
        for at in range(count)
    }


def packs(path: Path) -> list[Path]:
    return sorted(path.glob("packs/*/*"))


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repository]:
    with Repository(tmp_path / "r") as repo:
        repo.commit(make, layers(0), {})
        yield repo


def test_a_commit_syncs_its_pack_and_its_folder_and_no_other_file(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third is SQLite's: the next test counts that too."""
    synced: list[str] = []
    real = disk_module._sync

    def sync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}") if sys.platform == "linux" else "?")
        real(descriptor)

    monkeypatch.setattr(disk_module, "_sync", sync)
    for seed in range(1, 4):
        synced.clear()
        before = set(packs(repo.path))
        repo.commit(make, layers(seed), {})
        (new,) = set(packs(repo.path)) - before
        assert len(synced) == 2
        if sys.platform == "linux":
            assert [Path(synced[0]).parent.name, Path(synced[1])] == ["tmp", new.parent]


TRACED = """
import os, random, sys
from layerwise.repo import LayerState, Repository
from layerwise.store.tensors import RawTensor
from layerwise.versions.manifest import Manifest

def make(number, parent):
    return Manifest("digits", number, {}, {}, parent=parent, created="2026-01-31T09:30:00+00:00", actor="m")

with Repository(sys.argv[1]) as repo:
    for seed in range(4):
        data = random.Random(seed)
        layers = {
            f"layer-{at}": LayerState("x", {"w": RawTensor("F32", (4096,), data.randbytes(16384))}, {})
            for at in range(100)
        }
        os.chdir(".")  # Seen by strace: a commit begins.
        repo.commit(make, layers, {})
    os.chdir(".")
"""


def traceable() -> str:
    """Return why system calls cannot be watched here; empty where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False, timeout=60)
    return done.stderr.strip()[:200] if done.returncode else ""


def test_a_commit_of_a_hundred_small_layers_takes_three_fsyncs(tmp_path: Path) -> None:
    if why := traceable():
        pytest.skip(f"system calls cannot be watched: {why}")
    log = tmp_path / "calls"
    traced = "trace=fsync,fdatasync,chdir,sync_file_range,msync,sync,syncfs"
    command = ["strace", "-f", "-y", "-e", traced, "-o", str(log), sys.executable, "-c", TRACED, str(tmp_path / "r")]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    commits = re.split(r"^.*chdir.*$", log.read_text(), flags=re.MULTILINE)[1:-1]
    assert len(commits) == 4
    # The first in a new log of SQLite's syncs that log's beginning and its name too.
    for commit in commits[1:]:
        found = re.findall(r"(\w+)\(\d+<(.*?)>\)", commit)
        inside = [(call, str(Path(name).relative_to(tmp_path / "r"))) for call, name in found]
        calls = [(call, re.sub(r"/[^/]*$", "/…", name)) for call, name in inside]
        assert calls == [("fsync", "tmp/…"), ("fsync", "packs/…"), ("fdatasync", "catalog.sqlite-wal")]


def test_all_objects_of_a_commit_are_in_one_pack(repo: Repository) -> None:
    before = set(packs(repo.path))
    entry = repo.commit(make, layers(1), {"environment": b"{}"})
    (pack,) = set(packs(repo.path)) - before
    held = {place.digest for place in read_pack(memoryview(pack.read_bytes()), "the pack")}
    assert held == {entry.digest, *repo.manifest(entry).references().values()}
    assert len(held) == 102


def test_the_same_again_writes_its_manifest_and_nothing_else(repo: Repository) -> None:
    before = set(packs(repo.path))
    entry = repo.commit(make, layers(0), {})
    (pack,) = set(packs(repo.path)) - before
    assert [place.digest for place in read_pack(memoryview(pack.read_bytes()), "the pack")] == [entry.digest]


def test_layers_that_changed_are_written_and_others_are_not(repo: Repository) -> None:
    changed = {**layers(0), **dict(list(layers(1).items())[40:43])}
    before = set(packs(repo.path))
    entry = repo.commit(make, changed, {})
    (pack,) = set(packs(repo.path)) - before
    assert len(read_pack(memoryview(pack.read_bytes()), "the pack")) == 4
    assert repo.changed_layers("digits@1", f"digits@{entry.number}") == ["layer-40", "layer-41", "layer-42"]


def test_equal_layers_of_one_commit_are_kept_once(repo: Repository) -> None:
    one = next(iter(layers(7, 1).values()))
    before = set(packs(repo.path))
    repo.commit(make, {f"copy-{at}": one for at in range(50)}, {})
    (pack,) = set(packs(repo.path)) - before
    assert len(read_pack(memoryview(pack.read_bytes()), "the pack")) == 2


def test_what_is_digested_is_each_object_and_the_packs_header_once(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    digested: list[int] = []
    real = canonical.digest_bytes

    def digest(chunks: Sequence[bytes | memoryview]) -> Digest:
        digested.append(sum(len(chunk) for chunk in chunks))
        return real(chunks)

    monkeypatch.setattr(canonical, "digest_bytes", digest)
    before = set(packs(repo.path))
    repo.commit(make, layers(1), {})
    (pack,) = set(packs(repo.path)) - before
    # Nothing of what was committed is read back; the rest is a line of the log of names.
    assert sum(digested) < pack.stat().st_size + 40_000


def test_ten_thousand_layers_take_as_few_packs_as_hold_them(tmp_path: Path) -> None:
    with Repository(tmp_path / "r") as repo:
        count = 2 * MAX_OBJECTS
        kept = layers(1, count, 8)
        entry = repo.commit(make, kept, {})
        sizes = [len(read_pack(memoryview(path.read_bytes()), path.name)) for path in packs(repo.path)]
        assert sorted(sizes, reverse=True) == [MAX_OBJECTS, MAX_OBJECTS, 1]
        assert sum(sizes) == count + 1
        found = repo.manifest(entry).layers
        assert len({layer.state for layer in found.values()}) == count
        states = {path: layer.state for path, layer in list(found.items())[::500] if layer.state is not None}
        loaded = repo.layer_states(states)
        assert all(bytes(loaded[path]["w"].data) == kept[path].tensors["w"].data for path in states)


class Failing(Disk):
    """A disk that fails at one sort of effect when told so."""

    fails = ""

    def hold(self, effect: str) -> None:
        if self.fails == effect:
            raise OSError(5, f"no {effect}")

    def write(self, name: str, chunks: Sequence[Buffer]) -> None:
        self.hold("write")
        super().write(name, chunks)

    def rename(self, source: str, target: str) -> None:
        self.hold("rename")
        super().rename(source, target)

    def sync_folder(self, folder: str | None = None) -> None:
        self.hold("sync_folder")
        super().sync_folder(folder)


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Repository]:
    disk = Failing(tmp_path / "r")
    with Repository(disk.path) as repo:
        repo.commit(make, layers(0, 3), {})
        repo.store.close()
        repo.store = Store.open(disk.path, disk=disk)
        yield repo


def seen(repo: Repository) -> dict[str, Any]:
    """Return what others can see of a repository."""
    with Store.open(repo.path) as other:
        contents = other.catalog.check()
        assert contents.wrong == []
        assert other.catalog.collector.writers() == {}
        return {"entries": contents.entries, "packs": contents.packs, "names": other.names.read()}


@pytest.mark.parametrize("effect", ["write", "rename", "sync_folder"])
def test_a_commit_that_fails_leaves_nothing_visible(failing: Repository, effect: str) -> None:
    before, disk = seen(failing), failing.store.disk
    assert isinstance(disk, Failing)
    disk.fails = effect
    with pytest.raises(OSError, match=f"no {effect}"):
        failing.commit(make, layers(1, 3), {})
    disk.fails = ""
    assert seen(failing) == before
    assert list(failing.path.glob("tmp/*")) == []
    # A pack may be left that nobody names: the same commit takes it over.
    left = len(packs(failing.path))
    assert failing.commit(make, layers(1, 3), {}).number == 2
    assert len(packs(failing.path)) == 2
    assert left == (2 if effect == "sync_folder" else 1)


def entry_of(store: Store, digest: Digest, number: int, expected: int | None) -> Entry:
    return Entry("model", "digits", number, digest, "main", expected, MADE, "maria", "")


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"number": 3}, Moved),
        ({"parent": 7}, NotFound),
        ({"digest": Digest("9" * 64)}, NotFound),
        ({"names": [Digest("9" * 64)]}, NotFound),
        ({"expected": None}, Moved),
    ],
)
def test_a_version_that_is_refused_leaves_nothing_visible(
    repo: Repository, wrong: Mapping[str, Any], error: type[Exception]
) -> None:
    before = seen(repo)
    with suppress(ZeroDivisionError), repo.store.objects.writing() as writer:
        digest = writer.put([b"another manifest"])
        entry = entry_of(repo.store, digest, 2, 1)
        fields = {name: value for name, value in wrong.items() if name not in ("names", "expected")}
        with pytest.raises(error):
            writer.publish(replace(entry, **fields), expected=wrong.get("expected", 1), names=wrong.get("names", []))
        assert repo.store.catalog.packs.locate(digest) is None
        # Whoever gives up after that leaves nothing either.
        raise ZeroDivisionError
    assert seen(repo) == before


def test_a_writer_whose_lease_ended_publishes_nothing(repo: Repository) -> None:
    before = seen(repo)
    with suppress(ZeroDivisionError), repo.store.objects.writing() as writer:
        digest = writer.put([b"late"])
        repo.store.catalog.collector.end_leases(list(repo.store.catalog.collector.writers()))
        with pytest.raises(Conflict, match="its lease ended"):
            writer.publish(entry_of(repo.store, digest, 2, 1), expected=1, names=[])
        raise ZeroDivisionError
    assert seen(repo) == before
    assert repo.commit(make, layers(2, 3), {}).number == 2


def test_a_version_its_run_and_the_lease_are_one_step(repo: Repository) -> None:
    """A run is never done without its version, nor the version there with its run still going."""

    def with_run(number: int, parent: int | None) -> Manifest:
        return replace(make(number, parent), run="r-1")

    with pytest.raises(NotFound, match="there is no run"):
        repo.commit(with_run, layers(1, 3), {})
    assert [entry.number for entry in repo.versions("digits")] == [1]
    repo.start_run("r-1", "digits", {})
    assert repo.commit(with_run, layers(1, 3), {}).number == 2
    (run,) = repo.runs()
    assert (run.status, run.version) == ("done", 2)
    assert repo.store.catalog.collector.writers() == {}
