"""``layerwise compare``: two rows beside each other through every layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer
from rich.console import RenderableType

from layerwise.cli import screen
from layerwise.cli.asked import Asked, FromData, Rows, SomeRows, asked_rows
from layerwise.cli.options import AsJson, Code, VersionOf, load, looking, open_repository
from layerwise.cli.sheets import Csv, Sheets
from layerwise.errors import InvalidData
from layerwise.words import parse_version

if TYPE_CHECKING:
    from layerwise.engine.looking.comparing import Beside, Comparison
    from layerwise.engine.version import Version

WIDE = 20
"""Characters of the longest bar."""

FARTHEST = 2.0
"""The distance of two rows that are opposite, which has the longest bar."""


def compare(
    context: typer.Context,
    version: VersionOf,
    rows: Rows = None,
    row: SomeRows = None,
    data: FromData = None,
    csv: Csv = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Compare two rows as they leave every layer: how far apart they are, and which layer parts them most.

    The rows are the two of --row, given twice, or the only two of a file. A distance is relative to how large the rows
    are: 0 where they are the same, 2 where they are opposite.
    """
    files = Sheets.of(csv=csv)
    with open_repository(context) as repo:
        asked = asked_rows(repo, repo.manifest(repo.find(parse_version(version))), rows, row or (), data)
        places = _two(asked)
        opened = load(repo, version, code)
        with looking(opened.address):
            found = opened.compare(*(_row(opened, asked, place) for place in places))
    files.write_table([_line(one) for one in found.layers])
    names = [asked.keys[at] if asked.keys else str(place) for at, place in enumerate(places)]
    names = names if names[0] != names[1] else [names[0], f"{names[1]} again"]
    if as_json:
        screen.print_json({**_json(found, places, asked), **files.to_json()})
    elif files:
        files.say(f"{found.version}: rows {' and '.join(names)}")
    else:
        screen.show(*_shown(found, names))


def _two(asked: Asked) -> tuple[int, int]:
    places = range(asked.table.num_rows) if asked.places is None else asked.places
    if len(places) != 2:
        raise InvalidData(f"two rows are compared, found {len(places):,}; give --row twice")
    return places[0], places[1]


def _row(opened: Version, asked: Asked, place: int) -> Any:
    if asked.where == opened.data_address:
        return place
    return asked.up_to(place) if opened.tables_whole else asked.table.slice(place, 1)


def _line(one: Beside) -> dict[str, Any]:
    return {
        "layer": one.layer, "kind": one.kind, "distance": one.distance, "cosine": one.cosine, "parted": one.parted
    }  # fmt: skip


def _json(found: Comparison, places: tuple[int, int], asked: Asked) -> dict[str, Any]:
    return {
        "version": found.version, "rows": list(places), "keys": list(asked.keys) or None,
        "layers": [_line(one) for one in found.layers], "parted": found.parted.layer if found.parted else None,
        "answers": list(found.answers), "truth": list(found.truth) or None,
    }  # fmt: skip


def _shown(found: Comparison, names: list[str]) -> Iterator[RenderableType]:
    yield screen.line((found.version, screen.HEAD), f" on rows {names[0]} and {names[1]}")
    yield ""
    rows = [
        [screen.words(one.layer, screen.NAME), _number(one.distance), _number(one.cosine), _bar(one.distance),
         screen.words("parts them most" if one is found.parted else "", "yellow")]
        for one in found.layers
    ]  # fmt: skip
    heads = ("layer", "distance", "cosine", "0 to 2", " ")
    yield screen.columns(*heads, rows=rows, right=heads[1:3], spare=("0 to 2",))
    yield ""
    both = [[screen.words(head, screen.FAINT), a, b] for head, a, b in zip(*found.answers.cells, strict=True)]
    both += [[screen.words("truth", screen.FAINT), *found.truth]] if found.truth else []
    yield screen.columns(
        "answer", *(f"row {name}" for name in names), rows=both, right=[f"row {name}" for name in names]
    )


def _number(value: float) -> str:
    return "—" if math.isnan(value) else f"{value:.3f}"


def _bar(distance: float) -> str:
    """Return a bar as long as two rows are apart.

    >>> _bar(0.5), _bar(float("nan")), _bar(7.0) == "━" * WIDE
    ('━━━━━', '', True)
    """
    return "" if math.isnan(distance) else "━" * round(min(distance, FARTHEST) / FARTHEST * WIDE)
