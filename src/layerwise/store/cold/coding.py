"""Objects in fewer bytes, for packs that are cold: lossless, each object on its own. Pure: bytes in, bytes out.

One object is one layer's state, or one block of a dataset: it is the unit that is read, so a coding keeps no index
into it. Codings, as the catalog spells them:

- ``raw``: as it is, to be mapped into memory.
- ``zstd.v1``: any bytes, in pieces, each in zstd, its bytes sorted by rank in 2, 4 or 8 where that is smaller.
- ``planes.v1``: a state; each tensor's numbers cut into planes of bytes (`layerwise.store.cold.shuffle`).
- ``delta.v1:D`` and ``delta.v1:D,E``: a state as its difference from the state ``D``, its parent, which has the same
  header; with ``E``, the parent of ``D``, to say how the last step went (`layerwise.store.cold.deltas`).

What decoding gives is to be compared with the object's digest, as for every object.

>>> coded = encode(memoryview(b"layer by layer, " * 100))
>>> coded.coding, len(coded.data) < 100
('zstd.v1', True)
>>> bytes(decode(coded.coding, memoryview(coded.data), 1600, base={}.__getitem__))[:14]
b'layer by layer'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from layerwise.errors import InvalidFile, Unsupported
from layerwise.store.cold.deltas import CHUNK, MANTISSA, read_delta, write_delta
from layerwise.store.cold.shuffle import Bytes, Numbers, Reader, Writer, read_planes, write_planes
from layerwise.store.disk import Buffer
from layerwise.store.tensors import MAX_HEADER, SIZES, as_bytes, read_header
from layerwise.words import Digest, shorten

RAW = "raw"
"""The coding of bytes that are kept as they are."""

MAX_DEPTH = 8
"""Most deltas between a state and one that is none: what a writer should keep to (benchmarks/RESULTS.md says why)."""

_PIECE = 1 << 20
_WIDTHS = (1, 2, 4, 8)
_MOST = 1 << 19  # Bytes of an object for one that is stored: a MiB of one value takes three.
_WORTH = 1 / 32  # Share of the bytes that must be saved: raw ones are mapped without a copy.
_CODING = re.compile(r"(?P<sort>raw|zstd\.v1|planes\.v1|delta\.v1:(?P<bases>[0-9a-f]{64}(?:,[0-9a-f]{64})?))")


@dataclass(frozen=True, slots=True)
class Coded:
    """An object as it is to be stored: how, as the catalog spells it, and the bytes."""

    coding: str
    data: Buffer


@dataclass(frozen=True, slots=True)
class Base:
    """An object that the reader will have too: its digest, and its bytes as they are when decoded."""

    digest: Digest
    data: memoryview


@dataclass(frozen=True, slots=True)
class _Part:
    # Some numbers of a tensor: where they lie in the object, and what they are.
    begin: int
    count: int
    width: int
    mantissa: int

    def of(self, data: memoryview) -> Numbers:
        return np.frombuffer(data, f"<u{self.width}", self.count, self.begin)


def encode(data: Buffer, bases: Sequence[Base] = ()) -> Coded:
    """Return ``data`` in its smallest coding; ``raw`` where no other saves a thirty-second of it.

    Args:
        data: the whole object.
        bases: at most two, the parent's state of the same layer and then the parent's parent's. A base whose
            header differs is of no use, nor is one after it.

    >>> encode(memoryview(b"short")).coding
    'raw'
    """
    flat = as_bytes(data)
    parts = _parts_of(flat)
    if parts is None:
        found = [Coded("zstd.v1", _write_pieces(flat))]
    elif used := _usable(flat, parts[0].begin if parts else len(flat), bases):
        text = "delta.v1:" + ",".join(base.digest for base in used)
        found = [Coded(text, _write_deltas(flat, parts, used)), Coded("planes.v1", _write_state(flat, parts))]
    else:
        found = [Coded("planes.v1", _write_state(flat, parts)), Coded("zstd.v1", _write_pieces(flat))]
    best = min(found, key=lambda coded: len(coded.data))
    return best if len(best.data) < len(flat) * (1 - _WORTH) else Coded(RAW, flat)


def decode(coding: str, stored: Buffer, length: int, base: Callable[[Digest], memoryview]) -> memoryview:
    """Return the object that `encode` was given, read-only.

    A chain is the caller's to follow: ``base`` decodes what it is asked for in its turn. It should remember what it
    gave, as a state and its base ask for the same one; and it should bound the depth.

    Args:
        coding: as `encode` spelt it.
        stored: the bytes that `encode` gave.
        length: of the object, in bytes. No stream is unpacked into more.
        base: gives the bytes of an object; what it raises is passed on.

    Raises:
        Unsupported: a coding that is not known.
        InvalidFile: bytes that `encode` cannot have given.
    """
    bases = bases_of(coding)
    flat = as_bytes(stored)
    if length < 0 or (coding == RAW and len(flat) != length):
        raise InvalidFile(f"an object of {length:,} bytes is stored in {len(flat):,} as {shorten(coding)}")
    if coding == RAW:
        return flat
    reader = Reader(flat, f"an object coded as {shorten(coding)}")
    views = [as_bytes(base(digest)) for digest in bases]
    whole = _room(reader, length, len(flat), views)
    if bases:
        _read_deltas(reader, whole, views)
    elif coding == "zstd.v1":
        _read_pieces(reader, whole)
    else:
        _read_state(reader, whole)
    reader.end()
    return whole.data.toreadonly()


def bases_of(coding: str) -> tuple[Digest, ...]:
    """Return the objects without which one of this coding cannot be read: none, the parent, or the parent and its own.

    >>> [digest[:2] for digest in bases_of("delta.v1:" + "a" * 64 + "," + "b" * 64)], bases_of("planes.v1")
    (['aa', 'bb'], ())

    Raises:
        Unsupported: a coding that is not known.
    """
    known = _CODING.fullmatch(coding)
    if known is None:
        raise Unsupported(
            f"the coding {shorten(coding)} is not known: it is of a newer Layerwise, or the catalog is damaged"
        )
    return tuple(Digest(digest) for digest in known["bases"].split(",")) if known["bases"] else ()


def _room(reader: Reader, length: int, stored: int, bases: Sequence[memoryview]) -> Bytes:
    # A length is looked at before memory is asked for: a delta is as long as its base, and nothing shrinks for ever.
    if any(len(base) != length for base in bases):
        raise InvalidFile(f"{reader.what} is a state of {length:,} bytes, and its base is none of that length")
    if not bases and length > (stored + 1) * _MOST:
        raise InvalidFile(f"{reader.what} is damaged: {stored:,} bytes cannot stand for {length:,}")
    try:
        return np.empty(length, np.uint8)
    except MemoryError:
        raise InvalidFile(f"{reader.what} takes {length:,} bytes, more than there is memory") from None


def _parts_of(data: memoryview) -> list[_Part] | None:
    # None where the object is no state. A tensor's numbers come in portions that fit the processor's cache.
    try:
        spans = read_header(data, "an object").spans.values()
    except InvalidFile:
        return None
    parts = []
    for span in spans:
        width = 4 if span.dtype == "C64" else SIZES[span.dtype]
        for begin in range(span.begin, span.end, CHUNK * width):
            count = min(CHUNK, (span.end - begin) // width)
            parts.append(_Part(begin, count, width, MANTISSA.get(span.dtype, 0)))
    return parts


def _usable(data: memoryview, header: int, bases: Sequence[Base]) -> list[Base]:
    used: list[Base] = []
    for base in bases[:2]:
        if len(base.data) != len(data) or base.data[:header] != data[:header]:
            break
        used.append(base)
    return used


def _write_deltas(data: memoryview, parts: Sequence[_Part], bases: Sequence[Base]) -> bytes:
    writer = Writer()
    for part in parts:
        old = [part.of(base.data) for base in bases]
        write_delta(writer, part.of(data), old[0], old[1] if len(old) > 1 else None, mantissa=part.mantissa)
    return writer.data()


def _read_deltas(reader: Reader, whole: Bytes, bases: Sequence[memoryview]) -> None:
    parts = _parts_of(bases[0])
    if parts is None:
        raise InvalidFile(f"{reader.what} is a state of {whole.size:,} bytes, and its base is none")
    header = parts[0].begin if parts else whole.size
    whole[:header] = np.frombuffer(bases[0][:header], np.uint8)
    for part in parts:
        old = [part.of(base) for base in bases]
        found = read_delta(reader, old[0], old[1] if len(old) > 1 else None, mantissa=part.mantissa)
        _put(whole, part.begin, found.view(np.uint8))


def _write_state(data: memoryview, parts: Sequence[_Part]) -> bytes:
    header = parts[0].begin if parts else len(data)
    writer = Writer()
    writer.number(header, 4)
    writer.stream(np.frombuffer(data[:header], np.uint8))
    for part in parts:
        numbers = part.of(data)
        if part.mantissa:
            # The sign goes below the mantissa, so that the exponent is a byte of its own.
            bits = part.width * 8
            numbers = (numbers << 1) | (numbers >> (bits - 1))
        write_planes(writer, numbers)
    return writer.data()


def _read_state(reader: Reader, whole: Bytes) -> None:
    header = reader.number(4, most=min(whole.size, MAX_HEADER + 8), name="the header's length")
    whole[:header] = reader.stream(header)
    parts = _parts_of(whole.data)
    if parts is None or header != (parts[0].begin if parts else whole.size):
        raise InvalidFile(f"{reader.what} is damaged: its header is not that of a state of {whole.size:,} bytes")
    for part in parts:
        numbers = read_planes(reader, part.count, part.width)
        if part.mantissa:
            numbers = (numbers >> 1) | (numbers << (part.width * 8 - 1))
        _put(whole, part.begin, numbers.view(np.uint8))


def _write_pieces(data: memoryview) -> bytes:
    writer = Writer()
    for begin in range(0, len(data), _PIECE):
        piece = np.frombuffer(data[begin : begin + _PIECE], np.uint8)
        writer.append(min((_write_piece(piece, width) for width in _WIDTHS), key=len))
    return writer.data()


def _write_piece(piece: Bytes, width: int) -> bytes:
    writer = Writer()
    even = piece.size - piece.size % width
    writer.number(width)
    write_planes(writer, piece[:even].view(f"<u{width}"))
    writer.stream(piece[even:])
    return writer.data()


def _read_pieces(reader: Reader, whole: Bytes) -> None:
    for begin in range(0, whole.size, _PIECE):
        size = min(_PIECE, whole.size - begin)
        width = reader.number(most=max(_WIDTHS), name="a width")
        if width not in _WIDTHS:
            raise InvalidFile(f"{reader.what} is damaged: a width is {width}; expected one of {_WIDTHS}")
        even = size - size % width
        _put(whole, begin, read_planes(reader, even // width, width).view(np.uint8))
        _put(whole, begin + even, reader.stream(size - even))


def _put(whole: Bytes, begin: int, found: Bytes) -> None:
    whole[begin : begin + found.size] = found
