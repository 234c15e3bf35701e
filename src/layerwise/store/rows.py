"""What the catalog keeps, as plain data, and the checks that let it in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from layerwise.errors import InvalidName, nearest
from layerwise.words import Digest, parse_digest, parse_name, shorten

SORTS = ("model", "dataset")
"""What can have versions."""

STATUSES = ("running", "done", "stopped", "failed")
"""How a run stands."""

MAX_PAGE = 100_000
"""Most rows that are asked for at once."""

MAX_TEXT = 100_000
"""Longest message, and longest name of an actor, in characters."""

MAX_PART = 2_000
"""Longest name of a part of a set of records, in characters."""

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}\Z")
_DAY = re.compile(r"\d{4}-\d\d-\d\d(T[0-9:.]{5,15}(Z|[+-]\d\d:\d\d)?)?\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]{5,15}(Z|[+-]\d\d:\d\d)\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One version: ``digits@3`` is the entry with sort ``"model"``, name ``"digits"``, number 3.

    ``digest`` is its manifest's; ``parent`` the number it was made from; ``created`` ISO 8601 in UTC.
    """

    sort: str
    name: str
    number: int
    digest: Digest
    branch: str
    parent: int | None
    created: str
    actor: str
    message: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One training: its settings, how it stands, and the version that it made. Times are ISO 8601 in UTC."""

    id: str
    model: str
    status: str
    version: int | None
    created: str
    finished: str | None
    actor: str
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are wanted, and which page of them.

    Attributes:
        model: of this model; of all where None.
        status: one of ``STATUSES``; any where None.
        actor: by whom; by anybody where None.
        since, until: ISO 8601, compared with when the run began: from ``since`` on, before ``until``.
        oldest_first: the order; the newest come first otherwise.
        limit, offset: how many, after how many.
    """

    model: str | None = None
    status: str | None = None
    actor: str | None = None
    since: str | None = None
    until: str | None = None
    oldest_first: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some of the runs that a filter finds, and how many it finds in all."""

    runs: tuple[RunRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class MetricKey:
    """A metric of a run: how many steps it has, the last of them, and its value there."""

    key: str
    steps: int
    last: int
    value: float


@dataclass(frozen=True, slots=True)
class Location:
    """Where an object lies: ``stored`` bytes from ``position`` of a pack's file.

    ``length`` is that of the object itself. ``coding`` says how it is coded there; None: it lies as it is.
    """

    pack: Digest
    position: int
    length: int
    stored: int
    coding: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A set of records, or what was made of one of them to be found faster.

    Attributes:
        record: the object of the set.
        part: which of what was made of it; empty: the set itself.
        digest: the object of the part; of the set itself, ``record``.
        version: the digest of the manifest of the version whose records these are.
        bytes: what it names takes, whatever it shares with others.
        created: when; ISO 8601 in UTC.
        expires: from when on it is as if it were not there; None: never.
        number: in which order they were made; 0 where it has none yet.
    """

    record: Digest
    part: str
    digest: Digest
    version: Digest
    bytes: int
    created: str
    expires: str | None
    number: int = 0


def check_recording(row: Recording) -> None:
    """Raise InvalidName for a set of records that the catalog cannot hold."""
    for digest in (row.record, row.digest, row.version):
        parse_digest(digest)
    if not isinstance(row.part, str) or len(row.part) > MAX_PART or "\0" in row.part:
        raise InvalidName(f"{shorten(str(row.part))} is no part of a set of records: at most {MAX_PART} characters")
    if not isinstance(row.bytes, int) or not 0 <= row.bytes < 2**63:
        raise InvalidName(f"a set of records has {shorten(row.bytes)} bytes; expected a whole number from 0")
    for time in (row.created, row.expires):
        if time is not None:
            _check_time(time)


def check_sort(sort: object) -> str:
    """Return ``sort`` if it is one, or raise InvalidName."""
    if sort not in SORTS:
        raise InvalidName(f"{shorten(str(sort))} is not a sort of thing that has versions.{nearest(str(sort), SORTS)}")
    return str(sort)


def check_name(sort: object, name: object) -> tuple[str, str]:
    """Return sort and name, each held to its grammar."""
    return check_sort(sort), parse_name(name, f"the name of a {check_sort(sort)}")


def check_entry(entry: Entry) -> None:
    """Raise InvalidName for an entry that the catalog cannot hold."""
    check_name(entry.sort, entry.name)
    parse_name(entry.branch, "a branch")
    parse_digest(entry.digest)
    for what, number in (("number", entry.number), ("parent", entry.parent)):
        if number is not None and (not isinstance(number, int) or not 1 <= number < 2**63):
            raise InvalidName(f"the {what} of a version counts from 1, found {number!r:.60} for {entry.name}")
    _check_time(entry.created)
    check_text(entry.actor, "an actor")
    check_text(entry.message, "a message")


def check_run(run: RunRow) -> None:
    """Raise InvalidName for a run that the catalog cannot hold."""
    if not isinstance(run.id, str) or not _RUN_ID.match(run.id):
        raise InvalidName(
            f"{shorten(str(run.id))} is not a run's id: expected a-z, 0-9, '_', '-', at most 100 characters"
        )
    parse_name(run.model, "the name of a model")
    if run.status not in STATUSES:
        raise InvalidName(f"{shorten(str(run.status))} is not how a run stands.{nearest(str(run.status), STATUSES)}")
    _check_time(run.created)
    check_text(run.actor, "an actor")


def check_filter(wanted: RunFilter) -> None:
    """Raise InvalidName for a filter that cannot find anything."""
    if wanted.model is not None:
        parse_name(wanted.model, "the name of a model")
    if wanted.status is not None and wanted.status not in STATUSES:
        raise InvalidName(f"{shorten(wanted.status)} is not how a run stands.{nearest(wanted.status, STATUSES)}")
    for text in (wanted.since, wanted.until):
        if text is not None and not _DAY.match(text):
            raise InvalidName(f"{shorten(text)} is not a time: expected 2026-01-31 or 2026-01-31T09:30:00")
    if wanted.actor is not None:
        check_text(wanted.actor, "an actor")
    if not 0 < wanted.limit <= MAX_PAGE or not 0 <= wanted.offset < 2**63:
        raise InvalidName(f"a page has 1 to {MAX_PAGE:,} runs, from 0 on; found {wanted.limit} from {wanted.offset}")


def _check_time(text: object) -> None:
    if not isinstance(text, str) or not _TIME.match(text):
        raise InvalidName(
            f"{shorten(str(text))} is not a time: expected ISO 8601 with its zone, 2026-01-31T09:30:00+00:00"
        )


def check_text(text: object, what: str) -> None:
    """Raise InvalidName for a text that is too long for the catalog, or that no database holds."""
    if not isinstance(text, str) or len(text) > MAX_TEXT or "\0" in text:
        raise InvalidName(
            f"{shorten(str(text))} is not {what}: expected at most {MAX_TEXT:,} characters, none of them NUL"
        )
