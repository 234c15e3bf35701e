"""``layerwise trace``: one row through every layer; and what the answer were, had something else left a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from layerwise.cli import screen, sheets
from layerwise.cli.asked import Asked, FromData, OneRow, Rows, asked_rows
from layerwise.cli.options import AsJson, Code, VersionOf, load, looking, open_repository
from layerwise.cli.sheets import Csv, Html, Pictures, Png, Sheets
from layerwise.errors import InvalidConfig, InvalidFile
from layerwise.words import parse_version, shorten

if TYPE_CHECKING:
    from layerwise.engine.looking.trace import Passage, Trace
    from layerwise.engine.version import Version
    from layerwise.pictures import Shown

PATCH = "write --patch LAYER=0, or --patch 'LAYER=[1.0, 2.0]' with all the numbers of its shape"


def trace(
    context: typer.Context,
    version: VersionOf,
    rows: Rows = None,
    row: OneRow = None,
    data: FromData = None,
    patch: Annotated[
        list[str] | None,
        typer.Option(
            "--patch",
            metavar="LAYER=VALUE",
            help="Put a number, a JSON list of them, or a text in the place of what left a layer. Can be repeated.",
        ),
    ] = None,
    png: Png = None,
    html: Html = None,
    csv: Csv = None,
    pictures: Pictures = None,
    code: Code = None,
    as_json: AsJson = False,
) -> None:
    """Follow one row through every layer: what it was as it left each of them.

    The row is the first one given, or that of --row, which picks as in predict. With --patch, what follows the layer is
    computed from the value in its place, and the answer stands beside the one that was.
    """
    files = Sheets.of(png=png, html=html, csv=csv)
    patches = [parse_patch(text) for text in patch or ()]
    with open_repository(context) as repo:
        asked = asked_rows(repo, repo.manifest(repo.find(parse_version(version))), rows, [row] if row else (), data)
        place = asked.places[0] if asked.places else 0
        opened = load(repo, version, code)
        with looking(opened.address):
            found = _traced(opened, asked, place, patches)
        drawn = _drawn(opened, found) if files.drawn or (sheets.wants_pictures(pictures) and not as_json) else []
    title = f"{found.version} on row {place}{f' of {asked.where}' if asked.where else ''}{_key(asked)}{_said(patches)}"
    files.write_pictures(drawn, title)
    files.write_table([_line(one, patched=bool(patches)) for one in found.passages])
    if as_json:
        screen.print_json({**_json(found, place, asked), **files.to_json()})
    elif files:
        files.say(title)
    else:
        screen.show(*_shown(found, title, drawn))


def parse_patch(text: str) -> tuple[str, Any]:
    """Return the layer and the value of ``LAYER=VALUE``: JSON, or else the text as it is.

    >>> parse_patch("edges=0"), parse_patch("gru:2=[0.5, -1]"), parse_patch("purpose=car")
    (('edges', 0), ('gru:2', [0.5, -1]), ('purpose', 'car'))
    """
    from layerwise.canonical import decode

    layer, sign, said = text.partition("=")
    if not sign or not layer or not said.strip():
        raise InvalidConfig(f"--patch {shorten(text)} is not LAYER=VALUE; {PATCH}")
    try:
        return layer, decode(said.encode("utf-8", "surrogateescape"), f"--patch {layer}")
    except InvalidFile:
        return layer, said


def _traced(opened: Version, asked: Asked, place: int, patches: Sequence[tuple[str, Any]]) -> Trace:
    if asked.where == opened.data_address:
        found = opened.trace(place)
    else:
        # A window over time looks at the rows before this one.
        found = opened.trace(asked.up_to(place) if opened.tables_whole else asked.table.slice(place, 1))
    for layer, value in patches:
        found = found.patch(layer, value)
    return found


def _said(patches: Sequence[tuple[str, Any]]) -> str:
    said = [f"{layer} = {shorten(value)}" for layer, value in patches]
    return f", with {', '.join(said)}" if said else ""


def _key(asked: Asked) -> str:
    return f", key {asked.keys[0]}" if asked.keys else ""


def _line(one: Passage, *, patched: bool) -> dict[str, Any]:
    return {
        "layer": one.layer, "kind": one.kind, "shape": one.shape, "summary": None if one.missing else one.summary,
        "source": one.source, **({"changed": one.changed} if patched else {}),
    }  # fmt: skip


def _json(found: Trace, place: int, asked: Asked) -> dict[str, Any]:
    return {
        "version": found.version, "row": place, "key": asked.keys[0] if asked.keys else None,
        "layers": [_line(one, patched=found.before is not None) for one in found.passages],
        "answer": found.answers[0], "before": found.before.answers[0] if found.before is not None else None,
        "truth": found.truth,
    }  # fmt: skip


def _drawn(opened: Version, found: Trace) -> list[Shown]:
    from layerwise.engine.looking.shown import show_trace

    return show_trace(opened.model, opened.states, found.passages, found.answers, truth=found.truth)


def _shown(found: Trace, title: str, drawn: Sequence[Shown]) -> Iterator[RenderableType]:
    yield screen.line((found.version, screen.HEAD), title.removeprefix(found.version), (_sources(found), screen.FAINT))
    yield ""
    if drawn:
        from layerwise.cli.pictured import pictured

        yield from pictured(drawn)
    else:
        yield _table(found)
        yield ""
    if found.before is not None or not drawn:
        yield _answer(found)


def _sources(found: Trace) -> str:
    if found.before is not None:
        return ""
    kept = sum(one.source == "kept" for one in found.passages)
    if kept == len(found.passages):
        return "; all of it was kept"
    return f"; {kept} of {len(found.passages)} layers were kept, the rest computed" if kept else "; computed"


def _table(found: Trace) -> Table:
    patched = found.before is not None
    rows = [
        [screen.words(one.layer, screen.NAME), _short(one.kind), one.shape,
         *([_changed(one)] if patched else []), one.summary]
        for one in found.passages
    ]  # fmt: skip
    heads = ("layer", "kind", "shape", *(["changed"] if patched else []), "what left it")
    return screen.columns(*heads, rows=rows, right=["shape", "changed"], wide=["what left it"], spare=["kind"])


def _changed(one: Passage) -> str:
    if one.source == "patched":
        return "patched"
    return f"{one.changed:.2g}" if one.changed else ""


def _short(kind: str) -> Text:
    from layerwise.graph.kinds import shortest

    return screen.words(shortest(kind).removeprefix("torch.nn."), screen.FAINT)


def _answer(found: Trace) -> Table:
    heads, values = found.answers.cells
    truth = [("truth", found.truth)] if found.truth is not None else []
    if found.before is None:
        return screen.facts([*zip(heads, values, strict=True), *truth])
    before = found.before.answers.cells[1]
    rows: list[list[object]] = [
        [screen.words(head, screen.FAINT), was, now] for head, was, now in zip(heads, before, values, strict=True)
    ]
    rows += [[screen.words(head, screen.FAINT), said, said] for head, said in truth]
    return screen.columns("answer", "as it is", "patched", rows=rows, right=["as it is", "patched"])
