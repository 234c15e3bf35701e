"""Augmentation: each training step sees its images a little changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.base import DataKind, State, Value, as_tensor
from layerwise.layers.numeric import hold_numbers


@register("augment")
@dataclass(frozen=True)
class Augment(DataKind):
    """Change images at random at every training step, each row by a draw of its own; answering leaves them as they are.

    Rows are [channels, height, width]; ``noise``, ``brightness`` and ``contrast`` take any numbers.

    Args:
        shift: the most pixels that an image moves up, down, left or right.
        flip: mirror one image in two ``horizontal``, ``vertical``, or ``both`` (each by its own draw).
        rotate: the most degrees that it turns, either way, about its centre.
        zoom: by which share, at most, it grows or shrinks about its centre, 0 to below 1.
        noise: the spread of gaussian noise that is added, in the values' own unit.
        brightness: the most that is added to all values of a row or taken away, in the values' own unit.
        contrast: by which share, at most, values go farther from or nearer to their row's mean.
        fill: what moves in at the border.

    Example:
        >>> draw = torch.Generator().manual_seed(7)
        >>> Augment(shift=2).draw(torch.zeros(8, 1, 28, 28), draw).shape
        torch.Size([8, 1, 28, 28])
    """

    shift: int = 0
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    rotate: float = 0.0
    zoom: float = 0.0
    noise: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    fill: float = 0.0

    live: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("shift", "rotate", "zoom", "noise", "brightness", "contrast"):
            if getattr(self, name) < 0:
                raise InvalidLayer(f"the option {name!r} is {getattr(self, name)}; expected 0 (none) or more")
        if self.zoom >= 1:
            raise InvalidLayer(f"the option 'zoom' is {self.zoom}; expected a share below 1, such as 0.15")

    @property
    def _moves(self) -> bool:
        return bool(self.shift or self.rotate or self.zoom or self.flip != "none")

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the input's port with float32."""
        port = hold_numbers(inputs[0])
        if port.dtype == "unknown":
            return port
        if port.padded or (self._moves and len(port.shape) != 3):
            raise InvalidShape(
                f"its input is {port}, and it changes images [channels, height, width]; give the column a shape"
            )
        return replace(port, dtype="float32", size=None)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the values as they are, float32."""
        return as_tensor(inputs[0]).float()

    def draw(self, value: Value, generator: torch.Generator) -> Value:
        """Return the rows changed, each by its own draw from ``generator``: float32 of the same shape."""
        x = as_tensor(value).float()
        if self._moves and x.dim() != 4:
            raise InvalidShape(f"its rows are of shape {list(x.shape[1:])}; expected [channels, height, width]")
        if self.flip in {"horizontal", "both"}:
            x = _flipped(x, -1, generator)
        if self.flip in {"vertical", "both"}:
            x = _flipped(x, -2, generator)
        if self.rotate or self.zoom:
            x = self._turned(x, generator)
        if self.shift:
            x = _shifted(x, self.shift, self.fill, generator)
        return self._coloured(x, generator)

    def _turned(self, x: Tensor, generator: torch.Generator) -> Tensor:
        angle = _drawn(self.rotate * math.pi / 180, x, generator)
        # The grid says where each pixel comes from: an image grows where its pixels come from nearer the centre.
        size = 1 / (1 + _drawn(self.zoom, x, generator))
        cosine, sine = torch.cos(angle) * size, torch.sin(angle) * size
        # The grid runs from -1 to 1 along both sides; the ratio keeps angles right on images that are not square.
        ratio = x.shape[2] / x.shape[3]
        zero = torch.zeros_like(angle)
        turn = torch.stack([cosine, -sine * ratio, zero, sine / ratio, cosine, zero], dim=1).view(-1, 2, 3)
        grid = functional.affine_grid(turn, list(x.shape), align_corners=False)
        # Outside is zero for grid_sample, so the fill is taken away before and put back behind.
        return functional.grid_sample(x - self.fill, grid, align_corners=False) + self.fill

    def _coloured(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.contrast:
            mean = x.flatten(1).mean(1).reshape(_a_row(x))
            x = mean + (x - mean) * (1 + self.contrast * _signed(x, generator))
        if self.brightness:
            x = x + self.brightness * _signed(x, generator)
        return x + self.noise * torch.randn(x.shape, generator=generator) if self.noise else x


def _a_row(x: Tensor) -> tuple[int, ...]:
    return (len(x), *(1 for _ in x.shape[1:]))


def _drawn(most: float, x: Tensor, generator: torch.Generator) -> Tensor:
    # A number from -most to most for each row, [batch]; what is not asked for takes no draw.
    return (torch.rand(len(x), generator=generator) * 2 - 1) * most if most else torch.zeros(len(x))


def _signed(x: Tensor, generator: torch.Generator) -> Tensor:
    # A number from -1 to 1 for each row, shaped to meet x.
    return torch.rand(_a_row(x), generator=generator) * 2 - 1


def _flipped(x: Tensor, dim: int, generator: torch.Generator) -> Tensor:
    return torch.where(torch.rand(_a_row(x), generator=generator) < 0.5, x.flip(dim), x)


def _shifted(x: Tensor, most: int, fill: float, generator: torch.Generator) -> Tensor:
    # All windows onto the padded images are views; only the drawn ones are copied.
    height, width = x.shape[2:]
    padded = functional.pad(x, (most, most, most, most), value=fill)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(0, 2 * most + 1, (2, len(x)), generator=generator)
    return windows[torch.arange(len(x)), :, down, right]
