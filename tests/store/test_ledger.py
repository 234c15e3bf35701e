"""Ledgers that share a log of changes: every copy comes to the same catalog, and no change is lost or made twice."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.canonical import decode, encode
from layerwise.errors import Conflict, InvalidFile, LayerwiseError, Moved, NotFound, Unreachable
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.catalog import Catalog, Entry, Ledger, Location, Written
from layerwise.store.catalog.ledger import ATTEMPTS
from layerwise.store.rows import RunRow
from layerwise.words import Digest
from tests.support.counts import report

MADE = "2026-01-31T09:30:00+00:00"
PACK = Digest("f" * 64)


class Log:
    """A log of changes in memory: each number is taken once."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.guard = threading.Lock()

    def append(self, number: int, record: bytes) -> bool:
        with self.guard:
            if number != len(self.records) + 1:
                assert number <= len(self.records), "a number after a gap"
                return False
            self.records.append(record)
            return True

    def read(self, number: int) -> bytes | None:
        with self.guard:
            return self.records[number - 1] if number <= len(self.records) else None


class Interrupted(Log):
    """A log beside whose appends something happens: ``before`` one, or ``after`` it."""

    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None

    def append(self, number: int, record: bytes) -> bool:
        act, self.before = self.before, None
        if act is not None:
            act()
        won = super().append(number, record)
        act, self.after = self.after, None
        if act is not None:
            act()
        return won


def manifest(number: int) -> Digest:
    return Digest(f"{number:08x}" * 8)


def catalog_at(path: Path, log: Log) -> Catalog:
    return Catalog(Ledger(path, order=log))


def fill(catalog: Catalog) -> None:
    objects = tuple((manifest(number), Location(PACK, 64 * number, 5, 5)) for number in range(1, 100))
    catalog.packs.add([Written(PACK, objects)])


def publish(catalog: Catalog, name: str = "digits") -> int:
    """Publish the next version, and begin again as often as somebody else was first."""
    while True:
        head = catalog.head("model", name)
        before = head.number if head else None
        number = (before or 0) + 1
        entry = Entry("model", name, number, manifest(number), "main", before, MADE, "maria", "")
        try:
            catalog.publish(entry, expected=before)
        except Moved:
            continue
        return number


def void(_: object) -> None:
    """Forget what something gave."""


