"""``layerwise gc``: what no version needs, and what could be kept in fewer bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from layerwise.cli import amounts, screen
from layerwise.cli.options import AsJson, open_repository

if TYPE_CHECKING:
    from layerwise.upkeep.collected import Collected, Part

SAID = {
    "unneeded": "no version needs them",
    "sparse": "nor these, in packs with others",
    "stray": "left by writers that ended early",
    "trash": "in the trash already",
    "cold": "old, to be coded in fewer bytes",
}
"""How a person calls what packs are found to be."""

COUNTS = ("packs", "objects", "bytes")
"""The columns of numbers."""


def gc(
    context: typer.Context,
    yes: Annotated[
        bool, typer.Option("--yes", metavar="", help="Do it; without this, only say what would be.")
    ] = False,
    cold_after: Annotated[
        str,
        typer.Option(metavar="AGE", help="Code packs that only older versions name: 30d, 12h, 0d, or never."),
    ] = "30d",
    dead: Annotated[
        int,
        typer.Option(min=0, max=100, metavar="PERCENT", help="Write a pack anew when this much of it is not needed."),
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Say what no version needs; with --yes, free it, and keep old versions in fewer bytes.

    Every version is kept, to the bit: what goes is what trainings left that ended early. Others may read and write
    meanwhile. What a writer at work may rely on waits in the trash for a later gc.
    """
    age = amounts.age(cold_after, "--cold-after")
    with open_repository(context) as repo, screen.waiting("looking through the versions"):
        found = repo.gc(yes=yes, dead_share=dead / 100, cold_after=age)
    if as_json:
        screen.print_json(found.to_json())
        return
    rows = [_row(sort, part) for sort, part in found.found.items() if part.packs]
    if rows:
        screen.show(screen.columns("", *COUNTS, rows=rows, right=COUNTS), "")
    screen.show(*_summary(found))


def _row(sort: str, part: Part) -> list[object]:
    size = screen.size(part.bytes)
    left = "" if part.left is None else f" → {screen.size(part.left)}"
    said = SAID[sort].replace("to be ", "") if part.left is not None else SAID[sort]
    return [screen.words(said, screen.NAME), f"{part.packs:,}", f"{part.objects:,}", f"{size}{left}"]


def _summary(found: Collected) -> list[Text]:
    lines = [_done(found) if found.done else _to_do(found)]
    if found.waiting.packs:
        lines.append(
            screen.line(
                f"{_packs(found.waiting)} in the trash {_waits(found.waiting)} for "
                f"{screen.plural(found.writers, 'writer')} at work; a later `layerwise gc --yes` frees them"
            )
        )
    if found.restored.packs:
        lines.append(screen.line(f"{_packs(found.restored)} taken out of the trash: needed after all"))
    if found.expired:
        said = "forgotten: their time is over" if found.done else "to be forgotten: their time is over"
        lines.append(screen.line(f"{screen.plural(found.expired, 'set')} of records {said}"))
    if found.expired:
        how = "are forgotten" if found.done else "will be forgotten"
        lines.append(screen.line(f"{screen.plural(found.expired, 'set')} of records, whose time is over, {how}"))
    lines += [screen.line((f"{name} is no pack and was left alone", screen.FAINT)) for name in found.unreadable]
    return lines


def _done(found: Collected) -> Text:
    if not found and not found.freed:
        return screen.line((f"nothing to do: all of {screen.size(found.before)} is needed", screen.GOOD))
    change = "freed" if found.freed >= 0 else "more"
    return screen.line(
        (f"{screen.size(abs(found.freed))} {change}", screen.GOOD),
        f": {screen.size(found.before)} before, {screen.size(found.after)} after",
    )


def _to_do(found: Collected) -> Text:
    if not found:
        return screen.line((f"nothing to do: all of {screen.size(found.before)} is needed", screen.GOOD))
    cold = "; how much coding saves is known when it is done" if found.found["cold"].packs else ""
    return screen.line(
        (f"{screen.size(found.freed)} of {screen.size(found.before)} can be freed", screen.HEAD),
        f"{cold}. Do it: layerwise gc --yes",
    )


def _packs(part: Part) -> str:
    return f"{screen.plural(part.packs, 'pack')} ({screen.size(part.bytes)})"


def _waits(part: Part) -> str:
    return "waits" if part.packs == 1 else "wait"
