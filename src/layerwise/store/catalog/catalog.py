"""The catalog: which names mean which manifests, where objects lie, what ran and how it went.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     catalog = Catalog(Ledger(f"{folder}/catalog.sqlite"))
...     place = Location(Digest("f" * 64), 128, 5, 5)
...     catalog.packs.add([Written(Digest("f" * 64), ((Digest("a" * 64), place),))])
...     made = "2026-01-31T09:30:00+00:00"
...     entry = Entry("model", "digits", 1, Digest("a" * 64), "main", None, made, "maria", "first")
...     catalog.publish(entry, expected=None)
...     catalog.set_alias("model", "digits", "champion", 1)
...     found = catalog.find("model", "digits", "champion")
...     catalog.close()
>>> found.number
1
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from types import EllipsisType
from typing import Any

import sqlalchemy as sa

from layerwise.errors import NotFound
from layerwise.store.catalog import queries
from layerwise.store.catalog import tables as sql
from layerwise.store.catalog.changes import hold_lease
from layerwise.store.catalog.checks import Contents, check
from layerwise.store.catalog.collector import Collector
from layerwise.store.catalog.ledger import Guard, Ledger
from layerwise.store.catalog.packs import Packs, Written
from layerwise.store.catalog.recordings import Recordings
from layerwise.store.catalog.runs import Runs
from layerwise.store.rows import Entry, Location, Recording, RunRow, check_entry, check_name, check_sort
from layerwise.words import Digest, parse_name

__all__ = ["Catalog", "Entry", "Ledger", "Location", "RunRow", "Written"]


class Catalog:
    """Names, in SQL; ``packs`` has the places of objects, ``collector`` what becomes of packs, ``runs`` what ran.

    ``recordings`` has the sets of records.

    Safe to use from several threads.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.packs = Packs(ledger)
        self.runs = Runs(ledger)
        self.collector = Collector(ledger)
        self.recordings = Recordings(ledger)

    def close(self) -> None:
        """Close every connection; the next call opens the catalog again."""
        self._ledger.close()

    def check(self) -> Contents:
        """Read all of it and return what it says of versions and places, with what is wrong."""
        return check(self._ledger)

    def names(self, sort: str) -> list[str]:
        """Return the names of all models or all datasets, sorted."""
        with self._ledger.reading() as connection:
            return queries.names(connection, check_sort(sort))

    def entries(self, sort: str, name: str) -> list[Entry]:
        """Return all versions of a name, by number from 1; an empty list where there is none."""
        key = check_name(sort, name)
        with self._ledger.reading() as connection:
            return queries.select(connection, *queries.of(sql.entry, key))

    def every_entry(self) -> list[Entry]:
        """Return all versions of all names, models and datasets, by sort, name and number."""
        with self._ledger.reading() as connection:
            return queries.select(connection)

    def head(self, sort: str, name: str, branch: str = "main") -> Entry | None:
        """Return the newest version of a branch, or None where there is no such name or branch."""
        key = check_name(sort, name)
        with self._ledger.reading() as connection:
            return queries.head(connection, key, parse_name(branch, "a branch"))

    def tip(self, sort: str, name: str, branch: str = "main") -> tuple[int | None, int]:
        """Return the number at a branch's head, None where it is new, and the largest of all branches, 0 if none.

        Both are of one moment: a version that is published on top of them fits, or is refused.
        """
        key = check_name(sort, name)
        with self._ledger.reading() as connection:
            head = queries.head(connection, key, parse_name(branch, "a branch"))
            return (None if head is None else head.number), queries.last_number(connection, key)

    def find(self, sort: str, name: str, reference: str | None = None, branch: str = "main") -> Entry:
        """Return one version.

        Args:
            sort: ``"model"`` or ``"dataset"``.
            name: what it is called.
            reference: a number, an alias, or the first digits of the manifest's digest (at least 6), tried in
                this order; None for the head of ``branch``.
            branch: where to look for the head.

        Raises:
            NotFound: with the nearest name that is there.
            InvalidName: the name breaks the grammar, or the digits stand for several versions.
        """
        key = check_name(sort, name)
        with self._ledger.reading() as connection:
            found = queries.resolve(connection, key, reference, parse_name(branch, "a branch"))
            if found is None:
                raise NotFound(queries.absent(connection, key, reference, branch))
            return found

    def publish(
        self,
        entry: Entry,
        *,
        expected: int | None,
        packs: Sequence[Written] = (),
        names: Collection[Digest] = (),
        lease: int | None = None,
        run: Mapping[str, Any] | None = None,
    ) -> None:
        """Register packs, add a version and move its branch's head to it, in one transaction, or change nothing.

        Args:
            entry: the version; its number is one more than the largest of its name, over all branches.
            expected: the number at the branch's head now; None where the branch is new.
            packs: what was written for it; durable already.
            names: the objects that its manifest names; all must be there.
            lease: the writer's; it ends with this.
            run: the end of the run that made it (``runs.ended``).

        Raises:
            Conflict: the head or the number is another: somebody else published first; or the lease is gone.
            NotFound: the manifest, or an object that it names, is not in the repository; or the parent is not there.
        """
        check_entry(entry)
        guard = _all_there(f"{entry.name}@{entry.number}", packs, names, lease)
        args = {
            "entry": asdict(entry), "expected": expected, "packs": [pack.to_json() for pack in packs],
            "lease": lease, "run": None if run is None else dict(run),
        }  # fmt: skip
        self._ledger.change("publish", args, guard=guard)

    def publish_recording(
        self,
        row: Recording,
        *,
        packs: Sequence[Written] = (),
        names: Collection[Digest] = (),
        lease: int | None = None,
    ) -> None:
        """Register packs and add a set of records, or what was made of one, in one transaction, or change nothing.

        Args:
            row: the set; its number is the catalog's to give.
            packs: what was written for it; durable already.
            names: the objects that it needs; all must be there.
            lease: the writer's; it ends with this.

        Raises:
            Conflict: the lease is gone.
            NotFound: an object that it needs is not in the repository; or it is part of a set that was forgotten.
        """
        guard = _all_there(f"the set of records {row.record}", packs, names, lease)
        said = {name: value for name, value in asdict(row).items() if name != "number"}
        args = {"recording": said, "packs": [pack.to_json() for pack in packs], "lease": lease}
        self._ledger.change("publish_recording", args, guard=guard)

    def aliases(self, sort: str, name: str) -> dict[str, int]:
        """Return the aliases of a name with the numbers that they mean, sorted."""
        key = check_name(sort, name)
        with self._ledger.reading() as connection:
            return queries.aliases(connection, key)

    def set_alias(
        self, sort: str, name: str, alias: str, number: int, *, expected: int | EllipsisType | None = ...
    ) -> None:
        """Make ``alias`` mean version ``number``.

        Args:
            sort: ``"model"`` or ``"dataset"``.
            name: what it is called.
            alias: the alias; its grammar is that of a name.
            number: the version.
            expected: the number it means now, None where it is new; `...` to set it whatever it is.

        Raises:
            Conflict: it does not mean ``expected``.
            NotFound: there is no such version.
        """
        check_name(sort, name)
        wanted = [] if expected is ... else [expected]
        args = {"sort": sort, "name": name, "alias": parse_name(alias, "an alias"), "number": number}
        self._ledger.change("set_alias", {**args, "expected": wanted})

    def drop_alias(self, sort: str, name: str, alias: str, *, expected: int | EllipsisType | None = ...) -> None:
        """Remove an alias; the version stays. Raises NotFound; Conflict where it is not ``expected``."""
        check_name(sort, name)
        wanted = [] if expected is ... else [expected]
        args = {"sort": sort, "name": name, "alias": parse_name(alias, "an alias"), "expected": wanted}
        self._ledger.change("drop_alias", args)


def _all_there(what: str, packs: Sequence[Written], names: Collection[Digest], lease: int | None) -> Guard:
    fresh = {digest for pack in packs for digest, _ in pack.objects}

    def look(connection: sa.Connection) -> None:
        if lease is not None:
            # First: without a lease, what is not there any more is no fault of the manifest's.
            hold_lease(connection, lease)
        wanted = set(names) - fresh
        absent = wanted - queries.locations(connection, wanted, (sql.LIVE, sql.TRASH)).keys()
        if absent:
            raise NotFound(f"{what} names the object {min(absent)}, which is not stored")

    return look
