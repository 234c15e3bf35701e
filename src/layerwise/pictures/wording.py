"""Words in pictures: whatever a value holds as short, harmless text, and how wide a text is.

Everything that comes from data passes through ``clean`` before it is laid out: it is cut, and what would act on a
terminal or mislead the eye (control characters, marks that turn the direction of writing) is written out.

>>> clean("red" + chr(27) + "[31m")
'red\\\\x1b[31m'
>>> said(None), said(float("inf")), said(0.123456), said(b"abc")
('—', '∞', '0.123', '3 bytes')
"""

from __future__ import annotations

import math
import numbers
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from layerwise.words import visible

MISSING = "—"
"""What stands where a value is missing."""

LONGEST = 60
"""Most characters of a name or a cell."""

LONGEST_TEXT = 1_200
"""Most characters of a text that is itself what is shown."""


def clean(text: object, most: int = LONGEST) -> str:
    """Return a text on one line, at most ``most`` characters long, with nothing in it that acts."""
    whole = text if isinstance(text, str) else str(text)
    # Cut first: a text of a gigabyte costs no more than a short one. Escapes may make it longer, so cut again.
    shown = visible(whole[:most].replace("\t", " "))
    if len(whole) <= most and len(shown) <= most:
        return shown
    return f"{shown[: most - 1].rstrip()}…"


def said(value: Any, most: int = LONGEST) -> str:
    """Return any one value as a person reads it."""
    if value is None:
        return MISSING
    if isinstance(value, bool | str) or type(value).__name__ in ("bool_", "bool"):
        return clean(value, most)
    if isinstance(value, numbers.Real):
        return number(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value):,} bytes"
    if isinstance(value, Mapping):
        return clean(_several(value, (f"{said(name)}: {said(value[name])}" for name in value)), most)
    if isinstance(value, list | tuple):
        return clean(f"[{_several(value, (said(inner, 20) for inner in value))}]", most)
    return clean(value, most)


def _several(whole: Any, parts: Iterator[str]) -> str:
    first = [part for part, _ in zip(parts, range(5), strict=False)]
    return ", ".join(first) + (f", … {len(whole) - 5:,} more" if len(whole) > 5 else "")


def number(value: Any) -> str:
    """Return a number to three digits; what is not finite has a sign of its own.

    >>> number(1234567), number(12.0), number(-0.00002), number(float("nan"))
    ('1,234,567', '12', '-2e-05', '—')
    """
    if isinstance(value, numbers.Integral):
        return f"{int(value):,}" if abs(int(value)) < 10**15 else f"{float(min(abs(int(value)), 10**300)):.3g}"
    value = float(value)
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 10**6:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 10**6 else f"{value:.3g}"


def is_missing(value: Any) -> bool:
    """Tell whether nothing stands in a cell."""
    return value is None or (isinstance(value, numbers.Real) and math.isnan(float(value)))


def columns(text: str) -> int:
    """Return how many columns of a terminal a clean text takes.

    >>> columns("abc"), columns("数字")
    (3, 4)
    """
    return len(text) if text.isascii() else sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, width: int) -> str:
    """Return a clean text cut to so many columns of a terminal."""
    if columns(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        if used + _columns(character) > width - 1:
            break
        kept, used = kept + character, used + _columns(character)
    return f"{kept}…" if width > 0 else ""


# Widths of ASCII in thousandths of the size, from the Adobe font metrics of Helvetica, to which Arial and Liberation
# Sans are cut: a layout that measures so is the same on every machine.
_NARROW = dict.fromkeys("ijl'|", 222) | dict.fromkeys(" !,./:;[]\\ftI", 278) | dict.fromkeys("()-`r{}", 333)
_WIDE = dict.fromkeys("ABEKPSVXY&", 667) | dict.fromkeys("CDHNRUw", 722) | dict.fromkeys("GOQ", 778)
_WIDTHS = _NARROW | _WIDE | dict.fromkeys("ckJsvxyz", 500) | dict.fromkeys("mM", 833) | dict.fromkeys("%", 889)
_WIDTHS |= {"W": 944, "@": 1015, "T": 611, "F": 611, "Z": 611, '"': 355, "*": 389, "…": 1000, "—": 1000, "→": 1000}
_WIDTHS |= dict.fromkeys("+=<>~×−", 584)


def measure(text: str, size: float, *, mono: bool = False) -> float:
    """Return about how wide a clean text of that size is drawn, in pixels."""
    if mono:
        return 0.602 * size * columns(text)
    return size / 1000 * sum(_WIDTHS.get(c) or 556 * _columns(c) for c in text)


def shorten_to(text: str, width: float, size: float, *, mono: bool = False) -> str:
    """Return a clean text cut so that it is drawn no wider than ``width``."""
    if measure(text, size, mono=mono) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = measure(text[:middle].rstrip() + "…", size, mono=mono) <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return f"{text[:low].rstrip()}…" if low else ""


def wrap(text: str, width: float, size: float, most: int) -> list[str]:
    """Return a clean text in at most ``most`` lines, broken at spaces, or anywhere in a word that is too long."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if measure(longer, size) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        while measure(word, size) > width and len(lines) <= most:
            head = shorten_to(word, width, size).removesuffix("…") or word[0]
            lines.append(head)
            word = word[len(head) :]
        line = word
        if len(lines) > most:
            break
    lines = [*lines, line] if line or not lines else lines
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], shorten_to(f"{lines[most - 1]}…", width, size)]


def plural(count: int, one: str) -> str:
    """Return a count with its word.

    >>> plural(1, "map"), plural(1200, "map")
    ('1 map', '1,200 maps')
    """
    return f"{count:,} {one}{'' if count == 1 else 's'}"
