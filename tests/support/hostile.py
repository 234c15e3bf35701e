"""Text that would act where it is shown, and what tells whether it did."""

from __future__ import annotations

import re
from html.parser import HTMLParser

TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</text></svg><script>alert(1)</script>",
    "]]><iframe src=javascript:alert(1)>",
    "<!-- --><style>*{display:none}</style>",
    "&lt;b&gt; &#60;i&#62; &",
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31m\x90q\x9c",
    "a\rb\x08\x7f",
    "\u202edesrever\u2066",
    "two\nlines\ttab\x00nul",
    "javascript:alert(1)",
    "{{7*7}} ${7*7} %s",
)
"""Each is shown somewhere in the data."""

TAGS = frozenset({
    "html", "head", "meta", "title", "style", "body", "main", "header", "footer", "section", "article", "figure",
    "figcaption", "div", "span", "p", "b", "i", "em", "strong", "small", "code", "pre", "br", "h1", "h2", "h3", "h4",
    "ol", "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "colgroup",
    "col", "svg", "g", "rect", "circle", "line", "path", "polyline", "polygon", "text", "tspan", "image", "img",
    "desc", "defs", "clippath", "lineargradient", "stop", "use", "details", "summary", "wbr",
})  # fmt: skip
"""What a page of pictures may be made of."""

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]")
_COLOURS = re.compile(r"\x1b\[(?:0|1|2|3|4|22|39|49|[34]8;[25];[0-9;]+|[39][0-7]|4[0-7]|;)*m")
_LINKS = ("href", "src", "xlink:href", "action", "formaction", "data", "poster", "background", "srcset", "content")
_ALLOWED = re.compile(r"(#[\w:.-]*|data:image/png;base64,[A-Za-z0-9+/=]*)\Z")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.faults.append(f"a tag <{tag}>")
        for name, value in attrs:
            said = (value or "").strip()
            if name.startswith("on"):
                self.faults.append(f"{name}={said[:40]!r} in <{tag}>")
            if name in _LINKS and tag != "meta" and not _ALLOWED.match(said):
                self.faults.append(f"{name}={said[:40]!r} in <{tag}>")
            if tag == "meta" and name == "http-equiv" and said.lower() == "refresh":
                self.faults.append("a page that goes elsewhere")
            if name == "style" and re.search(r"url\(|expression|@import|javascript", said, re.I):
                self.faults.append(f"style={said[:60]!r} in <{tag}>")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"a comment {data[:40]!r}")


def faults_of_html(page: str) -> list[str]:
    """Return what of a page would act or load anything; an empty list for a page that only shows."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    found = list(reader.faults)
    found += [f"{sign!a} in the page" for sign in sorted(set(_CONTROL.findall(page)) - {"\t"})]
    if re.search(r"@import|url\((?!#|\"?data:image/png|'?data:image/png)", page):
        found.append("a style that loads something")
    return found


def faults_of_terminal(text: str) -> list[str]:
    """Return which signs of a text would act on a terminal; line ends and our own colours do what they should."""
    left = _COLOURS.sub("", text)
    return [f"{sign!a}" for sign in sorted(set(_CONTROL.findall(left)))]
