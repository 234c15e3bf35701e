"""Repair: a catalog that is gone or damaged is made anew; what was acknowledged comes back, and nothing else."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from layerwise.canonical import encode
from layerwise.errors import Damaged
from layerwise.repo import Repository
from layerwise.store.names_log import NAME
from tests.support.repositories import commit, manifest

CATALOG = "catalog.sqlite"


def said(path: Path) -> dict[str, object]:
    """Return what a repository says of names, runs and metrics."""
    with Repository(path) as repo:
        runs = repo.runs()
        return {
            "models": repo.models(),
            "datasets": repo.datasets(),
            "versions": repo.versions("digits"),
            "people": repo.dataset_versions("people"),
            "aliases": repo.aliases("digits"),
            "runs": runs,
            "metrics": [repo.metrics(run.id) for run in runs],
        }


def test_a_sound_catalog_made_anew_says_the_same(path: Path) -> None:
    before = said(path)
    with Repository(path) as repo:
        done = repo.repair()
        assert repo.verify().sound
    assert (done.versions, done.aliases, done.runs, done.metrics) == (6, 1, 4, 40)
    assert (done.recovered, done.damaged, done.absent) == ((), (), ())
    assert said(path) == before
    assert (path / done.old).exists()


def test_a_catalog_that_is_gone_is_never_taken_for_an_empty_one(path: Path) -> None:
    (path / CATALOG).unlink()
    with Repository(path) as repo, pytest.raises(Damaged, match=r"is not there, and packs are; .*`layerwise repair`"):
        repo.models()


@pytest.mark.parametrize("how", ["gone", "empty", "rubbish", "cut off", "without its log of names"])
def test_every_version_comes_back_however_the_catalog_was_lost(path: Path, how: str) -> None:
    before = said(path)
    data = (path / CATALOG).read_bytes()
    if how in ("gone", "without its log of names"):
        (path / CATALOG).unlink()
    else:
        lost = {"empty": b"", "rubbish": b"not a database " * 1000, "cut off": data[: len(data) // 3]}
        (path / CATALOG).write_bytes(lost[how])
    if how == "without its log of names":
        (path / NAME).unlink()
    with Repository(path) as repo:
        done = repo.repair()
        assert repo.verify().sound
    after = said(path)
    wanted = ["models", "datasets", "versions", "people", *(["aliases"] if how != "without its log of names" else [])]
    assert {name: after[name] for name in wanted} == {name: before[name] for name in wanted}
    # A run whose version is there is made again from the manifest; its curve was in the catalog alone.
    assert done.runs == 4
    with Repository(path) as repo:
        assert commit(repo, 50) == "digits@5"


def test_what_can_be_read_of_a_damaged_catalog_is_kept(path: Path) -> None:
    with closing(sqlite3.connect(path / CATALOG)) as connection:
        connection.execute(
            "UPDATE metric SET value = 99.0 WHERE run = 'r-digits-2' AND step = 3 AND key = 'train/loss'"
        )
        connection.execute("UPDATE entry SET message = 'forged' WHERE number = 2 AND name = 'digits'")
        connection.commit()
    with Repository(path) as repo:
        done = repo.repair()
        assert done.metrics == 39
        assert repo.find("digits@2").message == "seed 2"
        assert (3, "train/loss", 99.0) not in repo.metrics("r-digits-2")
        assert repo.verify().sound


@pytest.mark.parametrize("log", [True, False])
def test_a_manifest_that_lost_the_race_for_its_number_stays_invisible(path: Path, log: bool) -> None:
    """Two runs wanted to be digits@5: one is, the other became digits@6; its first manifest is still in a pack."""
    with Repository(path) as repo:
        commit(repo, 60)
        lost = dataclasses.replace(
            manifest(5, 4, run="r-digits-61", message="lost"), created="2026-01-01T00:00:00+00:00"
        )
        with repo.store.objects.writing() as writer:
            writer.put([encode(lost.to_json())])
        commit(repo, 61)
    before = said(path)["versions"]
    (path / CATALOG).unlink()
    if not log:
        (path / NAME).unlink()
    with Repository(path) as repo:
        repo.repair()
    assert said(path)["versions"] == before


def test_a_whole_version_that_only_its_manifest_knows_is_recovered_and_said(path: Path) -> None:
    """The log of names may lose its last lines with the power; the version was acknowledged, and comes back."""
    with Repository(path) as repo:
        log = (path / NAME).read_bytes()
        commit(repo, 70)
    (path / NAME).write_bytes(log)
    (path / CATALOG).unlink()
    with Repository(path) as repo:
        assert repo.repair().recovered == ("digits@5",)
        assert repo.manifest(repo.find("digits@5")).message == "seed 70"


def test_a_version_whose_manifest_is_damaged_keeps_its_number(path: Path) -> None:
    with Repository(path) as repo:
        at = repo.store.catalog.packs.locate(repo.find("digits@2").digest)
        assert at is not None
    file = next(path.glob(f"packs/*/{at.pack}.pack"))
    data = bytearray(file.read_bytes())
    data[at.position] ^= 1
    file.write_bytes(data)
    (path / CATALOG).unlink()
    with Repository(path) as repo:
        done = repo.repair()
        assert done.absent == ("digits@2",)
        assert done.damaged == (at.pack,)
        assert [entry.number for entry in repo.versions("digits")] == [1, 2, 3, 4]
        with pytest.raises(Damaged):
            repo.manifest(repo.find("digits@2"))


def test_whoever_has_the_repository_open_sees_the_new_catalog(path: Path) -> None:
    with Repository(path) as other:
        assert other.aliases("digits") == {"champion": 2}
        with Repository(path) as repo:
            repo.repair()
            repo.set_alias("digits@4", "champion")
        assert other.aliases("digits") == {"champion": 4}
        assert commit(other, 80) == "digits@5"


def test_names_moved_after_a_repair_are_in_the_log_again(path: Path) -> None:
    (path / CATALOG).unlink()
    with Repository(path) as repo:
        repo.repair()
        commit(repo, 90)
        repo.set_alias("digits@5", "champion")
    (path / CATALOG).unlink()
    with Repository(path) as repo:
        done = repo.repair()
        assert done.recovered == ()
        assert repo.aliases("digits") == {"champion": 5}
