"""``gc`` of a repository on an object store: the same, with a lease in place of a lock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from layerwise.errors import Conflict
from layerwise.repo import Repository
from layerwise.store.bucket import bucket
from layerwise.upkeep.marking import Marks
from tests.support.s3 import environment, moto, new_bucket
from tests.upkeep.test_gc import commit, litter


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """A repository on an object store of its own."""
    for name, value in {**environment(moto()), "LAYERWISE_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket, "PAUSE", 0.002)
    with Repository(f"s3://{new_bucket(moto())}/team/a") as opened:
        yield opened


def elsewhere(repo: Repository, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Repository:
    """Open it as another machine does."""
    monkeypatch.setenv("LAYERWISE_CACHE", str(cache))
    return Repository(repo.store.address)


def names(repo: Repository) -> list[str]:
    """Return the packs that are there, the trash counted."""
    folders = [f"packs/{name}" for name in repo.store.blobs.list("packs")]
    return [name for folder in (*folders, "trash") for name in repo.store.blobs.list(folder)]


def contents(repo: Repository) -> dict[str, bytes]:
    """Return every object that a version needs."""
    marks = Marks(repo.store)
    marks.update()
    return {digest: bytes(repo.store.objects.get(digest)) for digest in marks.newest}


def test_it_frees_codes_and_keeps_as_in_a_folder(
    remote: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for version in range(3):
        commit(remote, version, layers=[0])
    litter(remote)
    kept = contents(remote)
    done = remote.gc(yes=True, cold_after=timedelta(0))
    assert (done.removed.packs, done.found["unneeded"].packs, done.found["cold"].packs) == (4, 1, 3)
    assert done.after < done.before
    assert len(names(remote)) == 1
    assert not remote.gc(yes=True, cold_after=timedelta(0))
    with elsewhere(remote, monkeypatch, tmp_path / "other") as other:
        assert contents(other) == kept
        assert other.verify().sound


def test_one_collection_at_a_time_whatever_the_machine(
    remote: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit(remote, 1)
    litter(remote)
    remote.store.catalog.collector.start(alone=False)
    with elsewhere(remote, monkeypatch, tmp_path / "other") as other:
        with pytest.raises(Conflict, match="another collection is under way"):
            other.gc(yes=True)
        remote.store.catalog.collector.end()
        # One that went silent is taken over from, and finds out before it moves or removes anything.
        remote.store.catalog.collector.start(alone=False, seconds=-1.0)
        assert other.gc(yes=True).removed.packs == 1
        with pytest.raises(Conflict, match="another one may have begun"):
            remote.store.catalog.collector.hold()


def test_a_writer_on_another_machine_is_waited_for(
    remote: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit(remote, 1)
    litter(remote)
    with elsewhere(remote, monkeypatch, tmp_path / "other") as other:
        with other.store.objects.writing():
            assert remote.gc(yes=True).waiting.packs == 1
        assert remote.gc(yes=True).removed.packs == 1
