"""Repositories of format 1: they open, are brought to format 2 step by step, and hold what they held."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from layerwise import canonical
from layerwise.errors import Damaged, Unsupported
from layerwise.repo import LayerState, Repository
from layerwise.store.catalog.catalog import Catalog, Entry, Ledger
from layerwise.store.catalog.tables import SCHEMA
from layerwise.store.disk import Buffer, Disk
from layerwise.store.names_log import NAME
from layerwise.store.packs import FOLDERS
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor, frame
from layerwise.upkeep.packs import look
from layerwise.upkeep.repair import repair
from layerwise.upkeep.verify import verify
from layerwise.versions.manifest import Manifest
from layerwise.words import Digest
from tests.support.counts import report

MADE = "2026-01-31T09:30:00+00:00"
CONFIG = {"created": MADE, "format": 1, "id": "0123456789abcdef" * 2, "note": "ours"}

SCHEMA_1 = """
CREATE TABLE schema_version (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE pack (digest VARCHAR(64) NOT NULL, PRIMARY KEY (digest));
CREATE TABLE entry (sort VARCHAR(100) NOT NULL, name VARCHAR(100) NOT NULL, number BIGINT NOT NULL,
    digest VARCHAR(64) NOT NULL, branch VARCHAR(100) NOT NULL, parent BIGINT, created VARCHAR(40) NOT NULL,
    actor TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY (sort, name, number));
CREATE TABLE run (id VARCHAR(100) NOT NULL, model VARCHAR(100) NOT NULL, status VARCHAR(20) NOT NULL, version BIGINT,
    created VARCHAR(40) NOT NULL, finished VARCHAR(40), actor TEXT NOT NULL, config TEXT NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_run_created ON run (created);
CREATE INDEX ix_run_model ON run (model);
CREATE TABLE object (digest VARCHAR(64) NOT NULL, pack VARCHAR(64) NOT NULL, position BIGINT NOT NULL,
    length BIGINT NOT NULL, PRIMARY KEY (digest, pack), FOREIGN KEY(pack) REFERENCES pack (digest));
CREATE INDEX ix_object_pack ON object (pack);
CREATE TABLE branch (sort VARCHAR(100) NOT NULL, name VARCHAR(100) NOT NULL, branch VARCHAR(100) NOT NULL,
    head BIGINT NOT NULL, PRIMARY KEY (sort, name, branch),
    FOREIGN KEY(sort, name, head) REFERENCES entry (sort, name, number));
CREATE TABLE alias (sort VARCHAR(100) NOT NULL, name VARCHAR(100) NOT NULL, alias VARCHAR(100) NOT NULL,
    number BIGINT NOT NULL, PRIMARY KEY (sort, name, alias),
    FOREIGN KEY(sort, name, number) REFERENCES entry (sort, name, number));
CREATE TABLE metric (run VARCHAR(100) NOT NULL, "key" VARCHAR(500) NOT NULL, step BIGINT NOT NULL, value FLOAT,
    PRIMARY KEY (run, "key", step), FOREIGN KEY(run) REFERENCES run (id));
INSERT INTO schema_version VALUES (1);
"""
"""As the first Layerwise made it."""


@dataclass(frozen=True)
class Old:
    """A repository of format 1, and what it holds."""

    path: Path
    objects: Mapping[Digest, bytes]
    entries: tuple[Entry, ...]
    packs: tuple[Digest, ...]


def weights(seed: int) -> bytes:
    """Return a layer's state of 61 numbers: its length is no multiple of 64."""
    data = bytes((seed + at) % 251 for at in range(244))
    return b"".join(frame({"weight": RawTensor("F32", (61,), data)}))


def model(number: int, states: Mapping[str, bytes]) -> bytes:
    """Return a manifest as format 1 has it."""
    layers = {
        path: {"code": {}, "kind": "torch.nn.Linear", "state": canonical.digest_bytes([state])}
        for path, state in states.items()
    }
    return canonical.encode(
        {
            "actor": "maria", "branch": "main", "created": MADE, "data": {}, "environment": None, "epoch": 1,
            "format": 1, "graph": {"layers": [{"name": path} for path in states]}, "layers": layers,
            "message": f"version {number}", "metrics": {"validation/loss": 0.5}, "model": "digits", "number": number,
            "outcome": "done", "parent": number - 1 or None, "run": f"r-{number}", "training": {"epochs": 1},
        }
    )  # fmt: skip


def write_pack(folder: Path, objects: Mapping[Digest, bytes]) -> tuple[Digest, dict[Digest, int]]:
    """Write a pack of format 1, named by the digest of all its bytes; return its name and where objects lie."""
    header: dict[str, Any] = {"__metadata__": {"format": "layerwise.pack.v1"}}
    data, starts = b"", {}
    for at, (digest, content) in enumerate(objects.items()):
        if gap := -len(data) % 64:
            header[f"pad.{at}"] = {"data_offsets": [len(data), len(data) + gap], "dtype": "U8", "shape": [gap]}
            data += bytes(gap)
        starts[digest] = len(data)
        span = [len(data), len(data) + len(content)]
        header[digest] = {"data_offsets": span, "dtype": "U8", "shape": [len(content)]}
        data += content
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    whole = len(text).to_bytes(8, "little") + text + data
    pack = canonical.digest_bytes([whole])
    # Only the folder that is needed: format 1 made them one by one.
    (folder / "packs" / pack[:2]).mkdir(parents=True, exist_ok=True)
    (folder / "packs" / pack[:2] / f"{pack}.pack").write_bytes(whole)
    return pack, {digest: 8 + len(text) + start for digest, start in starts.items()}


def make_old(path: Path) -> Old:
    """Make a repository of format 1 with two versions of a model, an alias, two runs and their metrics."""
    for folder in ("packs", "tmp", "runs"):
        (path / folder).mkdir(parents=True)
    contents, entries, packs = {}, [], []
    with closing(sqlite3.connect(path / "catalog.sqlite")) as sql:
        sql.execute("PRAGMA journal_mode=WAL")
        sql.executescript(SCHEMA_1)
        for number in (1, 2):
            states = {"edges": weights(0), "scores": weights(number)}
            known = {canonical.digest_bytes([data]): data for data in (*states.values(), model(number, states))}
            fresh = {digest: data for digest, data in known.items() if digest not in contents}
            contents.update(known)
            pack, places = write_pack(path, fresh)
            packs.append(pack)
            sql.execute("INSERT INTO pack VALUES (?)", (pack,))
            rows = [(digest, pack, places[digest], len(data)) for digest, data in fresh.items()]
            sql.executemany("INSERT INTO object VALUES (?, ?, ?, ?)", rows)
            digest, parent = list(known)[-1], number - 1 or None
            entries.append(Entry("model", "digits", number, digest, "main", parent, MADE, "maria", f"version {number}"))
            row = ("model", "digits", number, digest, "main", parent, MADE, "maria", f"version {number}")
            sql.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            run = (f"r-{number}", "digits", "done", number, MADE, MADE, "maria", '{"epochs":1}')
            sql.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?)", run)
            losses = [(f"r-{number}", "train/loss", step, None if step == 3 else 1 / step) for step in (1, 2, 3)]
            sql.executemany("INSERT INTO metric VALUES (?, ?, ?, ?)", losses)
        sql.execute("INSERT INTO branch VALUES ('model', 'digits', 'main', 2)")
        sql.execute("INSERT INTO alias VALUES ('model', 'digits', 'champion', 1)")
        sql.commit()
    (path / "config.json").write_bytes(canonical.encode(CONFIG))
    return Old(path, contents, tuple(entries), tuple(packs))


@pytest.fixture
def old(tmp_path: Path) -> Old:
    return make_old(tmp_path / "old")


def hold_whole(store: Store, old: Old) -> None:
    """Hold that a repository is of format 2 and says all that it said."""
    config = json.loads((store.path / "config.json").read_bytes())
    assert config == {**CONFIG, "format": 2}
    folders = {"tmp", "runs", "trash", "damaged", *FOLDERS}
    assert {folder for folder in folders if (store.path / folder).is_dir()} == folders
    assert list((store.path / "tmp").iterdir()) == []
    assert store.catalog.entries("model", "digits") == list(old.entries)
    assert store.catalog.head("model", "digits") == old.entries[-1]
    assert store.catalog.aliases("model", "digits") == {"champion": 1}
    assert {digest: bytes(store.objects.get(digest)) for digest in old.objects} == old.objects
    assert [run.id for run in store.catalog.runs.find().runs] == ["r-2", "r-1"]
    found = store.catalog.runs.metrics("r-2")
    assert [(step, key) for step, key, _ in found] == [(1, "train/loss"), (2, "train/loss"), (3, "train/loss")]
    assert [value for *_, value in found[:2]] == [1.0, 0.5]
    assert math.isnan(found[2][2])


def commit(repo: Repository) -> Entry:
    def make(number: int, parent: int | None) -> Manifest:
        return Manifest("digits", number, {}, {}, parent=parent, created=MADE, actor="maria", message="a new one")

    edges = RawTensor("F32", (61,), weights(0)[-244:])
    return repo.commit(make, {"edges": LayerState("torch.nn.Linear", {"weight": edges}, {})}, {})


def test_a_repository_of_format_1_opens_and_holds_what_it_held(old: Old) -> None:
    with Store.open(old.path, create=False) as store:
        hold_whole(store, old)
        assert store.id == CONFIG["id"]
    with Store.open(old.path, create=False) as again:
        hold_whole(again, old)


def test_what_was_migrated_verifies_sound(old: Old) -> None:
    with Store.open(old.path) as store:
        assert store.catalog.check().wrong == []
        found = verify(store)
        assert (found.findings, found.versions, found.packs) == ((), 2, 2)
        assert found.objects == len(old.objects)


def test_a_migrated_catalog_has_the_tables_and_indexes_of_a_new_one(old: Old, tmp_path: Path) -> None:
    def shape(path: Path) -> dict[str, object]:
        with Store.open(path) as store:
            store.catalog.names("model")
        with closing(sqlite3.connect(path / "catalog.sqlite")) as sql:
            names = {name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            columns = {name: [row[1:4] for row in sql.execute(f"PRAGMA table_info('{name}')")] for name in names}
            found = sql.execute("SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
            return {"columns": {name: sorted(rows) for name, rows in columns.items()}, "indexes": set(found)}

    migrated, new = shape(old.path), shape(tmp_path / "new")
    assert migrated["columns"] == new["columns"]
    assert migrated["indexes"] >= new["indexes"]  # type: ignore[operator]


def test_a_rows_checksum_is_the_one_that_the_page_says(old: Old) -> None:
    with Store.open(old.path) as store:
        store.catalog.set_alias("model", "digits", "champion", 2)
    with closing(sqlite3.connect(old.path / "catalog.sqlite")) as sql:
        assert sql.execute("SELECT crc FROM alias").fetchall() == [(125_508_544,)]


def test_it_takes_commits_and_an_object_of_an_old_pack_is_not_written_again(old: Old) -> None:
    with Repository(old.path) as repo:
        entry = commit(repo)
        assert (entry.number, entry.parent) == (3, 2)
        assert repo.manifest(entry).layers["edges"].state == canonical.digest_bytes([weights(0)])
        assert len(list(old.path.glob("packs/*/*"))) == 3
        newest = max(old.path.glob("packs/*/*"), key=lambda path: path.stat().st_mtime_ns)
        assert weights(0) not in newest.read_bytes()
        assert verify(repo.store).sound


def test_the_names_of_before_are_in_the_log_after_the_next_change(old: Old) -> None:
    with Store.open(old.path) as store:
        store.catalog.names("model")
        assert not (old.path / NAME).exists()
        store.catalog.set_alias("model", "digits", "champion", 2)
        said = [change for change in store.names.read().values() if change]
        assert [change["do"] for change in said] == ["publish", "publish", "set_alias", "set_alias"]
        assert [change["args"]["entry"]["digest"] for change in said[:2]] == [entry.digest for entry in old.entries]
        assert store.names.last() == max(store.names.read())


def test_a_migrated_repository_is_made_anew_without_its_catalog(old: Old) -> None:
    with Repository(old.path) as repo:
        entry = commit(repo)
    for name in ("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"):
        (old.path / name).unlink(missing_ok=True)
    with Store.open(old.path) as store:
        done = repair(store)
        assert (done.versions, done.aliases, done.recovered, done.packs) == (3, 1, (), 3)
        assert store.catalog.entries("model", "digits") == [*old.entries, entry]
        assert verify(store).sound


def test_a_byte_of_an_old_pack_that_was_flipped_is_found_wherever_it_is(old: Old) -> None:
    """Its name is the digest of the whole file, so that padding and header count too."""
    tried = 0
    for pack in old.packs:
        whole = bytearray((old.path / "packs" / pack[:2] / f"{pack}.pack").read_bytes())
        assert look(memoryview(whole), pack).wrong == ""
        for place in range(len(whole)):
            whole[place] ^= 4
            assert look(memoryview(whole), pack).wrong, place
            whole[place] ^= 4
        tried += len(whole)
    report("flipped bytes of a pack of format 1 that were not found", tried, 0)


class Dies(BaseException):
    """The process is gone: nothing catches it."""


class Dying(Disk):
    """A disk that makes some effects and then none any more."""

    def __init__(self, path: Path, effects: int) -> None:
        super().__init__(path)
        self.left = effects
        self.made = 0

    @contextmanager
    def effect(self) -> Iterator[None]:
        if self.left <= self.made:
            raise Dies
        yield
        self.made += 1

    def write(self, name: str, chunks: Any) -> None:
        with self.effect():
            super().write(name, chunks)

    def append(self, name: str, data: Buffer) -> None:
        with self.effect():
            super().append(name, data)

    def rename(self, source: str, target: str) -> None:
        with self.effect():
            super().rename(source, target)

    def unlink(self, name: str) -> None:
        with self.effect():
            super().unlink(name)

    def make_folder(self, folder: str) -> None:
        with self.effect():
            super().make_folder(folder)

    def sync_folder(self, folder: str | None = None) -> None:
        with self.effect():
            super().sync_folder(folder)


def test_a_migration_that_was_killed_at_any_effect_is_finished_by_the_next(tmp_path: Path) -> None:
    source = make_old(tmp_path / "old")
    disk = Dying(shutil.copytree(source.path, tmp_path / "whole"), 10_000)
    Store.open(disk.path, disk=disk).close()
    # Of the 256 folders of packs only some: each is made like the others.
    tried = [0, 3, 4, 5, 100, *range(disk.made - 7, disk.made)]
    for effects in tried:
        path = shutil.copytree(source.path, tmp_path / f"killed-{effects}")
        with suppress(Dies):
            Store.open(path, disk=Dying(path, effects))
            raise AssertionError("it was not killed")
        said = json.loads((path / "config.json").read_bytes())["format"]
        assert said == 1 or all((path / folder).is_dir() for folder in FOLDERS), effects
        with Store.open(path) as store:
            hold_whole(store, source)
            assert store.catalog.check().wrong == []
    report("migrations killed at an effect that did not open again", len(tried), 0)


def test_a_catalogs_migration_that_ends_at_any_statement_changes_nothing(old: Old) -> None:
    whole = old.path / "catalog.sqlite"
    tried, done = 0, False
    while not done:
        path = whole.with_name(f"killed-{tried}.sqlite")
        shutil.copy(whole, path)
        done = not stopped_at(path, 2 * tried)
        with closing(sqlite3.connect(path)) as sql:
            assert sql.execute("SELECT version FROM schema_version").fetchall() == [(SCHEMA if done else 1,)]
            assert any(row[1] == "crc" for row in sql.execute("PRAGMA table_info(object)")) == done
        catalog = Catalog(Ledger(path))
        assert catalog.check().wrong == []
        assert catalog.entries("model", "digits") == list(old.entries)
        assert set(catalog.packs.present(old.objects)) == set(old.objects)
        catalog.close()
        tried += 1
    assert tried > 20
    report("ends of a catalog's migration, at every second statement, that changed something", tried, 0)


def stopped_at(path: Path, statement: int) -> bool:
    """Open a catalog and die at that statement of its migration; tell whether it came to it."""
    seen = 0

    def count(_connection: object, _cursor: object, text: str, *_: object) -> None:
        nonlocal seen
        seen += not text.startswith(("PRAGMA synchronous", "BEGIN"))
        if seen > statement:
            raise Dies

    ledger = Ledger(path)
    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        # Opening is the migration; nothing is asked.
        with ledger.reading():
            return False
    except Dies:
        return True
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)
        ledger.close()


def test_many_may_migrate_it_at_once(old: Old) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with Store.open(old.path) as store:
                hold_whole(store, old)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert failed == []


def test_an_empty_repository_of_format_1_opens_too(tmp_path: Path) -> None:
    for folder in ("packs", "tmp", "runs"):
        (tmp_path / "r" / folder).mkdir(parents=True)
    (tmp_path / "r" / "config.json").write_bytes(canonical.encode(CONFIG))
    with Repository(tmp_path / "r") as repo:
        assert commit(repo).number == 1


def test_packs_of_format_1_without_their_catalog_are_not_taken_for_an_empty_repository(old: Old) -> None:
    (old.path / "catalog.sqlite").unlink()
    with Store.open(old.path) as store, pytest.raises(Damaged, match="is not there, and packs are"):
        store.catalog.names("model")


@pytest.mark.parametrize("found", [SCHEMA + 1, 99, 0, -1])
def test_a_schema_that_is_not_known_is_refused_and_left_alone(old: Old, found: int) -> None:
    with closing(sqlite3.connect(old.path / "catalog.sqlite")) as sql:
        sql.execute("UPDATE schema_version SET version = ?", (found,))
        sql.commit()
        before = list(sql.iterdump())
    with (
        Store.open(old.path) as store,
        pytest.raises(Unsupported, match=f"has schema {found} .* up to {SCHEMA}; install"),
    ):
        store.catalog.names("model")
    with closing(sqlite3.connect(old.path / "catalog.sqlite")) as sql:
        assert list(sql.iterdump()) == before


def test_a_newer_format_is_refused_and_nothing_is_migrated(old: Old) -> None:
    (old.path / "config.json").write_bytes(canonical.encode({**CONFIG, "format": 3}))
    before = files(old.path)
    with pytest.raises(Unsupported, match="of format 3 and this Layerwise reads up to 2"):
        Store.open(old.path)
    assert files(old.path) == before


def files(path: Path) -> dict[str, bytes]:
    return {str(found.relative_to(path)): found.read_bytes() for found in path.rglob("*") if found.is_file()}
