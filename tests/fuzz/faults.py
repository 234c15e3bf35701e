"""Parsers with a fault each, by which the harness shows that it would see one."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Sequence
from random import Random

from layerwise.errors import Damaged, InvalidFile
from tests.fuzz import octets
from tests.fuzz.parser import Parser, Wrong

WHOLE = b"x" * 64


def _whole() -> tuple[bytes, ...]:
    return (WHOLE,)


def _third(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    return draw.choice((WHOLE, octets.flipped(data, draw), b"fault"))


def crash(data: bytes) -> None:
    """Read what is not there."""
    if data == b"fault":
        ctypes.string_at(0)


def abort(data: bytes) -> None:
    """End as a failed assertion of C++ does."""
    if data == b"fault":
        os.kill(os.getpid(), signal.SIGABRT)


def hoard(data: bytes) -> None:
    """Take more memory than is left."""
    if data == b"fault":
        bytearray(1 << 30)


def hide(data: bytes) -> None:
    """Take more memory than is left, and call it damage."""
    try:
        hoard(data)
    except MemoryError:
        raise Damaged("the block is damaged") from None


def hang(data: bytes) -> None:
    """Never end."""
    while data == b"fault":
        pass


def leak(data: bytes) -> None:
    """Let an error through that is not ours."""
    if data == b"fault":
        raise KeyError("format")


def serve(data: bytes) -> None:
    """Accept what is not what was written."""
    if data == b"fault":
        raise Wrong("other bytes")


def well(data: bytes) -> None:
    """Refuse as one should."""
    if data != WHOLE:
        raise InvalidFile("it is not whole")


PARSERS: dict[str, Parser] = {
    read.__name__: Parser(read.__name__, _whole, _third, read)
    for read in (crash, abort, hoard, hide, hang, leak, serve, well)
}
EXPECTED: dict[str, str] = {
    "crash": "killed by SIGSEGV",
    "abort": "killed by SIGABRT",
    "hoard": "more memory than the cap",
    "hide": "MemoryError behind an error of ours",
    "hang": "more time than the limit",
    "leak": "KeyError: 'format'",
    "serve": "Wrong: other bytes",
}
"""What the harness must say of each."""
