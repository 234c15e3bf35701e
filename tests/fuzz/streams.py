"""Changes to Arrow streams: in the flatbuffers, in the offsets of text and lists, and streams of other things."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import pyarrow as pa

from tests.fuzz import octets

MARK = b"\xff\xff\xff\xff"


def changed(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """Return a block after changes to one of its messages, to its body, or another stream of the same rows."""
    dice = draw.random()
    if dice < 0.15:
        return octets.changed(data, others, draw)
    if dice < 0.3:
        return _other(data, draw)
    start, body, end = batch(data)
    if dice < 0.6:  # the flatbuffer of the batch
        return data[:start] + _same_length(data[start:body], draw) + data[body:]
    if dice < 0.7:  # that of the schema
        return data[:8] + _same_length(data[8 : start - 8], draw) + data[start - 8 :]
    if dice < 0.8:
        return _with_places(data, draw)
    # The body: bitmaps, offsets, text.
    inside = bytearray(data[body:end])
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(inside) // 4) * 4
        old = struct.unpack_from("<i", inside, at)[0]
        new = draw.choice(
            (old + 1, old - 1, -1, -(2**31), 2**31 - 1, 2**30, 0, len(inside), draw.getrandbits(32) - 2**31)
        )
        struct.pack_into("<i", inside, at, max(-(2**31), min(new, 2**31 - 1)))
    return data[:body] + bytes(inside) + data[end:]


def batch(data: bytes) -> tuple[int, int, int]:
    """Return where the flatbuffer of the batch, its body, and the end of the stream begin, in a whole block."""
    start = 8 + struct.unpack_from("<i", data, 4)[0] + 8
    return start, start + struct.unpack_from("<i", data, start - 4)[0], len(data) - 8


def _same_length(message: bytes, draw: Random) -> bytes:
    found = octets.changed(message, [message], draw)
    return found[: len(message)].ljust(len(message), b"\0") if draw.random() < 0.9 else found


def _with_places(data: bytes, draw: Random) -> bytes:
    """Change a place or length of a buffer, or a count of rows or gaps: they stand as pairs of 8 bytes each."""
    start, body, _ = batch(data)
    at = draw.randrange(start, body - 8) // 8 * 8
    old = struct.unpack_from("<q", data, at)[0]
    new = draw.choice((old + 1, old - 1, old + 8, old - 8, 0, 1, 2**31, 2**32, 2**62, 2**63 - 1, -1, -(2**63)))
    return data[:at] + struct.pack("<q", max(-(2**63), min(new, 2**63 - 1))) + data[at + 8 :]


def _other(data: bytes, draw: Random) -> bytes:
    with pa.ipc.open_stream(data) as reader:
        found = reader.read_next_batch()
    match draw.randrange(9):
        case 0:
            return stream([found], compression=draw.choice(("zstd", "lz4")))
        case 1:
            return claimed(stream([found], compression=draw.choice(("zstd", "lz4"))), draw.choice(octets.LENGTHS))
        case 2:
            return stream([found] * draw.choice((0, 2)))
        case 3:
            return stream([found], metadata_version=pa.ipc.MetadataVersion.V4)
        case 4:
            return stream([found], use_legacy_format=True)
        case 5:
            return stream([found.replace_schema_metadata({"a": "b"})])
        case 6:
            return stream([pa.record_batch({name: _dressed(found, name, draw) for name in found.schema.names})])
        case 7:
            return data[: len(data) - 8] + draw.choice((b"", data[: len(data) - 8], MARK + bytes(4) + MARK + bytes(4)))
        case _:
            return stream([found.slice(draw.randrange(len(found) + 1), draw.randrange(len(found) + 1))])


def _dressed(found: pa.RecordBatch, name: str, draw: Random) -> pa.Array:
    """Return a column, now and then of another type."""
    column: Any = found.column(name)
    match draw.randrange(6):
        case 0 if not isinstance(column.type, pa.BaseExtensionType) and not pa.types.is_nested(column.type):
            return column.dictionary_encode()
        case 1:
            return pa.StructArray.from_arrays([column], names=["a"])
        case 2:
            return pa.array([None] * len(found), pa.null())
        case 3:
            return pa.array(["x"] * len(found), pa.large_string())
        case _:
            return column


def stream(batches: Sequence[pa.RecordBatch], schema: pa.Schema | None = None, **options: Any) -> bytes:
    """Return an Arrow stream of any sort."""
    sink = pa.BufferOutputStream()
    schema = batches[0].schema if batches else schema or pa.schema([("a", pa.int64())])
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for found in batches:
            writer.write_batch(found)
    return bytes(sink.getvalue())


def claimed(data: bytes, length: int) -> bytes:
    """Return a compressed stream whose buffers say that they unpack to ``length`` bytes."""
    _, body, end = batch(data)
    inside = bytearray(data[body:end])
    # Each packed buffer starts with its length when unpacked; the first one that is not empty is changed.
    for at in range(0, len(inside) - 8, 8):
        if 0 < struct.unpack_from("<q", inside, at)[0] < 1 << 20:
            struct.pack_into("<Q", inside, at, length)
            break
    return data[:body] + bytes(inside) + data[end:]
