"""Which figure each sort of picture is."""

from __future__ import annotations

from collections.abc import Callable

from layerwise.pictures.bars import draw_vector
from layerwise.pictures.drawing import Drawing, sentence, stacked
from layerwise.pictures.lines import draw_series
from layerwise.pictures.lists import draw_answer, draw_cells, draw_ranking
from layerwise.pictures.pixels import draw_image, draw_maps, draw_matrix
from layerwise.pictures.shown import Shown, Sort
from layerwise.pictures.texts import draw_scalar, draw_tokens, draw_words
from layerwise.pictures.wording import clean, shorten_to

FIGURES: dict[Sort, Callable[[Shown, float], Drawing]] = {
    "image": draw_image,
    "maps": draw_maps,
    "cells": draw_cells,
    "tokens": draw_tokens,
    "series": draw_series,
    "vector": draw_vector,
    "matrix": draw_matrix,
    "answer": draw_answer,
    "scalar": draw_scalar,
    "ranking": draw_ranking,
    "text": draw_words,
}
"""The figure of each sort: a function of what is shown and how wide it may be."""

NARROWEST = 80


def draw(shown: Shown, width: float) -> Drawing:
    """Return the drawing of a picture, ``width`` pixels wide, its note under it."""
    width = max(float(width), NARROWEST)
    note = shorten_to(clean(shown.note, 300), width, 10)
    if shown.same_as:
        return stacked(
            [sentence(f"the same as {clean(shown.same_as, 80)}", width, size=11), sentence(note, width)], width
        )
    return stacked([FIGURES[shown.sort](shown, width), sentence(note, width)], width)
