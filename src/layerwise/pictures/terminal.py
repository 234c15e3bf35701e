"""A picture of characters, for a terminal: what a sheet draws with pixels, on the same scales."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from layerwise.pictures import blocks
from layerwise.pictures.bars import filled_names, is_code
from layerwise.pictures.colours import Scale, paint, scale_of
from layerwise.pictures.lines import MOST_LINES, ends_of
from layerwise.pictures.pixels import colours_of, pixel_span
from layerwise.pictures.sampling import as_numbers, floats, mean, thinned, thinned_map, thinned_table
from layerwise.pictures.shown import Array, Shown, Sort
from layerwise.pictures.terminal_lists import (
    draw_answer,
    draw_cells,
    draw_ranking,
    draw_scalar,
    draw_tokens,
    draw_words,
)
from layerwise.pictures.wording import clean, fit, number, plural

NARROWEST = 20
"""Fewest columns that are drawn in."""

MAP_LINES = 2
"""Lines of feature maps."""

HIGH = 6
"""Lines of a series."""

Lines = list[str]


def draw_text(shown: Shown, width: int = 80, *, colour: bool = False) -> list[str]:
    """Return a picture as lines of text, none wider than ``width`` columns (20 at least).

    Args:
        shown: what is drawn. Its layer, kind and shape are not repeated: the caller prints them.
        width: how many columns there are.
        colour: 24-bit colours by escape sequences, all of them our own; plain characters where not.

    Example:
        >>> print(*draw_text(Shown("sure", "classes", np.array([0.25, 0.75]), "answer", ["no", "yes"]), 30), sep="|")
        no   ███▊             25.0%|yes  ███████████▎     75.0%
    """
    width = max(width, NARROWEST)
    if shown.same_as:
        lines = [fit(f"the same as {clean(shown.same_as, 80)}", width)]
    else:
        lines = _DRAWN[shown.sort](shown, width, colour)
    return [*lines, *([fit(clean(shown.note, 300), width)] if shown.note else [])]


def _image(shown: Shown, width: int, colour: bool) -> Lines:
    array = as_numbers(shown.value)
    planes = array if array.ndim == 3 else array[None]
    if not array.size or len(planes) not in (1, 3, 4):
        return _maps(shown, width, colour)
    seen = np.stack([thinned_map(plane, min(width if colour else width // 2, 56)) for plane in planes])
    low, high = shown.limits or pixel_span(seen, array.dtype.kind)
    scale = Scale(low, high)
    if colour:
        lines = blocks.half_blocks(colours_of(seen, scale))
    else:
        lines = blocks.shaded(_places(mean(seen[:3], 0), scale), wide=True)
    return [*lines, fit(f"{number(low)} to {number(high)}", width)]


def _places(values: Array, scale: Scale) -> Array:
    """Return how much ink each value has: its distance from zero where the scale is signed and no picture's."""
    return np.where(np.isinf(values), np.inf, scale.place(values))


def _strength(values: Array, scale: Scale) -> Array:
    places = np.abs(scale.place(values) - 0.5) * 2 if scale.signed else scale.place(values)
    return np.where(np.isinf(values), np.inf, places)


def _maps(shown: Shown, width: int, colour: bool) -> Lines:
    array = as_numbers(shown.value)
    array = array if array.ndim == 3 else array[None]
    if not array.size:
        return ["empty"]
    side = min(max(array.shape[1:]), 16, width)
    across = max(1, (width + 1) // (min(array.shape[2], side) + 1))
    maps = [thinned_map(plane, side) for plane in array[: across * MAP_LINES]]
    scale = scale_of(maps, shown.limits)
    lines: Lines = []
    for start in range(0, len(maps), across):
        tiles = [_tile(values, scale, colour) for values in maps[start : start + across]]
        wide = maps[0].shape[1]
        heads = " ".join(fit(str(start + place), wide).ljust(wide) for place in range(len(tiles)))
        lines += [heads.rstrip(), *(" ".join(row) for row in zip(*tiles, strict=True))]
    more = len(array) - len(maps)
    return [*lines, fit(_scale(scale, f"{plural(more, 'more map')} not drawn" if more else ""), width)]


def _tile(values: Array, scale: Scale, colour: bool) -> Lines:
    return blocks.half_blocks(paint(values, scale)) if colour else blocks.shaded(_strength(values, scale))


def _scale(scale: Scale, note: str = "") -> str:
    return ", ".join(filter(None, [f"{number(scale.low)} to {number(scale.high)}", note]))


def _matrix(shown: Shown, width: int, colour: bool) -> Lines:
    array = as_numbers(shown.value)
    if not array.size:
        return ["empty"]
    values = thinned_table(array, 32, width)
    scale = scale_of([values], shown.limits)
    return [*_tile(values, scale, colour), fit(_scale(scale), width)]


def _series(shown: Shown, width: int, colour: bool) -> Lines:
    array = as_numbers(shown.value)
    if not array.size:
        return ["empty"]
    table = array if array.ndim == 2 else array[:, None]
    if table.shape[1] > MOST_LINES:
        values = thinned_table(table, width, 32).T
        scale = scale_of([values], shown.limits)
        return [*_tile(values, scale, colour), fit(_scale(scale, f"{table.shape[1]:,} channels downwards"), width)]
    values = thinned(table, 2 * width)
    low, high = shown.limits or ends_of(values)
    left = max(len(number(low)), len(number(high))) + 1
    lines: Lines = []
    for channel in range(values.shape[1]):
        drawn = blocks.wave(values[:, channel], max(width - left, 4), HIGH, low, high)
        labels = [number(high), *[""] * (HIGH - 2), number(low)]
        lines += [f"{label:>{left - 1}} {line}".rstrip() for label, line in zip(labels, drawn, strict=True)]
    missing = int(np.isnan(values).sum())
    return [*lines, *([f"{missing:,} missing"] if missing else [])]


def _vector(shown: Shown, width: int, colour: bool) -> Lines:
    array = as_numbers(shown.value).reshape(-1)
    if not array.size:
        return ["empty"]
    code = is_code(shown, array)
    if len(array) <= 12 and not code:
        names = list(shown.names) if len(shown.names) == len(array) else [str(i) for i in range(len(array))]
        pairs = [f"{clean(name, 24)} {number(value)}" for name, value in zip(names, floats(array), strict=True)]
        return _flowed(pairs, width)
    values = thinned(array, min(width, len(array)))
    scale = scale_of([values], shown.limits)
    per = -(-len(array) // len(values))
    note = f"{len(array):,} values" + (f", each bar the mean of about {per:,}" if per > 1 else "")
    drawn = blocks.bars(values, scale.low, scale.high)
    if colour:
        drawn = ["".join(blocks.ink(c, paint(values[i], scale)) for i, c in enumerate(line)) for line in drawn]
    named = _flowed(filled_names(shown, array), width) if code else []
    return [*drawn, fit(_scale(scale, note), width), *named]


def _flowed(parts: list[str], width: int) -> Lines:
    lines = [""]
    for part in parts:
        longer = f"{lines[-1]}   {part}" if lines[-1] else part
        if len(longer) > width and lines[-1]:
            lines.append(fit(part, width))
        else:
            lines[-1] = fit(longer, width)
    return lines


_DRAWN: dict[Sort, Callable[[Shown, int, bool], Lines]] = {
    "image": _image,
    "maps": _maps,
    "matrix": _matrix,
    "series": _series,
    "vector": _vector,
    "cells": draw_cells,
    "tokens": draw_tokens,
    "answer": draw_answer,
    "ranking": draw_ranking,
    "scalar": draw_scalar,
    "text": draw_words,
}
