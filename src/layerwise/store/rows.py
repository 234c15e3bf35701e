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

MAX_TEXT = 100_000
"""Longest message, and longest name of an actor, in characters."""

_RUN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}\Z")
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
class Location:
    """Where an object lies: ``stored`` bytes from ``position`` of a pack's file.

    ``length`` is that of the object itself. ``coding`` says how it is coded there; None: it lies as it is.
    """

    pack: Digest
    position: int
    length: int
    stored: int
    coding: str | None = None


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
