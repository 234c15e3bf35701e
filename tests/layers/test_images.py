"""Images are Pillow's own pixels; what is broken, too large or of another size is named by its row."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image as Pillow

from layerwise.errors import Invalid, InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import Value
from layerwise.layers.images import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def encoded(image: Pillow.Image, form: str = "PNG", **options: Any) -> bytes:
    """Return an image file."""
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


PNG = encoded(Pillow.fromarray(PIXELS))


def pixels(kind: Image, *files: bytes) -> Any:
    """Return the pixels that ``kind`` makes of files."""
    array = pa.array(files)
    return torch.as_tensor(kind.run(array, state=kind.fit([(array,)]))).numpy()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "JPEG", "WEBP"])
def test_pixels_are_pillows(form: str) -> None:
    data = encoded(Pillow.fromarray(PIXELS), form)
    plain = Pillow.open(io.BytesIO(data))
    assert np.array_equal(pixels(Image(), data)[0], np.moveaxis(np.asarray(plain.convert("RGB")), -1, 0))
    assert np.array_equal(pixels(Image(grey=True), data)[0, 0], np.asarray(plain.convert("L")))
    small = plain.convert("RGB").resize((4, 3), Pillow.Resampling.BILINEAR)
    assert np.array_equal(pixels(Image(size=(3, 4)), data)[0], np.moveaxis(np.asarray(small), -1, 0))


def test_tensors_are_resized_and_made_grey_as_files_are() -> None:
    value = torch.from_numpy(np.moveaxis(PIXELS, -1, 0).copy())[None]
    for kind in (Image(size=(3, 4)), Image(size=(3, 4), grey=True), Image(size=(6, 8), grey=True)):
        assert np.array_equal(torch.as_tensor(kind.run(value, state={})), pixels(kind, PNG))
    assert torch.as_tensor(Image(size=(6, 8)).run(value[:, 0], state={})).shape == (1, 1, 6, 8)


def test_sixteen_bits_become_eight() -> None:
    deep = np.array([[0, 256, 65535]], dtype=np.uint16)
    assert pixels(Image(grey=True), encoded(Pillow.fromarray(deep))).tolist() == [[[[0, 1, 255]]]]


def test_what_is_transparent_is_white() -> None:
    clear = Pillow.new("RGBA", (1, 1), (255, 0, 0, 0))
    assert pixels(Image(), encoded(clear)).flatten().tolist() == [255, 255, 255]
    palette = Pillow.new("P", (1, 1), 0)
    assert pixels(Image(), encoded(palette, transparency=b"\0")).flatten().tolist() == [255, 255, 255]


def test_images_stand_as_their_camera_was_held() -> None:
    tags = Pillow.Exif()
    tags[0x0112] = 6
    assert pixels(Image(), encoded(Pillow.fromarray(PIXELS), exif=tags)).shape == (1, 3, 8, 6)


PORTS = [
    (Image(), Port("binary"), Port("uint8", (3, None, None))),
    (Image(size=(4, 5)), Port("binary"), Port("uint8", (3, 4, 5))),
    (Image(size=(4, 5), grey=True), Port("unknown"), Port("uint8", (1, 4, 5))),
    (Image(size=(4, 5)), Port("uint8", (1, 8, 8)), Port("uint8", (1, 4, 5))),
    (Image(), Port("uint8", (3, 8, 9)), Port("uint8", (3, 8, 9))),
    (Image(grey=True), Port("uint8", (8, 9)), Port("uint8", (1, 8, 9))),
]


@pytest.mark.parametrize(("kind", "port", "wanted"), PORTS)
def test_ports(kind: Image, port: Port, wanted: Port) -> None:
    assert kind.infer((port,)) == wanted


def bomb() -> bytes:
    """Return a PNG of few bytes that says it has 10,000,000,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


LARGE = encoded(Pillow.new("1", (9_000, 8_000)))

BAD: list[tuple[Image, Value, type[Invalid], str]] = [
    (
        Image(size=(2, 2)),
        pa.array([PNG, b"no image"]),
        InvalidData,
        "row 1 holds 8 bytes that are no image; expected PNG",
    ),
    (Image(size=(2, 2)), pa.array([PNG[:90]]), InvalidData, "the image in row 0 is broken"),
    (Image(size=(2, 2)), pa.array([PNG, None]), InvalidData, "the image in row 1 is missing"),
    (Image(size=(2, 2)), pa.array([b""]), InvalidData, "row 0 holds 0 bytes"),
    (Image(size=(2, 2)), pa.array([bomb()]), InvalidData, "row 0"),
    (Image(size=(2, 2)), pa.array([LARGE]), InvalidData, "row 0 has 72,000,000 pixels; at most 64,000,000 are read"),
    (Image(size=(2, 2)), pa.array([b"%!PS-Adobe-3.0 EPSF-3.0\n"]), InvalidData, "no image"),
    (Image(size=(2, 2)), pa.array(["a"]), InvalidShape, "its input is string; expected image files"),
    (Image(size=(2, 2)), torch.ones(1, 3, 4, 4), InvalidShape, "expected uint8 pixels"),
    (Image(size=(2, 2)), torch.ones(1, 2, 4, 4, dtype=torch.uint8), InvalidShape, "2 channels; expected 1"),
    (Image(), pa.array([PNG]), InvalidData, "has not learned its size yet"),
]


@pytest.mark.parametrize(("kind", "value", "error", "message"), BAD)
def test_bad_images_are_named(kind: Image, value: Value, error: type[Invalid], message: str) -> None:
    with pytest.raises(error, match=message):
        kind.run(value, state={})


def test_another_size_is_named_with_the_cure() -> None:
    other = encoded(Pillow.new("RGB", (5, 5)))
    with pytest.raises(InvalidData, match=r"row 1 is of size \(5, 5\) and .* is \(6, 8\); .*size: \[6, 8\]"):
        pixels(Image(), PNG, other)


@pytest.mark.parametrize(
    "options", [{"size": [0, 4]}, {"size": [4]}, {"size": 4}, {"size": [10**5, 10**5]}, {"grey": 1}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidLayer, match=r"size|grey"):
        make("image", options)
