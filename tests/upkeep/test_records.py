"""Upkeep of records: what living sets name is kept, what is forgotten or over goes, what is hurt is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layerwise.errors import Damaged, InvalidData, Moved, NotFound
from layerwise.records.recordset import About
from layerwise.repo import Repository
from layerwise.store.bucket import bucket
from layerwise.upkeep.marking import Marks
from tests.records.making import about_of, keep, raw
from tests.support.repositories import commit
from tests.support.s3 import environment, moto, new_bucket

ROWS = 5_000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two versions, that tests copy."""
    path = tmp_path_factory.mktemp("filled") / "r"
    with Repository(path) as repo:
        commit(repo, 1)
        commit(repo, 2)
    return path


@pytest.fixture
def repo(filled: Path, tmp_path: Path) -> Iterator[Repository]:
    """A repository of its own, with two versions."""
    shutil.copytree(filled, tmp_path / "r")
    with Repository(tmp_path / "r") as opened:
        yield opened


def draw(seed: int, rows: int = ROWS) -> Any:
    """Return numbers [rows, 8]."""
    return np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)


def record(repo: Repository, address: str = "digits@1", seed: int = 0, **options: Any) -> About:
    """Keep two layers of a version."""
    about = about_of(repo, address)
    keep(repo.store, {"edges": draw(0), "scores": draw(seed)}, about, **options)
    return about


def read(repo: Repository, about: About, layer: str = "scores") -> Any:
    """Return all kept rows of a layer, read anew."""
    repo.store.objects.close()
    repo.store.disk.forget()
    (found,) = repo.records(about.version).find(layer)
    return found.gather(np.arange(found.rows))


def test_the_door_keeps_finds_ranks_and_forgets(repo: Repository) -> None:
    about = about_of(repo, "digits@2")
    with repo.recording(about, rows=ROWS) as writer:
        writer.add("edges", raw(draw(1)))
    (found,) = repo.records(about.version).find("edges")
    assert repo.unit_index(found).top(3, 1).slots[0] == draw(1)[:, 3].argmax()
    assert repo.neighbours(found).nearest(draw(1)[17], 1).slots.tolist() == [17]
    assert repo.forget_records(about.version).to_json() == {"sets": 1, "bytes": ROWS * 32, "left": 0}
    assert repo.records(about.version).find("edges") == []
    assert repo.store.catalog.recordings.every() == []


def test_records_are_of_a_version_that_is_there(repo: Repository) -> None:
    about = about_of(repo, "digits@2")
    with pytest.raises(InvalidData, match="digits@1 is version"):
        repo.recording(About("digits", 1, about.version, None, "look"), rows=1)
    with pytest.raises(NotFound, match="digts"):
        repo.recording(About("digts", 1, about.version, None, "look"), rows=1)


def test_a_collection_keeps_what_living_sets_and_their_indexes_name(repo: Repository) -> None:
    about = record(repo, seed=7)
    (found,) = repo.records(about.version).find("scores")
    repo.unit_index(found)
    assert not repo.gc(yes=True, dead_share=0.0, cold_after=None)
    assert np.array_equal(read(repo, about), draw(7))
    (part,) = [row for row in repo.store.catalog.recordings.every() if row.part]
    assert repo.store.objects.get(part.digest)
    assert repo.verify().sound


def test_what_was_forgotten_is_freed_and_what_another_set_shares_is_kept(repo: Repository) -> None:
    first, second = record(repo, "digits@1", 1), record(repo, "digits@2", 2)
    assert repo.forget_records(first.version).sets == 1
    done = repo.gc(yes=True, dead_share=0.0, cold_after=None)
    assert done.freed >= 0.99 * draw(1).nbytes
    assert np.array_equal(read(repo, second), draw(2))
    assert np.array_equal(read(repo, second, "edges"), draw(0))
    assert repo.verify().sound


def test_an_index_is_forgotten_with_its_set(repo: Repository) -> None:
    about = record(repo)
    repo.unit_index(repo.records(about.version).find("edges")[0])
    repo.forget_records()
    assert repo.store.catalog.recordings.every() == []
    assert repo.gc(yes=True, dead_share=0.0).freed > draw(0).nbytes


def test_an_index_of_a_set_that_was_forgotten_meanwhile_is_not_kept(repo: Repository) -> None:
    about = record(repo)
    (found,) = repo.records(about.version).find("edges")
    repo.forget_records()
    assert repo.unit_index(found).top(0, 1).slots[0] == draw(0)[:, 0].argmax()
    assert repo.store.catalog.recordings.every() == []


