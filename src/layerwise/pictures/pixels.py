"""Pictures of pixels: an image, its feature maps as a grid, a matrix as a heat map."""

from __future__ import annotations

import numpy as np

from layerwise.pictures.colours import ENDLESS, HOLE, Scale, extent, paint, ramp_of, scale_of
from layerwise.pictures.drawing import Box, Drawing, Item, Raster, Words, sentence, stacked
from layerwise.pictures.sampling import as_numbers, count_odd, thinned_map, thinned_table
from layerwise.pictures.shown import Array, Shown
from layerwise.pictures.wording import clean, measure, number, plural, shorten_to

MOST_MAPS = 64
"""Most maps of a layer that are drawn."""

MOST_CELLS = 256
"""Most rows and columns of a heat map."""

FINEST = 512
"""Most pixels of an image each way."""

LARGEST, SMALLEST = 112.0, 32.0
GAP, LABEL, TALLEST = 6.0, 12.0, 340.0


def raster(values: Array, colours: Array, width: float, height: float) -> Raster:
    """Return values as pixels that fill a rectangle, small ones as sharp squares, missing ones as chequers."""
    rows, columns = values.shape
    times = int(max(1, min(round(width / columns), round(height / rows), 64)))
    pixels = colours.repeat(times, 0).repeat(times, 1)
    hole = np.isnan(values).repeat(times, 0).repeat(times, 1)
    if hole.any():
        half = max(1, times // 2)
        chequers = (np.add.outer(np.arange(rows * times) // half, np.arange(columns * times) // half) % 2).astype(bool)
        pixels[hole & chequers] = HOLE[1]
    return Raster(0, 0, width, height, pixels, crisp=width >= columns)


def draw_image(shown: Shown, width: float) -> Drawing:
    """Return an image: grey, in colour, or in colour over chequers where it is transparent."""
    array = as_numbers(shown.value)
    planes = array if array.ndim == 3 else array[None]
    if not array.size or len(planes) not in (1, 3, 4):
        return draw_maps(shown, width)
    seen = np.stack([thinned_map(plane, FINEST) for plane in planes])
    low, high = shown.limits or pixel_span(seen, array.dtype.kind)
    colours = colours_of(seen, Scale(low, high))
    rows, columns = seen.shape[1:]
    side = min(width, 176.0 if max(rows, columns) <= 176 else 288.0)
    across, down = (side, side * rows / columns) if columns >= rows else (side * columns / rows, side)
    down = max(down, 2.0)
    holes = np.where(np.isnan(seen).any(0), np.nan, 0.0)
    picture = raster(holes, colours, across, down)
    frame = Box(0, 0, across, down, "", outline="hair")
    place = Drawing(width, down, (picture, frame))
    text = f"{number(low)} black, {number(high)} white" if len(planes) == 1 else f"{number(low)} to {number(high)}"
    return stacked([place, _key(text, width, count_odd(seen))], width, 6)


def pixel_span(values: Array, kind: str) -> tuple[float, float]:
    """Return what is black and what is white: a whole byte, nought to one, or the values' own ends."""
    low, high = extent([values])
    if low < 0 or high == low:
        return (low, high) if high > low else (min(low, 0.0), max(low, 1.0))
    if kind in "iub" and high > 1:
        return 0.0, 255.0 if high > 63 and high <= 255 else high
    return 0.0, 1.0 if 0.5 < high <= 1 else high


def colours_of(planes: Array, scale: Scale) -> Array:
    """Return the colours of one, three or four planes of pixels, [height, width, 3] uint8."""
    greys = np.stack([paint(plane, scale, grey=True) for plane in planes])
    if len(planes) == 1:
        return np.ascontiguousarray(greys[0])
    colours = greys[:3, ..., 0].transpose(1, 2, 0).copy()
    missing, endless = np.asarray(np.isnan(planes).any(0)), np.asarray(np.isinf(planes).any(0))
    colours[endless], colours[missing] = ENDLESS, HOLE[0]
    return colours if len(planes) == 3 else _over(colours, np.nan_to_num(scale.place(planes[3]), nan=1.0))


def _over(colours: Array, opacity: Array) -> Array:
    rows, columns = opacity.shape
    chequers = np.add.outer(np.arange(rows) // 4, np.arange(columns) // 4) % 2
    paper = np.where(chequers[..., None] == 1, 255, 226)
    found: Array = (colours * opacity[..., None] + paper * (1 - opacity[..., None])).round().astype(np.uint8)
    return found


def draw_maps(shown: Shown, width: float) -> Drawing:
    """Return feature maps as a grid on one scale of colours, numbered as units are, and how many are left out."""
    array = as_numbers(shown.value)
    array = array if array.ndim == 3 else array[None]
    if not array.size:
        return sentence("empty", width)
    shape = array.shape[1:]
    tile, across = _tiling(min(len(array), MOST_MAPS), shape, width)
    maps = [thinned_map(plane, int(2 * tile)) for plane in array[:MOST_MAPS]]
    scale = scale_of(maps, shown.limits)
    high, wide = _proportions(shape, tile)
    items: list[Item] = []
    for place, values in enumerate(maps):
        x, y = place % across * (wide + GAP), place // across * (high + LABEL + GAP)
        picture = raster(values, paint(values, scale), wide, high)
        items += Drawing(0, 0, (picture, Box(0, 0, wide, high, "", outline="hair"))).moved(x, y)
        items.append(Words(x, y + high + 9, str(place), 8, "faint"))
    down = -(-len(maps) // across) * (high + LABEL + GAP) - GAP
    left_out = f"{plural(len(array) - MOST_MAPS, 'more map')} not drawn" if len(array) > MOST_MAPS else ""
    odd = np.array([count_odd(values) for values in maps]).sum(0)
    return stacked([Drawing(width, down, tuple(items)), draw_scale(scale, width, odd, left_out)], width, 6)


def _tiling(count: int, shape: tuple[int, ...], width: float) -> tuple[float, int]:
    """Return a tile's longer side and how many stand side by side: as large as the height allows, in even rows."""

    def fits(across: int, tallest: float) -> bool:
        down = -(-count // across)
        return down * (_proportions(shape, _side(across, width))[0] + LABEL + GAP) <= tallest

    most = max(1, int((width + GAP) // (SMALLEST + GAP)))
    across = next((across for across in range(1, most + 1) if fits(across, TALLEST)), most)
    near = range(max(across - 1, 1), min(across + 3, most + 1))
    across = next((number for number in near if count % number == 0 and fits(number, 1.1 * TALLEST)), across)
    return _side(across, width), across


def _side(across: int, width: float) -> float:
    return min(LARGEST, (width + GAP) / across - GAP)


def _proportions(shape: tuple[int, ...], side: float) -> tuple[float, float]:
    # As many pixels of the screen for each pixel of a small map: none is wider than its neighbour.
    longest = max(shape)
    unit = side * 2 // longest / 2 if longest <= side else side / longest
    return max(4.0, shape[0] * unit), max(4.0, shape[1] * unit)


def draw_matrix(shown: Shown, width: float) -> Drawing:
    """Return a matrix as a heat map, its rows and columns named where there is room."""
    array = as_numbers(shown.value)
    if not array.size:
        return sentence("empty", width)
    values = thinned_table(array, MOST_CELLS, MOST_CELLS)
    scale = scale_of([values], shown.limits)
    rows, columns = values.shape
    names = [clean(name, 24) for name in shown.names[:MOST_CELLS]]
    named = len(names) == array.shape[0] == rows and rows <= 40
    left = min(110.0, max(measure(name, 9) for name in names) + 6) if named else 0.0
    # A tall matrix of a few columns keeps cells that can be told apart; a wide one fills the width.
    cell = min(16.0, (width - left) / columns, max(360.0 / rows, 1.0))
    wide, high = max(8.0, columns * cell), max(8.0, rows * max(cell, 12.0 if named else 0.0))
    picture = raster(values, paint(values, scale), wide, high)
    items = Drawing(0, 0, (picture, Box(0, 0, wide, high, "", outline="hair"))).moved(left, 0)
    if named:
        step = high / rows
        for place, name in enumerate(names):
            label = shorten_to(name, left - 6, 9)
            items.append(Words(left - 5, (place + 0.5) * step + 3, label, 9, "soft", "end"))
    pooled = (
        "" if values.shape == array.shape else f"each cell stands for several of {array.shape[0]:,}×{array.shape[1]:,}"
    )
    return stacked([Drawing(width, high, tuple(items)), draw_scale(scale, width, count_odd(values), pooled)], width, 6)


def draw_scale(
    scale: Scale, width: float, odd: tuple[int, int] | Array, note: str = "", *, hollow: bool = False
) -> Drawing:
    """Return the scale of colours with its ends, the marks of what is missing, and a note at the right.

    Args:
        scale: what the colours stand for.
        width: how wide the picture is.
        odd: how many values are missing, and how many infinite.
        note: what is said at the right.
        hollow: a missing value is an outline in this picture, and no chequers.
    """
    long = 96.0
    low, high = number(scale.low), number(scale.high)
    start = measure(low, 9) + 5
    items: list[Item] = [
        Words(0, 9, low, 9, "soft"),
        Raster(start, 2, long, 7, ramp_of(scale)[None], crisp=False),
        Words(start + long + 5, 9, high, 9, "soft"),
    ]
    if scale.low == scale.high:
        items = [Words(0, 9, f"all {low}", 9, "soft")]
    items += _marks(start + long + 5 + measure(high, 9) + 14, odd, hollow=hollow)
    if note:
        items.append(Words(width, 9, note, 9, "soft", "end"))
    return Drawing(width, 12, tuple(items))


def _key(text: str, width: float, odd: tuple[int, int]) -> Drawing:
    return Drawing(width, 12, (Words(0, 9, text, 9, "soft"), *_marks(measure(text, 9) + 14, odd)))


def _marks(x: float, odd: tuple[int, int] | Array, *, hollow: bool = False) -> list[Item]:
    items: list[Item] = []
    for count, what, colours in ((odd[0], "missing", HOLE), (odd[1], "infinite", (ENDLESS, ENDLESS))):
        if count:
            tile = np.array([[colours[0], colours[1]], [colours[1], colours[0]]], dtype=np.uint8)
            text = f"{int(count):,} {what}"
            mark = Box(x, 1.5, 8, 8, "", 1.5, "faint") if hollow and what == "missing" else Raster(x, 1.5, 8, 8, tile)
            items += [mark, Words(x + 12, 9, text, 9, "soft")]
            x += 12 + measure(text, 9) + 12
    return items
