"""Colours: even, told apart, and what is missing has a colour of its own."""

from __future__ import annotations

import numpy as np
import pytest

from layerwise.pictures.colours import BALANCE, DEPTH, ENDLESS, HOLE, Scale, ink_on, paint, scale_of
from layerwise.pictures.shown import Array


def lightness(colours: Array) -> Array:
    """Return OKLab's lightness of sRGB colours."""
    plain = colours / 255.0
    linear = np.where(plain <= 0.04045, plain / 12.92, ((plain + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                               [0.2119034982, 0.6806995451, 0.1073969566],
                               [0.0883024619, 0.2817188376, 0.6299787005]]).T  # fmt: skip
    found: Array = np.cbrt(cones) @ [0.2104542553, 0.7936177850, -0.0040720468]
    return found


def test_equal_steps_of_a_value_are_equal_steps_of_lightness() -> None:
    steps = np.diff(lightness(DEPTH)[::16])
    assert steps.min() > 0.6 * steps.max() > 0
    halves = lightness(BALANCE)[:128:16], lightness(BALANCE)[:127:-16]
    for half in halves:
        assert (np.diff(half) > 0).all()
    assert np.abs(halves[0] - halves[1]).max() < 0.03


def test_the_two_ends_round_zero_differ_for_every_kind_of_colour_vision() -> None:
    # Blue against orange: the difference of yellow and blue, which nearly everyone sees, is large.
    low, high = BALANCE[0].astype(int), BALANCE[-1].astype(int)
    assert (high[2] - high[0]) - (low[2] - low[0]) > 200


def test_zero_is_the_middle_of_a_scale_with_a_sign_and_the_end_of_one_without() -> None:
    assert scale_of([np.array([-1.0, 3.0])]) == Scale(-3.0, 3.0)
    assert scale_of([np.array([2.0, 3.0])]) == Scale(0.0, 3.0)
    assert scale_of([np.array([2.0])], (-1.0, 0.5)) == Scale(-1.0, 1.0)


def test_what_is_missing_or_infinite_has_a_colour_that_no_value_has() -> None:
    odd = {ENDLESS, *HOLE}
    for ramp in (DEPTH, BALANCE):
        assert not odd & {tuple(colour) for colour in ramp.tolist()}
    assert tuple(paint(np.array([np.nan]), Scale(0, 1))[0]) == HOLE[0]
    for value in (np.inf, -np.inf):
        assert tuple(paint(np.array([value]), Scale(-1, 1))[0]) == ENDLESS


@pytest.mark.parametrize("ends", [(0.0, 0.0), (-1e308, 1e308), (-5e-324, 5e-324), (0.0, 1.7e308)])
def test_any_scale_gives_colours(ends: tuple[float, float]) -> None:
    found = paint(np.array([ends[0], 0.0, ends[1]]), Scale(*ends))
    assert found.shape == (3, 3)


def test_letters_on_a_colour_are_read() -> None:
    for colour in (*DEPTH, *BALANCE):
        ink = np.array([int(ink_on(colour)[place : place + 2], 16) for place in (1, 3, 5)])
        light = sorted(float(((np.asarray(c) / 255) ** 2.2) @ [0.2126, 0.7152, 0.0722]) for c in (ink, colour))
        assert (light[1] + 0.05) / (light[0] + 0.05) >= 4.4


def test_one_number_leaves_the_colours_as_they_are() -> None:
    before = DEPTH.copy(), BALANCE.copy()
    paint(np.array(np.inf), Scale(0, 1))
    paint(np.array(np.nan), Scale(-1, 1))
    assert (before[0] == DEPTH).all()
    assert (before[1] == BALANCE).all()
