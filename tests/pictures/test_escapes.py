"""Whatever stands in the data is shown and never run: in HTML, in SVG, on a terminal."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from layerwise.pictures import Shown, draw_html, draw_png, draw_svg, draw_text, fragment_html

INPUTS = {
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "single quote": "' onmouseover='alert(1)",
    "end of the svg": "</text></svg><script>alert(1)</script>",
    "end of the style": "</style><script>alert(1)</script>",
    "cdata": "]]><![CDATA[<b>",
    "comment": "--><!-- <b>",
    "entity": "&lt;script&gt;&amp;&#x3c;",
    "doctype": '<!DOCTYPE x [<!ENTITY a "b">]>&a;',
    "processing instruction": "<?xml-stylesheet href='x'?>",
    "colours of the terminal": "\x1b[31mred\x1b[0m",
    "title of the terminal": "\x1b]0;owned\x07",
    "clear the screen": "\x9b2J\x1bc",
    "link of the terminal": "\x1b]8;;http://example.org\x1b\\x\x1b]8;;\x1b\\",
    "lines": "one\ntwo\r\nthree\x0b\x0c\x85\u2028\u2029",
    "nul and others": "\x00\x01\x08\x7f",
    "direction of writing": "a\u202egnp.exe\u2066\u2069",
    "invisible": "a\u200b\u200d\ufeff\u00ad",
    "half a character": "\ud800x\udfff",
    "no character of xml": "\ufffe\uffff\x0e",
    "marks upon marks": "a" + "\u0301" * 500,
    "very long": "<" * 1_000_000,
    "markup of rich": "[bold red]x[/]",
}

TAGS = {
    "html", "head", "meta", "title", "style", "body", "div", "p", "ol", "ul", "li", "span", "svg", "rect", "text",
    "polyline", "image",
}  # fmt: skip

ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "role", "aria-label", "aria-level", "xmlns", "width",
    "height", "viewbox", "fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray",
    "stroke-linejoin", "stroke-linecap", "font-family", "font-size", "font-weight", "text-anchor", "textlength",
    "lengthadjust", "xml:space", "x", "y", "rx", "points", "preserveaspectratio", "image-rendering", "href",
}  # fmt: skip


class Reader(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str]]] = []
        self.others: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)


def everywhere(text: str) -> list[Shown]:
    """Return pictures of every sort with ``text`` wherever text of the data can stand."""
    names = [text, text + "2", text + "3"]
    rest: dict[str, Any] = {"note": text, "source": text, "row": text, "shape": text}
    three = np.array([0.5, 0.25, 0.25])
    return [
        Shown(text, text, np.zeros((1, 4, 4)), "image", **rest),
        Shown(f"a.{text}", text, np.zeros((2, 4, 4)), "maps", **rest),
        Shown(text, text, [text, 1.0, None], "cells", names, raw=[1, text, text], **rest),
        Shown(text, text, None, "tokens", names, raw=names, **rest),
        Shown(text, text, np.ones((3, 2)), "tokens", names, **rest),
        Shown(text, text, np.ones((4, 3)), "series", names, **rest),
        Shown(text, text, three, "vector", names, **rest),
        Shown(text, text, np.eye(12)[0], "vector", names * 4, **rest),
        Shown(text, text, np.eye(3), "matrix", names, **rest),
        Shown(text, text, three, "answer", names, truth=text, **rest),
        Shown(text, text, three, "answer", names, truth=text + "none", **rest),
        Shown(text, text, text, "scalar", unit=text, truth=text, **rest),
        Shown(text, text, 1.5, "scalar", unit=text, truth=text, **rest),
        Shown(text, text, three, "ranking", names, truth=text, **rest),
        Shown(text, text, text, "text", **rest),
        Shown(text, text, three, "vector", same_as=text, **rest),
    ]


@pytest.fixture(params=list(INPUTS.values()), ids=list(INPUTS))
def text(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.mark.parametrize("rows", [False, True])
def test_a_page_has_no_element_and_no_attribute_of_the_data(text: str, rows: bool) -> None:
    for page in (
        draw_html(everywhere(text), title=text, lead=text, rows=rows),
        fragment_html(everywhere(text), title=text, lead=text, rows=rows),
    ):
        assert page.isascii() or page.encode("utf-8")
        reader = Reader()
        reader.feed(page)
        reader.close()
        assert {tag for tag, _ in reader.found} <= TAGS
        assert {name for _, attributes in reader.found for name in attributes} <= ATTRIBUTES
        assert reader.others == []
        assert all(a["href"].startswith("data:image/png;base64,") for _, a in reader.found if "href" in a)
        assert len(page) < 2_000_000


def test_the_same_elements_stand_on_a_page_whatever_the_data_says() -> None:
    def tags(text: str) -> list[str]:
        reader = Reader()
        reader.feed(draw_html(everywhere(text)[:3], title=text))
        return [tag for tag, _ in reader.found]

    assert tags(INPUTS["script"]) == tags("x" * len(INPUTS["script"]))


def test_svg_stays_strict_xml(text: str) -> None:
    for shown in everywhere(text):
        root = ElementTree.fromstring(draw_svg(shown))
        for element in root.iter():
            assert element.tag.removeprefix("{http://www.w3.org/2000/svg}") in TAGS
            assert {name.rpartition("}")[2].lower() for name in element.attrib} <= {*ATTRIBUTES, "space"}


@pytest.mark.parametrize("colour", [False, True])
def test_a_terminal_gets_no_control_character_of_the_data(text: str, colour: bool) -> None:
    for shown in everywhere(text):
        for line in draw_text(shown, 60, colour=colour):
            assert re.sub(r"\x1b\[[0-9;]*m", "", line).isprintable()
            assert colour or "\x1b" not in line
            assert not set(re.findall(r"\x1b\[([0-9;]*)m", line)) & {"31", "5", "7"}


def test_a_sheet_is_drawn(text: str) -> None:
    assert draw_png(everywhere(text)[::3], title=text, lead=text).startswith(b"\x89PNG")


def test_what_was_escaped_is_still_read() -> None:
    page = draw_html([Shown("a", "b", "<b>&", "text")], title="<i>")
    assert "&lt;b&gt;&amp;" in page
    assert "<title>&lt;i&gt;</title>" in page
    assert draw_text(Shown("a", "b", "a\x1b[31m", "text")) == ["a\\x1b[31m"]
