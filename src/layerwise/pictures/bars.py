"""Pictures of a vector: bars round zero, or strips of cells where it is long."""

from __future__ import annotations

import math

import numpy as np

from layerwise.pictures.colours import ACCENT, CONTRAST, Scale, hexed, paint, scale_of
from layerwise.pictures.drawing import Box, Curve, Drawing, Item, Words, sentence, stacked
from layerwise.pictures.lines import height_of
from layerwise.pictures.pixels import draw_scale, raster
from layerwise.pictures.sampling import as_numbers, count_odd, floats, thinned
from layerwise.pictures.shown import Array, Shown
from layerwise.pictures.wording import clean, measure, number, shorten_to

MOST_BARS = 48
"""Most values that become a bar each; more become strips of cells."""

MOST_CELLS = 2_048
"""Most cells of strips; beyond, a cell is the mean of several values."""

SEPARATE = 256
"""Most cells of strips that stand apart."""

MOST_NAMED = 24
"""Most places of a vector, mostly zeros, that are named one by one."""


def draw_vector(shown: Shown, width: float) -> Drawing:
    """Return a vector as bars round zero, or as strips of cells where it is long."""
    array = as_numbers(shown.value).reshape(-1)
    if not array.size:
        return sentence("empty", width)
    if len(array) <= min(MOST_BARS, width / 8) and not is_code(shown, array):
        return _bars(shown, floats(array), width)
    return _strips(shown, array, width)


def is_code(shown: Shown, array: Array) -> bool:
    """Tell whether a few of many named places are filled: a one-hot code is read by its names, not by its bars."""
    return len(shown.names) == len(array) > 6 and int(np.count_nonzero(array)) <= len(array) / 2


def _bars(shown: Shown, values: Array, width: float) -> Drawing:
    low, high = _round_zero(values, shown.limits)
    count = len(values)
    pitch = min(width / count, 56.0)
    bar, height = pitch * 0.72, 84.0
    written = all(measure(number(value), 9) < pitch - 2 for value in values.tolist())
    room = 12.0 if written else 0.0
    zero = room + height_of(0.0, low, high, height) if high > low else room + height / 2
    items: list[Item] = []
    for place, value in enumerate(values.tolist()):
        middle = (place + 0.5) * pitch
        end = room + height_of(value, low, high, height) if math.isfinite(value) else zero
        items += _bar(value, middle, bar, zero, end)
        if written:
            above = value >= 0 or not math.isfinite(value)
            items.append(Words(middle, end - 4 if above else end + 11, number(value), 9, "soft", "middle"))
    items.append(Curve(((0, zero), (count * pitch, zero)), "faint", 1))
    foot = room + height + (10.0 if written and low < 0 else 2.0)
    names, deep = _feet(shown, count, pitch, foot)
    parts = [Drawing(width, foot + deep, (*items, *names))]
    there = values[~np.isnan(values)]
    if not written and there.size:
        parts.append(sentence(f"{number(float(there.min()))} to {number(float(there.max()))}", width, size=9))
    return stacked(parts, width, 4)


def _round_zero(values: Array, limits: tuple[float, float] | None) -> tuple[float, float]:
    there = values[np.isfinite(values)]
    low, high = limits or ((float(there.min()), float(there.max())) if there.size else (0.0, 0.0))
    return min(low, 0.0), max(high, 0.0)


def _bar(value: float, middle: float, bar: float, zero: float, end: float) -> list[Item]:
    left = middle - bar / 2
    if math.isnan(value):
        return [
            Box(left, zero - 3, bar, 6, "", 1, "faint"),
            Curve(((left, zero + 3), (left + bar, zero - 3)), "faint", 1),
        ]
    if math.isinf(value):
        return [Words(middle, zero - 6, "↑" if value > 0 else "↓", 12, CONTRAST, "middle")]
    return [Box(left, min(zero, end), bar, max(abs(end - zero), 0.75), ACCENT if value >= 0 else CONTRAST, 1.0)]


def _feet(shown: Shown, count: int, pitch: float, top: float) -> tuple[list[Item], float]:
    names = [clean(name, 24) for name in shown.names[:count]]
    named = len(shown.names) == count
    if named and count <= 16:
        cut = [shorten_to(name, pitch - 3, 9) for name in names]
        return [Words((i + 0.5) * pitch, top + 10, name, 9, "soft", "middle") for i, name in enumerate(cut)], 14.0
    places = range(0, count, 1 if count <= 16 else 5)
    return [Words((i + 0.5) * pitch, top + 9, str(i), 8, "faint", "middle") for i in places], 12.0


def _strips(shown: Shown, array: Array, width: float) -> Drawing:
    values = thinned(array, MOST_CELLS)
    scale = scale_of([values], shown.limits)
    side = 9.0 if len(values) * 14 > width else 14.0
    across = _even(len(values), int(width // side))
    rows = -(-len(values) // across)
    items: list[Item] = []
    for row in range(rows):
        cells = values[row * across : (row + 1) * across][None]
        strip = _pills(cells[0], scale, side) if len(values) <= SEPARATE else [_ribbon(cells, scale, side)]
        items += Drawing(0, 0, tuple(strip)).moved(0, row * (side + 2))
    down = rows * (side + 2) - 2
    per = -(-len(array) // len(values))
    line = f", {across} a line" if rows > 1 else ""
    note = f"{len(array):,} values" + (f", each cell the mean of about {per:,}" if per > 1 else line)
    key = draw_scale(scale, width, count_odd(values), note, hollow=len(values) <= SEPARATE)
    return stacked([Drawing(width, down, tuple(items)), key, _named(shown, array, width)], width, 6)


def _ribbon(cells: Array, scale: Scale, side: float) -> Item:
    return raster(cells, paint(cells, scale), cells.shape[1] * side, side)


def _pills(cells: Array, scale: Scale, side: float) -> list[Item]:
    """Return cells that stand apart, so that they can be counted; a missing one is an outline."""
    colours = paint(cells, scale)
    return [
        Box(place * side, 0, side - 1.5, side, "", 1.5, "faint")
        if math.isnan(value)
        else Box(place * side, 0, side - 1.5, side, hexed(colours[place]), 1.5, "hair")
        for place, value in enumerate(cells.tolist())
    ]


def _even(count: int, most: int) -> int:
    """Return how many cells a line holds: a round number that fits, so that places can be counted."""
    if count <= most:
        return count
    if count <= 4 * most:
        return -(-count // -(-count // most))
    return next((round_ for round_ in (128, 100, 64, 50, 40, 32, 25, 20, 16, 10) if round_ <= most), most)


def _named(shown: Shown, array: Array, width: float) -> Drawing:
    items: list[Item] = []
    x, y = 0.0, 0.0
    for text in filled_names(shown, array):
        text = shorten_to(text, width - 14, 10)
        wide = measure(text, 10) + 12
        if x + wide > width:
            x, y = 0.0, y + 22
        items += [Box(x, y, wide, 18, "wash", 3), Words(x + 6, y + 12.5, text, 10, "ink")]
        x += wide + 6
    return Drawing(width, y + 18 if items else 0, tuple(items))


def filled_names(shown: Shown, array: Array) -> list[str]:
    """Return the names of the places that are not zero, with their values, where few are: what a one-hot code says."""
    if len(shown.names) != len(array) or len(array) > MOST_CELLS:
        return []
    values = floats(array)
    places = np.flatnonzero(values).tolist()
    if len(places) > MOST_NAMED:
        return []
    found = [(clean(shown.names[place], 48), float(values[place])) for place in places]
    return [name if value == 1 else f"{name}  {number(value)}" for name, value in found]
