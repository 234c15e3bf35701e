"""Colours: two ramps that are even to the eye, and the marks of what is missing.

Both ramps are made in OKLab (Björn Ottosson, "A perceptual color space for image processing", 2020): equal steps of a
value are equal steps of lightness, so they read the same without colour. ``depth`` (for what has no sign) goes from
night blue over teal to straw; ``balance`` (round zero) from orange (below) over paper to blue (above), the pair
of hues that people of every kind of colour vision tell apart.

>>> paint(np.array([-1.0, 0.0, 1.0]), Scale(-1, 1)).tolist()
[[147, 47, 0], [245, 245, 246], [0, 82, 167]]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from layerwise.pictures.shown import Array

STEPS = 256

ACCENT, CONTRAST = "#3a7bd0", "#d9761a"
"""Blue and orange for lines and bars: both are told apart from light and from dark paper."""

LINES = ("#3a7bd0", "#d9761a", "#2f9e86", "#b65fa8", "#b08a1e", "#7a7f87")
"""The colours of several lines in one picture, after Okabe and Ito ("Color Universal Design", 2008)."""

HOLE = ((150, 150, 150), (214, 214, 214))
"""The two greys of the chequers where a value is missing."""

ENDLESS = (214, 0, 112)
"""Where a value is infinite."""


@dataclass(frozen=True)
class Scale:
    """What the least and the greatest colour stand for."""

    low: float
    high: float

    @property
    def signed(self) -> bool:
        """Whether the scale goes round zero."""
        return self.low < 0

    def place(self, values: Array) -> Array:
        """Return where values lie, 0 to 1; NaN stays."""
        if self.low == self.high:
            return np.where(np.isnan(values), np.nan, 0.5 if self.signed else 0.0)
        return np.clip(share(values, self.low, self.high), 0, 1)


def share(values: Array | float, low: float, high: float) -> Array:
    """Return how far from ``low`` to ``high`` values lie: 0 at the one, 1 at the other. NaN stays.

    Example:
        >>> share(np.array([-1e308, 0.0, 1e308]), -1e308, 1e308).tolist()
        [0.0, 0.5, 1.0]
    """
    # Near the largest and the smallest numbers there are, a difference is neither finite nor exact.
    far = max(abs(low), abs(high))
    unit = 2.0**-600 if far > 2.0**500 else 2.0**600 if far < 2.0**-500 else 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        found: Array = (np.asarray(values) * unit - low * unit) / (high * unit - low * unit)
    return found


def _oklab(lightness: Array, chroma: Array, hue: Array) -> Array:
    # OKLCH to sRGB, with the matrices of the publication; what no screen can show is cut off.
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack([
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    ], axis=-1).clip(0, 1)  # fmt: skip
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (curved * 255).round().astype(np.uint8)


def _depth() -> Array:
    way = np.linspace(0, 1, STEPS)
    chroma = np.interp(way, [0, 0.25, 0.5, 0.75, 1], [0.075, 0.115, 0.105, 0.125, 0.125])
    hue = np.interp(way, [0, 0.25, 0.5, 0.75, 1], [272, 252, 200, 145, 102])
    return _oklab(0.245 + 0.695 * way, chroma, hue)


def _balance() -> Array:
    way = np.linspace(-1, 1, STEPS)
    far = np.abs(way)
    return _oklab(0.973 - 0.525 * far, 0.155 * far**0.9, np.where(way < 0, 50.0, 255.0))


DEPTH, BALANCE, GREY = _depth(), _balance(), np.repeat(np.arange(STEPS, dtype=np.uint8)[:, None], 3, axis=1)

for _ramp in (DEPTH, BALANCE, GREY):
    _ramp.setflags(write=False)


def scale_of(values: Iterable[Array], limits: tuple[float, float] | None = None) -> Scale:
    """Return the scale of one layer's values: from zero up where nothing is below it, else as far down as up.

    Args:
        values: arrays of floats; what is not finite does not count.
        limits: the least and greatest value, where they are given (one scale for many rows).
    """
    low, high = limits or extent(values)
    if low >= 0:
        return Scale(0.0, high)
    far = max(-low, high)
    return Scale(-far, far)


def extent(values: Iterable[Array]) -> tuple[float, float]:
    """Return the least and greatest finite value, (0, 0) where there is none."""
    ends = [(float(there.min()), float(there.max())) for array in values if (there := array[np.isfinite(array)]).size]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.0, 0.0)


def ramp_of(scale: Scale) -> Array:
    """Return the colours of a scale from its low end to its high one, [256, 3] uint8."""
    return BALANCE if scale.signed else DEPTH


def paint(values: Array, scale: Scale, *, grey: bool = False) -> Array:
    """Return the colours of values, [..., 3] uint8: ``grey`` for pixels, else the ramp that fits the scale."""
    ramp = GREY if grey else ramp_of(scale)
    place = np.nan_to_num(scale.place(values), nan=0.0)
    # Taken and not indexed: of one number alone, an index would give a view of the ramp itself.
    found: Array = np.take(ramp, (place * (STEPS - 1)).round().astype(np.intp), axis=0)
    found[np.isinf(values)] = ENDLESS
    found[np.isnan(values)] = HOLE[0]
    return found


def hexed(colour: Array) -> str:
    """Return one colour as SVG writes it."""
    return "#" + "".join(f"{int(part):02x}" for part in colour[:3])


def ink_on(colour: Array) -> str:
    """Return the ink, black or white, that is read on a colour (WCAG 2.2: the one of greater contrast)."""
    linear = (np.asarray(colour[:3], dtype=np.float64) / 255) ** 2.2
    return "#ffffff" if float(linear @ [0.2126, 0.7152, 0.0722]) < 0.179 else "#000000"
