"""Characters as pixels: half blocks in colour, shades without, bars of eighths, Braille for lines.

Whatever comes out is made here, from numbers: nothing of the data's text is in it. In colour, every line ends with
the sequence that switches colours off.
"""

from __future__ import annotations

import math

import numpy as np

from layerwise.pictures.colours import share
from layerwise.pictures.shown import Array

SHADES = " ·░▒▓█"
EIGHTHS = " ▁▂▃▄▅▆▇█"
ACROSS = " ▏▎▍▌▋▊▉█"
DOWNWARDS = " ▔▀█"

OFF = "\x1b[0m"

HOLE = "?"
"""Where a value is missing."""

ENDLESS = "!"
"""Where a value is infinite."""

# The dots of one Braille character, by row and column: Unicode, "Braille Patterns", U+2800 and on.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def ink(text: str, fore: Array, back: Array | None = None) -> str:
    """Return text in 24-bit colours, which end behind it."""
    codes = ["38;2;" + ";".join(str(int(part)) for part in fore[:3])]
    if back is not None:
        codes.append("48;2;" + ";".join(str(int(part)) for part in back[:3]))
    return f"\x1b[{';'.join(codes)}m{text}{OFF}"


def half_blocks(colours: Array) -> list[str]:
    """Return pixels [height, width, 3] as lines, two pixels one above the other in each character."""
    lines = []
    for top in range(0, len(colours), 2):
        upper = colours[top]
        lower = colours[top + 1] if top + 1 < len(colours) else None
        lines.append("".join(_half(upper, lower, place) for place in range(len(upper))))
    return lines


def _half(upper: Array, lower: Array | None, place: int) -> str:
    return ink("▀", upper[place], None if lower is None else lower[place])


def shaded(places: Array, *, wide: bool = False) -> list[str]:
    """Return values between 0 and 1, [height, width], as shades; NaN is ``?`` and infinity ``!``.

    Args:
        places: the values.
        wide: two characters a value, which makes it about a square; else two rows share a line.

    Example:
        >>> shaded(np.array([[0.0, 1.0], [0.5, np.nan]]), wide=True)
        ['  ██', '▒▒??']
    """
    if wide:
        return ["".join(_shade(value) * 2 for value in row) for row in places.tolist()]
    if len(places) % 2:
        places = np.concatenate([places, places[-1:]])
    pairs = places.reshape(-1, 2, places.shape[1])
    return ["".join(_shade(value) for value in row) for row in ((pairs[:, 0] + pairs[:, 1]) / 2).tolist()]


def _shade(value: float) -> str:
    if math.isnan(value):
        return HOLE
    if math.isinf(value):
        return ENDLESS
    return SHADES[min(int(value * len(SHADES)), len(SHADES) - 1)]


def bars(values: Array, low: float, high: float) -> list[str]:
    """Return values as bars: one line upwards from zero, and one downwards where any is below.

    Example:
        >>> bars(np.array([0.0, 0.5, 1.0, -1.0]), -1.0, 1.0)
        [' ▄█ ', '   █']
    """
    far = max(abs(low), abs(high))
    shares = (share(values, 0.0, far) if far else np.where(np.isfinite(values), 0.0, values)).tolist()
    up = "".join(_bar(part, EIGHTHS) for part in shares)
    down = "".join(_bar(-part, DOWNWARDS) if part < 0 else " " for part in shares)
    return [up, down] if (values < 0).any() else [up]


def _bar(part: float, signs: str) -> str:
    if math.isnan(part):
        return HOLE
    if math.isinf(part):
        return ENDLESS if part > 0 else " "
    if part <= 0:
        return " "
    # Whatever is not zero shows: the smallest sign is for it.
    return signs[max(1, round(min(part, 1.0) * (len(signs) - 1)))]


def bar_across(part: float, width: int) -> str:
    """Return a bar from left to right, ``part`` of ``width`` characters long, to an eighth of one.

    Example:
        >>> bar_across(0.5, 5)
        '██▌  '
    """
    eighths = round(min(max(part, 0.0), 1.0) * width * 8) if math.isfinite(part) else 0
    text = "█" * (eighths // 8) + (ACROSS[eighths % 8] if eighths % 8 else "")
    return text.ljust(width)


def wave(values: Array, width: int, height: int, low: float, high: float) -> list[str]:
    """Return a line through values as Braille, ``width`` characters wide and ``height`` lines high."""
    across, down = width * 2, height * 4
    dots = np.zeros((down, across), dtype=bool)
    places = np.linspace(0, across - 1, len(values)).round().astype(int) if len(values) > 1 else np.array([0])
    shares = share(values, low, high) if high > low else np.where(np.isfinite(values), 0.5, values)
    before: tuple[int, int] | None = None
    for x, place in zip(places.tolist(), shares.tolist(), strict=True):
        if not math.isfinite(place):
            before = None
            continue
        here = (x, round((1 - min(max(place, 0.0), 1.0)) * (down - 1)))
        _join(dots, before or here, here)
        before = here
    return [
        "".join(_braille(dots[4 * line : 4 * line + 4, 2 * c : 2 * c + 2]) for c in range(width))
        for line in range(height)
    ]


def _join(dots: Array, start: tuple[int, int], end: tuple[int, int]) -> None:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    across = np.linspace(start[0], end[0], steps + 1).round().astype(int)
    down = np.linspace(start[1], end[1], steps + 1).round().astype(int)
    dots[down, across] = True


def _braille(cell: Array) -> str:
    code = sum(_DOTS[row][column] for row in range(4) for column in range(2) if cell[row, column])
    return chr(0x2800 + code) if code else " "
