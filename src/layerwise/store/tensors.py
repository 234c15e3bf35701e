"""The framing of safetensors, without a copy and without torch: names, types, shapes and raw bytes.

>>> chunks = frame({"bias": RawTensor("F32", (2,), bytes(8))})
>>> data = memoryview(b"".join(chunks))
>>> unframe(data, "an example")["bias"].shape
(2,)
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from layerwise import canonical
from layerwise.errors import InvalidFile, nearest
from layerwise.store.disk import Buffer
from layerwise.words import shorten

SIZES: Mapping[str, int] = MappingProxyType(
    {
        "F64": 8,
        "I64": 8,
        "U64": 8,
        "C64": 8,
        "F32": 4,
        "I32": 4,
        "U32": 4,
        "F16": 2,
        "BF16": 2,
        "I16": 2,
        "U16": 2,
    }
    | {"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I8": 1, "U8": 1, "BOOL": 1}
)
"""Bytes of one value, by safetensors' name of the type."""

ALIGNMENT = 64
"""Data starts at a multiple of this: a cache line, and the widest vector a processor loads."""

MAX_TENSORS = 10_000
"""Most tensors in one file."""

MAX_HEADER = 1_000_000
"""Longest header, in bytes, unless the caller asks for more."""

HARD_MAX_HEADER = 10_000_000
"""Longest header that a caller can ask for."""

MAX_TENSOR_NAME = 500
"""Longest name of a tensor, in characters."""

MAX_DIMENSIONS = 64
"""Most dimensions of a shape; torch has the same limit."""

MAX_VALUES = (MAX_DIMENSIONS + 16) * MAX_TENSORS
"""Most values in a header: what so many tensors of so many dimensions take, with room for the metadata."""

SHORT_HEADER = 4_000
"""Headers up to this many bytes are remembered, with what they say: layers of one shape have the same."""

_METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}
_MAX_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RawTensor:
    """A tensor as bytes: ``dtype`` in safetensors' words, ``shape``, and little-endian values in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: Buffer


@dataclass(frozen=True, slots=True)
class Span:
    """Where one tensor lies in a file: ``begin`` and ``end`` count from the file's first byte."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a file says, after every check: its tensors by name, in the order of their bytes."""

    spans: Mapping[str, Span]
    metadata: Mapping[str, str]


def frame(
    tensors: Mapping[str, RawTensor],
    metadata: Mapping[str, str] = MappingProxyType({}),
    *,
    header_limit: int = MAX_HEADER,
) -> list[Buffer]:
    """Return the bytes of a safetensors file, in chunks, the tensors' own data among them uncopied.

    Equal tensors and metadata give equal bytes: tensors are sorted by size of type, largest first, then by
    name, and data starts at a multiple of 64 bytes.

    Args:
        tensors: by name.
        metadata: text by text, kept in the header.
        header_limit: longest header, in bytes; who reads the file must ask for as much.

    Raises:
        InvalidFile: what `unframe` would refuse is not written.
    """
    what = "the file to be written"
    _check_count(len(tensors), what)
    ordered = sorted(tensors.items(), key=lambda item: (-SIZES.get(item[1].dtype, 0), item[0]))
    entries: list[tuple[str, str, tuple[int, ...], int]] = []
    chunks: list[Buffer] = []
    for name, tensor in ordered:
        where = f"{what}, tensor {shorten(str(name))}"
        _check_name(name, what)
        data = as_bytes(tensor.data)
        expected = _size_of(tensor.dtype, list(tensor.shape), where)
        if len(data) != expected:
            raise InvalidFile(
                f"{where} has {len(data):,} bytes; {tensor.dtype} of shape {list(tensor.shape)} takes {expected:,}"
            )
        entries.append((name, tensor.dtype, tuple(tensor.shape), expected))
        chunks.append(data)
    if metadata or len(entries) > 16:
        return [encode_header(entries, metadata, limit=header_limit), *chunks]
    return [_known_encoding(tuple(entries), header_limit), *chunks]


