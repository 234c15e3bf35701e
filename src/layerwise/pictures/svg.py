"""A drawing as SVG."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from typing import Any

from PIL import Image

from layerwise.pictures.drawing import INKS, Box, Curve, Drawing, Item, Raster, Words
from layerwise.pictures.figures import draw
from layerwise.pictures.shown import Shown
from layerwise.pictures.wording import clean, measure

WIDTH = 640

# Of the widths that the layout is measured with (see ``wording``); another font is squeezed into them.
FAMILY = "Helvetica, Arial, &quot;Liberation Sans&quot;, Arimo, sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, &quot;DejaVu Sans Mono&quot;, monospace"


def draw_svg(shown: Shown, *, width: int = WIDTH) -> str:
    """Return one picture as an SVG element: it takes its ink from the text around it, so it suits light and dark.

    Args:
        shown: what is drawn.
        width: its width in pixels; the height follows.

    Example:
        >>> draw_svg(Shown("n", "column", 3.0, "scalar"))[:43]
        '<svg xmlns="http://www.w3.org/2000/svg" wid'
    """
    about = " · ".join(filter(None, [clean(shown.layer), clean(shown.kind), clean(shown.shape)]))
    return write_svg(draw(shown, width), about)


def write_svg(drawing: Drawing, about: str) -> str:
    """Return a drawing as SVG; ``about`` is what it is called for those who do not see it."""
    width, height = _n(drawing.width), _n(max(drawing.height, 1))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(about)}" fill="none" font-family="{FAMILY}">'
    )
    return f"{head}{''.join(_WRITERS[type(item)](item) for item in drawing.items)}</svg>"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _colour(what: str, name: str) -> str:
    if not name:
        return ""
    if name in INKS:
        opacity = "" if INKS[name] == 1 else f' {what}-opacity="{INKS[name]}"'
        return f' {what}="currentColor"{opacity}'
    return f' {what}="{name}"'


def _box(item: Box) -> str:
    place = f'x="{_n(item.x)}" y="{_n(item.y)}" width="{_n(item.width)}" height="{_n(item.height)}"'
    radius = f' rx="{_n(item.radius)}"' if item.radius else ""
    return f"<rect {place}{radius}{_colour('fill', item.fill)}{_colour('stroke', item.outline)}/>"


def _words(item: Words) -> str:
    style = f' text-anchor="{item.anchor}"' if item.anchor != "start" else ""
    style += ' font-weight="600"' if item.bold else ""
    style += f' font-family="{MONO}"' if item.mono else ""
    if len(item.text) > 2:
        wide = measure(item.text, item.size, mono=item.mono) * (1.06 if item.bold else 1)
        style += f' textLength="{_n(wide)}" lengthAdjust="spacingAndGlyphs"'
    head = f'<text x="{_n(item.x)}" y="{_n(item.y)}" font-size="{_n(item.size)}"{_colour("fill", item.fill)}{style}'
    return f'{head} xml:space="preserve">{escape(item.text)}</text>'


def _curve(item: Curve) -> str:
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in item.points)
    dashes = ' stroke-dasharray="3 3"' if item.dashed else ""
    ends = ' stroke-linejoin="round" stroke-linecap="round"'
    return (
        f'<polyline points="{points}"{_colour("stroke", item.stroke)} stroke-width="{_n(item.width)}"{dashes}{ends}/>'
    )


def _raster(item: Raster) -> str:
    place = f'x="{_n(item.x)}" y="{_n(item.y)}" width="{_n(item.width)}" height="{_n(item.height)}"'
    crisp = ' image-rendering="pixelated"' if item.crisp else ""
    data = base64.b64encode(encode_png(Image.fromarray(item.pixels))).decode()
    return f'<image {place} preserveAspectRatio="none"{crisp} href="data:image/png;base64,{data}"/>'


def encode_png(image: Image.Image, **options: Any) -> bytes:
    """Return an image as PNG."""
    into = io.BytesIO()
    image.save(into, "PNG", optimize=image.width * image.height < 1 << 18, **options)
    return into.getvalue()


_WRITERS: dict[type[Item], Callable[[Any], str]] = {Box: _box, Words: _words, Curve: _curve, Raster: _raster}