def test_a_collection_forgets_what_is_over_first_and_says_how_many(repo: Repository) -> None:
    over, living = record(repo, "digits@1", 1, age=timedelta(0)), record(repo, "digits@2", 2, age=timedelta(days=1))
    looked = repo.gc(dead_share=0.0, cold_after=None)
    assert (looked.expired, looked.done) == (1, False)
    assert looked.freed > 0
    assert len(repo.store.catalog.recordings.of(over.version)) == 1
    done = repo.gc(yes=True, dead_share=0.0, cold_after=None)
    assert (done.expired, done.to_json()["expired"]) == (1, 1)
    assert repo.store.catalog.recordings.of(over.version) == []
    assert np.array_equal(read(repo, living), draw(2))
    assert repo.gc(yes=True).expired == 0


def test_records_that_are_over_are_not_read_and_verify_sound(repo: Repository) -> None:
    about = record(repo, age=timedelta(0))
    assert repo.records(about.version).find("edges") == []
    assert repo.verify().sound


def test_forgetting_takes_the_oldest_until_the_rest_fits_or_those_of_before(repo: Repository) -> None:
    about = about_of(repo, "digits@1")
    for seed in range(4):
        keep(repo.store, {"edges": draw(seed, 100)}, about)
    newest = [kept.tracks[0].chunks[0] for _, kept in repo.records(about.version).sets()]
    assert repo.forget_records(over=2 * 3_200).sets == 2
    assert [kept.tracks[0].chunks[0] for _, kept in repo.records(about.version).sets()] == newest[:2]
    assert repo.forget_records(before=datetime.now(UTC) - timedelta(hours=1)).sets == 0
    assert repo.forget_records(before=datetime.now(UTC) + timedelta(hours=1)).sets == 2
    assert not repo.forget_records()


def test_a_time_without_a_zone_and_fewer_than_no_bytes_are_refused(repo: Repository) -> None:
    with pytest.raises(InvalidData, match="has no zone"):
        repo.forget_records(before=datetime(2026, 1, 31))  # noqa: DTZ001
    with pytest.raises(InvalidData, match="fewer than 0 bytes"):
        repo.forget_records(over=-1)


def test_records_kept_while_a_collection_looks_are_not_taken_away(repo: Repository) -> None:
    """A chunk that nothing named goes to the trash; a writer from before names it; it comes back."""
    about = record(repo, seed=5)
    repo.forget_records()
    writer = repo.recording(about, rows=ROWS)
    with writer:
        writer.add("edges", raw(draw(0)))
        writer.add("scores", raw(draw(5)))
        writer._packs()
        waiting = repo.gc(yes=True, dead_share=0.0, cold_after=None)
        assert waiting.waiting.packs >= 1
    assert np.array_equal(read(repo, about), draw(5))
    repo.gc(yes=True, dead_share=0.0, cold_after=None)
    assert np.array_equal(read(repo, about), draw(5))
    assert repo.verify().sound


def test_packs_are_not_forgotten_once_records_were_kept_since_the_last_look(repo: Repository) -> None:
    record(repo)
    marks = Marks(repo.store)
    marks.update()
    repo.forget_records()
    record(repo, seed=3)
    collector = repo.store.catalog.collector
    with pytest.raises(Moved, match="records were kept"):
        collector.forget(list(collector.states()), versions=marks.versions, needed=set(), recordings=marks.recordings)
    marks.update()
    assert (
        collector.forget(list(collector.states()), versions=marks.versions, needed=set(), recordings=marks.recordings)
        == []
    )


def hurt(repo: Repository, about: About, layer: str) -> None:
    """Flip a bit of a layer's only chunk."""
    (found,) = repo.records(about.version).find(layer)
    at = repo.store.catalog.packs.locate(found.track.chunks[0])
    assert at is not None
    path = repo.path / "packs" / at.pack[:2] / f"{at.pack}.pack"
    data = bytearray(path.read_bytes())
    data[at.position + 1_000] ^= 1
    path.write_bytes(data)
    repo.store.objects.close()
    repo.store.disk.forget()


