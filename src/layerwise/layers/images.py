"""Images: the bytes of image files become tensors of pixels."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError
from torch import Tensor

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import BYTES, Port
from layerwise.layers.base import DataKind, State, Value
from layerwise.layers.numeric import no_rows

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is read. Formats that run other programs or look for other files are not."""

MOST_PIXELS = 64_000_000
"""Most pixels of one image. Its header says how many there are; larger ones are never unpacked."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, Pillow.DecompressionBombError, Pillow.DecompressionBombWarning)


@register("image")
@dataclass(frozen=True)
class Image(DataKind):
    """Image files (PNG, JPEG, WebP, GIF, BMP, TIFF) as uint8 pixels [batch, channels, height, width].

    Images are turned the way their camera was held; what is transparent becomes white; 16 bits become 8; of an
    animation the first frame is taken. Tensors of uint8 pixels, [height, width] or [channels, height, width] a row,
    are taken too and resized or made grey.

    Args:
        size: height and width to which all are resized (bilinear, smoothed when made smaller). Where not given, all
            images must be of the size of the first training image.
        grey: one channel in place of three.

    State ``size``, where it is not given.

    Raises:
        InvalidData: bytes that are no image, naming the row; another size; more than 64 million pixels.

    Example:
        >>> Image(size=(4, 4)).run(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), state={}).shape
        torch.Size([2, 1, 4, 4])
    """

    size: tuple[int, int] | None = None
    grey: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None and (min(self.size) < 1 or self.size[0] * self.size[1] > MOST_PIXELS):
            raise InvalidLayer(f"the option 'size' is {list(self.size)}; expected a height and a width of 1 or more")

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether the size comes from the training images."""
        return self.size is None

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return uint8 [channels, height, width]."""
        port = inputs[0]
        height, width = self._size(state) or (None, None)
        if port.dtype in {BYTES, "unknown"}:
            return Port("uint8", (1 if self.grey else 3, height, width))
        if port.dtype != "uint8" or len(port.shape) not in {2, 3} or port.padded:
            raise InvalidShape(
                f"its input is {port}; expected image files (binary) or uint8 pixels [channels, height, width]"
            )
        channels = port.shape[0] if len(port.shape) == 3 else 1
        _hold_channels(channels)
        sizes = (height, width) if height is not None else port.shape[-2:]
        return Port("uint8", (1 if self.grey else channels, *sizes))

    def _size(self, state: State | None) -> tuple[int, int] | None:
        if self.size is None and state and "size" in state:
            height, width = state["size"].tolist()
            return height, width
        return self.size

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the size of the first training image; the others are held to it when they are run."""
        if self.size is not None:
            return {}
        for (value,) in batches:
            if len(value):
                return {"size": torch.tensor(_first_size(value), dtype=torch.int64)}
        raise no_rows()

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the pixels, [batch, channels, height, width], uint8."""
        (value,) = inputs
        size = self._size(state)
        if size is None:
            raise InvalidData("it has not learned its size yet; train the model, or fit the layer, first")
        if isinstance(value, Tensor):
            return self._tensors(value, size)
        files = _files(value)
        found = np.empty((len(files), 1 if self.grey else 3, *size), dtype=np.uint8)
        for row in range(len(files)):
            image = _decoded(files[row].as_py(), row, "L" if self.grey else "RGB")
            found[row] = _array(self._resized(image, row, size))
        return torch.from_numpy(found)

    def _resized(self, image: Pillow.Image, row: int, size: tuple[int, int]) -> Pillow.Image:
        height, width = size
        if image.size == (width, height):
            return image
        if self.size is None:
            raise InvalidData(
                f"the image in row {row} is of size {image.size[::-1]} and the first training image is {size}; "
                f"say which size all become: size: [{height}, {width}]"
            )
        return image.resize((width, height), Pillow.Resampling.BILINEAR)

    def _tensors(self, value: Tensor, size: tuple[int, int]) -> Tensor:
        if value.dtype != torch.uint8 or value.dim() not in {3, 4}:
            raise InvalidShape(
                f"expected uint8 pixels [channels, height, width], found {value.dtype} {list(value.shape[1:])}"
            )
        pixels = value if value.dim() == 4 else value[:, None]
        _hold_channels(pixels.shape[1])
        if tuple(pixels.shape[2:]) == size and (pixels.shape[1] == 1 or not self.grey):
            return pixels
        found = np.empty((len(pixels), 1 if self.grey else pixels.shape[1], *size), dtype=np.uint8)
        for row, one in enumerate(pixels.numpy()):
            image = Pillow.fromarray(one[0] if len(one) == 1 else np.moveaxis(one, 0, -1).copy())
            found[row] = _array(self._resized(image.convert("L") if self.grey else image, row, size))
        return torch.from_numpy(found)


def _first_size(value: Value) -> tuple[int, ...]:
    if isinstance(value, Tensor):
        return tuple(value.shape[-2:])
    return _decoded(_files(value)[0].as_py(), 0, "L").size[::-1]


def _files(value: Value) -> pa.Array:
    if isinstance(value, pa.Array) and (pa.types.is_binary(value.type) or pa.types.is_large_binary(value.type)):
        return value
    found = value.type if isinstance(value, pa.Array) else type(value).__name__
    raise InvalidShape(f"its input is {found}; expected image files (binary) or uint8 pixels [channels, height, width]")


def _hold_channels(channels: int | None) -> None:
    if channels not in {1, 3, None}:
        raise InvalidShape(f"the pixels have {channels} channels; expected 1 (grey) or 3 (red, green, blue) in front")


def _array(image: Pillow.Image) -> np.ndarray[Any, np.dtype[Any]]:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _opened(data: bytes | None, row: int) -> Pillow.Image:
    # Only the header is read here.
    if data is None:
        raise InvalidData(f"the image in row {row} is missing; leave the row out")
    try:
        image = Pillow.open(io.BytesIO(data), formats=FORMATS)
    except _BROKEN as error:
        what = f"{len(data):,} bytes that are no image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise InvalidData(
            f"row {row} holds {what[:200]}; expected {', '.join(FORMATS)} of at most {MOST_PIXELS:,} pixels"
        ) from None
    if image.size[0] * image.size[1] > MOST_PIXELS:
        raise InvalidData(
            f"the image in row {row} has {image.size[0] * image.size[1]:,} pixels; at most {MOST_PIXELS:,} are read"
        )
    return image


def _decoded(data: bytes | None, row: int, mode: str) -> Pillow.Image:
    try:
        return _plain(_opened(data, row), mode)
    except InvalidData:
        raise
    except _BROKEN as error:
        raise InvalidData(f"the image in row {row} is broken: {str(error)[:200]}") from None


def _plain(image: Pillow.Image, mode: str) -> Pillow.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise ValueError(f"its pixels are {image.mode} (32 bits), whose range is not known; save it with 8 or 16 bits")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image)
    return image.convert(mode)
