"""The outside of an Arrow stream, read before Arrow is let near it: what its messages are and where their bytes lie.

Arrow unpacks a compressed block to whatever size it claims, turns the bytes of big-endian machines round, and reads
messages that a block never has. So the few numbers of the flatbuffers that decide about this are read here first.

>>> import pyarrow as pa
>>> sink = pa.BufferOutputStream()
>>> options = pa.ipc.IpcWriteOptions(compression="zstd")
>>> with pa.ipc.new_stream(sink, pa.schema([("age", pa.int64())]), options=options) as writer:
...     writer.write_batch(pa.record_batch({"age": [41]}))
>>> try:
...     hold_plain(memoryview(sink.getvalue()), "an example")
... except Damaged as error:
...     print(error)
an example is compressed, and blocks are not; it was not made by Layerwise
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from layerwise.errors import Damaged
from layerwise.store.tensors import ALIGNMENT, as_bytes

_U8, _U16, _I16, _I32, _U32, _I64 = (struct.Struct(f"<{letter}") for letter in "BHhiIq")
_BUFFER = struct.Struct("<qq")
_MARK = 0xFFFFFFFF
_END = _U32.pack(_MARK) + bytes(4)
_V5 = 4
_SCHEMA, _BATCH = 1, 3

# Fields of Arrow's tables by their place, as its Message.fbs and Schema.fbs number them.
_VERSION, _SORT, _HEADER, _BODY, _NOTES = range(5)
_ENDIANNESS = 0
_BUFFERS, _COMPRESSION = 2, 3


def hold_plain(data: memoryview, what: str) -> None:
    """Raise Damaged unless ``data`` is one schema, one plain batch of rows and an end, with nothing between or after.

    Plain means: not compressed, little-endian, without notes, and each byte of the body in one buffer or in the up to
    63 that fill a buffer up. What the schema and the values are is for Arrow to tell.

    Args:
        data: the bytes of one block.
        what: how a message names the block, e.g. ``"block 3 of digits-data@2"``.
    """
    data = as_bytes(data)
    try:
        at = _hold_schema(data, what)
        at = _hold_batch(data, at, what)
    except struct.error:
        raise Damaged(f"{what} is not an Arrow block: a message in it is cut off or points outside itself") from None
    if data[at:] != _END:
        raise Damaged(f"{what} holds more than one batch of rows, or does not end where it says")


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of a flatbuffer: ``at`` is where it begins in ``data``."""

    data: memoryview
    at: int

    def place(self, field: int) -> int:
        """Return where a field's value lies, 0 where it is left out."""
        vtable = self.at - int(_I32.unpack_from(self.data, self.at)[0])
        if vtable < 0:  # unpack_from would count it from the end.
            raise struct.error
        if 4 + 2 * field + 2 > _U16.unpack_from(self.data, vtable)[0]:
            return 0
        offset = int(_U16.unpack_from(self.data, vtable + 4 + 2 * field)[0])
        return self.at + offset if offset else 0

    def number(self, field: int, shape: struct.Struct) -> int:
        """Return a number, 0 where it is left out."""
        place = self.place(field)
        return int(shape.unpack_from(self.data, place)[0]) if place else 0

    def follow(self, field: int) -> int:
        """Return where the table or list lies that a field points to."""
        place = self.place(field)
        if not place:
            raise struct.error
        return place + int(_U32.unpack_from(self.data, place)[0])


def _message(data: memoryview, at: int, sort: int, what: str) -> tuple[_Table, _Table, int]:
    """Return a message, what it is about, and where its body begins."""
    mark, length = _U32.unpack_from(data, at)[0], _I32.unpack_from(data, at + 4)[0]
    start = at + 8
    if mark != _MARK or not 0 < length <= len(data) - start:
        raise struct.error
    inside = data[start : start + length]
    message = _Table(inside, _U32.unpack_from(inside)[0])
    if message.number(_SORT, _U8) != sort:
        raise Damaged(f"{what} holds another message than a schema and one batch of rows")
    if message.number(_VERSION, _I16) != _V5 or message.place(_NOTES):
        raise Damaged(f"{what} is of another Arrow format, or has notes on a message; it was not made by Layerwise")
    return message, _Table(inside, message.follow(_HEADER)), start + length


def _hold_schema(data: memoryview, what: str) -> int:
    message, schema, body = _message(data, 0, _SCHEMA, what)
    if message.number(_BODY, _I64) or schema.number(_ENDIANNESS, _I16):
        raise Damaged(f"{what} is of a machine with another order of bytes; it was not made by Layerwise")
    return body


def _hold_batch(data: memoryview, at: int, what: str) -> int:
    message, batch, body = _message(data, at, _BATCH, what)
    if batch.place(_COMPRESSION):
        raise Damaged(f"{what} is compressed, and blocks are not; it was not made by Layerwise")
    size = message.number(_BODY, _I64)
    if not 0 <= size <= len(data) - body:
        raise struct.error
    buffers = batch.follow(_BUFFERS)
    count = int(_U32.unpack_from(batch.data, buffers)[0])
    places = batch.data[buffers + 4 : buffers + 4 + count * _BUFFER.size]
    if len(places) != count * _BUFFER.size:
        raise struct.error
    _hold_tiled(places, size, what)
    return body + size


def _hold_tiled(places: memoryview, size: int, what: str) -> None:
    end = 0
    for start, length in _BUFFER.iter_unpack(places):
        if not 0 <= start - end < ALIGNMENT or length < 0:
            raise Damaged(f"{what} has columns that overlap, leave a hole or lie outside it")
        end = start + length
    if not 0 <= size - end < ALIGNMENT:
        raise Damaged(f"{what} has columns that overlap, leave a hole or lie outside it")
