"""Many pictures on one sheet of pixels."""

from __future__ import annotations

from collections.abc import Sequence

from layerwise.pictures.arrange import card_width, head, held, on_one_scale
from layerwise.pictures.drawing import Box, Curve, Drawing, Item, Words
from layerwise.pictures.figures import draw
from layerwise.pictures.ink import DARK, LIGHT, paint_drawing
from layerwise.pictures.shown import Shown
from layerwise.pictures.svg import encode_png
from layerwise.pictures.wording import clean, measure, shorten_to, wrap

MARGIN, RAIL, HEAD, FIGURE = 36.0, 20.0, 148.0, 600.0
"""The measures of a sheet in pixels: its margin, the line that joins the layers, their names, their pictures."""

ROOM = 22.0
"""Room between one layer's picture and the next."""

TALLEST = 16_000.0
"""The tallest sheet, in its own pixels; what does not fit is counted and left out."""

WIDTH = 2 * MARGIN + RAIL + HEAD + FIGURE


def draw_png(
    pictures: Sequence[Shown], *, title: str = "", lead: str = "", rows: bool = False, dark: bool = False
) -> bytes:
    """Return the pictures on one sheet, as PNG.

    Args:
        pictures: a trace's layers in order, or one layer's rows.
        title: what stands at the top, e.g. ``digits@3``.
        lead: one sentence under it.
        rows: lay the pictures side by side as many rows of one layer, on one scale of colours.
        dark: light ink on a dark sheet.

    Raises:
        InvalidData: there are no pictures.

    Example:
        >>> draw_png([Shown("n", "column", 3.0, "scalar")], title="digits@3")[:4]
        b'\\x89PNG'
    """
    sheet = draw_sheet(pictures, title=title, lead=lead, rows=rows)
    # Two pixels each for sharp letters; of a very tall sheet one, which is a quarter of the memory.
    scale = 2 if sheet.height <= TALLEST / 2 else 1
    return encode_png(paint_drawing(sheet, DARK if dark else LIGHT, scale), dpi=(96 * scale, 96 * scale))


def draw_sheet(pictures: Sequence[Shown], *, title: str = "", lead: str = "", rows: bool = False) -> Drawing:
    """Return the pictures on one sheet, as a drawing."""
    drawn, left_out = held(pictures)
    items = _titles(title, lead)
    top = max((item.y for item in items if isinstance(item, Words)), default=MARGIN - 24) + 30
    fill = _contact if rows else _trace
    below, bottom, missed = fill(drawn, top)
    said = " and ".join(filter(None, [f"{missed:,} did not fit on the sheet" if missed else "", left_out]))
    if said:
        below.append(Words(MARGIN, bottom + 8, said, 10, "soft"))
        bottom += 20
    return Drawing(WIDTH, bottom + MARGIN - ROOM, (*items, *below))


def _titles(title: str, lead: str) -> list[Item]:
    wide = WIDTH - 2 * MARGIN
    items: list[Item] = []
    y = MARGIN + 6
    if title:
        items.append(Words(MARGIN, y, shorten_to(clean(title, 200), wide / 1.06, 22), 22, "ink", bold=True))
        y += 20
    for line in wrap(clean(lead, 300), wide, 12, 2) if lead else ():
        items.append(Words(MARGIN, y, line, 12, "soft"))
        y += 16
    return items


def _trace(pictures: Sequence[Shown], top: float) -> tuple[list[Item], float, int]:
    items: list[Item] = []
    y = top
    dots: list[float] = []
    for place, shown in enumerate(pictures):
        figure = draw(shown, FIGURE)
        names = _head(shown)
        height = max(figure.height, names.height)
        if y + height > TALLEST:
            return _rail(dots) + items, y, len(pictures) - place
        dots.append(y + 8)
        items += names.moved(MARGIN + RAIL, y) + figure.moved(MARGIN + RAIL + HEAD, y)
        y += height + ROOM
    return _rail(dots) + items, y, 0


def _rail(dots: list[float]) -> list[Item]:
    # The way of the row through the layers: one line, a station for each.
    x = MARGIN + 4.0
    line: list[Item] = [Curve(((x, dots[0]), (x, dots[-1])), "hair", 1.5)] if len(dots) > 1 else []
    return line + [Box(x - 3.5, y - 3.5, 7, 7, "soft", 3.5) for y in dots]


def _head(shown: Shown) -> Drawing:
    layer, kind, shape = head(shown)
    wide = HEAD - 18
    items: list[Item] = []
    y = 12.0
    parts = layer.split(".")
    if len(parts) > 1:
        items.append(Words(0, y, shorten_to(f"{'.'.join(parts[:-1])}.", wide, 10), 10, "soft"))
        y += 15
    items.append(Words(0, y, shorten_to(parts[-1], wide / 1.06, 13), 13, "ink", bold=True))
    y += 15
    for text in filter(None, (kind, shape)):
        items.append(Words(0, y, shorten_to(text, wide, 10.5), 10.5, "soft"))
        y += 14
    if shown.source:
        source = clean(shown.source, 20)
        items += [Box(0, y - 7, measure(source, 9) + 10, 14, "", 3, "hair"), Words(5, y + 3, source, 9, "soft")]
        y += 14
    return Drawing(HEAD, y, tuple(items))


def _contact(pictures: Sequence[Shown], top: float) -> tuple[list[Item], float, int]:
    gap = 24
    drawn = on_one_scale(pictures)
    across, width = card_width(drawn, int(WIDTH - 2 * MARGIN), gap)
    items: list[Item] = []
    y = top
    for start in range(0, len(drawn), across):
        cards = [(shown, draw(shown, width)) for shown in drawn[start : start + across]]
        height = max(figure.height for _, figure in cards)
        if y + height + 18 > TALLEST:
            return items, y, len(drawn) - start
        for place, (shown, figure) in enumerate(cards):
            x = MARGIN + place * (width + gap)
            name = shorten_to(clean(shown.row or shown.layer, 80), width, 11)
            items += [Words(x, y + 9, name, 11, "soft"), *figure.moved(x, y + 16)]
        y += height + 16 + ROOM
    return items, y, 0
