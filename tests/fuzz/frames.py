"""Changes to safetensors files: a header that lies about data, or is no header."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.fuzz import octets, values


def changed(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """Return a file after changes to its bytes, to its header, or to both."""
    if draw.random() < 0.35:
        return octets.changed(data, others, draw)
    header, body = parts(data)
    dice = draw.random()
    if dice < 0.4:
        return joined(values.changed(header, draw), body, draw)
    if dice < 0.45:
        header = {
            f"{number:x}": _tensor([0], [0, 0]) for number in range(draw.choice((100, 100, 1001, 1001, 1001, 10_001)))
        } | header
    else:
        _moved(header, draw)
    return joined(json.dumps(header, separators=(",", ":")).encode(), body, draw)


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the data of a whole file."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def joined(header: bytes, body: bytes, draw: Random) -> bytes:
    """Return a file of a header and data; now and then its length lies."""
    length = len(header)
    if draw.random() < 0.1:
        length = draw.choice((length - 1, length + 1, *octets.LENGTHS)) % 2**64
    return length.to_bytes(8, "little") + header + body


def _tensor(shape: list[int], offsets: list[int], dtype: str = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def _moved(header: dict[str, Any], draw: Random) -> None:
    names = [name for name in header if name != "__metadata__"]
    if not names:
        header["a"] = _tensor([draw.choice((0, 1, 2**62))], [0, 0])
        return
    name = draw.choice(names)
    begin, end = header[name]["data_offsets"]
    shape = header[name]["shape"]
    match draw.randrange(8):
        case 0:  # an overlap or a hole
            move = draw.choice((-8, -1, 1, 8))
            header[name]["data_offsets"] = [begin + move, end + move]
        case 1:  # two names for the same bytes
            header["twin"] = dict(header[name])
        case 2:  # beyond the end, or before the beginning
            move = draw.choice((2**31, 2**62, 2**63, -(2**31)))
            header[name]["data_offsets"] = [begin + move, end + move]
        case 3:  # a shape whose product wraps round, or is 0 beside something huge
            header[name]["shape"] = draw.choice(([2**32, 2**32], [0, 2**62], [2**62, 0, 2**62], [2**61, 8], [1] * 65))
        case 4:
            header[name]["shape"] = [1, *shape] if draw.random() < 0.5 else shape[::-1]
        case 5:
            header[name]["dtype"] = draw.choice(("F64", "U8", "I8", "BOOL", "BF16", "C64", "F8_E5M2", "F4", "f32", 8))
        case 6:
            header[draw.choice(("../x", "a\0", "\x7f", "x" * 501, "", " ", "__metadata__", "ab" * 32, "pad.1"))] = (
                header.pop(name)
            )
        case _:
            header["__metadata__"] = draw.choice(({}, {"a": 1}, {"format": "layerwise.pack.v2"}, [], "x", {"a": "\0"}))
