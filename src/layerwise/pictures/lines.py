"""Pictures of a series: a line for each channel, or a heat map of many."""

from __future__ import annotations

import math

import numpy as np

from layerwise.pictures.colours import CONTRAST, LINES, paint, scale_of, share
from layerwise.pictures.drawing import Box, Curve, Drawing, Item, Words, sentence, stacked
from layerwise.pictures.pixels import draw_scale, raster
from layerwise.pictures.sampling import as_numbers, count_odd, thinned, thinned_table
from layerwise.pictures.shown import Array, Shown
from layerwise.pictures.wording import clean, measure, number, plural

MOST_LINES = 6
"""Most channels that are laid over each other; more become the rows of a heat map."""

MARKED = 40
"""Most points of a line that are marked each."""

MOST_STEPS = 600
"""Most points of a line."""


def draw_series(shown: Shown, width: float) -> Drawing:
    """Return a series as lines, one a channel; of many channels a heat map, time from left to right."""
    array = as_numbers(shown.value)
    if not array.size:
        return sentence("empty", width)
    table = array if array.ndim == 2 else array[:, None]
    if table.shape[1] > MOST_LINES:
        return _heat(shown, table, width)
    values = thinned(table, MOST_STEPS)
    height, left = 132.0, 46.0
    low, high = shown.limits or ends_of(values)
    ticks = nice_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    items: list[Item] = []
    for tick in ticks:
        y = height_of(tick, low, high, height)
        items.append(Curve(((left, y), (width, y)), "hair" if tick else "faint", 1))
        items.append(Words(left - 6, y + 3, number(tick), 9, "soft", "end"))
    for channel in range(values.shape[1]):
        items += _line(values[:, channel], low, high, (left, width, height), LINES[channel])
    items.append(Words(left, height + 13, "0", 9, "soft"))
    if len(table) > 1:
        items.append(Words(width, height + 13, f"{len(table) - 1:,}", 9, "soft", "end"))
    return stacked([Drawing(width, height + 16, tuple(items)), _legend(shown, values, width)], width, 4)


def ends_of(values: Array) -> tuple[float, float]:
    """Return the foot and the top of a picture of lines."""
    there = values[np.isfinite(values)]
    if not there.size:
        return 0.0, 1.0
    low, high = float(there.min()), float(there.max())
    # Zero belongs into the picture where it is near: a line's height then says something.
    low = 0.0 if 0 < low <= high / 2 else low
    return (low, high) if high > low else (low - 1, high + 1)


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers from at or below ``low`` to at or above ``high``, about ``count`` of them.

    After Heckbert, "Nice numbers for graph labels", Graphics Gems (1990).

    Example:
        >>> nice_ticks(0.0, 190.0)
        [0.0, 50.0, 100.0, 150.0, 200.0]
    """
    span = high - low
    if not 1e-250 < span < 1e250:
        return [low, high]
    rough = 10 ** math.floor(math.log10(span / count))
    step = next((rough * times for times in (1, 2, 2.5, 5, 10) if rough * times * count >= span), rough * 10)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if last - first > 4 * count or not math.isfinite(step):
        return [low, high]
    return [float(place * step) for place in range(first, last + 1)]


def height_of(value: float, low: float, high: float, height: float) -> float:
    """Return how far down a value is drawn in a picture of this height."""
    place = float(share(value, low, high)) if high > low else 0.5
    return 4 + (height - 8) * (1 - place)


def _line(values: Array, low: float, high: float, place: tuple[float, float, float], colour: str) -> list[Item]:
    left, right, height = place
    across = np.linspace(left, right, len(values)) if len(values) > 1 else np.array([(left + right) / 2])
    items: list[Item] = []
    points: list[tuple[float, float]] = []
    for x, value in zip(across.tolist(), values.tolist(), strict=True):
        if math.isfinite(value):
            points.append((x, height_of(value, low, high, height)))
            continue
        items += _stroke(points, colour, marked=len(values) <= MARKED)
        points = []
        # What is missing leaves a gap, and a cross at the foot says that it is one; infinity has its arrow.
        sign = "×" if math.isnan(value) else "↑" if value > 0 else "↓"
        items.append(Words(x, height - 5 if math.isnan(value) else 12, sign, 9, CONTRAST, "middle"))
    return [*items, *_stroke(points, colour, marked=len(values) <= MARKED)]


def _stroke(points: list[tuple[float, float]], colour: str, *, marked: bool) -> list[Item]:
    marks = [Box(x - 1.75, y - 1.75, 3.5, 3.5, colour, 1.75) for x, y in points] if marked or len(points) == 1 else []
    return [*([Curve(tuple(points), colour, 1.75)] if len(points) > 1 else []), *marks]


def _legend(shown: Shown, values: Array, width: float) -> Drawing:
    count = values.shape[1]
    missing, endless = count_odd(values)
    items: list[Item] = []
    x = 46.0
    names = [clean(name, 24) for name in shown.names[:count]]
    if count > 1 or names:
        for channel in range(count):
            name = names[channel] if len(names) == count else str(channel)
            items += [Box(x, 4, 10, 3, LINES[channel], 1.5), Words(x + 14, 9, name, 9, "soft")]
            x += 14 + measure(name, 9) + 14
    odd = ", ".join([f"{missing:,} missing ×"] * bool(missing) + [f"{endless:,} infinite"] * bool(endless))
    if odd:
        items.append(Words(width, 9, odd, 9, "soft", "end"))
    return Drawing(width, 12 if items else 0, tuple(items))


def _heat(shown: Shown, table: Array, width: float) -> Drawing:
    values = thinned_table(table, int(width), 128).T
    scale = scale_of([values], shown.limits)
    row = max(2.0, min(9.0, 220.0 / len(values)))
    wide = min(width, len(values[0]) * 24.0)
    picture = raster(values, paint(values, scale), wide, row * len(values))
    down = row * len(values)
    frame = Box(0, 0, wide, down, "", outline="hair")
    note = f"{plural(table.shape[1], 'channel')} downwards, {plural(len(table), 'step')} to the right"
    return stacked(
        [Drawing(width, down, (picture, frame)), draw_scale(scale, width, count_odd(values), note)], width, 6
    )
