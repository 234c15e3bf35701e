"""Augmentation draws from its generator alone, moves whole images, and is not there when answering."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.augment import Augment

PIXELS = torch.arange(64 * 28 * 28.0).view(64, 1, 28, 28) + 1

KINDS = [
    Augment(shift=2),
    Augment(flip="both"),
    Augment(rotate=15.0),
    Augment(zoom=0.3),
    Augment(noise=0.1),
    Augment(brightness=0.2),
    Augment(contrast=0.3),
    Augment(shift=2, flip="horizontal", rotate=5.0, zoom=0.1, noise=0.1, brightness=0.1, contrast=0.1, fill=-1.0),
]


def drawn(kind: Augment, value: Tensor, seed: int = 0) -> Tensor:
    """Return what ``kind`` draws with a seed."""
    found = kind.draw(value, torch.Generator().manual_seed(seed))
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.options()))
def test_the_generator_alone_decides(kind: Augment) -> None:
    torch.manual_seed(1)
    one, state = drawn(kind, PIXELS), torch.random.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(one, drawn(kind, PIXELS))
    assert not torch.equal(one, drawn(kind, PIXELS, seed=1))
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert one.shape == PIXELS.shape
    assert one.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.options()))
def test_answering_leaves_values_as_they_are(kind: Augment) -> None:
    assert torch.equal(torch.as_tensor(kind.run(PIXELS, state={})), PIXELS)
    assert kind.live


def test_a_shift_is_whole_pixels_with_the_fill_behind() -> None:
    found, places = drawn(Augment(shift=2, fill=-7.0), PIXELS), set()
    for image, moved in zip(PIXELS[:, 0].numpy(), found[:, 0].numpy(), strict=True):
        padded = np.pad(image, 2, constant_values=-7)
        fits = [(y, x) for y in range(5) for x in range(5) if np.array_equal(padded[y : y + 28, x : x + 28], moved)]
        assert len(fits) == 1
        places.update(fits)
    assert len(places) > 15


@pytest.mark.parametrize(("flip", "ways"), [("horizontal", [[], [-1]]), ("vertical", [[], [-2]]),
                                            ("both", [[], [-1], [-2], [-2, -1]])])  # fmt: skip
def test_a_flip_mirrors_some_images(flip: Any, ways: list[list[int]]) -> None:
    found, seen = drawn(Augment(flip=flip), PIXELS), set()
    for image, moved in zip(PIXELS, found, strict=True):
        seen.add(next(place for place, way in enumerate(ways) if torch.equal(image.flip(way), moved)))
    assert seen == set(range(len(ways)))


@pytest.mark.parametrize("shape", [(41, 41), (31, 51)])
def test_a_turn_keeps_distances_on_images_of_any_shape(shape: tuple[int, int]) -> None:
    height, width = shape
    y, x = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    dot = ((y**2 + (x - 9) ** 2) < 9).float()
    found = drawn(Augment(rotate=45.0), dot.expand(20, 1, *shape))[:, 0]
    mass = found.sum((1, 2))
    down, right = (found * y).sum((1, 2)) / mass, (found * x).sum((1, 2)) / mass
    np.testing.assert_allclose(torch.hypot(down, right), 9, atol=0.1)
    angles = torch.rad2deg(torch.atan2(down, right))
    assert angles.abs().max() <= 45.5
    assert angles.max() - angles.min() > 40


def test_a_zoom_grows_and_shrinks_about_the_centre_and_never_by_more() -> None:
    y, x = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(41.0) - 20, indexing="ij")
    ring = ((torch.hypot(x, y) - 10).abs() < 1.5).float()
    found = drawn(Augment(zoom=0.3), ring.expand(200, 1, 41, 41))[:, 0]
    mass = found.sum((1, 2))
    radius = (found * torch.hypot(x, y)).sum((1, 2)) / mass / 10
    assert 0.67 < radius.min() < 0.75 < 1.25 < radius.max() < 1.33
    for place in (x, y):
        np.testing.assert_allclose((found * place).sum((1, 2)) / mass, 0, atol=0.05)


def test_fill_comes_in_at_the_corners_of_a_turn() -> None:
    found = drawn(Augment(rotate=45.0, fill=5.0), torch.zeros(30, 1, 20, 20))
    assert math.isclose(found[:, :, 0, 0].max(), 5.0, rel_tol=1e-5)
    assert found[:, :, 8:12, 8:12].abs().max() < 1e-5


def test_colours_change_a_row_as_a_whole() -> None:
    brighter = drawn(Augment(brightness=0.5), PIXELS) - PIXELS
    assert torch.all(brighter.flatten(1).std(1) < 1e-2)
    assert brighter.abs().max() <= 0.51
    small = torch.rand(64, 3, 8, 8)
    stretched = drawn(Augment(contrast=0.5), small)
    torch.testing.assert_close(stretched.flatten(1).mean(1), small.flatten(1).mean(1))
    share = stretched.flatten(1).std(1) / small.flatten(1).std(1)
    assert 0.5 <= share.min() < 0.8 < 1.2 < share.max() <= 1.5
    assert abs(float((drawn(Augment(noise=2.0), PIXELS) - PIXELS).std()) - 2) < 0.05


def test_bytes_become_float32_and_vectors_take_noise() -> None:
    assert drawn(Augment(noise=0.1), torch.ones(4, 3, dtype=torch.uint8)).dtype == torch.float32
    assert Augment(noise=0.1).infer((Port("uint8", (3,)),)) == Port("float32", (3,))


def test_what_is_no_image_is_refused() -> None:
    for port in (Port("float32", (28, 28)), Port("float32", (5, 1, 1), padded=True)):
        with pytest.raises(InvalidShape, match=r"changes images \[channels, height, width\]; give the column a shape"):
            Augment(shift=1).infer((port,))
    with pytest.raises(InvalidShape, match="its input is string"):
        Augment(shift=1).infer((Port("string"),))
    with pytest.raises(InvalidShape, match="its rows are of shape"):
        drawn(Augment(shift=1), torch.ones(2, 3))


@pytest.mark.parametrize("options", [{"shift": -1}, {"shift": 0.5}, {"flip": "left"}, {"noise": -0.1}, {"zoom": 1.0}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidLayer, match=next(iter(options))):
        make("augment", options)
