"""A drawing: rectangles, words, lines and rasters at their places, in pixels from the upper left corner.

It says *where* and not *how*: ``svg`` writes it as text, ``ink`` as pixels. Colours are ``#rrggbb``, or an ink, which
is the paper's own: ``ink``, ``soft``, ``faint``, ``hair`` and ``wash``, from plain to hardly there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from layerwise.pictures.shown import Array

INKS = {"ink": 1.0, "soft": 0.66, "faint": 0.42, "hair": 0.17, "wash": 0.06}
"""The inks by name, and how much of the paper each covers."""

Anchor: TypeAlias = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, filled."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    radius: float = 0.0
    outline: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text: ``y`` is where its letters stand. It is clean already (see ``wording``)."""

    x: float
    y: float
    text: str
    size: float = 11.0
    fill: str = "ink"
    anchor: Anchor = "start"
    bold: bool = False
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """Straight lines from point to point."""

    points: tuple[tuple[float, float], ...]
    stroke: str
    width: float = 1.5
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Raster:
    """Pixels [height, width, 3 or 4] uint8, stretched over a rectangle; ``crisp`` keeps each a sharp square."""

    x: float
    y: float
    width: float
    height: float
    pixels: Array
    crisp: bool = True


Item: TypeAlias = Box | Words | Curve | Raster


@dataclass(frozen=True, slots=True)
class Drawing:
    """Items on a paper of a size."""

    width: float
    height: float
    items: tuple[Item, ...] = ()

    def moved(self, x: float, y: float) -> list[Item]:
        """Return the items, so far to the right and so far down."""
        return [_moved(item, x, y) for item in self.items]


def _moved(item: Item, x: float, y: float) -> Item:
    if isinstance(item, Curve):
        return replace(item, points=tuple((left + x, top + y) for left, top in item.points))
    return replace(item, x=item.x + x, y=item.y + y)


def stacked(parts: Iterable[Drawing], width: float, gap: float = 8.0) -> Drawing:
    """Return drawings one below the other."""
    items: list[Item] = []
    bottom = 0.0
    for part in parts:
        if part.height:
            bottom += gap if bottom else 0.0
            items += part.moved(0, bottom)
            bottom += part.height
    return Drawing(width, bottom, tuple(items))


def sentence(text: str, width: float, *, fill: str = "soft", size: float = 10.0) -> Drawing:
    """Return one line of small words; nothing where there are none."""
    return Drawing(width, size + 3, (Words(0, size, text, size, fill),)) if text else Drawing(width, 0)
