"""``layerwise look``: what left one layer for rows, kept or computed; of a version, what is kept of each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from layerwise.cli import screen, sheets
from layerwise.cli.asked import Asked, FromData, Rows, SomeRows, asked_rows
from layerwise.cli.options import AsJson, Code, load, looking, open_repository
from layerwise.cli.sheets import Csv, Html, Pictures, Png, Sheets
from layerwise.errors import InvalidConfig, InvalidData, InvalidName
from layerwise.words import Address, parse_address

if TYPE_CHECKING:
    from pathlib import Path

    from layerwise.cli.seen import Seen
    from layerwise.engine.version import Version
    from layerwise.pictures import Shown
    from layerwise.repo import Repository

LayerOf = Annotated[
    str, typer.Argument(metavar="NAME[@REF]/LAYER", help="A layer: digits@3/edges, digits/gru:2 for its second pass.")
]
LayerOrVersion = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@REF][/LAYER]", help="A layer: digits@3/edges. Of a version alone, what is kept of its layers."
    ),
]
Count = Annotated[int, typer.Option("--rows", metavar="N", min=1, max=100_000, help="How many rows at most.")]
Keep = Annotated[bool, typer.Option("--keep", metavar="", help="Keep what had to be computed.")]
Attribute = Annotated[
    bool, typer.Option("--attribute", metavar="", help="In place of the values, how much of the answer rests on each.")
]
Target = Annotated[
    str | None, typer.Option("--target", metavar="CLASS", help="With --attribute: of which answer; that given if not.")
]


def look(
    context: typer.Context,
    what: LayerOrVersion,
    rows: Rows = None,
    row: SomeRows = None,
    data: FromData = None,
    count: Count = 10,
    keep: Keep = False,
    attribute: Attribute = False,
    target: Target = None,
    png: Png = None,
    html: Html = None,
    csv: Csv = None,
    pictures: Pictures = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Look at what left a layer: for rows that are kept, or for any others, for which it is computed.

    Without rows these are the first that are kept, else the first of the validation rows. Kept and computed are the
    same to the bit; which it was is said. Of a version without a layer, it says what is kept of each of its layers.
    """
    files = Sheets.of(png=png, html=html, csv=csv)
    address = parse_address(what)
    if target is not None and not attribute:
        raise InvalidConfig("--target says which answer --attribute explains; add --attribute")
    if keep and attribute:
        raise InvalidConfig("--keep keeps what left a layer, and --attribute shows what rests on it; choose one")
    if address.layer is None:
        _hold_alone(address, rows, row, data, files, keep=keep, attribute=attribute)
        from layerwise.cli.kept import show_kept

        show_kept(context, address, as_json=as_json)
        return
    with open_repository(context) as repo:
        asked = _asked(repo, address, rows, row or (), data)
        opened = load(repo, str(Address(address.model, address.version)), code)
        with looking(f"{opened.address}/{layer_path(address)}"):
            found = _seen(opened, address, asked, count, attribute=attribute, target=target)
            kept = _keep(found) if keep else ""
        drawn = found.drawn() if files.drawn or (sheets.wants_pictures(pictures) and not as_json) else []
    _tell(found, drawn, files, as_json=as_json)
    if kept:
        screen.note(kept)


def _tell(found: Seen, drawn: Sequence[Shown], files: Sheets, *, as_json: bool) -> None:
    files.write_pictures(drawn, found.title, lead=_how(found), rows=True)
    if files.csv is not None:
        files.write_table(found.lines())
    if as_json:
        screen.print_json({**found.to_json(), **files.to_json()})
    elif files:
        files.say(found.title)
    else:
        screen.show(*_shown(found, drawn))


def layer_path(address: Address) -> str:
    """Return the path of an address's layer, with its pass: ``gru:2``."""
    return f"{address.layer}" if address.visit is None else f"{address.layer}:{address.visit}"


def _hold_alone(
    address: Address, rows: Any, row: Any, data: str | None, files: Sheets, *, keep: bool, attribute: bool
) -> None:
    """Raise InvalidName where more is asked of a version than what is kept of its layers."""
    if rows or row or data or files or keep or attribute:
        raise InvalidName(f"which layer? Write {address}/LAYER; layerwise look {address} lists them")


def _asked(repo: Repository, address: Address, rows: Path | None, row: Sequence[str], data: str | None) -> Asked | None:
    manifest = repo.manifest(repo.find(Address(address.model, address.version)))
    return asked_rows(repo, manifest, rows, row, data) if rows is not None or row or data is not None else None


def _seen(
    opened: Version, address: Address, asked: Asked | None, count: int, *, attribute: bool, target: str | None
) -> Seen:
    from layerwise.cli.seen import attributed, see

    found = see(opened, layer_path(address), asked, count)
    return attributed(found, target) if attribute else found


def _keep(found: Seen) -> str:
    """Keep what was computed for rows of a dataset; return what is said of it."""
    import numpy as np

    from layerwise.engine.recording.asked import Recording
    from layerwise.engine.recording.keeping import record_rows

    chosen, layer = found.found.chosen, found.found.layer.partition(":")[0]
    if chosen.positions is None or chosen.source is None:
        raise InvalidData(
            "--keep keeps what left a layer for rows of a dataset; these are from elsewhere: add them first"
        )
    if found.found.source == "kept":
        return "nothing to keep: it was kept already"
    rows = np.unique(chosen.positions)
    kept = record_rows(found.version, chosen.source.dataset, rows, Recording(layers=(layer,)))
    if kept is None:
        return f"nothing is kept: the sensitivity of {found.address} forbids it"
    return f"kept: {screen.plural(kept.rows, 'row')} of {found.address}, {screen.size(kept.bytes)}"


def _shown(found: Seen, drawn: Sequence[Shown]) -> Iterator[RenderableType]:
    more = f"; {found.more:,} more, --rows N shows them" if found.more else ""
    yield screen.line((found.title, screen.HEAD), f", {_how(found)}", (more, screen.FAINT))
    yield ""
    if drawn:
        from layerwise.cli.pictured import pictured

        yield from pictured(drawn, rows=True)
        return
    last = "on what most, and how much" if found.targets else "what left it"
    rows = [
        [screen.words(place, screen.FAINT), key, target, passage.shape, told]
        for place, key, target, passage, told in zip(
            found.places, found.keys, found.targets or [""] * len(found.places), found.passages, found.told, strict=True
        )
    ]
    yield screen.columns("row", "key", "for", "shape", last, rows=rows, right=["row", "shape"], wide=[last])


def _how(found: Seen) -> str:
    looked = found.found
    rows = screen.plural(len(looked), "row")
    if found.targets:
        return f"{rows}, by integrated gradients"
    if looked.source == "kept":
        return f"{rows}, kept"
    said = f"{rows}, computed from {', '.join(looked.cut) or 'the rows'}"
    return f"{said} ({looked.kept:,} of them kept)" if looked.kept else said
