"""Changes to bytes of any sort: flipped, set, cut off, spliced, and lengths that lie.

Everything is drawn from one generator, so a seed and a number are an input.

>>> changed(b"abcdefgh", [b"12345678"], Random(1)) == changed(b"abcdefgh", [b"12345678"], Random(1))
True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

LENGTHS = (0, 1, 7, 8, 2**7, 2**8, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
"""Lengths that break what counts, adds or allocates by them."""

Change = Callable[[bytes, Random], bytes]


def changed(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """Return ``data`` after one to three changes; ``others`` are what it may be spliced with."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        data = spliced(data, draw.choice(others), draw) if draw.random() < 0.1 else draw.choice(CHANGES)(data, draw)
    return data


def place(data: bytes, draw: Random) -> int:
    """Return a position in ``data``; its beginning, where lengths and headers are, is as likely as all the rest."""
    near = min(len(data), 64) if draw.random() < 0.5 else len(data)
    return draw.randrange(near) if near else 0


def flipped(data: bytes, draw: Random) -> bytes:
    """Return ``data`` with one bit the other way round."""
    at = place(data, draw)
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :] if data else data


def put(data: bytes, draw: Random) -> bytes:
    """Return ``data`` with some bytes in a row replaced."""
    at, count = place(data, draw), draw.choice((1, 1, 2, 4, 8))
    value = draw.choice((b"\0", b"\xff", b"\x80", b"\x7f", b'"', b"[", b"{")) * count
    return data[:at] + (value if draw.random() < 0.6 else draw.randbytes(count)) + data[at + count :]


def cut(data: bytes, draw: Random) -> bytes:
    """Return the beginning of ``data``, cut off at any place or at a boundary of 8 or 64."""
    step = draw.choice((1, 1, 8, 64))
    return data[: draw.randrange(len(data) + 1) // step * step]


def dropped(data: bytes, draw: Random) -> bytes:
    """Return ``data`` without some bytes in the middle."""
    at = place(data, draw)
    return data[:at] + data[at + draw.choice((1, 2, 4, 8, 16, 64)) :]


def added(data: bytes, draw: Random) -> bytes:
    """Return ``data`` with bytes put in, or put behind it."""
    at = len(data) if draw.random() < 0.5 else place(data, draw)
    return (
        data[:at] + draw.choice((b"\0", b"\xff", b"PK\3\4", b" ", draw.randbytes(1))) * draw.choice((1, 8)) + data[at:]
    )


def repeated(data: bytes, draw: Random) -> bytes:
    """Return ``data`` with a piece of it twice."""
    at = place(data, draw)
    piece = data[at : at + draw.choice((1, 8, 64, 512))]
    return data[:at] + piece + data[at:]


def lied(data: bytes, draw: Random) -> bytes:
    """Return ``data`` with a length in it changed: one more, one less, or one of ``LENGTHS``."""
    width = draw.choice((2, 4, 8, 8))
    at = place(data, draw) // draw.choice((1, 4, 8)) * draw.choice((1, 4, 8))
    if at + width > len(data):
        return data
    old = int.from_bytes(data[at : at + width], "little")
    new = draw.choice((old + 1, old - 1, old * 2, *LENGTHS)) % (1 << 8 * width)
    return data[:at] + new.to_bytes(width, "little") + data[at + width :]


def spliced(data: bytes, other: bytes, draw: Random) -> bytes:
    """Return the beginning of one file and the end of another."""
    step = draw.choice((1, 8, 64))
    return data[: draw.randrange(len(data) + 1) // step * step] + other[draw.randrange(len(other) + 1) // step * step :]


CHANGES: tuple[Change, ...] = (flipped, flipped, put, cut, dropped, added, repeated, lied, lied)
