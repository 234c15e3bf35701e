"""The catalog: which names mean which manifests, where objects lie, what ran and how it went.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     catalog = Catalog(f"{folder}/catalog.sqlite")
...     catalog.add_pack(Digest("f" * 64), [(Digest("a" * 64), 128, 5)])
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

import math
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from types import EllipsisType

import sqlalchemy as sa

from layerwise import canonical
from layerwise.errors import Conflict, InvalidName, NotFound, nearest
from layerwise.store import catalog_queries as queries
from layerwise.store import catalog_sql as sql
from layerwise.store.rows import STATUSES, Entry, RunRow, check_entry, check_name, check_run, check_sort
from layerwise.words import Digest, parse_digest, parse_name, shorten

__all__ = ["Catalog", "Entry", "RunRow"]


class Catalog:
    """Names, places and runs, in SQL. Opened when first used; safe to use from several threads.

    Args:
        where: the path of an SQLite file, or a URL in SQLAlchemy's words.
        lock: a lock over processes, held by whoever writes.
    """

    def __init__(self, where: str | os.PathLike[str] | sa.URL, lock: sql.Lock = nullcontext) -> None:
        url = where if isinstance(where, sa.URL) else sa.URL.create("sqlite", database=os.fspath(where))
        self._database = sql.Database(url, lock)

    def close(self) -> None:
        """Close every connection; the next call opens the catalog again."""
        self._database.close()

    # Versions and their names.

    def names(self, sort: str) -> list[str]:
        """Return the names of all models or all datasets, sorted."""
        with self._database.reading() as connection:
            return queries.names(connection, check_sort(sort))

    def entries(self, sort: str, name: str) -> list[Entry]:
        """Return all versions of a name, by number from 1; an empty list where there is none."""
        key = check_name(sort, name)
        with self._database.reading() as connection:
            return queries.select(connection, *queries.of(sql.entry, key))

    def head(self, sort: str, name: str, branch: str = "main") -> Entry | None:
        """Return the newest version of a branch, or None where there is no such name or branch."""
        key = check_name(sort, name)
        with self._database.reading() as connection:
            return queries.head(connection, key, parse_name(branch, "a branch"))

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
        with self._database.reading() as connection:
            found = queries.resolve(connection, key, reference, parse_name(branch, "a branch"))
            if found is None:
                raise NotFound(queries.absent(connection, key, reference, branch))
            return found

    def publish(self, entry: Entry, *, expected: int | None) -> None:
        """Add a version and move its branch's head to it, in one transaction, or change nothing.

        Args:
            entry: the version; its number is one more than the largest of its name, over all branches.
            expected: the number at the branch's head now; None where the branch is new.

        Raises:
            Conflict: the head or the number is another: somebody else published first.
            NotFound: the manifest was not put into the repository before, or the parent is not there.
        """
        check_entry(entry)
        key = (entry.sort, entry.name)
        with self._database.writing() as connection:
            queries.check_head(connection, entry, expected)
            last = queries.last_number(connection, key)
            if entry.number != last + 1:
                raise Conflict(f"the next version of {entry.name} is {last + 1}, not {entry.number}; look again")
            version = f"{entry.name}@{entry.number}"
            if queries.location(connection, entry.digest) is None:
                raise NotFound(f"the manifest {entry.digest} of {version} is not stored; put it first")
            if entry.parent is not None and queries.entry_at(connection, key, entry.parent) is None:
                raise NotFound(f"{version} names {entry.name}@{entry.parent} as its parent, which is not there")
            connection.execute(sql.entry.insert().values(**asdict(entry)))
            queries.move_head(connection, entry, expected)

    # Aliases.

    def aliases(self, sort: str, name: str) -> dict[str, int]:
        """Return the aliases of a name with the numbers that they mean, sorted."""
        key = check_name(sort, name)
        with self._database.reading() as connection:
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
        key = check_name(sort, name)
        parse_name(alias, "an alias")
        with self._database.writing() as connection:
            if queries.entry_at(connection, key, number) is None:
                raise NotFound(queries.absent(connection, key, str(number), "main"))
            queries.check_alias(connection, key, alias, expected)
            connection.execute(sql.alias.delete().where(*queries.of(sql.alias, key, alias=alias)))
            row = {"sort": sort, "name": name, "alias": alias, "number": number}
            connection.execute(sql.alias.insert().values(**row))

    def drop_alias(self, sort: str, name: str, alias: str, *, expected: int | EllipsisType | None = ...) -> None:
        """Remove an alias; the version stays. Raises NotFound; Conflict where it is not ``expected``."""
        key = check_name(sort, name)
        parse_name(alias, "an alias")
        with self._database.writing() as connection:
            queries.check_alias(connection, key, alias, expected)
            found = queries.aliases(connection, key)
            if alias not in found:
                raise NotFound(f"{name} has no alias {alias!r}.{nearest(alias, found)}")
            connection.execute(sql.alias.delete().where(*queries.of(sql.alias, key, alias=alias)))

    # Runs and their metrics.

    def start_run(self, run: RunRow) -> None:
        """Add a run. Raises Conflict where its id is taken."""
        check_run(run)
        config = canonical.encode(run.config).decode()
        with self._database.writing() as connection:
            if connection.scalar(sa.select(sql.run.c.id).where(sql.run.c.id == run.id)) is not None:
                raise Conflict(f"there is a run {run.id!r} already; give the new one an id of its own")
            connection.execute(sql.run.insert().values(**{**asdict(run), "config": config}))

    def log(self, run: str, step: int, metrics: Mapping[str, float]) -> None:
        """Keep metrics of one step; a key that this step has is replaced. NaN and infinity are kept.

        One transaction, so one fsync: see ``log_steps`` for many.
        """
        self.log_steps(run, {step: metrics})

    def log_steps(self, run: str, steps: Mapping[int, Mapping[str, float]]) -> None:
        """Keep metrics of several steps, by step, in one transaction; a key that a step has is replaced."""
        for step, metrics in steps.items():
            _check_metrics(step, metrics)
        with self._database.writing() as connection:
            queries.check_run_is_there(connection, run)
            for step, metrics in steps.items():
                at = (sql.metric.c.run == run, sql.metric.c.step == step)
                for some in queries.batches(list(metrics)):
                    connection.execute(sql.metric.delete().where(*at, sql.metric.c.key.in_(some)))
            rows = [
                {"run": run, "key": key, "step": step, "value": queries.to_sql(value)}
                for step, metrics in steps.items()
                for key, value in metrics.items()
            ]
            if rows:
                connection.execute(sql.metric.insert(), rows)

    def finish_run(self, run: str, status: str, version: int | None) -> None:
        """Say how a run ended, and which version it made. Raises NotFound where there is no such run."""
        if status not in STATUSES:
            raise InvalidName(f"{shorten(str(status))} is not how a run ends.{nearest(str(status), STATUSES)}")
        with self._database.writing() as connection:
            queries.check_run_is_there(connection, run)
            values = {"status": status, "version": version, "finished": datetime.now(UTC).isoformat()}
            connection.execute(sql.run.update().where(sql.run.c.id == run).values(**values))

    def runs(self, model: str | None = None, limit: int = 100) -> list[RunRow]:
        """Return the newest runs first, of one model or of all."""
        query = sa.select(sql.run).order_by(sql.run.c.created.desc(), sql.run.c.id.desc()).limit(limit)
        if model is not None:
            query = query.where(sql.run.c.model == parse_name(model))
        with self._database.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [
            RunRow(**{**row, "config": canonical.decode(row["config"].encode(), f"run {row['id']}")}) for row in rows
        ]

    def metrics(self, run: str) -> list[tuple[int, str, float]]:
        """Return the metrics of a run as (step, key, value), by step and then key. Raises NotFound."""
        columns = sql.metric.c
        query = sa.select(columns.step, columns.key, columns.value).where(columns.run == run)
        with self._database.reading() as connection:
            queries.check_run_is_there(connection, run)
            rows = connection.execute(query.order_by(columns.step, columns.key)).all()
        return [(step, key, math.nan if value is None else value) for step, key, value in rows]

    # Where objects lie.

    def add_pack(self, pack: Digest, objects: Sequence[tuple[Digest, int, int]]) -> None:
        """Remember that ``pack`` holds ``objects`` (digest, position, length); it is durable already."""
        parse_digest(pack)
        rows = [{"digest": d, "pack": pack, "position": position, "length": size} for d, position, size in objects]
        with self._database.writing() as connection:
            # Equal name, equal bytes: a pack that is known needs nothing.
            if rows and connection.scalar(sa.select(sql.pack).where(sql.pack.c.digest == pack)) is None:
                connection.execute(sql.pack.insert().values(digest=pack))
                connection.execute(sql.object_.insert(), rows)

    def locate(self, digest: Digest) -> tuple[Digest, int, int] | None:
        """Return where an object lies (pack, position, length), or None."""
        with self._database.reading() as connection:
            return queries.location(connection, digest)

    def locate_many(self, digests: Collection[Digest]) -> set[Digest]:
        """Return those of ``digests`` that are in the repository."""
        column = sql.object_.c.digest
        found: set[Digest] = set()
        with self._database.reading() as connection:
            for some in queries.batches(list(digests)):
                found.update(connection.scalars(sa.select(column).where(column.in_(some))))
        return found


def _check_metrics(step: int, metrics: Mapping[str, float]) -> None:
    keys = [key for key in metrics if isinstance(key, str) and 0 < len(key) <= 500]
    if len(keys) != len(metrics) or not queries.is_number(step):
        raise InvalidName(
            f"a metric has a key of 1 to 500 characters and a step from 0; "
            f"found step {step!r} and {shorten(str(list(metrics)))}"
        )
