"""Pictures of what has names: a table row's cells, an answer's classes, a ranking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from layerwise.pictures.colours import ACCENT, CONTRAST, share
from layerwise.pictures.drawing import Box, Curve, Drawing, Item, Words, sentence, stacked
from layerwise.pictures.sampling import as_numbers, floats
from layerwise.pictures.shown import Array, Shown
from layerwise.pictures.wording import clean, is_missing, measure, number, plural, said, shorten_to

MOST_CELLS = 60
"""Most cells of a row that are drawn."""

MOST_CLASSES = 12
"""Most classes that stand in their own order; of more the likeliest are drawn."""

LINE = 21.0

BOLDER = 1.07
"""How much wider bold letters are."""


def draw_cells(shown: Shown, width: float) -> Drawing:
    """Return a row's cells: name, the raw value where there is one, and what became of it."""
    count = len(shown.value)
    if not count:
        return sentence("no columns", width)
    drawn = min(count, MOST_CELLS)
    across = 1 if drawn <= 6 or width < 520 else 2
    each = -(-drawn // across)
    # A name and its value far apart are hard to read together.
    wide = min((width - 28 * (across - 1)) / across, 420.0)
    items: list[Item] = []
    for place in range(drawn):
        x, y = place // each * (wide + 28), place % each * LINE
        items += Drawing(0, 0, tuple(_cell(shown, place, wide))).moved(x, y)
    left_out = f"{plural(count - drawn, 'more column')} not drawn" if count > drawn else ""
    return stacked([Drawing(width, each * LINE, tuple(items)), sentence(left_out, width)], width, 6)


def _cell(shown: Shown, place: int, width: float) -> list[Item]:
    name = clean(shown.names[place], 48) if place < len(shown.names) else str(place)
    value, known = shown.value[place], shown.raw is not None and place < len(shown.raw)
    now, was = said(value, 48), said(shown.raw[place], 48) if known and shown.raw is not None else ""
    changed = known and now != was
    third = width * 0.40
    items: list[Item] = [
        Curve(((0, LINE - 0.5), (width, LINE - 0.5)), "hair", 0.75),
        Words(0, 14, shorten_to(name, third - 8, 11), 11, "soft"),
    ]
    right = shorten_to(now, width * 0.25 / BOLDER if changed else width - third, 11)
    gone = is_missing(value)
    items.append(Words(width, 14, right, 11, CONTRAST if gone else "ink", "end", bold=changed))
    if changed:
        # The arrows stand one under the other, what was at their left and what is at their right.
        arrow = width * 0.71
        fill = CONTRAST if known and shown.raw is not None and is_missing(shown.raw[place]) else "faint"
        items.append(Words(arrow - 16, 14, shorten_to(was, arrow - 16 - third, 11), 11, fill, "end"))
        items.append(Words(arrow - 4, 14, "→", 10, "faint", "middle"))
    return items


def draw_answer(shown: Shown, width: float) -> Drawing:
    """Return an answer as its classes with their probabilities; the likeliest stands out, the truth is marked."""
    chances = floats(as_numbers(shown.value).reshape(-1)[:100_000])
    names = shown.names if len(shown.names) else [str(place) for place in range(len(chances))]
    order, left_out = order_of(chances, names, shown.truth)
    if not order:
        return sentence("no classes", width)
    labels = [clean(names[place], 40) for place in order]
    left = min(width * 0.34, max(measure(label, 11.5) for label in labels) * BOLDER + 12)
    bar = max(20.0, min(width - left - 120, 320.0))
    best = int(np.nanargmax(chances)) if np.isfinite(chances).any() else -1
    items: list[Item] = []
    for line, (place, label) in enumerate(zip(order, labels, strict=True)):
        true = shown.truth is not None and clean(names[place]) == clean(shown.truth)
        row = _chance(
            chances[place].item(),
            shorten_to(label, (left - 10) / BOLDER, 11.5),
            (left, bar),
            best=place == best,
            true=true,
        )
        items += Drawing(0, 0, tuple(row)).moved(0, line * LINE)
    parts = [Drawing(width, len(order) * LINE, tuple(items))]
    parts.append(sentence(f"{left_out:,} less likely ones not drawn" if left_out else "", width))
    unseen = shown.truth is not None and not any(clean(name) == clean(shown.truth) for name in list(names)[:100_000])
    if unseen:
        parts.append(sentence(f"the truth, {clean(shown.truth)}, is none of the classes", width))
    return stacked(parts, width, 6)


def order_of(chances: Array, names: Sequence[str], truth: str | None) -> tuple[list[int], int]:
    """Return the places of the classes that are drawn, in their order, and how many are left out."""
    count = min(len(chances), len(names))
    if count <= MOST_CLASSES:
        return list(range(count)), 0
    chosen = np.argsort(-np.nan_to_num(chances[:count], nan=-1), kind="stable")[: MOST_CLASSES - 2].tolist()
    true = [place for place in range(count) if truth is not None and names[place] == truth and place not in chosen]
    return [*chosen, *true[:1]], count - len(chosen) - len(true[:1])


def _chance(chance: float, label: str, place: tuple[float, float], *, best: bool, true: bool) -> list[Item]:
    left, bar = place
    long = bar * min(max(chance, 0.0), 1.0) if math.isfinite(chance) else 0.0
    text = f"{chance:.1%}" if math.isfinite(chance) else number(chance)
    items: list[Item] = [
        Words(left - 10, 14.5, label, 11.5, "ink" if best or true else "soft", "end", bold=best),
        Box(left, 4, bar, 13, "wash", 2),
        Box(left, 4, max(long, 0.75), 13, ACCENT if best else "faint", 2),
        Words(left + bar + 8, 14.5, text, 11, "ink" if best else "soft", bold=best),
    ]
    if true:
        # A sign and a word, not a colour alone: it is read in print and by everyone.
        items.append(Words(left + bar + 52, 14.5, "✓ truth" if best else "◂ truth", 10.5, "ink" if best else CONTRAST))
    return items


def draw_ranking(shown: Shown, width: float) -> Drawing:
    """Return a ranking as a list, with its scores as bars where there are some."""
    count = len(shown.names)
    drawn = min(count, 20)
    scores = scores_of(shown.value, drawn)
    names = [shorten_to(clean(name, 60), width * 0.5, 11.5) for name in shown.names[:drawn]]
    left = 30 + max((measure(name, 11.5) for name in names), default=0) + 14
    low = min([*(score for score in scores if math.isfinite(score)), 0.0])
    high = max([*(score for score in scores if math.isfinite(score)), 0.0])
    items: list[Item] = []
    for place, name in enumerate(names):
        y, true = place * LINE + 14.5, shown.truth is not None and clean(shown.names[place]) == clean(shown.truth)
        items += [
            Words(20, y, f"{place + 1}", 10, "faint", "end"),
            Words(30, y, name, 11.5, "ink", bold=true),
        ]
        if scores:
            finite = high > low and math.isfinite(scores[place])
            part = float(share(scores[place], low, high)) if finite else 0.0
            bar = min(width - left - 110, 240.0)
            items.append(Box(left, y - 9, max(bar * part, 0.75), 11, ACCENT if place == 0 else "faint", 2))
            items.append(Words(left + bar * part + 8, y, number(scores[place]), 10, "soft"))
        if true:
            items.append(Words(width, y, "✓ truth", 10.5, "ink", "end"))
    left_out = f"{plural(count - drawn, 'more item')} not drawn" if count > drawn else ""
    return stacked([Drawing(width, drawn * LINE, tuple(items)), sentence(left_out, width)], width, 6)


def scores_of(value: Any, count: int) -> list[float]:
    """Return the first scores of a ranking; nothing where it has none."""
    if value is None or len(value) < count:
        return []
    return [float(score) for score in floats(as_numbers(value[:count]))]
