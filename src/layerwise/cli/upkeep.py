"""``layerwise verify`` and ``repair``: is every byte what it was, and a catalog made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.text import Text

from layerwise.cli import screen
from layerwise.cli.options import AsJson, open_repository

if TYPE_CHECKING:
    from layerwise.upkeep.repair import Repaired
    from layerwise.upkeep.verify import Finding, Verified

SHOWN = 20
"""Most things that one damaged pack hurts that are shown; --json has all."""


def verify(context: typer.Context, as_json: AsJson = False) -> None:
    """Compare every byte with its digest and every name with what it names.

    What is damaged is set aside, named by model, version and layer: it is never served, and never deleted. Exit code
    1 where anything was found.
    """
    with open_repository(context) as repo, screen.waiting("reading every byte"):
        found = repo.verify()
    if as_json:
        screen.print_json(found.to_json())
    else:
        _show_verified(found)
    if not found.sound:
        raise typer.Exit(1)


def _show_verified(found: Verified) -> None:
    about = (
        f": {screen.plural(found.versions, 'version')}, {screen.plural(found.objects, 'object')} in "
        f"{screen.plural(found.packs, 'pack')}, {screen.size(found.bytes)}, {screen.duration(found.seconds)}"
    )
    if found.sound:
        screen.show(screen.line(("sound, to the last byte", screen.GOOD), about))
        return
    head = screen.line((screen.plural(len(found.findings), "finding"), screen.BAD), about)
    screen.show(head, *(part for finding in found.findings for part in _finding(finding)))


def _finding(finding: Finding) -> list[Text | str]:
    lines: list[Text | str] = ["", screen.line((finding.what, screen.NAME), ": ", finding.found)]
    lines += [screen.line("  hurts ", (what, screen.HEAD)) for what in finding.hurts[:SHOWN]]
    if len(finding.hurts) > SHOWN:
        lines.append(screen.line(f"  and {len(finding.hurts) - SHOWN:,} more"))
    if finding.done:
        lines.append(screen.line((f"  {finding.done}", screen.FAINT)))
    return lines


def repair(context: typer.Context, as_json: AsJson = False) -> None:
    """Make the catalog anew from the packs, the log of names, and what can still be read of the old one.

    For a catalog that is damaged or gone. The old one is kept in the folder ``damaged``.
    """
    with open_repository(context) as repo, screen.waiting("reading every pack"):
        done = repo.repair()
    if as_json:
        screen.print_json(done.to_json())
    else:
        _show_repaired(done)


def _show_repaired(done: Repaired) -> None:
    screen.show(
        screen.line(("the catalog is made anew", screen.GOOD)),
        "",
        screen.facts(
            [
                ("versions", f"{done.versions:,}"),
                ("aliases", f"{done.aliases:,}"),
                ("runs", f"{done.runs:,} with {screen.plural(done.metrics, 'metric')}"),
                ("objects", f"{done.objects:,} in {screen.plural(done.packs, 'pack')}"),
                *([("records", screen.plural(done.records, "set"))] if done.records else []),
                *([("the old catalog", done.old)] if done.old else []),
            ]
        ),
        *_said("found by their manifests alone", done.recovered),
        *_said("cannot be read: put their packs back from a copy and repair again", done.absent),
        *_said("packs set aside, damaged", done.damaged),
    )


def _said(what: str, names: tuple[str, ...]) -> list[Text | str]:
    return ["", screen.line((what, screen.NAME), f": {', '.join(names)}")] if names else []