def contents(catalog: Catalog) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, and the numbers that are drawn next."""
    with catalog._ledger.reading() as connection:
        found = {
            name: sorted(map(tuple, connection.execute(sa.select(table)).all()), key=repr)
            for name, table in sql.tables.tables.items()
        }
        found["next"] = sorted(map(tuple, connection.exec_driver_sql("SELECT * FROM sqlite_sequence").all()))
    return found


@pytest.fixture
def log() -> Interrupted:
    return Interrupted()


@pytest.fixture
def two(tmp_path: Path, log: Interrupted) -> Iterator[tuple[Catalog, Catalog]]:
    one, other = (catalog_at(tmp_path / f"{name}.sqlite", log) for name in ("one", "other"))
    fill(one)
    yield one, other
    one.close()
    other.close()


def test_what_one_machine_changed_the_other_sees(two: tuple[Catalog, Catalog]) -> None:
    one, other = two
    assert publish(one) == 1
    assert publish(other) == 2
    one.set_alias("model", "digits", "best", 2)
    assert other.find("model", "digits", "best").number == 2
    assert contents(one) == contents(other)


def test_metrics_that_are_no_numbers_are_the_same_everywhere(two: tuple[Catalog, Catalog]) -> None:
    one, other = two
    one.runs.start(RunRow("r", "digits", "running", None, MADE, None, "maria", {}))
    one.runs.log("r", {1: {"a": math.inf, "b": -math.inf, "c": math.nan, "d": 0.1}})
    values = {key: value for _, key, value in other.runs.metrics("r")}
    assert (values["a"], values["b"], values["d"]) == (math.inf, -math.inf, 0.1)
    assert math.isnan(values["c"])
    assert contents(one) == contents(other)


def test_of_racing_writers_none_is_lost(two: tuple[Catalog, Catalog], log: Log) -> None:
    each, done = 12, list[int]()
    failed: list[BaseException] = []

    def work(catalog: Catalog, who: str) -> None:
        try:
            for step in range(each):
                done.append(publish(catalog))
                catalog.set_alias("model", "digits", f"{who}-{step}", 1)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=it) for it in zip(two, ("one", "other"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert failed == []
    assert sorted(done) == [entry.number for entry in two[0].entries("model", "digits")] == list(range(1, 2 * each + 1))
    assert len(two[1].aliases("model", "digits")) == 2 * each
    assert contents(two[0]) == contents(two[1])
    assert len(log.records) == 1 + 4 * each


def test_a_change_that_another_was_faster_than_is_looked_at_anew(
    two: tuple[Catalog, Catalog], log: Interrupted
) -> None:
    one, other = two
    publish(one)
    log.before = lambda: other.set_alias("model", "digits", "best", 1)
    one.set_alias("model", "digits", "worst", 1)
    assert one.aliases("model", "digits") == other.aliases("model", "digits") == {"best": 1, "worst": 1}
    # The same race for one name: whoever is second is told, and nothing is written of it.
    log.before = lambda: void(publish(other))
    with pytest.raises(Moved):
        one.publish(Entry("model", "digits", 2, manifest(50), "main", 1, MADE, "maria", ""), expected=1)
    assert [entry.digest for entry in one.entries("model", "digits")] == [manifest(1), manifest(2)]
    assert contents(one) == contents(other)


def test_a_change_that_is_refused_is_not_in_the_log(two: tuple[Catalog, Catalog], log: Log) -> None:
    one, other = two
    publish(one)
    count = len(log.records)
    absent = Digest("9" * 64)
    entry = Entry("model", "digits", 2, absent, "main", 1, MADE, "maria", "")
    good = Entry("model", "digits", 2, manifest(2), "main", 1, MADE, "maria", "")
    refused: list[tuple[type[Exception], Callable[[], None]]] = [
        (NotFound, lambda: one.publish(entry, expected=1)),
        (Moved, lambda: one.publish(good, expected=None)),
        (NotFound, lambda: other.publish(good, expected=1, names=[absent])),
        (NotFound, lambda: other.drop_alias("model", "digits", "best")),
        (NotFound, lambda: other.set_alias("model", "digits", "best", 9)),
        (Conflict, lambda: one.packs.add([], lease=77)),
    ]
    for error, act in refused:
        with pytest.raises(error):
            act()
    assert len(log.records) == count
    assert contents(one) == contents(other)


class Died(BaseException):
    """The process is gone: nothing catches it."""


def die() -> None:
    raise Died


def test_a_change_that_is_in_the_log_is_made_though_its_writer_died(
    two: tuple[Catalog, Catalog], log: Interrupted
) -> None:
    one, other = two
    publish(one)
    log.after = die
    with pytest.raises(Died):
        one.set_alias("model", "digits", "best", 1)
    assert other.aliases("model", "digits") == {"best": 1}
    assert one.aliases("model", "digits") == {"best": 1}
    assert contents(one) == contents(other)
    assert len(log.records) == 3


def test_a_change_whose_answer_was_lost_is_there_or_not_and_the_same_everywhere(
    two: tuple[Catalog, Catalog], log: Interrupted
) -> None:
    def lost() -> None:
        raise Unreachable("no answer; it is not known whether anything was written")

    one, other = two
    publish(one)
    for when in ("before", "after"):
        setattr(log, when, lost)
        with pytest.raises(Unreachable):
            one.set_alias("model", "digits", when, 1)
    assert one.aliases("model", "digits") == other.aliases("model", "digits") == {"after": 1}
    assert contents(one) == contents(other)


def test_a_copy_that_is_lost_is_made_again_from_the_log(two: tuple[Catalog, Catalog], tmp_path: Path, log: Log) -> None:
    one, _ = two
    for _ in range(5):
        publish(one)
    lease = one.packs.take_lease()
    one.packs.end_lease(lease)
    again = catalog_at(tmp_path / "again.sqlite", log)
    assert contents(again) == contents(one)
    assert again.packs.take_lease() > lease
    assert contents(again) == contents(one)
    again.close()


@pytest.mark.parametrize(
    "record", [{"do": "forget_all", "args": {}}, {"do": "publish", "args": []}, {"do": 7, "args": {}}]
)
def test_a_change_that_is_not_known_is_refused_and_nothing_after_it_is_made(
    two: tuple[Catalog, Catalog], log: Log, record: dict[str, Any]
) -> None:
    one, other = two
    publish(one)
    before = contents(one)
    log.records.append(encode(record))
    log.records.append(encode({"do": "set_alias", "args": {"sort": "model", "name": "digits", "alias": "a",
                                                             "number": 1}}))  # fmt: skip
    for _ in range(2):
        for catalog in (one, other):
            with pytest.raises(InvalidFile, match="is not a change of a catalog; a newer Layerwise"):
                catalog.names("model")
            with pytest.raises(InvalidFile):
                publish(catalog)
    del log.records[-2:]
    assert contents(one) == contents(other) == before


def test_a_writer_that_is_always_late_gives_up(two: tuple[Catalog, Catalog], log: Interrupted) -> None:
    one, _ = two
    publish(one)
    tried = 0

    class Late(Log):
        """A log in which others are faster each time."""

        def append(self, number: int, record: bytes) -> bool:
            nonlocal tried
            tried += 1
            return False

    late = Late()
    late.records = log.records
    one._ledger._order = late
    with pytest.raises(Conflict, match=f"at each of {ATTEMPTS} attempts"):
        one.set_alias("model", "digits", "best", 1)
    assert tried == ATTEMPTS


def end(catalog: Catalog, value: int) -> None:
    leases = sorted(catalog.collector.writers())
    catalog.packs.end_lease(leases[value % len(leases)] if leases else 1)


def add_pack(catalog: Catalog, value: int) -> None:
    place = Location(PACK, 64, value, value)
    catalog.packs.add([Written(Digest(f"{value:064x}"), ((manifest(200 + value), place),))])


def start_run(catalog: Catalog, value: int) -> None:
    catalog.runs.start(RunRow(f"r{value}", "m0", "running", None, MADE, None, "maria", {}))


OPERATIONS: Mapping[str, Callable[[Catalog, int], object]] = {
    "publish": lambda catalog, value: publish(catalog, f"m{value % 2}"),
    "alias": lambda catalog, value: catalog.set_alias("model", "m0", f"a{value % 3}", 1 + value % 4),
    "drop": lambda catalog, value: catalog.drop_alias("model", "m0", f"a{value % 3}"),
    "lease": lambda catalog, value: catalog.packs.take_lease(),
    "end": end,
    "run": start_run,
    "metric": lambda catalog, value: catalog.runs.log(f"r{value}", {value: {"loss": value / 7}}),
    "finish": lambda catalog, value: catalog.runs.finish(f"r{value}", "done", None),
    "pack": add_pack,
    "look": lambda catalog, value: catalog.names("model"),
}


def act(catalog: Catalog, what: str, value: int) -> None:
    """Do one thing; what speaks against it is no fault."""
    with suppress(Conflict, NotFound):
        OPERATIONS[what](catalog, value)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(sorted(OPERATIONS)), st.integers(0, 5)), max_size=14))
def test_whatever_two_machines_do_they_come_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str, int]]
) -> None:
    folder, log = tmp_path_factory.mktemp("two"), Log()
    both = [catalog_at(folder / f"{name}.sqlite", log) for name in ("one", "other")]
    fill(both[0])
    for which, what, value in steps:
        act(both[which], what, value)
    third = catalog_at(folder / "third.sqlite", log)
    assert contents(both[0]) == contents(both[1]) == contents(third)
    assert all("id" in decode(record, "a record") for record in log.records)
    for catalog in (*both, third):
        catalog.close()


def test_lost_answers_at_random_leave_two_machines_alike(tmp_path: Path) -> None:
    """Each append may be cut off before or after it took place: nobody may end up with a catalog of his own."""
    seed, tried = 20260131, 120
    random, log = Random(seed), Interrupted()
    both = [catalog_at(tmp_path / f"{name}.sqlite", log) for name in ("one", "other")]
    fill(both[0])

    def cut() -> None:
        raise Died if random.random() < 0.5 else Unreachable("cut off")

    bad = 0
    for step in range(tried):
        fate = random.choice(("before", "after", ""))
        if fate:
            setattr(log, fate, cut)
        with suppress(Died, LayerwiseError):
            act(random.choice(both), random.choice(("publish", "alias", "lease", "run", "metric")), step % 6)
        log.before = log.after = None
        if step % 10 == 9:
            bad += contents(both[0]) != contents(both[1])
    report("changes cut off after which two machines differed", tried, bad, seed=seed)
    assert bad == 0
    for catalog in both:
        catalog.close()
