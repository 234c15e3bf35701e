"""How a value looks: on a terminal, as SVG, as PNG, as an HTML page. Numbers and text in, pictures out; no torch.

A picture begins as a ``Shown``: what left one layer for one row, with its names. One list of them is a trace (one row,
many layers) or a look (one layer, many rows)::

    draw_text(shown, width=80)                   lines for a terminal, plain or in true colour
    draw_svg(shown)                              one SVG fragment
    draw_png(pictures, title="digits@3")         one sheet
    draw_html(pictures, title="digits@3")        one page: offline, no script, light and dark
    fragment_html(pictures)                      the same for a notebook's cell

``rows=True`` lays many rows of one layer side by side, on one scale of colours.

How it is made: ``shown`` (what is shown) → ``figures`` (which picture: layout by kind of data, as a ``Drawing`` of
rectangles, words, lines and rasters) → ``svg`` and ``paint`` (a drawing as SVG, as pixels) → ``page`` and ``sheet``
(many drawings); ``terminal`` draws with characters. Whatever the data holds is shown and never acts: every text is
cut and cleaned in ``wording`` before it is laid out, and escaped where it is written.
"""

from layerwise.pictures.page import draw_html as draw_html
from layerwise.pictures.page import fragment_html as fragment_html
from layerwise.pictures.sheet import draw_png as draw_png
from layerwise.pictures.shown import Shown as Shown
from layerwise.pictures.shown import Sort as Sort
from layerwise.pictures.shown import sort_of as sort_of
from layerwise.pictures.svg import draw_svg as draw_svg
from layerwise.pictures.terminal import draw_text as draw_text
