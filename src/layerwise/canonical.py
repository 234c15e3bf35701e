"""Identity and strict JSON: the one way in which values become bytes and bytes become digests.

Two values that mean the same are the same bytes; bytes that mean two things to two parsers are refused.

>>> encode({"b": 1, "a": [1.5, None]})
b'{"a":[1.5,null],"b":1}'
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, TypeVar

from blake3 import blake3

from layerwise.errors import InvalidFile
from layerwise.words import Digest, shorten, visible

T = TypeVar("T", bytes, bytes | memoryview)

MAX_DEPTH = 64
"""Deepest nesting of JSON that is read or written."""

MAX_BYTES = 64 << 20
"""Largest JSON document that is read: 64 MiB."""

MAX_VALUES = 1_250_000
"""Most values in one document: each takes up to 170 bytes of memory, however short it is written."""

MAX_INTEGER_DIGITS = 40
"""Longest whole number that is read, in digits: no honest value is longer, and int() is quadratic."""


def encode(value: Any) -> bytes:
    """Return the canonical JSON of ``value``: sorted keys, no spaces, UTF-8, no NaN or infinity.

    Raises:
        InvalidFile: a value that JSON cannot hold, NaN or infinity, or more than ``decode`` would read.
    """
    _hold(value, 0, None)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=dict)
    _hold_count(text, "the value", MAX_VALUES)
    try:
        return _held_size(text.encode(), "the value")
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
        raise InvalidFile(f"a text of the value holds {half}, half of a character, which UTF-8 cannot") from None


def _hold(value: Any, depth: int, path: _Path) -> None:
    # What is frequent, and quick to tell, comes first.
    if isinstance(value, str) or value is None:
        return
    if isinstance(value, int):
        if abs(value) >= _TOO_LARGE:
            raise InvalidFile(f"a whole number has more than {MAX_INTEGER_DIGITS} digits: found at {_spelled(path)}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidFile(f"JSON has no {value}: found at {_spelled(path)}")
    elif not isinstance(value, dict | list | tuple | Mapping):
        raise InvalidFile(f"JSON cannot hold {type(value).__name__} (at {_spelled(path)})")
    elif depth >= MAX_DEPTH:
        raise InvalidFile(f"JSON nests deeper than {MAX_DEPTH} levels at {_spelled(path)}")
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            _hold(inner, depth + 1, (path, position))
    else:
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InvalidFile(f"a JSON key must be text: {_spelled(path)} has the key {shorten(key)}")
            _hold(inner, depth + 1, (path, key))


_Path = tuple["_Path", str | int] | None
"""Where a value is in a document: where what holds it is, and its key there."""

_TOO_LARGE = 10**MAX_INTEGER_DIGITS


def _spelled(path: _Path) -> str:
    """Return a path as a message has it: its beginning, ``$.layers[3]``."""
    parts: list[str] = []
    while path is not None:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return visible("".join(["$", *reversed(parts)])[:80])


def decode(data: bytes | memoryview, what: str, *, values: int = MAX_VALUES) -> Any:
    """Return the value of strict JSON: no key twice, no NaN, no bombs.

    Args:
        data: UTF-8 bytes.
        what: how a message names the document, e.g. ``"the manifest of digits@3"``.
        values: most values (numbers, texts, lists, objects, …) that the document may hold.

    Raises:
        InvalidFile: naming ``what`` and what is wrong.
    """
    try:
        text = str(_held_size(data, what), "utf-8")
        _hold_depth(text, what)
        _hold_count(text, what, values)
        value = json.loads(
            text,
            object_pairs_hook=_unique(what),
            parse_constant=_no_constant(what),
            parse_int=_integer(what),
            parse_float=_real(what),
        )
        _hold_whole_characters(text, value, what)
        return value
    except UnicodeDecodeError as error:
        byte = f"0x{data[error.start]:02x}"
        raise InvalidFile(f"{what} is not JSON: the byte {byte} is not UTF-8; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidFile(f"{what} is not JSON: {error.msg} at character {error.pos + 1:,}") from None


def _held_size(data: T, what: str) -> T:
    if len(data) > MAX_BYTES:
        raise InvalidFile(f"{what} is {len(data):,} bytes of JSON; at most {MAX_BYTES:,} are read")
    return data


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _hold_whole_characters(text: str, value: Any, what: str) -> None:
    # An escape may name half a character; what is read must be writable again.
    if _SURROGATE.search(text):
        try:
            encode(value)
        except InvalidFile as error:
            raise InvalidFile(f"{what}: {error}") from None


def _hold_depth(text: str, what: str) -> None:
    # Counts brackets outside strings before the recursive parser sees them: a bomb must not reach the stack.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    # Without an escape each quote opens a string or closes it.
    outside = _STRING.sub("", text) if "\\" in text else "".join(text.split('"')[::2])
    brackets = _BRACKET.findall(outside)
    if max(accumulate(1 if bracket in "[{" else -1 for bracket in brackets), default=0) > MAX_DEPTH:
        raise InvalidFile(f"{what} nests deeper than {MAX_DEPTH} levels")


def _hold_count(text: str, what: str, most: int) -> None:
    # Before anything is made of them: `[],[],[],…` takes twenty times its length in memory.
    if sum(map(text.count, _COUNTED)) >= most:
        count = sum(map(_STRING.sub("", text).count, _COUNTED))
        if count >= most:
            raise InvalidFile(f"{what} holds more than {count:,} values; at most {most:,} are read")


_COUNTED = ",[{"


# A string that is never closed is one match, to the end: tried anew at each quote in it, the time is quadratic.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")


def _unique(what: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            counts = Counter(key for key, _ in items)
            raise InvalidFile(f"{what} has the key {shorten(counts.most_common(1)[0][0])} twice; keep one")
        return found

    return pairs


def _no_constant(what: str) -> Any:
    def refuse(constant: str) -> None:
        raise InvalidFile(f"{what} holds {constant}, which JSON does not have; write null where a value is missing")

    return refuse


def _integer(what: str) -> Any:
    def read(digits: str) -> int:
        count = len(digits.removeprefix("-"))
        if count > MAX_INTEGER_DIGITS:
            raise InvalidFile(f"{what} holds a whole number of {count:,} digits; at most {MAX_INTEGER_DIGITS} are read")
        if digits == "-0":
            # A whole number to Python, a float to others: what bytes mean must not depend on the reader.
            raise InvalidFile(f"{what} holds -0, which is not a whole number to every reader; write 0 or -0.0")
        return int(digits)

    return read


def _real(what: str) -> Any:
    def read(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise InvalidFile(f"{what} holds the number {shorten(digits)}, which is too large for a float")
        return value

    return read


def digest(tag: str, *parts: bytes | memoryview) -> Digest:
    """Return the BLAKE3-256 of ``parts`` under a type's ``tag``, each with its length in front.

    Length and tag in front keep two different values from ever being the same bytes.

    >>> digest("a", b"bc") == digest("ab", b"c")
    False
    """
    hasher = blake3()
    for part in (tag.encode(), *parts):
        hasher.update(memoryview(part).nbytes.to_bytes(8, "little"))
        hasher.update(part)
    return Digest(hasher.hexdigest())


def digest_bytes(chunks: Iterable[bytes | memoryview]) -> Digest:
    """Return the plain BLAKE3-256 of an object's bytes, given in chunks: what ``b3sum`` prints for the same bytes."""
    hasher = blake3()
    for chunk in chunks:
        hasher.update(chunk)
    return Digest(hasher.hexdigest())


def digest_value(tag: str, value: Any) -> Digest:
    """Return the digest of a JSON value under a type's ``tag``."""
    return digest(tag, encode(value))
