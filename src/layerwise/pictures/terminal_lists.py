"""Pictures of characters of what has names: cells, tokens, an answer, a ranking, a text, one value."""

from __future__ import annotations

import textwrap

import numpy as np

from layerwise.pictures import blocks
from layerwise.pictures.colours import ink_on, paint
from layerwise.pictures.lists import MOST_CELLS, order_of, scores_of
from layerwise.pictures.sampling import as_numbers, floats
from layerwise.pictures.shown import Shown
from layerwise.pictures.texts import scalar_text, token_scale, token_values
from layerwise.pictures.wording import LONGEST_TEXT, clean, columns, fit, is_missing, number, plural, said

MOST_TOKENS = 120
"""Most tokens of a text that are written."""

Lines = list[str]


def draw_cells(shown: Shown, width: int, colour: bool) -> Lines:
    """Return a row's cells, one a line: the name, the raw value, and what became of it."""
    count = min(len(shown.value), MOST_CELLS)
    names = [clean(shown.names[i], 30) if i < len(shown.names) else str(i) for i in range(count)]
    wide = min(max(map(columns, names), default=0), width // 2)
    raw = shown.raw if shown.raw is not None else ()
    lines = []
    for place, name in enumerate(names):
        now = said(shown.value[place], 40)
        was = said(raw[place], 40) if place < len(raw) else now
        text = now if now == was else f"{was} → {now}"
        lines.append(fit(f"{_pad(fit(name, wide), wide)}  {text}", width))
    more = len(shown.value) - count
    return [*lines, *([fit(f"{plural(more, 'more column')} not shown", width)] if more else [])] or ["no columns"]


def _pad(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def draw_tokens(shown: Shown, width: int, colour: bool) -> Lines:
    """Return tokens in the order of reading, each with its value as a bar beside it, or as its colour."""
    tokens = [fit(clean(token, 32).replace(" ", "␣") or "␣", width - 3) for token in shown.names[:MOST_TOKENS]]
    if not tokens:
        return ["no tokens"]
    values, by = token_values(shown.value, len(tokens))
    lines, used = [""], 0
    scale = token_scale(shown, values) if values is not None else None
    for place, token in enumerate(tokens):
        if shown.raw is not None and place < len(shown.raw):
            token = fit(f"{token}({clean(shown.raw[place], 12)})", width)
        text = token
        wide = columns(token)
        if values is not None and scale is not None and colour:
            back = paint(values[place : place + 1], scale)[0]
            text = blocks.ink(f" {token} ", _rgb(ink_on(back)), back)
            wide += 2
        elif values is not None and scale is not None:
            share = scale.place(values[place : place + 1])
            mark = blocks.bars(np.where(np.isnan(share), np.nan, np.maximum(share, 0.01)), 0.0, 1.0)[0]
            text, wide = f"{token}{mark}", wide + 1
        if used and used + 1 + wide > width:
            lines, used = [*lines, ""], 0
        lines[-1] += f" {text}" if used else text
        used += wide + (1 if used else 0)
    more = len(shown.names) - len(tokens)
    notes = [f"by {by}" if by else "", f"{plural(more, 'more token')} not shown" if more else ""]
    note = ", ".join(filter(None, notes))
    return [*lines, *([fit(note, width)] if note else [])]


def _rgb(colour: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.int64)


def draw_answer(shown: Shown, width: int, colour: bool) -> Lines:
    """Return an answer's classes with their probabilities; the truth is marked."""
    chances = floats(as_numbers(shown.value).reshape(-1)[:100_000])
    names = shown.names if len(shown.names) else [str(place) for place in range(len(chances))]
    order, left_out = order_of(chances, names, shown.truth)
    if not order:
        return ["no classes"]
    labels = [fit(clean(names[place], 40), width // 3) for place in order]
    wide = max(map(columns, labels))
    marked = 7 if shown.truth is not None else 0
    bar = max(4, min(30, width - wide - 12 - marked))
    lines = []
    for place, label in zip(order, labels, strict=True):
        true = shown.truth is not None and clean(names[place]) == clean(shown.truth)
        chance = float(chances[place])
        text = f"{chance:.1%}" if np.isfinite(chance) else number(chance)
        drawn = f"{_pad(label, wide)}  {blocks.bar_across(chance, bar)} {text:>6}"
        lines.append(fit(f"{drawn}  truth" if true else drawn, width))
    return [*lines, *([f"{left_out:,} less likely ones not shown"] if left_out else [])]


def draw_ranking(shown: Shown, width: int, colour: bool) -> Lines:
    """Return a ranking as a numbered list with its scores."""
    drawn = min(len(shown.names), 20)
    scores = scores_of(shown.value, drawn)
    lines = []
    for place in range(drawn):
        name = clean(shown.names[place])
        score = f"  {number(scores[place])}" if scores else ""
        true = "  truth" if shown.truth is not None and name == clean(shown.truth) else ""
        lines.append(fit(f"{place + 1:>3}  {name}{score}{true}", width))
    more = len(shown.names) - drawn
    return [*lines, *([f"{plural(more, 'more item')} not shown"] if more else [])] or ["no items"]


def draw_words(shown: Shown, width: int, colour: bool) -> Lines:
    """Return a text, wrapped, and cut where it is very long."""
    if is_missing(shown.value):
        return draw_scalar(shown, width, colour)
    text = clean(shown.value, LONGEST_TEXT) if isinstance(shown.value, str) else said(shown.value)
    # Half the columns where letters are wide: textwrap counts letters.
    letters = width if columns(text) == len(text) else max(width // 2, 1)
    return textwrap.wrap(text, letters, max_lines=8, placeholder="…", drop_whitespace=True) or ['""']


def draw_scalar(shown: Shown, width: int, colour: bool) -> Lines:
    """Return one value with its unit."""
    value = shown.value.item() if isinstance(shown.value, np.ndarray) and shown.value.size == 1 else shown.value
    unit = "missing" if is_missing(value) else clean(shown.unit, 40)
    truth = f"(truth {clean(shown.truth, 40)})" if shown.truth is not None else ""
    return [fit(" ".join(filter(None, [scalar_text(value), unit, truth])), width)]
