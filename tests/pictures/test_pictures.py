"""Every sort, in every way of drawing it."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from layerwise.pictures import Shown, draw_html, draw_png, draw_svg, draw_text, fragment_html, ink
from layerwise.pictures.arrange import MOST, on_one_scale
from layerwise.pictures.blocks import OFF
from layerwise.pictures.drawing import Box, Curve, Drawing, Raster, Words
from layerwise.pictures.figures import draw
from layerwise.pictures.sheet import TALLEST, draw_sheet
from layerwise.pictures.shown import Array
from layerwise.pictures.wording import columns, measure

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def texts(drawing: Drawing) -> list[str]:
    """Return the words of a drawing."""
    return [item.text for item in drawing.items if isinstance(item, Words)]


def opened(png: bytes) -> Array:
    """Return the pixels of a PNG."""
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("width", [80, 132, 300, 640])
def test_nothing_stands_outside_of_the_paper(shown: Shown, width: int) -> None:
    drawing = draw(shown, width)
    for item in drawing.items:
        if isinstance(item, Words):
            long = measure(item.text, item.size)
            left = item.x - long * {"start": 0.0, "middle": 0.5, "end": 1.0}[item.anchor]
            ends = left, left + long, item.y - item.size, item.y
        elif isinstance(item, Curve):
            across, down = [x for x, _ in item.points], [y for _, y in item.points]
            ends = min(across), max(across), min(down), max(down)
        else:
            assert isinstance(item, Box | Raster)
            ends = item.x, item.x + item.width, item.y, item.y + item.height
        assert ends[2] >= -12
        assert ends[3] <= drawing.height + 6
        if width >= 300:
            assert ends[0] >= -8
            assert ends[1] <= width + 40


def test_svg_is_strict_xml_of_the_width_asked_for(shown: Shown) -> None:
    root = ElementTree.fromstring(draw_svg(shown, width=480))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width") == "480"
    assert shown.layer in (root.get("aria-label") or "")


@pytest.mark.parametrize("width", [20, 33, 80, 200])
@pytest.mark.parametrize("colour", [False, True])
def test_no_line_on_a_terminal_is_too_wide(shown: Shown, width: int, colour: bool) -> None:
    for line in draw_text(shown, width, colour=colour):
        plain = ESCAPE.sub("", line)
        assert plain.isprintable()
        assert columns(plain) <= width
        assert ("\x1b" in line) <= colour
        assert "\x1b" not in line or line.rstrip().endswith(OFF) or OFF in line


def test_the_same_picture_is_the_same_bytes(pictures: list[Shown]) -> None:
    assert draw_png(pictures) == draw_png(pictures)
    assert draw_html(pictures, title="a") == draw_html(pictures, title="a")


def test_a_sheet_says_layer_kind_shape_and_source(pictures: list[Shown]) -> None:
    words = texts(draw_sheet(pictures, title="digits@3", lead="row 17"))
    for said in ("digits@3", "row 17", "stage1.", "edges", "Conv2d", "16×8×8", "kept", "computed", "the same as flat"):
        assert said in words
    page = draw_html(pictures, title="digits@3", lead="row 17")
    for said in ("digits@3", "row 17", "stage1.", "edges", "Conv2d", "16×8×8", "kept", "computed", "the same as flat"):
        assert f">{said}<" in page


def test_a_dark_sheet_differs_in_its_paper(pictures: list[Shown]) -> None:
    light, dark = opened(draw_png(pictures[:3])), opened(draw_png(pictures[:3], dark=True))
    assert light.shape == dark.shape
    assert light[0, 0].min() > 200 > 60 > dark[0, 0].max()


def test_a_page_needs_nothing_else(pictures: list[Shown]) -> None:
    page = draw_html(pictures, title="digits@3")
    assert "Content-Security-Policy" in page
    assert "default-src &#x27;none&#x27;" in page
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page
    addresses = re.findall(r'(?:href|src)="([^"]{0,22})', page)
    assert addresses
    assert set(addresses) == {"data:image/png;base64,"}
    assert "http" not in re.sub(r'xmlns="http://www.w3.org/2000/svg"|http-equiv', "", page)
    for word in ("<script", "javascript:", "url(", "@import", "onload"):
        assert word not in page


def test_a_fragment_touches_nothing_around_it(pictures: list[Shown]) -> None:
    fragment = fragment_html(pictures, title="digits@3")
    style = fragment[fragment.index("<style>") + 7 : fragment.index("</style>")]
    selectors = re.findall(r"(?:^|[}{])\s*([^{}@]+)\{", style)
    assert selectors
    for selector in selectors:
        assert all(part.strip().startswith(".layerwise-") for part in selector.split(","))
    assert all(name.startswith("layerwise-") for name in re.findall(r'class="([^"]+)"', fragment))


@pytest.mark.parametrize("sort", ["image", "maps", "series", "vector", "matrix"])
def test_what_is_missing_is_drawn_and_counted(sort: str) -> None:
    shape = {"image": (1, 6, 6), "maps": (2, 6, 6), "series": (9, 1), "vector": (9,), "matrix": (6, 6)}[sort]
    plain = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    for odd in (np.nan, np.inf, -np.inf):
        value = plain.copy()
        value.flat[1] = odd
        whole, holed = Shown("a", "b", plain, sort), Shown("a", "b", value, sort)  # type: ignore[arg-type]
        assert draw_svg(whole) != draw_svg(holed)
        assert draw_text(whole) != draw_text(holed)
        words = " ".join(texts(draw(holed, 640)))
        assert "1 missing" in words or "1 infinite" in words or "—" in words or "∞" in words
        everything = Shown("a", "b", np.full(shape, odd), sort)  # type: ignore[arg-type]
        assert draw_svg(everything)
        assert draw_text(everything)
        assert draw_png([everything])


def test_cells_stand_beside_the_raw_ones_where_they_changed(pictures: list[Shown]) -> None:
    table = next(shown for shown in pictures if shown.layer == "table")
    assert draw_text(table) == ["age     40 → 3.5", "weight  2 → —", "colour  red"]
    assert texts(draw(table, 640)).count("→") == 2


def test_the_truth_is_marked_by_a_word() -> None:
    right = Shown("a", "classes", np.array([0.9, 0.1]), "answer", ("cat", "dog"), truth="cat")
    wrong = replace(right, truth="dog")
    assert "✓ truth" in texts(draw(right, 640))
    assert "◂ truth" in texts(draw(wrong, 640))
    assert [line.endswith("truth") for line in draw_text(wrong)] == [False, True]
    assert "the truth, cow, is none of the classes" in texts(draw(replace(right, truth="cow"), 640))


def test_of_many_classes_the_likeliest_are_drawn_and_the_true_one() -> None:
    chances = np.full(500, 0.001)
    chances[77] = 0.5
    shown = Shown("a", "classes", chances, "answer", [f"class {place}" for place in range(500)], truth="class 400")
    words = texts(draw(shown, 640))
    assert "class 77" in words
    assert "class 400" in words
    assert "489 less likely ones not drawn" in words


def test_of_many_maps_the_first_are_drawn_and_the_others_counted() -> None:
    words = texts(draw(Shown("a", "conv", np.zeros((100, 4, 4)), "maps"), 640))
    assert "63" in words
    assert "64" not in words
    assert "36 more maps not drawn" in words


def test_many_pictures_are_counted_and_cut() -> None:
    many = [Shown(f"l{place}", "column", 1.0, "scalar") for place in range(MOST + 50)]
    assert any("50 more pictures not drawn" in text for text in texts(draw_sheet(many)))
    assert "50 more pictures not drawn" in draw_html(many, title="many")
    tall = [Shown(f"l{place}", "conv", np.ones((40, 8, 8)), "maps") for place in range(MOST)]
    sheet = draw_sheet(tall)
    assert sheet.height <= TALLEST + 100
    assert any("did not fit on the sheet" in text for text in texts(sheet))


def test_many_rows_of_a_layer_have_one_scale() -> None:
    rows = [Shown("edges", "conv", np.full((2, 4, 4), high), "maps", row=f"row {high}") for high in (1.0, 5.0)]
    assert {shown.limits for shown in on_one_scale(rows)} == {(1.0, 5.0)}
    words = texts(draw_sheet(rows, rows=True))
    assert "row 1.0" in words
    assert words.count("5") == 2
    other = Shown("shapes", "conv", np.zeros((2, 4, 4)), "maps")
    assert [shown.limits for shown in on_one_scale([*rows, other])] == [None] * 3


def test_pixels_stay_square_and_crisp() -> None:
    checks = np.indices((8, 8)).sum(0) % 2
    pixels = opened(draw_png([Shown("a", "column", checks, "image")]))[..., 0]
    # Of an image of two greys nothing in between is made.
    inside = pixels[90:430, 414:754]
    assert set(np.unique(inside)) <= {0, 255}


def test_a_machine_without_fonts_draws_too(monkeypatch: pytest.MonkeyPatch, pictures: list[Shown]) -> None:
    monkeypatch.setattr(ink, "REGULAR", ())
    monkeypatch.setattr(ink, "BOLD", ())
    monkeypatch.setattr(ink, "BROAD", ())
    ink._broad.cache_clear()
    found = opened(draw_png(pictures, title="größe × 数"))
    ink._broad.cache_clear()
    assert found.std() > 0


def test_one_number_keeps_the_digits_of_an_answer() -> None:
    assert draw_text(Shown("price", "value", np.float64(1234.5), "scalar", unit="EUR")) == ["1,234.5 EUR"]
