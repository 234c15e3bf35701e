"""A drawing as pixels, with Pillow: letters from a font of the machine where there is one, else Pillow's own."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from layerwise.pictures.drawing import INKS, Box, Curve, Drawing, Raster, Words

FINE = 4
"""Lines are drawn so many times larger and made smaller again, which smooths them."""

REGULAR = ("LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf", "Helvetica.ttc", "DejaVuSans.ttf")
BOLD = ("LiberationSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf", "DejaVuSans-Bold.ttf")
MONO = ("DejaVuSansMono.ttf", "LiberationMono-Regular.ttf", "Menlo.ttc", "consola.ttf")
BROAD = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "seguisym.ttf", "msyh.ttc")
"""Fonts by their file names, looked for where the system keeps fonts: the first one there is taken."""

PLAIN = str.maketrans({"×": "x", "→": ">", "—": "-", "–": "-", "·": ".", "−": "-", "✓": "v", "◂": "<", "␣": "_"})
"""What stands for signs that no font of the machine has."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Paper:
    """The colour of a sheet and of plain ink on it."""

    paper: Rgb
    ink: Rgb

    def colour(self, name: str) -> Rgb:
        """Return a colour or an ink as it stands on this paper."""
        if name not in INKS:
            return int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16)
        share = INKS[name]
        mixed = [round(ink * share + paper * (1 - share)) for ink, paper in zip(self.ink, self.paper, strict=True)]
        return mixed[0], mixed[1], mixed[2]


LIGHT = Paper((255, 255, 255), (22, 27, 34))
DARK = Paper((19, 22, 27), (226, 230, 236))


def paint_drawing(drawing: Drawing, paper: Paper, scale: int = 2) -> Image.Image:
    """Return a drawing as an image, ``scale`` pixels for each of its own."""
    size = max(1, round(drawing.width * scale)), max(1, round(drawing.height * scale))
    image = Image.new("RGB", size, paper.paper)
    pen = ImageDraw.Draw(image)
    for item in drawing.items:
        if isinstance(item, Box):
            _box(pen, item, paper, scale)
        elif isinstance(item, Words):
            _words(pen, item, paper, scale)
        elif isinstance(item, Curve):
            _curve(image, item, paper, scale)
        else:
            _raster(image, item, scale)
    return image


def _box(pen: ImageDraw.ImageDraw, item: Box, paper: Paper, scale: int) -> None:
    if item.width <= 0 or item.height <= 0:
        return
    left, top = round(item.x * scale), round(item.y * scale)
    right, bottom = round((item.x + item.width) * scale) - 1, round((item.y + item.height) * scale) - 1
    fill = paper.colour(item.fill) if item.fill else None
    outline = paper.colour(item.outline) if item.outline else None
    radius = min(item.radius * scale, (right - left) / 2, (bottom - top) / 2)
    pen.rounded_rectangle(
        (left, top, max(right, left), max(bottom, top)), max(radius, 0), fill, outline, scale // 2 or 1
    )


def _curve(image: Image.Image, item: Curve, paper: Paper, scale: int) -> None:
    points = [(x * scale, y * scale) for x, y in item.points]
    if len(points) < 2:
        return
    edge = item.width * scale + 2
    left, top = int(min(x for x, _ in points) - edge), int(min(y for _, y in points) - edge)
    right, bottom = int(max(x for x, _ in points) + edge) + 1, int(max(y for _, y in points) + edge) + 1
    mask = Image.new("L", ((right - left) * FINE, (bottom - top) * FINE))
    fine = [((x - left) * FINE, (y - top) * FINE) for x, y in points]
    ImageDraw.Draw(mask).line(fine, 255, max(1, round(item.width * scale * FINE)), joint="curve")
    image.paste(paper.colour(item.stroke), (left, top), mask.resize((right - left, bottom - top), Image.Resampling.BOX))


def _raster(image: Image.Image, item: Raster, scale: int) -> None:
    left, top = round(item.x * scale), round(item.y * scale)
    size = max(1, round((item.x + item.width) * scale) - left), max(1, round((item.y + item.height) * scale) - top)
    larger = size[0] >= item.pixels.shape[1] and size[1] >= item.pixels.shape[0]
    how = Image.Resampling.NEAREST if item.crisp and larger else Image.Resampling.BOX
    image.paste(Image.fromarray(item.pixels).convert("RGB").resize(size, how), (left, top))


def _words(pen: ImageDraw.ImageDraw, item: Words, paper: Paper, scale: int) -> None:
    runs = _runs(item.text, item.size * scale, bold=item.bold, mono=item.mono)
    wide = sum(font.getlength(text) for font, text in runs)
    x = item.x * scale - wide * {"start": 0.0, "middle": 0.5, "end": 1.0}[item.anchor]
    fill = paper.colour(item.fill)
    for font, text in runs:
        # The features of a script are not asked for: a text is drawn letter by letter, whatever it says.
        pen.text((x, item.y * scale), text, fill, font, anchor="ls")
        x += font.getlength(text)


def _runs(text: str, size: float, *, bold: bool, mono: bool) -> list[tuple[Font, str]]:
    """Return a text in pieces, each with the font that has its letters."""
    family = MONO if mono else BOLD if bold else REGULAR
    first = _font(family, size)
    if text.isascii():
        return [(first, text)]
    runs: list[tuple[Font, str]] = []
    for character in text:
        font = next((font for font in (first, *_broad(size)) if character.isascii() or _has(font, character)), None)
        piece = character if font is not None else character.translate(PLAIN)
        font = font or first
        if runs and runs[-1][0] is font:
            runs[-1] = (font, runs[-1][1] + piece)
        else:
            runs.append((font, piece))
    return runs


@functools.lru_cache(maxsize=128)
def _font(names: tuple[str, ...], size: float) -> Font:
    for name in names:
        found = _load(name, size)
        if found is not None:
            return found
    return ImageFont.load_default(size)


@functools.lru_cache(maxsize=256)
def _load(name: str, size: float) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size, layout_engine=ImageFont.Layout.BASIC)
    except (OSError, ImportError):
        return None


@functools.lru_cache(maxsize=128)
def _broad(size: float) -> tuple[ImageFont.FreeTypeFont, ...]:
    return tuple(font for name in BROAD if (font := _load(name, size)) is not None)


@functools.lru_cache(maxsize=4096)
def _has(font: Font, character: str) -> bool:
    # A font draws the same for everything that it has not: what it draws for a code that is no letter.
    if not isinstance(font, ImageFont.FreeTypeFont):
        return False
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))
