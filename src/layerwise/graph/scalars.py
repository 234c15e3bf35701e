"""Scalars of YAML 1.2: how plain text is read (the core schema), and how a value is written so that it reads back.

PyYAML follows YAML 1.1, in which ``no`` is false, ``1:30`` is 90 and ``1e-3`` is a text. Here a layer may be called
``no`` and a learning rate may be ``1e-3``.

>>> read_plain("no"), read_plain("1e-3"), read_plain("0x1F")
('no', 0.001, 31)
>>> write_flow({"kernel": [3, 3], "note": "no"})
'{kernel: [3, 3], note: "no"}'
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from layerwise.canonical import MAX_INTEGER_DIGITS
from layerwise.errors import InvalidFile
from layerwise.words import shorten

MAX_NUMBER = 400
"""Longest number that is read, in characters; the shortest text of a float never has more than 24."""

LONGEST_SIMPLE_KEY = 1000
"""A longer key is written with ``?`` in front: YAML promises to find the colon only within 1,024 characters."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

# Plain text that every parser of YAML, old or new, reads as text; all else is written in quotes.
_PLAIN = re.compile(r"[^\W\d][\w./@+-]*( [\w./@+-]+)*")
_WORDS_OF_OLD = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def read_plain(text: str) -> bool | int | float | str | None:
    """Return what unquoted ``text`` means in the core schema of YAML 1.2.

    Raises:
        InvalidFile: infinity, not-a-number, or a number beyond all use.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    if _NOT_FINITE.fullmatch(text):
        raise InvalidFile(f'found {text}; numbers here are finite. For the text, write "{text}"')
    return text


def _integer(text: str) -> int:
    if len(text.lstrip("+-")) > MAX_INTEGER_DIGITS:
        raise InvalidFile(f"found a whole number of {len(text):,} digits; at most {MAX_INTEGER_DIGITS} are read")
    # Not base 0: it refuses 007, which the core schema reads as 7.
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    value = float(text) if len(text) <= MAX_NUMBER else math.inf
    if not math.isfinite(value):
        raise InvalidFile(f"found the number {shorten(text)}, which no float holds; write a smaller one")
    return value


def write_flow(value: Any) -> str:
    """Return a JSON value on one line of YAML.

    Raises:
        InvalidFile: a value that JSON cannot hold.
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{write_key(key)}: {write_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(write_flow(inner) for inner in value) + "]"
    return write_scalar(value)


def write_key(key: str) -> str:
    """Return the key of a mapping as YAML."""
    text = _write_text(key)
    return text if len(text) <= LONGEST_SIMPLE_KEY else f"? {text} "


def write_scalar(value: Any) -> str:
    """Return null, a truth value, a number or a text as YAML that reads back as the same value of the same type."""
    if isinstance(value, str):
        return _write_text(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and math.isfinite(value):
        digits, exponent, power = float.__repr__(value).partition("e")
        # YAML 1.1 takes 1e-05 for a text: it wants the point.
        return digits + (".0" if exponent and "." not in digits else "") + exponent + power
    if isinstance(value, int) and abs(value) < 10**MAX_INTEGER_DIGITS:
        return int.__repr__(value)
    raise InvalidFile(f"YAML here cannot hold {shorten(value)} ({type(value).__name__})")


def _write_text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.isprintable() and text.lower() not in _WORDS_OF_OLD:
        return text
    return f'"{"".join(_escape(character) for character in text)}"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if character.isprintable():
        return character
    return f"\\x{code:02x}" if code < 1 << 8 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
