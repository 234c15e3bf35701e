"""Bytes in cold packs: streams that are raw, one value or zstd, and numbers cut into planes of bytes.

The bytes of one number say different things: an exponent repeats, the end of a mantissa is noise. Bytes of the same
rank lie together (a plane), and each plane is a stream of its own, zstd only where that is smaller.

>>> writer = Writer()
>>> write_planes(writer, np.arange(1000, dtype="<u4"))
>>> reader = Reader(memoryview(writer.data()), "an example")
>>> int(read_planes(reader, 1000, 4)[7])
7
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from zstandard import ZstdCompressionParameters, ZstdCompressor

from layerwise.errors import InvalidFile

Bytes = NDArray[np.uint8]
Numbers = NDArray[Any]
"""Whole numbers without a sign, of 1, 2, 4 or 8 bytes, little-endian."""

LEVEL = 3
"""Of zstd, for streams that repeat themselves: masks of zeros, text."""

_RAW, _FILL, _ZSTD = range(3)
_SAMPLE = 1 << 13  # Bytes of each of four parts that say how a longer stream is to be packed.
_HOPELESS = 0.99
# Planes of exponents do not repeat but some bytes are frequent. The matches that zstd finds all the same cost a fifth:
# 3.1 bits an exponent at level 3, and 2.5, its entropy, where only long matches count.
_FREQUENCIES = ZstdCompressionParameters(strategy=1, min_match=7, hash_log=6, window_log=18)
# Reading is Arrow's: one call into memory of the length that is known, whatever a frame says of itself.
_READER = pa.Codec("zstd")


class Writer:
    """Collects numbers and streams, one after the other. One thread uses it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._ways = (ZstdCompressor(compression_params=_FREQUENCIES), ZstdCompressor(level=LEVEL))

    def number(self, value: int, size: int = 1) -> None:
        """Write a whole number from 0 in ``size`` bytes."""
        self._parts.append(value.to_bytes(size, "little"))

    def stream(self, data: Bytes) -> None:
        """Write bytes whose count the reader knows: raw, or as one value, or as zstd, whatever is smallest."""
        if not data.size:
            return
        if data[0] == data[-1] and (data == data[0]).all():
            self._parts.append(bytes((_FILL, data[0])))
            return
        packed = self._packed(data)
        if len(packed) + 4 < data.size:
            self._parts += (bytes((_ZSTD,)), len(packed).to_bytes(4, "little"), packed)
        else:
            self._parts += (bytes((_RAW,)), data.tobytes())

    def _packed(self, data: Bytes) -> bytes:
        if data.size <= 8 * _SAMPLE:
            return min((way.compress(data.data) for way in self._ways), key=len)
        parts = [data[begin : begin + _SAMPLE] for begin in range(0, data.size, data.size // 4)]
        sample = np.concatenate(parts[:4])
        sizes = [len(way.compress(sample.data)) for way in self._ways]
        if min(sizes) > _HOPELESS * sample.size:
            return data.tobytes()
        return self._ways[sizes.index(min(sizes))].compress(data.data)

    def append(self, data: bytes) -> None:
        """Write what another writer has written."""
        self._parts.append(data)

    def data(self) -> bytes:
        """Return everything that was written."""
        return b"".join(self._parts)


class Reader:
    """Reads what a `Writer` wrote, and trusts none of it.

    Args:
        data: what was stored.
        what: how a message names it.
    """

    def __init__(self, data: memoryview, what: str) -> None:
        self._data = data
        self._position = 0
        self.what = what

    def number(self, size: int = 1, *, most: int, name: str) -> int:
        """Return a whole number of ``size`` bytes; refuse one over ``most``."""
        value = int.from_bytes(self._take(size), "little")
        if value > most:
            raise InvalidFile(f"{self.what} is damaged: {name} is {value}; at most {most} can be")
        return value

    def stream(self, length: int) -> Bytes:
        """Return a stream that gives exactly ``length`` bytes, without writing to more memory than that."""
        if not length:
            return np.empty(0, np.uint8)
        method = self._take(1)[0]
        if method == _RAW:
            return np.frombuffer(self._take(length), np.uint8)
        if method == _FILL:
            return np.full(length, self._take(1)[0], np.uint8)
        if method != _ZSTD:
            raise InvalidFile(f"{self.what} is damaged: a stream is of sort {method}; expected 0, 1 or 2")
        packed = self._take(int.from_bytes(self._take(4), "little"))
        try:
            return np.frombuffer(_READER.decompress(packed, length), np.uint8)
        except (OSError, ValueError) as error:
            raise InvalidFile(f"{self.what} is damaged: {error} ({length:,} bytes expected)") from None

    def end(self) -> None:
        """Refuse bytes that nobody asked for."""
        if left := len(self._data) - self._position:
            raise InvalidFile(f"{self.what} is damaged: {left:,} bytes follow its end")

    def _take(self, size: int) -> memoryview:
        start, left = self._position, len(self._data) - self._position
        if size > left:
            raise InvalidFile(f"{self.what} is cut off: {size:,} bytes should follow and {left:,} do")
        self._position = start + size
        return self._data[start : start + size]


def write_planes(writer: Writer, numbers: Numbers) -> None:
    """Write numbers as planes, the lowest byte of each first."""
    for plane in numbers.view(np.uint8).reshape(-1, numbers.itemsize).T:
        writer.stream(np.ascontiguousarray(plane))


def read_planes(reader: Reader, count: int, width: int) -> Numbers:
    """Return ``count`` numbers of ``width`` bytes."""
    cells = np.empty((count, width), np.uint8)
    for rank in range(width):
        cells[:, rank] = reader.stream(count)
    return cells.view(f"<u{width}").ravel()
