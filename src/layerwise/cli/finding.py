"""``layerwise top`` and ``nearest``: which rows excite a unit of a layer most, and which are nearest to a row there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from layerwise.cli import screen, sheets
from layerwise.cli.asked import Asked, FromData, OneRow, Rows, asked_rows
from layerwise.cli.look import LayerOf, layer_path
from layerwise.cli.options import AsJson, Code, load, looking, open_repository
from layerwise.cli.sheets import Csv, Html, Pictures, Png, Sheets
from layerwise.errors import InvalidName
from layerwise.words import Address, parse_address

if TYPE_CHECKING:
    from layerwise.engine.looking.layer import LayerView
    from layerwise.engine.looking.neighbours import Neighbours
    from layerwise.engine.looking.units import TopRows
    from layerwise.engine.version import Version
    from layerwise.pictures import Shown

How = Annotated[int, typer.Option("-k", "--count", metavar="N", min=1, max=100_000, help="How many rows.")]
All = Annotated[
    bool, typer.Option("--all", metavar="", help="Among all rows of the dataset, not only those that are kept.")
]
Unit = Annotated[
    str, typer.Option("--unit", metavar="UNIT", help="Its number, its name (a class, a column), or a place: 3,1,0.")
]
Lowest = Annotated[bool, typer.Option("--lowest", metavar="", help="Those with the lowest values.")]
Metric = Annotated[str, typer.Option("--metric", metavar="NAME", help="euclidean or cosine.")]


def top(
    context: typer.Context,
    what: LayerOf,
    unit: Unit = "0",
    count: How = 20,
    lowest: Lowest = False,
    data: FromData = None,
    every: All = False,
    png: Png = None,
    html: Html = None,
    csv: Csv = None,
    pictures: Pictures = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Find the rows that excite a unit of a layer most: exact, over the rows that are kept or, with --all, over all.

    A unit is one number of a vector, one map of maps, one feature of a sequence; of the last two a row's largest value
    counts. Pictures show the rows as they came in.
    """
    files = Sheets.of(png=png, html=html, csv=csv)
    address = _of_layer(what)
    with open_repository(context) as repo:
        repo.find(Address(address.model, address.version))
        opened = load(repo, str(Address(address.model, address.version)), code)
        view = opened.layer(layer_path(address), data=_other(opened, data))
        with looking(view.address):
            rows = view.top(_unit(unit), count, lowest=lowest, rows=slice(None) if every else None)
        found = _ranked(view, rows, rows.values, "value")
        draws = files.drawn or (sheets.wants_pictures(pictures) and not as_json)
        drawn = _drawn(opened, found, _other(opened, data)) if draws else []
    which = f"{'lowest' if lowest else 'highest'} at unit {rows.unit} of {view.address}"
    said = {"version": opened.address, "layer": view.path, "unit": rows.unit, "lowest": lowest}
    _tell(found, which, said, drawn, files, as_json=as_json)


