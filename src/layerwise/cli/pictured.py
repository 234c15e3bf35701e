"""Pictures in the terminal: each under a line that says what it is of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from layerwise.cli import screen

if TYPE_CHECKING:
    from layerwise.pictures import Shown

WIDEST = 100
"""Columns that a picture takes at most: wider ones are no clearer."""

INDENT = 2

MOST = 8
"""Rows of one layer that are drawn on the screen; a file has all that were asked for."""


def pictured(shown: Sequence[Shown], *, rows: bool = False) -> Iterator[RenderableType]:
    """Yield pictures for the screen.

    Args:
        shown: a trace's layers in order, or one layer's rows.
        rows: they are rows of one layer: each is called by its row, and only the first are drawn.
    """
    from layerwise.pictures import draw_text

    console = screen.paper()
    width = min(console.width, WIDEST) - INDENT
    colour = console.is_terminal and console.color_system is not None
    for one in shown[:MOST] if rows else shown:
        yield _head(one, rows=rows)
        for text in draw_text(one, width, colour=colour):
            yield Text(" " * INDENT) + Text.from_ansi(text)
        yield ""
    if rows and len(shown) > MOST:
        yield screen.line((f"… and {len(shown) - MOST:,} more; --png FILE.png or --html FILE.html has them",
                           screen.FAINT))  # fmt: skip


def _head(one: Shown, *, rows: bool) -> Text:
    from layerwise.graph.kinds import shortest

    if rows:
        return screen.line((f"row {one.row}", screen.NAME))
    kind = shortest(one.kind).removeprefix("torch.nn.")
    said = "  ".join(part for part in (kind, one.shape) if part)
    return screen.line((one.layer, screen.NAME), (f"  {said}", screen.FAINT))
