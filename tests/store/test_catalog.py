"""The catalog: versions and aliases move by compare-and-set; names are values, found again by what is near."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from layerwise.errors import Conflict, Damaged, InvalidName, Moved, NotFound, Unsupported
from layerwise.store.catalog.catalog import Catalog, Entry, Ledger, Location, Written
from layerwise.store.rows import RunFilter
from layerwise.words import Digest

PATH_LIKE = ("../x", "/etc/passwd", "a/b", "a\0b", "x" * 10_000, "", "a b", "a'; DROP TABLE entry;--", ".", "~root")


def manifest(number: int) -> Digest:
    return Digest(f"{number:08x}" * 8)


def entry(number: int, *, name: str = "digits", branch: str = "main", parent: int | None = None) -> Entry:
    made = "2026-01-31T09:30:00+00:00"
    return Entry("model", name, number, manifest(number), branch, parent, made, "maria", "a message")


def add(catalog: Catalog, letter: str, objects: dict[Digest, int]) -> None:
    pack = Digest(letter * 64)
    catalog.packs.add([Written(pack, tuple((digest, Location(pack, at, 5, 5)) for digest, at in objects.items()))])


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(Ledger(tmp_path / "catalog.sqlite"))
    add(catalog, "f", {manifest(number): 64 * number for number in range(1, 40)})
    yield catalog
    catalog.close()


def publish(catalog: Catalog, count: int, name: str = "digits") -> None:
    for number in range(1, count + 1):
        before = number - 1 or None
        catalog.publish(entry(number, name=name, parent=before), expected=before)


def test_a_published_version_comes_back_whole(catalog: Catalog) -> None:
    publish(catalog, 2)
    assert catalog.entries("model", "digits") == [entry(1), entry(2, parent=1)]
    assert catalog.head("model", "digits") == catalog.find("model", "digits") == entry(2, parent=1)
    assert catalog.names("model") == ["digits"]
    assert catalog.names("dataset") == []


def test_nothing_is_there_before_it_is_published(catalog: Catalog) -> None:
    assert catalog.entries("model", "digits") == []
    assert catalog.head("model", "digits") is None
    with pytest.raises(NotFound, match="there is no model 'digits'"):
        catalog.find("model", "digits")


@pytest.mark.parametrize("expected", [None, 1, 3])
def test_a_head_that_moved_is_a_conflict_and_changes_nothing(catalog: Catalog, expected: int | None) -> None:
    publish(catalog, 2)
    with pytest.raises(Conflict, match="digits, branch main, is at version 2 and you started from"):
        catalog.publish(entry(3), expected=expected)
    assert len(catalog.entries("model", "digits")) == 2


@pytest.mark.parametrize("number", [1, 2, 4, 2**63 - 1])
def test_numbers_have_no_gap_and_no_twin(catalog: Catalog, number: int) -> None:
    publish(catalog, 2)
    with pytest.raises(Conflict, match=f"the next version of digits is 3, not {number}"):
        catalog.publish(replace(entry(1), number=number), expected=2)
    assert [e.number for e in catalog.entries("model", "digits")] == [1, 2]


def test_a_first_version_is_expected_to_be_the_first(catalog: Catalog) -> None:
    with pytest.raises(Conflict, match="no version yet and you started from version 1"):
        catalog.publish(entry(2), expected=1)


def test_a_manifest_that_is_not_stored_has_no_name(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="is not stored; put it first"):
        catalog.publish(replace(entry(1), digest=Digest("9" * 64)), expected=None)
    with pytest.raises(NotFound, match="digits@7 as its parent, which is not there"):
        catalog.publish(replace(entry(1), parent=7), expected=None)
    assert catalog.names("model") == []
    assert catalog.head("model", "digits") is None


def test_branches_share_numbers_and_have_heads_of_their_own(catalog: Catalog) -> None:
    publish(catalog, 2)
    catalog.publish(entry(3, branch="dev", parent=1), expected=None)
    catalog.publish(entry(4, parent=2), expected=2)
    catalog.publish(entry(5, branch="dev", parent=3), expected=3)
    assert catalog.find("model", "digits").number == 4
    assert catalog.find("model", "digits", branch="dev").number == 5
    with pytest.raises(NotFound, match=r"no branch 'deb'\. Did you mean 'dev'\?"):
        catalog.find("model", "digits", branch="deb")


def test_sorts_do_not_meet(catalog: Catalog) -> None:
    publish(catalog, 1)
    catalog.publish(replace(entry(1), sort="dataset", message="data"), expected=None)
    assert catalog.find("dataset", "digits").message == "data"
    assert catalog.find("model", "digits").message == "a message"


def test_a_version_is_found_by_number_alias_and_prefix(catalog: Catalog) -> None:
    publish(catalog, 20)
    catalog.set_alias("model", "digits", "champion", 7)
    for reference, number in (("3", 3), ("03", 3), ("champion", 7), (manifest(16), 16), (manifest(16)[:20], 16)):
        assert catalog.find("model", "digits", reference).number == number


def test_a_prefix_of_several_manifests_is_an_error_that_lists_them(catalog: Catalog) -> None:
    publish(catalog, 3)
    with pytest.raises(InvalidName, match=r"'0000000' may mean digits@1 \(0000000100"):
        catalog.find("model", "digits", "0000000")
    assert catalog.find("model", "digits", "00000002").number == 2


def test_versions_of_one_manifest_are_not_ambiguous(catalog: Catalog) -> None:
    publish(catalog, 2)
    catalog.publish(replace(entry(3, parent=2), digest=manifest(1)), expected=2)
    assert catalog.find("model", "digits", manifest(1)[:12]).number == 3


@pytest.mark.parametrize(
    "reference", ["4", "0", "99999999999999999999", "00004", "abcdef", "%", "____", "champ%", "a/b", "x" * 10_000, "²"]
)
def test_what_is_not_there_is_not_found(catalog: Catalog, reference: str) -> None:
    publish(catalog, 3)
    catalog.set_alias("model", "digits", "champion", 1)
    with pytest.raises(NotFound, match=r"digits' has no version .*; its newest is 3"):
        catalog.find("model", "digits", reference)


def test_the_nearest_name_is_offered(catalog: Catalog) -> None:
    publish(catalog, 1)
    catalog.set_alias("model", "digits", "champion", 1)
    with pytest.raises(NotFound, match=r"there is no model 'digit'\. Did you mean 'digits'\?"):
        catalog.find("model", "digit")
    with pytest.raises(NotFound, match=r"Did you mean 'champion'\?"):
        catalog.find("model", "digits", "champoin")


def test_aliases_move_and_go(catalog: Catalog) -> None:
    publish(catalog, 3)
    catalog.set_alias("model", "digits", "champion", 1)
    catalog.set_alias("model", "digits", "champion", 2)
    catalog.set_alias("model", "digits", "best", 3, expected=None)
    assert catalog.aliases("model", "digits") == {"best": 3, "champion": 2}
    catalog.drop_alias("model", "digits", "best", expected=3)
    assert catalog.aliases("model", "digits") == {"champion": 2}


def test_an_alias_that_moved_is_a_conflict(catalog: Catalog) -> None:
    publish(catalog, 2)
    catalog.set_alias("model", "digits", "champion", 1)
    for expected in (None, 2):
        with pytest.raises(Conflict, match="digits@champion means version 1, you expected"):
            catalog.set_alias("model", "digits", "champion", 2, expected=expected)
        with pytest.raises(Conflict):
            catalog.drop_alias("model", "digits", "champion", expected=expected)
    assert catalog.aliases("model", "digits") == {"champion": 1}


def test_an_alias_means_a_version_that_is_there(catalog: Catalog) -> None:
    publish(catalog, 2)
    for number in (3, 0, -1, 2**64, True):
        with pytest.raises(NotFound):
            catalog.set_alias("model", "digits", "champion", number)
    with pytest.raises(NotFound, match="has no alias 'champion'"):
        catalog.drop_alias("model", "digits", "champion")


@pytest.mark.parametrize("bad", PATH_LIKE)
def test_a_name_like_a_path_is_refused_everywhere(catalog: Catalog, bad: str) -> None:
    publish(catalog, 1)
    for wrong in (
        lambda: catalog.entries("model", bad),
        lambda: catalog.head("model", bad),
        lambda: catalog.head("model", "digits", bad),
        lambda: catalog.find("model", bad),
        lambda: catalog.find("model", "digits", branch=bad),
        lambda: catalog.find(bad, "digits"),
        lambda: catalog.names(bad),
        lambda: catalog.aliases("model", bad),
        lambda: catalog.set_alias("model", "digits", bad, 1),
        lambda: catalog.set_alias("model", bad, "champion", 1),
        lambda: catalog.drop_alias("model", "digits", bad),
        lambda: catalog.publish(entry(2, name=bad), expected=None),
        lambda: catalog.publish(entry(2, branch=bad), expected=None),
        lambda: catalog.publish(replace(entry(2), digest=Digest(bad)), expected=None),
        lambda: catalog.publish(replace(entry(2), sort=bad), expected=None),
        lambda: catalog.packs.add([Written(Digest(bad), ())]),
        lambda: catalog.runs.find(RunFilter(bad)),
    ):
        with pytest.raises(InvalidName) as caught:
            wrong()
        assert len(str(caught.value)) < 400


def test_an_entry_must_be_what_it_says(catalog: Catalog) -> None:
    for wrong in (
        replace(entry(1), number=0),
        replace(entry(1), number=2**63),
        replace(entry(1), parent=0),
        replace(entry(1), created="yesterday"),
        replace(entry(1), message="x" * 100_001),
        replace(entry(1), actor="a\0"),
    ):
        with pytest.raises(InvalidName):
            catalog.publish(wrong, expected=None)


def test_messages_of_any_language_come_back(catalog: Catalog) -> None:
    catalog.publish(replace(entry(1), message="größer, 更大 'quoted' \"%s\" 🎉\n", actor="Ünal"), expected=None)
    assert catalog.find("model", "digits").message == "größer, 更大 'quoted' \"%s\" 🎉\n"


def test_objects_are_located(catalog: Catalog) -> None:
    assert catalog.packs.locate(manifest(3)) == Location(Digest("f" * 64), 192, 5, 5)
    assert catalog.packs.locate(Digest("0" * 64)) is None
    many = [manifest(number) for number in range(1, 1200)]
    assert catalog.packs.present(many).keys() == set(many[:39])
    assert catalog.packs.present([]) == {}


def test_a_pack_may_be_added_twice_and_an_object_lie_in_two(catalog: Catalog) -> None:
    """Two writers at the same moment put the same object, in packs of their own or in one."""
    add(catalog, "f", {manifest(1): 64})
    add(catalog, "e", {manifest(1): 640, manifest(99): 704})
    for number, position in ((1, 640), (99, 704)):
        assert catalog.packs.locate(manifest(number)) == Location(Digest("e" * 64), position, 5, 5)


def test_a_version_names_only_what_is_there(catalog: Catalog) -> None:
    absent = Digest("9" * 64)
    with pytest.raises(NotFound, match=f"digits@1 names the object {absent}, which is not stored"):
        catalog.publish(entry(1), expected=None, names={manifest(1), absent})
    assert catalog.names("model") == []
    place = Location(Digest("d" * 64), 64, 5, 5)
    packs = [Written(Digest("d" * 64), ((absent, place),))]
    catalog.publish(entry(1), expected=None, packs=packs, names={manifest(1), absent})
    assert catalog.packs.locate(absent) == place


def test_a_conflict_registers_no_pack_and_keeps_the_lease(catalog: Catalog) -> None:
    lease = catalog.packs.take_lease()
    packs = [Written(Digest("d" * 64), ((Digest("9" * 64), Location(Digest("d" * 64), 64, 5, 5)),))]
    with pytest.raises(Moved):
        catalog.publish(entry(2), expected=None, packs=packs, lease=lease)
    assert catalog.packs.locate(Digest("9" * 64)) is None
    catalog.publish(entry(1), expected=None, packs=packs, lease=lease)
    with pytest.raises(Conflict, match="its lease ended"):
        catalog.publish(entry(2, parent=1), expected=1, lease=lease)


def test_leases_are_never_given_twice(catalog: Catalog) -> None:
    """A collector tells by the number which writers began before it."""
    found = []
    for _ in range(5):
        found.append(catalog.packs.take_lease())
        catalog.packs.end_lease(found[-1])
    assert found == sorted(set(found))


def test_a_newer_schema_is_refused_with_the_cure(tmp_path: Path, catalog: Catalog) -> None:
    catalog.close()
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
        connection.commit()
    with pytest.raises(Unsupported, match="has schema 99 and this Layerwise reads up to 3; install a newer Layerwise"):
        catalog.names("model")


@pytest.mark.parametrize("length", [10_000, 100])
def test_a_catalog_that_is_no_database_is_damaged(tmp_path: Path, length: int) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"not a database " * length)
    with pytest.raises(Damaged, match="put it back from a copy"):
        Catalog(Ledger(tmp_path / "catalog.sqlite")).names("model")


def test_a_malformed_page_is_damaged(tmp_path: Path, catalog: Catalog) -> None:
    publish(catalog, 39)
    catalog.close()
    data = bytearray((tmp_path / "catalog.sqlite").read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    (tmp_path / "catalog.sqlite").write_bytes(data)
    with pytest.raises(Damaged, match="is damaged"):
        catalog.names("model")


def test_sqlite_is_set_up_for_keeping(catalog: Catalog) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    wanted |= {"trusted_schema": 0, "cell_size_check": 1}
    with catalog._ledger._database.reading() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}
    assert found == wanted


def test_a_reader_sees_one_moment(catalog: Catalog) -> None:
    """Readers never see half a version: what is published meanwhile is not there until they look again."""
    publish(catalog, 1)
    count = sa.text("SELECT count(*) FROM entry")
    with catalog._ledger._database.reading() as connection:
        assert connection.scalar(count) == 1
        thread = threading.Thread(target=lambda: catalog.publish(entry(2, parent=1), expected=1))
        thread.start()
        thread.join()
        assert connection.scalar(count) == 1
    assert catalog.find("model", "digits").number == 2


def test_a_writer_waits_for_the_writer_before(catalog: Catalog) -> None:
    """A transaction that wants to write says so at once: one that finds out later would have to fail."""
    done = threading.Event()

    def work() -> None:
        publish(catalog, 1)
        done.set()

    thread = threading.Thread(target=work)
    with catalog._ledger._database.writing():
        thread.start()
        assert not done.wait(0.2)
    thread.join()
    assert done.is_set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_use_its_parents_connections(catalog: Catalog) -> None:
    publish(catalog, 1)
    engine = catalog._ledger._database._engine
    child = os.fork()
    if child == 0:
        found = catalog.find("model", "digits").number
        os._exit(0 if found == 1 and catalog._ledger._database._engine is not engine else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert catalog.find("model", "digits").number == 1


def test_threads_publish_without_gap_or_loss(catalog: Catalog) -> None:
    done: list[int] = []

    def work() -> None:
        while len(done) < 30:
            head = catalog.head("model", "digits")
            before = head.number if head else None
            try:
                catalog.publish(entry((before or 0) + 1, parent=before), expected=before)
            except (Conflict, NotFound):
                continue
            done.append((before or 0) + 1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [e.number for e in catalog.entries("model", "digits")]
    assert numbers == sorted(done) == list(range(1, len(done) + 1))


def test_a_closed_catalog_opens_again(catalog: Catalog) -> None:
    publish(catalog, 1)
    catalog.close()
    catalog.close()
    assert catalog.names("model") == ["digits"]


def test_a_catalog_is_not_made_before_it_is_used(tmp_path: Path) -> None:
    lazy = Catalog(Ledger(tmp_path / "later.sqlite"))
    assert not (tmp_path / "later.sqlite").exists()
    assert lazy.names("model") == []
    lazy.close()