def nearest(
    context: typer.Context,
    what: LayerOf,
    rows: Rows = None,
    row: OneRow = None,
    count: How = 10,
    metric: Metric = "euclidean",
    data: FromData = None,
    every: All = False,
    png: Png = None,
    html: Html = None,
    csv: Csv = None,
    pictures: Pictures = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Find the rows that are nearest to one as they leave a layer: exact, over the rows that are kept, or all.

    The row is that of --row, or the first one given; it may be one of your own. It is not its own neighbour. Pictures
    show the rows as they came in.
    """
    files = Sheets.of(png=png, html=html, csv=csv)
    address = _of_layer(what)
    version = Address(address.model, address.version)
    with open_repository(context) as repo:
        asked = asked_rows(repo, repo.manifest(repo.find(version)), rows, [row] if row else (), data)
        place = asked.places[0] if asked.places else 0
        opened = load(repo, str(version), code)
        view = opened.layer(layer_path(address), data=_other(opened, asked.where))
        with looking(view.address):
            near = view.nearest(_row(opened, asked, place), count, metric=metric, rows=slice(None) if every else None)
        found = _ranked(view, near, near.distances, "distance")
        draws = files.drawn or (sheets.wants_pictures(pictures) and not as_json)
        drawn = _drawn(opened, found, _other(opened, data)) if draws else []
    name = asked.keys[0] if asked.keys else str(place)
    which = f"nearest to row {name} by {view.address}"
    said = {"version": opened.address, "layer": view.path, "row": place, "metric": metric}
    _tell(found, which, said, drawn, files, as_json=as_json)


@dataclass(frozen=True)
class Ranked:
    """Rows in an order: where they are, what they are called, the number that orders them, what is true of them."""

    places: tuple[int, ...]
    keys: tuple[str | None, ...]
    numbers: tuple[float, ...]
    truth: tuple[str, ...]
    what: str
    among: int
    source: str

    def lines(self) -> list[dict[str, Any]]:
        """Return one mapping a row."""
        truth: Sequence[str | None] = self.truth or [None] * len(self.places)
        return [
            {"row": place, "key": key, self.what: number, "truth": true}
            for place, key, number, true in zip(self.places, self.keys, self.numbers, truth, strict=True)
        ]


def _of_layer(what: str) -> Address:
    address = parse_address(what)
    if address.layer is None:
        raise InvalidName(f"which layer? Write {address}/LAYER; layerwise look {address} lists them")
    return address


def _unit(text: str) -> str | tuple[int, ...]:
    """Return a unit's place, or the text of its number or name: a name may be a number.

    >>> _unit("5"), _unit("3,1,0"), _unit("ham")
    ('5', (3, 1, 0), 'ham')
    """
    parts = text.split(",")
    if len(parts) > 1 and all(part.strip().isdecimal() for part in parts):
        return tuple(int(part) for part in parts)
    return text


def _row(opened: Version, asked: Asked, place: int) -> Any:
    if asked.where:
        return place
    return asked.up_to(place) if opened.tables_whole else asked.table.slice(place, 1)


def _ranked(view: LayerView, found: TopRows | Neighbours, numbers: Sequence[float], what: str) -> Ranked:
    keyed = view.looking.source().dataset.key is not None
    places = tuple(range(len(found))) if found.positions is None else tuple(int(place) for place in found.positions)
    keys = tuple(found.ids) if keyed else (None,) * len(found)
    return Ranked(places, keys, tuple(numbers), found.truth, what, found.among, found.source)


def _other(opened: Version, data: str | None) -> str | None:
    """Return the dataset whose rows are meant, where it is another one than that of the training."""
    return data if data and opened.repo.dataset(data).address != opened.data_address else None


def _drawn(opened: Version, found: Ranked, data: str | None) -> list[Shown]:
    """Return the rows as they came in: what left the model's first layer."""
    from dataclasses import replace

    from layerwise.engine.looking.shown import show_rows

    if not found.places:
        return []
    layer = opened.model.layers[0].name
    value = opened.layer(layer, data=data).look(list(found.places)).values
    labels = [str(place if key is None else key) for place, key in zip(found.places, found.keys, strict=True)]
    shown = show_rows(opened.model, opened.states, layer, value, ids=labels, most=len(labels))
    said = found.truth or ("",) * len(shown)
    return [
        replace(one, note=f"{found.what} {number:.4g}{f', truth {truth}' if truth else ''}")
        for one, number, truth in zip(shown, found.numbers, said, strict=True)
    ]


def _tell(
    found: Ranked, which: str, said: dict[str, Any], drawn: Sequence[Shown], files: Sheets, *, as_json: bool
) -> None:
    title = f"{screen.plural(len(found.places), 'row')} {which}"
    lead = f"Among {screen.plural(found.among, 'row')}, {found.source}."
    files.write_pictures(drawn, title, lead=lead, rows=True)
    files.write_table(found.lines())
    if as_json:
        about = {"among": found.among, "source": found.source, "rows": found.lines()}
        screen.print_json({**said, **about, **files.to_json()})
    elif files:
        files.say(title)
    else:
        screen.show(*_shown(found, which, drawn))


def _shown(found: Ranked, which: str, drawn: Sequence[Shown]) -> Iterator[RenderableType]:
    yield screen.line(
        (which, screen.HEAD), f", among {screen.plural(found.among, 'row')}", (f"; {found.source}", screen.FAINT)
    )
    yield ""
    if drawn:
        from layerwise.cli.pictured import pictured

        yield from pictured(drawn, rows=True)
        return
    rows = [
        [screen.words(line["row"], screen.FAINT), line["key"], screen.number(line[found.what]), line["truth"]]
        for line in found.lines()
    ]
    yield screen.columns("row", "key", found.what, "truth", rows=rows, right=["row", found.what])