def test_verify_names_a_damaged_chunk_by_version_layer_and_rows_and_saves_the_others(repo: Repository) -> None:
    about = record(repo, "digits@2", seed=4)
    hurt(repo, about, "scores")
    (finding,) = repo.verify().findings
    assert finding.hurts == ("the record of digits@2/scores, rows 0 to 4999",)
    assert np.array_equal(read(repo, about, "edges"), draw(0))
    with pytest.raises(Damaged, match="the record of digits@2/scores, rows 0 to 4999"):
        read(repo, about)
    # Kept anew it is there again.
    repo.forget_records()
    again = record(repo, "digits@2", seed=4)
    assert np.array_equal(read(repo, again), draw(4))
    assert repo.verify().sound


def test_verify_names_a_set_that_cannot_be_read_and_it_can_be_forgotten(repo: Repository) -> None:
    about = record(repo)
    (row,) = repo.store.catalog.recordings.of(about.version)
    at = repo.store.catalog.packs.locate(row.record)
    assert at is not None
    path = repo.path / "packs" / at.pack[:2] / f"{at.pack}.pack"
    data = bytearray(path.read_bytes())
    data[at.position] ^= 1
    path.write_bytes(data)
    repo.store.objects.close()
    repo.store.disk.forget()
    (finding,) = repo.verify().findings
    assert finding.hurts == ("the records of digits@1",)
    with pytest.raises(Damaged):
        repo.gc(yes=True)
    assert repo.forget_records().sets == 1
    assert repo.gc(yes=True).done
    assert repo.verify().sound


def test_repair_keeps_the_sets_that_the_catalog_has_and_no_others(repo: Repository) -> None:
    gone, kept = record(repo, "digits@1", 1), record(repo, "digits@2", 2)
    repo.unit_index(repo.records(kept.version).find("scores")[0])
    rows = repo.store.catalog.recordings.of(kept.version)
    repo.forget_records(gone.version)
    assert repo.repair().records == 1
    assert repo.records(gone.version).find("scores") == []
    assert repo.store.catalog.recordings.every() == rows
    assert np.array_equal(read(repo, kept), draw(2))
    assert repo.verify().sound


def test_repair_finds_sets_again_where_the_catalog_is_lost(repo: Repository) -> None:
    first, second = record(repo, "digits@1", 1), record(repo, "digits@2", 2, age=timedelta(days=1))
    record(repo, "digits@1", 3, age=timedelta(0))
    path = repo.path
    repo.close()
    for name in ("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"):
        (path / name).unlink(missing_ok=True)
    with Repository(path) as again:
        assert again.repair().records == 2
        assert np.array_equal(read(again, first), draw(1))
        assert np.array_equal(read(again, second), draw(2))
        assert again.store.catalog.recordings.of(second.version)[0].expires is not None
        assert again.verify().sound
        assert not again.gc(yes=True, dead_share=0.5, cold_after=None).removed.objects > 3


def test_a_lost_row_of_a_set_is_not_named_twice_after_a_repair(repo: Repository) -> None:
    about = record(repo)
    assert [repo.repair().records for _ in range(2)] == [1, 1]
    assert len(repo.store.catalog.recordings.of(about.version)) == 1


def test_cold_records_read_the_same(repo: Repository) -> None:
    about = record(repo, seed=6)
    repo.gc(yes=True, cold_after=timedelta(seconds=-5))
    assert any(at.coding for row in repo.store.catalog.collector.packs().values() for at in row.objects.values())
    assert np.array_equal(read(repo, about), draw(6))


def test_records_on_an_object_store_are_seen_by_other_machines_and_kept_by_collections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**environment(moto()), "LAYERWISE_CACHE": str(tmp_path / "here")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket, "PAUSE", 0.002)
    with Repository(f"s3://{new_bucket(moto())}/team/a") as repo:
        commit(repo, 1)
        gone, about = record(repo, "digits@1", 1), record(repo, "digits@1", 2)
        newest = repo.records(about.version).sets()[0][0]
        monkeypatch.setenv("LAYERWISE_CACHE", str(tmp_path / "there"))
        with Repository(repo.store.address) as other:
            assert len(other.records(gone.version).find("scores")) == 2
            assert other.forget_records(over=2 * ROWS * 32).sets == 1
            assert other.gc(yes=True, dead_share=0.0, cold_after=None).done
        assert [digest for digest, _ in repo.records(about.version).sets()] == [newest]
        assert np.array_equal(repo.records(about.version).find("scores")[0].gather(np.arange(ROWS)), draw(2))
        assert repo.repair().records == 1
        assert repo.verify().sound
