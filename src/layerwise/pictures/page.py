"""Many pictures on one HTML page, or in a notebook's cell."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from layerwise.pictures.arrange import card_width, head, held, on_one_scale
from layerwise.pictures.figures import draw
from layerwise.pictures.shown import Shown
from layerwise.pictures.svg import write_svg
from layerwise.pictures.wording import clean

FIGURE, WHOLE, GAP = 640, 880, 24
"""How wide a layer's picture is, how wide all is, and the gap between cards, in pixels."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is loaded and nothing runs, whatever the data says: the rasters are in the page itself."""

STYLE = """
.layerwise-pictures{color:inherit;font:13px/1.45 Helvetica,Arial,"Liberation Sans",Arimo,sans-serif;
max-width:880px;text-align:left}
.layerwise-pictures svg{display:block;max-width:100%;height:auto;overflow:visible}
.layerwise-title{font-size:24px;font-weight:650;letter-spacing:-.01em;line-height:1.25;margin:0}
.layerwise-lead{opacity:.7;margin:4px 0 0}
.layerwise-trace{list-style:none;margin:24px 0 0;padding:0}
.layerwise-layer{position:relative;display:grid;grid-template-columns:150px minmax(0,1fr);gap:4px 20px;margin:0;
padding:0 0 26px 24px}
.layerwise-layer::before{content:"";position:absolute;left:3.5px;top:8px;bottom:-8px;width:1.5px;
background:currentColor;opacity:.17}
.layerwise-layer:last-child::before{display:none}
.layerwise-layer::after{content:"";position:absolute;left:0;top:5px;width:8px;height:8px;border-radius:50%;
background:currentColor;opacity:.66}
.layerwise-name{font-size:14px;font-weight:650;line-height:1.3;overflow-wrap:anywhere}
.layerwise-path,.layerwise-kind,.layerwise-shape{font-size:11.5px;opacity:.7;overflow-wrap:anywhere}
.layerwise-source{display:inline-block;font-size:10px;opacity:.8;border:1px solid rgba(128,128,128,.4);
border-radius:3px;padding:0 5px;margin-top:3px}
.layerwise-rows{display:flex;flex-wrap:wrap;gap:22px 24px;margin:24px 0 0;padding:0;list-style:none}
.layerwise-row{margin:0;max-width:100%;break-inside:avoid}
.layerwise-key{font-size:11.5px;opacity:.7;margin:0 0 5px;overflow-wrap:anywhere}
.layerwise-more{opacity:.7;margin:18px 0 0}
@media (max-width:640px){.layerwise-layer{grid-template-columns:minmax(0,1fr)}}
@media print{.layerwise-layer{break-inside:avoid}}
"""

PAGE = """
:root{color-scheme:light dark}
body{margin:0;padding:40px 44px;background:#fff;color:#161b22;-webkit-print-color-adjust:exact;print-color-adjust:exact}
@media (prefers-color-scheme:dark){body{background:#13161b;color:#e2e6ec}}
@media (max-width:640px){body{padding:20px}}
@media print{body{background:#fff;color:#161b22;padding:0}}
"""


def draw_html(pictures: Sequence[Shown], *, title: str, lead: str = "", rows: bool = False) -> str:
    """Return one HTML page that needs nothing else: no script, no address, light and dark, fit to be printed.

    Args:
        pictures: a trace's layers in order, or one layer's rows.
        title: the page's title, e.g. ``digits@3``.
        lead: one sentence under it.
        rows: lay the pictures side by side as many rows of one layer, on one scale of colours.

    Raises:
        InvalidData: there are no pictures.
    """
    name = escape(clean(title, 200))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{name}</title><style>{PAGE}{STYLE}</style></head><body>\n"
        f"{_body(pictures, title, lead, rows=rows)}\n</body></html>\n"
    )


def fragment_html(pictures: Sequence[Shown], *, title: str = "", lead: str = "", rows: bool = False) -> str:
    """Return the pictures as an HTML fragment for a notebook's cell; its class names are its own (``layerwise-…``).

    It takes ink and paper from where it stands, so it suits a notebook's light and dark theme.

    Example:
        >>> fragment_html([Shown("n", "column", 3.0, "scalar")]).startswith("<style>")
        True
    """
    return f"<style>{STYLE}</style>{_body(pictures, title, lead, rows=rows)}"


def _body(pictures: Sequence[Shown], title: str, lead: str, *, rows: bool) -> str:
    drawn, left_out = held(pictures)
    parts = ['<div class="layerwise-pictures">']
    if title:
        parts.append(f'<p class="layerwise-title" role="heading" aria-level="1">{escape(clean(title, 200))}</p>')
    if lead:
        parts.append(f'<p class="layerwise-lead">{escape(clean(lead, 300))}</p>')
    parts += _rows(drawn) if rows else _trace(drawn)
    if left_out:
        parts.append(f'<p class="layerwise-more">{escape(left_out)}</p>')
    return "\n".join([*parts, "</div>"])


def _trace(pictures: Sequence[Shown]) -> list[str]:
    return ['<ol class="layerwise-trace">', *(_layer(shown) for shown in pictures), "</ol>"]


def _layer(shown: Shown) -> str:
    layer, kind, shape = head(shown)
    *outer, name = layer.split(".")
    said = [("path", f"{'.'.join(outer)}." if outer else ""), ("name", name), ("kind", kind), ("shape", shape)]
    beside = "".join(f'<div class="layerwise-{what}">{escape(text)}</div>' for what, text in said if text)
    if shown.source:
        beside += f'<span class="layerwise-source">{escape(clean(shown.source, 20))}</span>'
    return f'<li class="layerwise-layer"><div>{beside}</div><div>{_figure(shown, FIGURE)}</div></li>'


def _rows(pictures: Sequence[Shown]) -> list[str]:
    drawn = on_one_scale(pictures)
    _, width = card_width(drawn, WHOLE, GAP)
    cards = [
        f'<li class="layerwise-row"><p class="layerwise-key">{escape(clean(shown.row or shown.layer, 80))}</p>'
        f"{_figure(shown, width)}</li>"
        for shown in drawn
    ]
    return ['<ul class="layerwise-rows">', *cards, "</ul>"]


def _figure(shown: Shown, width: int) -> str:
    return write_svg(draw(shown, width), " · ".join(filter(None, [*head(shown), clean(shown.row)])))