@lru_cache(maxsize=1024)
def _known_encoding(entries: tuple[tuple[str, str, tuple[int, ...], int], ...], limit: int) -> bytes:
    return encode_header(entries, {}, limit=limit)


def encode_header(
    entries: Sequence[tuple[str, str, Sequence[int], int]], metadata: Mapping[str, str], *, limit: int
) -> bytes:
    """Return length and header for tensors given as (name, dtype, shape, bytes), in the order of data."""
    header: dict[str, Any] = {_METADATA: _checked_metadata(dict(metadata), "the metadata")} if metadata else {}
    position = 0
    for name, dtype, shape, size in entries:
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, position + size]}
        position += size
    text = canonical.encode(header)
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    if len(text) > limit:
        raise InvalidFile(f"a header of {len(text):,} bytes is not written; at most {limit:,}: use fewer tensors")
    return len(text).to_bytes(8, "little") + text


def as_bytes(data: Buffer) -> memoryview:
    """Return ``data`` as one flat, read-only run of bytes, uncopied; refuse memory that is not contiguous."""
    view = memoryview(data)
    if view.nbytes == 0:
        return memoryview(b"")
    if not view.c_contiguous:
        raise InvalidFile(
            f"bytes must lie together in memory; found strides {view.strides}: make a contiguous copy first"
        )
    return view.cast("B").toreadonly()


def unframe(data: memoryview, what: str, *, header_limit: int = MAX_HEADER) -> dict[str, RawTensor]:
    """Return the tensors of a safetensors file as views of ``data``, after every check of docs/format.md.

    They can be written to where ``data`` can.

    Args:
        data: the whole file.
        what: how a message names it, e.g. ``"the state of digits@3/edges"``.
        header_limit: longest header that is read, in bytes; at most ``HARD_MAX_HEADER``.

    Raises:
        InvalidFile: naming ``what``, the tensor, what was found and what was expected.
    """
    if data.format != "B" or data.ndim != 1 or not data.c_contiguous:
        as_bytes(data)  # Refuses what does not lie together.
        data = data.cast("B") if data.nbytes else memoryview(b"")
    found = read_header(data, what, header_limit=header_limit).spans.items()
    return {name: RawTensor(span.dtype, span.shape, data[span.begin : span.end]) for name, span in found}


def read_header(data: memoryview, what: str, *, header_limit: int = MAX_HEADER) -> Header:
    """Return what a file's header says, once all of it is known to be true. Raises as `unframe` does."""
    if len(data) < 8:
        raise InvalidFile(f"{what} has {len(data)} bytes; a safetensors file starts with the 8 of its header's length")
    length = int.from_bytes(data[:8], "little")
    limit = min(header_limit, HARD_MAX_HEADER)
    if length > limit:
        raise InvalidFile(f"{what} says its header has {length:,} bytes; at most {limit:,} are read")
    if length > len(data) - 8:
        raise InvalidFile(f"{what} is cut off: its header should have {length:,} bytes, {len(data) - 8:,} are there")
    start = data[: 8 + length]
    if length <= SHORT_HEADER:
        # What is refused is read once more, to be named.
        with suppress(InvalidFile):
            return _known_header(bytes(start), len(data))
    return _parse_header(start, len(data), what)


@lru_cache(maxsize=1024)
def _known_header(start: bytes, end: int) -> Header:
    return _parse_header(memoryview(start), end, "it")


def _parse_header(start: memoryview, end: int, what: str) -> Header:
    parsed = canonical.decode(start[8:], f"the header of {what}", values=MAX_VALUES)
    if not isinstance(parsed, dict):
        raise InvalidFile(f"the header of {what} is a {type(parsed).__name__}; expected an object")
    metadata = _checked_metadata(parsed.pop(_METADATA, {}), f"the metadata of {what}")
    _check_count(len(parsed), what)
    spans = [(name, _read_span(name, value, len(start), what)) for name, value in parsed.items()]
    return Header(_tile(spans, begin=len(start), end=end, what=what), metadata)


