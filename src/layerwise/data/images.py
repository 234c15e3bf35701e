"""A folder of images as rows: one subfolder a class. Nothing becomes a tensor here; a layer does that.

Columns: ``image`` (the bytes of the file), ``label`` (the subfolder), ``file`` (subfolder and name).
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from PIL import Image, UnidentifiedImageError

from layerwise.data.source import Source
from layerwise.errors import InvalidFile

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"})
"""Endings of files that are taken for images; others are left out and counted."""

MAX_IMAGE_BYTES = 64 << 20
"""Largest file of one image."""

MAX_PIXELS = 64 << 20
"""Most pixels of one image: a few kilobytes can say they are terabytes."""

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
_PIECE_BYTES = 4 << 20
_SCHEMA = pa.schema([("image", pa.binary()), ("label", pa.string()), ("file", pa.string())])


def open_images(folder: Path) -> Source:
    """Return the images under ``folder`` as a stream, in the order of their names.

    Links and files of other endings are left out; the source's notes say how many.

    Raises:
        InvalidFile: no subfolder, or a file that its ending calls an image and is none.
    """
    notes: list[str] = []
    return Source(str(folder), _batches(folder, notes), notes)


def _batches(folder: Path, notes: list[str]) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[bytes, str, str]] = []
    size = 0
    for label, path in _images(folder, notes):
        data = _read(path)
        rows.append((data, label, f"{label}/{path.name}"))
        size += len(data)
        if size >= _PIECE_BYTES:
            yield _batch(rows)
            rows, size = [], 0
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple[bytes, str, str]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, _SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


def _images(folder: Path, notes: list[str]) -> Iterator[tuple[str, Path]]:
    links = others = found = 0
    for entry in _entries(folder):
        if entry.is_symlink():
            links += 1
        elif not entry.is_dir():
            others += 1
        else:
            for file in _entries(entry):
                if file.is_symlink():
                    links += 1
                elif not file.is_file() or file.suffix.lower() not in ENDINGS:
                    others += 1
                else:
                    found += 1
                    yield entry.name, file
    if links:
        notes.append(f"{links:,} links left out")
    if others:
        notes.append(f"{others:,} other files left out")
    if not found:
        raise InvalidFile(f"{folder} holds no images in subfolders; expected FOLDER/CLASS/IMAGE.png")


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InvalidFile(f"{folder} cannot be read: {error.strerror}") from None
    # A name that is not UTF-8 could not be kept as text.
    for entry in entries:
        if not entry.name.isprintable():
            raise InvalidFile(f"{str(entry)!a}: the name has characters that cannot be shown; rename it")
    return [entry for entry in entries if not entry.name.startswith(".")]


def _read(path: Path) -> bytes:
    try:
        data = _plain_bytes(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is refused below, by our own limit
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise InvalidFile(f"{path} is {width} × {height} pixels; at most {MAX_PIXELS:,} are taken")
                image.verify()
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError, OSError) as error:
        if isinstance(error, InvalidFile):
            raise
        # Pillow names the bytes in memory where it knows no format.
        unknown = isinstance(error, UnidentifiedImageError)
        said = f"it begins as none of {', '.join(_FORMATS)}, or is cut short" if unknown else str(error)[:200]
        raise InvalidFile(f"{path} is not an image that can be read: {said}; repair or remove it") from None
    return data


def _plain_bytes(path: Path) -> bytes:
    there = path.lstat()
    if not stat.S_ISREG(there.st_mode):
        raise InvalidFile(f"{path} is not a plain file")
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        # The look at the open file: a link that was put there meanwhile is not read.
        if not os.path.samestat(there, found):
            raise InvalidFile(f"{path} changed while it was read; try again")
        if found.st_size > MAX_IMAGE_BYTES:
            raise InvalidFile(f"{path} is {found.st_size:,} bytes; an image may have {MAX_IMAGE_BYTES:,}")
        return file.read(MAX_IMAGE_BYTES + 1)
