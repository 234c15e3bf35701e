"""The words of the project as types: names, digests, addresses, and their grammar.

This file imports nothing of ours but the errors, so every room can speak in these words.

>>> parse_address("digits@3/stage1.edges:2")
Address(model='digits', version='3', layer='stage1.edges', visit=2)
>>> str(Address("digits", "champion"))
'digits@champion'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

from layerwise.errors import InvalidName

Name = NewType("Name", str)
"""The name of a model, a dataset or an alias: ``digits``, ``digits-data``, ``champion``."""

Digest = NewType("Digest", str)
"""64 hexadecimal digits: BLAKE3-256 of an object's bytes."""

MAX_NAME = 100
"""Longest name, in characters. Longer ones are refused before they are looked at."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_PART = re.compile(r"[A-Za-z0-9_]+\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_ADDRESS = re.compile(
    r"(?P<model>[^@/:]+)(?:@(?P<version>[^@/:]+))?(?:/(?P<layer>[^@/:]+))?(?::(?P<visit>[1-9][0-9]{0,8}))?\Z"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where something is: ``digits``, ``digits@3``, ``digits@champion``, ``digits@3/edges``, ``digits@3/edges:2``.

    ``version`` is a number, an alias, or the first digits of a manifest's digest (at least 6 of them);
    ``visit`` is the pass through a layer that runs more than once, counted from 1.
    """

    model: str
    version: str | None = None
    layer: str | None = None
    visit: int | None = None

    def __str__(self) -> str:
        text = self.model
        if self.version is not None:
            text += f"@{self.version}"
        if self.layer is not None:
            text += f"/{self.layer}"
        return text if self.visit is None else f"{text}:{self.visit}"


def shorten(value: object, limit: int = 60) -> str:
    """Return a value fit to stand in a message: text quoted, control characters escaped, cut at ``limit``.

    ``None`` is ``nothing``: who wrote a file has not written None.

    >>> shorten("größe"), shorten([1, 2])
    ("'größe'", '[1, 2]')
    """
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else f"{value[:limit]!r}… ({len(value):,} characters)"
    try:
        text = repr(value)
    except ValueError:  # Python does not write whole numbers of more than 4,300 digits.
        text = f"a very long {type(value).__name__}"
    return visible(text) if len(text) <= limit else f"{visible(text[:limit])}… ({len(text):,} characters)"


def visible(text: str) -> str:
    """Return ``text`` with everything escaped that a terminal or a reader's eye would not show as it is.

    >>> visible("größe")
    'größe'
    >>> print(visible("red" + chr(27) + "[31m"))
    red\\x1b[31m
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _matched(pattern: re.Pattern[str], text: object, *, what: str, rule: str) -> str:
    if not isinstance(text, str):
        raise InvalidName(f"{what} must be text, found {type(text).__name__}; write {rule}")
    if len(text) > MAX_NAME or not pattern.match(text):
        raise InvalidName(f"{shorten(text)} is not {what}: expected {rule}, at most {MAX_NAME} characters")
    return text


def parse_name(text: object, what: str = "a name") -> Name:
    """Return ``text`` as the name of a model, dataset or alias, or raise InvalidName with the rule.

    A name starts with a letter and goes on with letters, digits, ``_`` and ``-``. Names are looked up, never
    joined to a path.

    >>> parse_name("digits-data")
    'digits-data'
    """
    return Name(_matched(_NAME, text, what=what, rule="a letter, then letters, digits, '_' or '-'"))


def parse_layer_name(text: object) -> str:
    """Return ``text`` as one part of a layer's name (letters, digits and ``_``: what ``torch.nn`` takes).

    >>> parse_layer_name("conv1")
    'conv1'
    """
    return _matched(_PART, text, what="a layer's name", rule="letters, digits and '_'")


def parse_digest(text: object) -> Digest:
    """Return ``text`` as a digest, or raise InvalidName."""
    return Digest(_matched(_DIGEST, text, what="a digest", rule="64 hexadecimal digits"))


def parse_version(text: object) -> Address:
    """Return the parts of an address of a whole version, or raise InvalidName: the address of a layer is not one.

    >>> parse_version("digits@3").version
    '3'
    """
    address = parse_address(text)
    if address.layer is not None or address.visit is not None:
        whole = Address(address.model, address.version)
        raise InvalidName(f"{shorten(str(address))} names a layer, and a whole version is meant; write {whole}")
    return address


def parse_address(text: object) -> Address:
    """Return the parts of an address, each held to its grammar, or raise InvalidName.

    >>> parse_address("digits@3/edges").layer
    'edges'
    """
    if not isinstance(text, str) or len(text) > 4 * MAX_NAME:
        found = shorten(text) if isinstance(text, str) else type(text).__name__
        raise InvalidName(f"{found} is not an address: expected NAME, NAME@VERSION or NAME@VERSION/LAYER")
    match = _ADDRESS.match(text)
    if match is None:
        raise InvalidName(f"{shorten(text)} is not an address: expected NAME, NAME@VERSION or NAME@VERSION/LAYER")
    model, version, layer, visit = match.group("model", "version", "layer", "visit")
    parse_name(model)
    if version is not None:
        _matched(_REFERENCE, version, what="a version", rule="a number, an alias or a digest's first digits")
    if layer is not None:
        for part in layer.split("."):
            parse_layer_name(part)
    return Address(model, version, layer, None if visit is None else int(visit))
