"""``layerwise records``: what is kept of what left the layers, and forgetting it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli import amounts, screen
from layerwise.cli.options import AsJson, open_repository
from layerwise.errors import InvalidConfig
from layerwise.words import Digest, parse_version

if TYPE_CHECKING:
    from layerwise.records.forgetting import Forgotten
    from layerwise.records.recordset import RecordSet
    from layerwise.repo import Repository
    from layerwise.store.rows import Entry

Of = Annotated[
    str | None, typer.Argument(metavar="[NAME[@REF]]", help="Of this version alone; of all versions if not given.")
]
Forget = Annotated[bool, typer.Option("--forget", metavar="", help="Forget them: what is asked for is computed then.")]
Older = Annotated[str | None, typer.Option("--older", metavar="AGE", help="Forget those kept longer ago: 30d, 12h.")]
Over = Annotated[
    str | None, typer.Option("--over", metavar="SIZE", help="Forget the oldest until the rest takes at most this: 2GB.")
]


@dataclass(frozen=True)
class Kept:
    """A set of records of a version: what it is called, whose it is, and what is in it."""

    digest: Digest
    version: str
    data: str
    inside: RecordSet

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        about, inside = self.inside.about, self.inside
        return {
            "version": self.version, "digest": self.digest, "data": self.data or None, "rows": inside.rows,
            "layers": sorted({track.layer for track in inside.tracks}), "bytes": inside.bytes, "made": about.made,
            "run": about.run or None, "created": inside.created, "expires": inside.expires,
            "notes": list(inside.notes),
        }  # fmt: skip


def records(
    context: typer.Context,
    version: Of = None,
    forget: Forget = False,
    older: Older = None,
    over: Over = None,
    as_json: AsJson = False,
) -> None:
    """Say what is kept of what left the layers; with --forget, forget it.

    Nothing is lost with it: what was kept can be computed again, to the bit. --older and --over say what to forget;
    without them it is all. The bytes are freed by the next layerwise gc.
    """
    if (older or over) and not forget:
        raise InvalidConfig("--older and --over say what is forgotten; add --forget")
    before = _before(older)
    most = None if over is None else amounts.size(over, "--over")
    with open_repository(context) as repo:
        entries = _all(repo) if version is None else [repo.find(parse_version(version))]
        if forget:
            gone = repo.forget_records(None if version is None else entries[0].digest, before=before, over=most)
            _say_gone(gone, version and f"{entries[0].name}@{entries[0].number}", as_json=as_json)
            return
        found = [kept for entry in entries for kept in kept_of(repo, entry)]
    if as_json:
        screen.print_json({"records": [kept.to_json() for kept in found]})
    else:
        _show(found, version)


def kept_of(repo: Repository, entry: Entry) -> list[Kept]:
    """Return the sets of records of a version, the newest first."""
    address = f"{entry.name}@{entry.number}"
    sets = repo.records(entry.digest).sets()
    data = repo.manifest(entry).data if sets else {}
    known = {data["digest"]: f"{data['name']}@{data['number']}"} if "name" in data else {}
    return [
        Kept(digest, address, known.get(kept.about.data, (kept.about.data or "")[:12]), kept) for digest, kept in sets
    ]


def _before(older: str | None) -> datetime | None:
    if older is None:
        return None
    age = amounts.age(older, "--older")
    if age is None:
        raise InvalidConfig("--older never forgets nothing; write 30d, 12h, 5m or 0d")
    return datetime.now(UTC) - age


def _all(repo: Repository) -> list[Entry]:
    return [entry for newest in repo.models() for entry in reversed(repo.versions(newest.name))]


def _show(found: list[Kept], version: str | None) -> None:
    if not found:
        screen.show(f"nothing is kept{f' of {version}' if version else ''}; what is asked for is computed")
        return
    heads = ("version", "rows", "of", "layers", "bytes", "kept by", "when (UTC)", "until")
    rows = [
        [screen.words(kept.version, screen.NAME), f"{kept.inside.rows:,}", kept.data or "elsewhere", _layers(kept),
         screen.size(kept.inside.bytes), kept.inside.about.made, screen.moment(kept.inside.created),
         screen.moment(kept.inside.expires) if kept.inside.expires else "for ever"]
        for kept in found
    ]  # fmt: skip
    screen.show(screen.columns(*heads, rows=rows, right=["rows", "bytes"], spare=("kept by", "when (UTC)", "of")))
    for kept in found:
        for text in kept.inside.notes:
            screen.note(f"{kept.version}: {text}")


def _layers(kept: Kept) -> str:
    whats = Counter(track.what for track in kept.inside.tracks)
    more = [screen.plural(whats[what], what) for what in ("gradient", "attention") if whats[what]]
    return ", ".join([f"{whats['output']}", *more])


def _say_gone(gone: Forgotten, version: str | None, *, as_json: bool) -> None:
    if as_json:
        screen.print_json({"version": version, **gone.to_json()})
        return
    where = f" of {version}" if version else ""
    if not gone:
        stay = f"{screen.plural(gone.left, 'set')} of records{where} {'stays' if gone.left == 1 else 'stay'}"
        screen.show(f"nothing to forget: {stay}")
        return
    screen.show(
        f"{screen.plural(gone.sets, 'set')} of records{where} forgotten ({screen.size(gone.bytes)}); "
        f"layerwise gc --yes frees what nothing else needs"
    )
