"""``gc``: what no version needs is freed, what one needs is kept to the bit, and old versions take fewer bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from layerwise.data.dataset import add, open_dataset
from layerwise.errors import Conflict, Damaged, NotFound
from layerwise.repo import LayerState, Repository
from layerwise.store.cold.coding import MAX_DEPTH, bases_of
from layerwise.store.disk import Buffer, Disk
from layerwise.store.packs import name_of, pack_name, read_pack, trash_name
from layerwise.store.tensors import RawTensor, frame
from layerwise.upkeep import gc
from layerwise.upkeep.marking import Marks
from layerwise.versions.manifest import Manifest
from layerwise.words import Digest
from tests.support.counts import report

NOW = timedelta(0)
LAYERS, SIZE = 4, 20_000


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repository]:
    """A repository of its own."""
    with Repository(tmp_path / "r") as opened:
        yield opened


def weights(version: int, layer: int) -> dict[str, RawTensor]:
    """Return a layer that training moves a little from version to version."""
    draw = np.random.default_rng(layer)
    values = draw.normal(0, 0.05, SIZE).astype(np.float32)
    for _ in range(version):
        values += draw.normal(0, 1e-5, SIZE).astype(np.float32)
    return {"weight": RawTensor("F32", (SIZE,), values.tobytes())}


def commit(repo: Repository, version: int, layers: Sequence[int] = range(LAYERS), age: timedelta = NOW) -> None:
    """Commit a version of ``net``, as one of that age."""
    made = (datetime.now(UTC) - age).isoformat(timespec="seconds")

    def make(number: int, parent: int | None) -> Manifest:
        return Manifest("net", number, {}, {}, parent=parent, created=made)

    states = {f"layer{at}": LayerState("Test.v1", weights(version if at in layers else 0, at), {}) for at in range(4)}
    repo.commit(make, states, {"environment": b'{"made by":"a test"}'})


def litter(repo: Repository, size: int = 100_000, seed: int = 0) -> Digest:
    """Put an object that no version names."""
    with repo.store.objects.writing() as writer:
        return writer.put([Random(seed).randbytes(size)])


def used(repo: Repository) -> int:
    """Return the bytes of all packs, as the disk has them."""
    return sum(path.stat().st_size for path in repo.path.rglob("*.pack"))


def tree(repo: Repository) -> dict[str, int]:
    """Return the packs that are there, with their lengths."""
    return {str(path.relative_to(repo.path)): path.stat().st_size for path in repo.path.rglob("*.pack")}


def contents(repo: Repository) -> dict[str, bytes]:
    """Return every object that a version needs, read anew and compared with its digest."""
    repo.store.objects.close()
    repo.store.disk.forget()
    marks = Marks(repo.store)
    marks.update()
    return {digest: bytes(repo.store.objects.get(digest)) for digest in marks.newest}


# What goes.


def test_what_no_version_names_is_freed_by_one_call_and_nothing_else_changes(repo: Repository) -> None:
    commit(repo, 1)
    before, kept = tree(repo), contents(repo)
    litter(repo)
    found = repo.gc()
    assert (found.done, found.found["unneeded"].packs, tree(repo) == before) == (False, 1, False)
    done = repo.gc(yes=True)
    assert tree(repo) == before
    assert contents(repo) == kept
    assert (done.after, done.freed) == (used(repo), found.freed)
    assert not repo.gc(yes=True)
    assert tree(repo) == before


def test_a_look_changes_nothing(repo: Repository) -> None:
    commit(repo, 1)
    litter(repo)
    before = {path: path.read_bytes() for path in repo.path.rglob("*") if path.is_file() and path.suffix == ".pack"}
    states = repo.store.catalog.collector.states()
    assert repo.gc(cold_after=NOW)
    assert {path: path.read_bytes() for path in before} == before
    assert repo.store.catalog.collector.states() == states
    assert not (repo.path / "gc.lock").exists()


def test_of_a_pack_with_garbage_in_it_the_rest_is_written_anew(repo: Repository) -> None:
    with repo.store.objects.writing() as writer:
        shared = b"".join(map(bytes, frame(weights(1, 0))))
        writer.put_all([[b"x" * 50_000], [shared]])
    commit(repo, 1, layers=[0])
    kept = contents(repo)
    assert repo.gc(dead_share=0.5).found["sparse"].packs == 0
    done = repo.gc(yes=True)
    assert (done.found["sparse"].objects, done.found["sparse"].bytes) == (1, 50_000)
    assert done.freed > 49_000
    assert contents(repo) == kept
    assert not repo.gc(yes=True)


def test_a_pack_that_nobody_registered_is_removed_and_a_file_that_is_no_pack_is_left_alone(repo: Repository) -> None:
    commit(repo, 1)
    before = tree(repo)
    pack = repo.store.catalog.packs.present([litter(repo)]).popitem()[1].pack
    data = bytes(repo.store.disk.read(pack_name(pack)))
    repo.gc(yes=True)
    (repo.path / pack_name(pack)).write_bytes(data)
    odd = f"packs/ab/{'ab' * 32}.pack"
    (repo.path / odd).write_bytes(data)
    done = repo.gc(yes=True)
    assert (done.found["stray"].packs, done.removed.packs, done.unreadable) == (1, 1, (odd,))
    (repo.path / odd).unlink()
    assert tree(repo) == before


def test_what_a_race_that_was_lost_left_is_removed(repo: Repository) -> None:
    commit(repo, 1)
    kept, number = contents(repo), repo.find("net").number
    with suppress(InterruptedError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(repo.store.catalog), "publish", _refuse)
        commit(repo, 2)
    assert len(tree(repo)) == 2
    repo.gc(yes=True)
    assert (contents(repo), repo.find("net").number) == (kept, number)
    assert len(tree(repo)) == 1


def _refuse(*_: object, **__: object) -> None:
    raise InterruptedError


def test_of_a_dataset_whose_adding_failed_nothing_stays_and_the_versions_keep_every_row(repo: Repository) -> None:
    for rows in (3000, 3100):
        add(repo.store, "rows", {"id": list(range(rows)), "text": [f"row {number}" for number in range(rows)]})
    before = [list(open_dataset(repo.store, "rows", number).ids) for number in ("1", "2")]
    size = used(repo)
    with suppress(InterruptedError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(repo.store.catalog), "publish", _refuse)
        add(repo.store, "rows", {"id": list(range(9000)), "text": ["another"] * 9000})
    assert used(repo) > size
    repo.gc(yes=True)
    assert used(repo) <= size
    repo.gc(yes=True, cold_after=NOW)
    assert [list(open_dataset(repo.store, "rows", number).ids) for number in ("1", "2")] == before
    assert open_dataset(repo.store, "rows", "1")[2999]["text"] == "row 2999"


# Who is waited for.


def test_what_a_writer_at_work_may_rely_on_waits_and_comes_back_when_it_is_published(repo: Repository) -> None:
    commit(repo, 1)
    garbage = b"".join(map(bytes, frame(weights(9, 0))))
    with repo.store.objects.writing() as first:
        first.put([garbage])
    lease = repo.store.catalog.packs.take_lease()
    done = repo.gc(yes=True)
    assert (done.waiting.packs, done.writers, done.freed) == (1, 1, 0)
    assert len(list((repo.path / "trash").iterdir())) == 1
    # The writer that saw it names it, as if it had looked before it went to the trash.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(repo.store.catalog.packs), "present", lambda packs, digests: dict.fromkeys(digests))
        patch.setattr(type(repo.store.catalog.packs), "take_lease", lambda packs: lease)
        with suppress(NotFound):
            commit(repo, 9, layers=[0])
    repo.store.catalog.packs.end_lease(lease)
    done = repo.gc(yes=True)
    assert (repo.find("net").number, done.removed.packs, done.waiting.packs) == (1, 1, 0)


def test_a_lease_of_a_process_that_was_killed_holds_nothing_up(repo: Repository) -> None:
    commit(repo, 1)
    litter(repo)
    code = f"""if True:
        import os, signal
        from layerwise.repo import Repository
        repo = Repository({str(repo.path)!r})
        with repo.store.objects.writing() as writer:
            os.kill(os.getpid(), signal.SIGKILL)"""
    subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert len(repo.store.catalog.collector.writers()) == 1
    done = repo.gc(yes=True)
    assert (done.waiting.packs, done.removed.packs) == (0, 1)


def test_a_lease_whose_time_is_over_is_refused_at_its_end(repo: Repository) -> None:
    commit(repo, 1)
    with repo.store.objects.writing() as writer:
        writer.put([b"late"])
        repo.store.catalog.packs.end_lease(writer._held())
        writer._lease = repo.store.catalog.packs.take_lease(-1.0)
        repo.gc(yes=True)
        entry = repo.find("net")
        with pytest.raises(Conflict, match="lease"):
            writer.publish(entry, expected=1, names=())
        writer._pending.clear()
        writer._unregistered.clear()


def test_two_collections_at_once_are_one_and_a_sentence(repo: Repository) -> None:
    commit(repo, 1)
    with repo.store.disk.lock("gc.lock"), pytest.raises(Conflict, match=r"gc\.lock"):
        Repository(repo.path).gc(yes=True)


# What is damaged.


def test_a_manifest_that_cannot_be_read_stops_everything_and_is_named(repo: Repository) -> None:
    commit(repo, 1)
    litter(repo)
    _flip(repo, repo.find("net").digest)
    before = tree(repo)
    for yes in (False, True):
        with pytest.raises(Damaged, match="the manifest of net@1"):
            repo.gc(yes=yes)
    assert tree(repo) == before


def test_an_object_that_is_damaged_is_not_written_anew_and_its_pack_stays(repo: Repository) -> None:
    commit(repo, 1)
    litter(repo)
    _flip(repo, repo.manifest(repo.find("net")).layers["layer1"].state)
    before = tree(repo)
    with pytest.raises(Damaged):
        repo.gc(yes=True, cold_after=NOW)
    assert tree(repo).items() >= before.items()


def test_the_last_good_copy_is_never_removed(repo: Repository) -> None:
    commit(repo, 1)
    state = repo.manifest(repo.find("net")).layers["layer1"].state
    assert state is not None
    good = bytes(repo.store.objects.get(state))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(repo.store.catalog.packs), "present", lambda packs, digests: {})
        with repo.store.objects.writing() as writer:
            writer.put_all([[good], [b"more"]])
    home = gc._Collection(repo.store, 0.2, None)._plan.kept
    pack = next(pack for pack, kept in home.items() if state in kept)
    _flip(repo, state, pack)
    with pytest.raises(Damaged):
        repo.gc(yes=True)
    assert any(good in path.read_bytes() for path in repo.path.rglob("*.pack"))
    # What is damaged is set aside; then the other copy is the one that is kept.
    assert not repo.verify().sound
    repo.gc(yes=True)
    assert contents(repo)[state] == good


def _flip(repo: Repository, digest: Digest | None, pack: Digest | None = None) -> None:
    assert digest is not None
    for name, row in repo.store.catalog.collector.packs().items():
        if digest in row.objects and pack in (None, name):
            path = repo.path / pack_name(name)
            data = bytearray(path.read_bytes())
            data[row.objects[digest].position] ^= 1
            path.unlink()
            path.write_bytes(data)
    repo.store.objects.close()
    repo.store.disk.forget()


# What is old.


def test_old_versions_take_fewer_bytes_and_every_bit_comes_back(repo: Repository) -> None:
    for version in range(12):
        commit(repo, version)
    kept, size = contents(repo), used(repo)
    done = repo.gc(yes=True, cold_after=NOW)
    assert contents(repo) == kept
    assert done.after == used(repo) < 0.6 * size
    print(f"\n12 versions of {LAYERS} layers: {size:,} bytes before, {used(repo):,} after")
    assert not repo.gc(yes=True, cold_after=NOW)
    for pack in repo.store.catalog.collector.packs():
        data = repo.store.disk.read(pack_name(pack))
        assert name_of(data, "a pack") == pack
        for place in read_pack(data, "a pack"):
            assert place.at(pack) == repo.store.catalog.collector.packs()[pack].objects[place.digest]


def test_only_what_no_new_version_names_is_coded(repo: Repository) -> None:
    commit(repo, 0, age=timedelta(days=40))
    commit(repo, 1, layers=[0, 1], age=timedelta(days=35))
    commit(repo, 2, layers=[0, 1])
    repo.gc(yes=True)
    coded = {d: at.coding for row in repo.store.catalog.collector.packs().values() for d, at in row.objects.items()}
    old, young = repo.manifest(repo.find("net@2")), repo.manifest(repo.find("net@3"))
    assert all(coded[layer.state] is None for layer in young.layers.values() if layer.state)
    assert coded[old.layers["layer0"].state or Digest("")] is not None
    repo.gc(yes=True, cold_after=None)
    assert repo.gc(yes=True).found["cold"].packs == 0


def test_chains_stay_short_however_often_old_versions_are_coded(repo: Repository) -> None:
    for version in range(24):
        commit(repo, version, layers=[0])
        if version % 5 == 4:
            repo.gc(yes=True, cold_after=NOW)
    kept = contents(repo)
    repo.gc(yes=True, cold_after=NOW)
    rows = repo.store.catalog.collector.packs().values()
    bases = {digest: bases_of(at.coding) for row in rows for digest, at in row.objects.items() if at.coding}

    def depth(digest: Digest) -> int:
        return max((1 + depth(base) for base in bases.get(digest, ())), default=0)

    depths = [depth(digest) for digest in bases]
    assert max(depths) > 1
    assert max(depths) <= MAX_DEPTH
    assert contents(repo) == kept


class Counting(Disk):
    """Counts what is read."""

    read_bytes = 0

    def read_range(self, name: str, begin: int, end: int) -> memoryview:
        """Read, and count."""
        self.read_bytes += end - begin
        return super().read_range(name, begin, end)


def test_one_layer_of_a_cold_pack_reads_its_own_bytes_and_those_it_is_coded_against(repo: Repository) -> None:
    for version in range(3):
        commit(repo, version)
    repo.gc(yes=True, cold_after=NOW)
    states = [repo.manifest(repo.find(f"net@{number}")).layers["layer2"].state or Digest("") for number in (1, 2, 3)]
    places = repo.store.catalog.packs.present(states)
    from layerwise.store.store import Store

    disk = Counting(repo.path)
    with Store.open(repo.path, disk=disk) as store:
        disk.read_bytes = 0
        store.objects.get(states[0])
        assert disk.read_bytes == places[states[0]].stored
        disk.read_bytes = 0
        store.objects.get(states[1])
        assert disk.read_bytes == places[states[0]].stored + places[states[1]].stored
    assert disk.read_bytes < 0.2 * used(repo)


def test_what_does_not_become_smaller_is_left_and_not_tried_again(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = {"weight": RawTensor("U8", (50_000,), Random(1).randbytes(50_000))}

    def make(number: int, parent: int | None) -> Manifest:
        return Manifest("noise", number, {}, {}, parent=parent, created="2026-01-31T09:30:00+00:00")

    repo.commit(make, {"layer": LayerState("Test.v1", noise, {})}, {})
    before = tree(repo)
    assert repo.gc().found["cold"].packs == 1
    repo.gc(yes=True)
    assert tree(repo) == before
    assert repo.gc().found["cold"].packs == 0


# What ends early.


class Stops(Exception):
    """The process ends here, as far as a test can make it."""


class Failing(Disk):
    """Stops at its n-th effect, and has no other after it."""

    left = -1

    def _step(self) -> None:
        if self.left == 0:
            raise Stops
        self.left -= 1

    def write(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Write."""
        self._step()
        super().write(name, chunks)

    def rename(self, source: str, target: str) -> None:
        """Rename."""
        self._step()
        super().rename(source, target)

    def unlink(self, name: str) -> None:
        """Unlink."""
        self._step()
        super().unlink(name)

    def sync_folder(self, folder: str | None = None) -> None:
        """Sync."""
        self._step()
        super().sync_folder(folder)