def _read_span(name: str, value: object, start: int, what: str) -> Span:
    _check_name(name, what)
    where = f"{what}, tensor {shorten(name)}"
    if not isinstance(value, dict) or set(value) != _FIELDS:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise InvalidFile(f"{where} is described by {shorten(str(found))}; expected exactly dtype, shape, data_offsets")
    size = _size_of(value["dtype"], value["shape"], where)
    offsets = value["data_offsets"]
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_size(number) for number in offsets):
        raise InvalidFile(f"{where} has data_offsets {shorten(str(offsets))}; expected two whole numbers from 0")
    begin, end = offsets
    if end - begin != size:
        raise InvalidFile(
            f"{where} has data_offsets {begin}:{end}, {end - begin:,} bytes; its dtype and shape take {size:,}"
        )
    return Span(value["dtype"], tuple(value["shape"]), start + begin, start + end)


def _size_of(dtype: object, shape: object, where: str) -> int:
    if not isinstance(dtype, str) or dtype not in SIZES:
        raise InvalidFile(
            f"{where} has the type {shorten(str(dtype))}, which is not known.{nearest(str(dtype), SIZES)}"
        )
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(_is_size(size) for size in shape):
        raise InvalidFile(
            f"{where} has the shape {shorten(str(shape))}; expected at most {MAX_DIMENSIONS} whole numbers from 0"
        )
    size = math.prod(shape) * SIZES[dtype]
    # A 0 makes the size 0, and NumPy and torch refuse or miscount the strides of what stands beside it.
    if math.prod(filter(None, shape)) * SIZES[dtype] > _MAX_SIZE:
        raise InvalidFile(f"{where} would have more than 2**63 bytes: shape {shorten(str(shape))}")
    return size


def _is_size(value: object) -> bool:
    # A bool is an int in Python, and true is not a size.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SIZE


def _tile(spans: list[tuple[str, Span]], *, begin: int, end: int, what: str) -> dict[str, Span]:
    # Every byte belongs to one tensor: a hole hides bytes, an overlap lets two names mean the same ones.
    spans.sort(key=lambda item: (item[1].begin, item[1].end))
    position = begin
    for name, span in spans:
        if span.begin != position:
            kind = "a hole" if span.begin > position else "an overlap"
            raise InvalidFile(
                f"{what} has {kind} before tensor {shorten(name)}: it begins at byte "
                f"{span.begin - begin} of the data, the one before ends at {position - begin}"
            )
        position = span.end
    if position != end:
        kind = "is cut off" if position > end else "has bytes that belong to no tensor"
        raise InvalidFile(f"{what} {kind}: its tensors end at byte {position:,} and the file at {end:,}")
    return dict(spans)


def _check_count(count: int, what: str) -> None:
    if count > MAX_TENSORS:
        raise InvalidFile(f"{what} has {count:,} tensors; at most {MAX_TENSORS:,}")


def _check_name(name: object, what: str) -> None:
    if not isinstance(name, str) or name == _METADATA:
        raise InvalidFile(f"{what} has a tensor called {name!r}; expected text other than {_METADATA!r}")
    if len(name) > MAX_TENSOR_NAME:
        raise InvalidFile(f"{what} has a tensor whose name is {shorten(name)} long; at most {MAX_TENSOR_NAME}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise InvalidFile(f"{what} has a tensor called {shorten(name)}: names hold no control characters")


def _checked_metadata(metadata: object, what: str) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(
        isinstance(key, str) and isinstance(value, str) for key, value in metadata.items()
    ):
        raise InvalidFile(f"{what} must be text by text, found {shorten(str(metadata))}")
    return metadata
