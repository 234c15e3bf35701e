"""A model as a table of plain text, aligned for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from layerwise.graph.graph import Graph
from layerwise.graph.ports import Port
from layerwise.graph.rows import LayerRow, rows
from layerwise.words import visible

WIDTH = 120
"""How many cells wide a table may be where not said otherwise; its options are cut to fit."""

NARROWEST = 16
"""Options are not cut below this many cells."""

HEADS = ("layer", "kind", "options", "takes", "gives", "parameters", "notes")
OPTIONS, PARAMETERS = HEADS.index("options"), HEADS.index("parameters")
LONGEST = {"layer": 60, "kind": 40, "takes": 32, "gives": 48, "notes": 40}


def text(
    graph: Graph,
    ports: Mapping[str, Port] | None = None,
    parameters: Mapping[str, int] | None = None,
    *,
    width: int = WIDTH,
) -> str:
    """Return the model as a table: a line a layer, what is inside a block indented below it.

    Args:
        graph: the model.
        ports: what leaves each layer, by path, as ``shapes.check`` returns it.
        parameters: how many numbers each layer learns, by path.
        width: in cells of the terminal; columns in which nothing stands are left out.
    """
    found = rows(graph, ports, parameters)
    lines = [HEADS, *(_cells(row) for row in found)]
    used = [index for index in range(len(HEADS)) if any(line[index] for line in lines[1:])]
    table = [[line[index] for index in used] for line in lines]
    widths = [max(map(cells, column)) for column in zip(*table, strict=True)]
    if OPTIONS in used:
        at = used.index(OPTIONS)
        spare = width - sum(widths) + widths[at] - 2 * (len(widths) - 1)
        widths[at] = min(widths[at], max(spare, NARROWEST))
    right = {used.index(PARAMETERS)} if PARAMETERS in used else set()
    head, *body = [_line(line, widths, right) for line in table]
    return "\n".join([_title(graph, found), "", head, "─" * sum(widths, 2 * (len(widths) - 1)), *body])


def _title(graph: Graph, found: list[LayerRow]) -> str:
    said = f"{graph.name}: {len(found)} layer{'' if len(found) == 1 else 's'}"
    said += f", for {visible(graph.data)}" if graph.data else ""
    learned = sum(row.parameters or 0 for row in found)
    return f"{said}, {learned:,} parameters" if learned else said


def _cells(row: LayerRow) -> tuple[str, ...]:
    tree = "".join("   " if last else "│  " for last in row.last[1:-1])
    branch = "" if len(row.last) == 1 else "└─ " if row.last[-1] else "├─ "
    said = {
        "layer": tree + branch + row.name,
        "kind": row.kind,
        "options": ", ".join(row.options),
        "takes": "" if row.straight else ", ".join(row.inputs),
        "gives": row.output,
        "parameters": "" if row.parameters is None else f"{row.parameters:,}",
        "notes": ", ".join(notes(row)),
    }
    return tuple(cut(value, LONGEST.get(head, 10_000)) for head, value in said.items())


def notes(row: LayerRow) -> list[str]:
    """Return what else was said of a layer, for people: frozen, its owner, its sensitivity."""
    said = {"owner": row.owner, "sensitivity": row.sensitivity}
    return ["frozen"] * row.frozen + [f"{what} {name}" for what, name in said.items() if name]


def _line(line: list[str], widths: list[int], right: set[int]) -> str:
    fitted = [cut(value, width) for value, width in zip(line, widths, strict=True)]
    pads = [" " * (width - cells(value)) for value, width in zip(fitted, widths, strict=True)]
    parts = [
        pad + value if i in right else value + pad for i, (value, pad) in enumerate(zip(fitted, pads, strict=True))
    ]
    return "  ".join(parts).rstrip()


def cells(shown: str) -> int:
    """Return how many cells of a terminal a text takes: two for 字, none for an accent that stands alone.

    >>> cells("größe"), cells("文字")
    (5, 4)
    """
    if shown.isascii():
        return len(shown)
    return sum(map(_cell, shown))


def _cell(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(shown: str, width: int) -> str:
    """Return ``shown`` in at most ``width`` cells, with … where something is cut away.

    >>> cut("out_channels: 16", 9)
    'out_chan…'
    """
    if cells(shown) <= width:
        return shown
    kept, left = "", width - 1
    for character in shown:
        left -= _cell(character)
        if left < 0:
            break
        kept += character
    return kept.rstrip() + "…"