def test_a_collection_that_stops_at_any_effect_is_finished_by_the_next(tmp_path: Path) -> None:
    from layerwise.store.store import Store

    stopped, bad = 0, []
    for stop in range(100):
        with Repository(tmp_path / f"r{stop}") as repo:
            for version in range(2):
                commit(repo, version, layers=[0])
            litter(repo)
            kept = contents(repo)
            disk = Failing(repo.path)
            with Store.open(repo.path, disk=disk) as store:
                disk.left = stop
                ended = _stops(lambda: gc.collect(store, yes=True, cold_after=NOW))
            if contents(repo) != kept:
                bad.append(stop)
            repo.gc(yes=True, cold_after=NOW)
            if contents(repo) != kept or repo.gc(cold_after=NOW) or len(tree(repo)) != 1:
                bad.append(stop)
            if not ended:
                break
            stopped += 1
    report("effects of a collection at which it was stopped, all: objects lost or garbage left", stopped, len(bad))
    assert stopped > 10
    assert not bad


def _stops(act: object) -> bool:
    try:
        act()  # type: ignore[operator]
    except Stops:
        return True
    return False


def test_a_file_in_the_trash_of_a_pack_in_use_is_read_and_moved_back(repo: Repository) -> None:
    commit(repo, 1)
    kept = contents(repo)
    pack = next(iter(repo.store.catalog.collector.packs()))
    os.replace(repo.path / pack_name(pack), repo.path / trash_name(pack))
    assert contents(repo) == kept
    repo.gc(yes=True)
    assert (repo.path / pack_name(pack)).exists()
    assert not list((repo.path / "trash").iterdir())
