"""Pictures of text: tokens with their values, a text, one number."""

from __future__ import annotations

import numpy as np

from layerwise.pictures.colours import CONTRAST, Scale, extent, hexed, ink_on, paint, scale_of
from layerwise.pictures.drawing import Box, Drawing, Item, Words, sentence, stacked
from layerwise.pictures.pixels import draw_scale
from layerwise.pictures.sampling import as_numbers, count_odd, floats, thinned_table
from layerwise.pictures.shown import Array, Shown
from layerwise.pictures.wording import LONGEST_TEXT, clean, is_missing, measure, plural, said, shorten_to, wrap

MOST_TOKENS = 160
"""Most tokens of a text that are drawn."""

MOST_FEATURES = 65_536
"""Most features of a token whose norm is taken."""

HIGH = 20.0


def draw_tokens(shown: Shown, width: float) -> Drawing:
    """Return tokens in the order of reading, coloured by their value, or by the norm of their values."""
    count = len(shown.names)
    if not count:
        return sentence("no tokens", width)
    tokens = [clean(token, 32) for token in shown.names[:MOST_TOKENS]]
    values, by = token_values(shown.value, len(tokens))
    scale = token_scale(shown, values) if values is not None else None
    items: list[Item] = []
    x, y = 0.0, 0.0
    for place, token in enumerate(tokens):
        text = shorten_to(token.replace(" ", "␣") or "␣", width - 12, 11)
        beside = clean(shown.raw[place], 12) if shown.raw is not None and place < len(shown.raw) else ""
        wide = max(measure(text, 11) + 10, 14.0) + (measure(beside, 8) + 5 if beside else 0)
        if x + wide > width:
            x, y = 0.0, y + HIGH + 4
        items += _token((text, beside), x, y, wide, None if values is None or scale is None else (values[place], scale))
        x += wide + 3
    left_out = f"{plural(count - len(tokens), 'more token')} not drawn" if count > len(tokens) else ""
    said_by = ", ".join(filter(None, [f"coloured by {by}" if by else "", left_out]))
    body = Drawing(width, y + HIGH, tuple(items))
    if scale is None or values is None:
        return stacked([body, sentence(said_by, width)], width, 6)
    return stacked([body, draw_scale(scale, width, count_odd(values), said_by)], width, 8)


def token_scale(shown: Shown, values: Array) -> Scale:
    """Return the scale of the values of tokens."""
    # Norms are far from zero and near each other: from the least to the greatest, tokens differ to the eye.
    low, high = shown.limits or extent([values])
    return Scale(low, high) if low >= 0 else scale_of([values], shown.limits)


def token_values(value: object, count: int) -> tuple[Array | None, str]:
    """Return one number a token and what it is: its value, or the norm of its features; None where there is none."""
    if value is None or isinstance(value, list | tuple):
        return None, ""
    array = as_numbers(value)[:count]
    if len(array) < count or not array.size:
        return None, ""
    if array.ndim == 1:
        return floats(array), "value"
    features = thinned_table(array.reshape(len(array), -1), len(array), MOST_FEATURES, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        norms: Array = np.sqrt((features**2).sum(axis=1))
    return norms, f"the norm of {features.shape[1]:,} values"


def _token(said: tuple[str, str], x: float, y: float, wide: float, value: tuple[float, Scale] | None) -> list[Item]:
    fill, ink = "wash", "ink"
    if value is not None:
        colour = paint(np.array([value[0]]), value[1])[0]
        fill, ink = hexed(colour), ink_on(colour)
    text, beside = said
    items: list[Item] = [Box(x, y, wide, HIGH, fill, 3)]
    if not beside:
        return [*items, Words(x + wide / 2, y + 14, text, 11, ink, "middle")]
    small = Words(x + wide - 5, y + 14, beside, 8, "soft" if value is None else ink, "end")
    return [*items, Words(x + 5, y + 14, text, 11, ink), small]


def draw_words(shown: Shown, width: float) -> Drawing:
    """Return a text, wrapped and cut where it is very long; of bytes how many there are."""
    if is_missing(shown.value):
        return draw_scalar(shown, width)
    whole = shown.value if isinstance(shown.value, str) else said(shown.value)
    size = 12.5
    items: list[Item] = []
    for place, line in enumerate(wrap(clean(whole, LONGEST_TEXT), width - 16, size, 10)):
        items.append(Words(14, place * 18 + 13, line, size, "ink"))
    down = len(items) * 18.0
    bar = Box(0, 1, 2.5, down - 2, "hair", 1)
    long = f"{len(whole):,} characters" if len(whole) > 200 else ""
    return stacked([Drawing(width, down, (bar, *items)), sentence(long, width, size=9)], width, 4)


def draw_scalar(shown: Shown, width: float) -> Drawing:
    """Return one value, large, with its unit; the truth beside it where it is known."""
    value = shown.value.item() if isinstance(shown.value, np.ndarray) and shown.value.size == 1 else shown.value
    text = scalar_text(value)
    size = 19.0
    fill = CONTRAST if is_missing(value) else "ink"
    items: list[Item] = [Words(0, size, text, size, fill, bold=True)]
    x = measure(text, size) * 1.06 + 8
    unit = "missing" if is_missing(value) else clean(shown.unit, 40)
    if unit:
        items.append(Words(x, size, unit, 12, "soft"))
        x += measure(unit, 12) + 16
    if shown.truth is not None:
        items.append(Words(x + 8, size, f"truth {clean(shown.truth, 40)}", 12, "soft"))
    return Drawing(width, size + 7, tuple(items))


def scalar_text(value: object) -> str:
    """Return one value by itself: with the digits that tell an answer from the next, where a label needs three."""
    return f"{value:,.6g}" if isinstance(value, float) and np.isfinite(value) else said(value, 48)
