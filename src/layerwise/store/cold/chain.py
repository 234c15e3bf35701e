"""An object that lies coded against others, which may lie coded too: read from the end of its chain, each one once.

>>> from layerwise.canonical import digest_bytes
>>> data = b"layer by layer, " * 100
>>> stored = {digest_bytes([data]): Stored("raw", memoryview(data), len(data))}
>>> bytes(unpack(digest_bytes([data]), stored.__getitem__)[:5])
b'layer'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from layerwise import canonical
from layerwise.errors import Damaged, InvalidFile
from layerwise.store.cold.coding import RAW, bases_of, decode
from layerwise.words import Digest

MAX_CHAIN = 64
"""Most objects that are unpacked to read one: a writer keeps to fewer (`layerwise.store.cold.coding.MAX_DEPTH`)."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it lies in a pack: its coding (None is raw), those bytes, and the length of the object itself."""

    coding: str | None
    data: memoryview
    length: int


def unpack(digest: Digest, find: Callable[[Digest], Stored]) -> memoryview:
    """Return an object, unpacked with all that it is coded against; each of them is compared with its digest.

    A delta asks for its parent and for its parent's, which asks for that one too: without a memory the work would
    double at every step.

    Args:
        digest: the object.
        find: gives what lies in the packs; what it raises is passed on.

    Raises:
        Damaged: bytes cannot be unpacked, or are not what their digest says.
        InvalidFile: a chain that is too long, or comes back to where it was.
        Unsupported: a coding that is not known.
    """
    known: dict[Digest, memoryview] = {}
    found: dict[Digest, Stored] = {}
    wanted = [digest]
    while wanted:
        last = wanted[-1]
        if last not in found:
            found[last] = find(last)
            if len(found) > MAX_CHAIN:
                raise InvalidFile(
                    f"object {digest} needs more than {MAX_CHAIN} others to be read; run gc on a good copy"
                )
        at = found[last]
        missing = [base for base in bases_of(at.coding or RAW) if base not in known]
        if any(base in wanted for base in missing):
            raise InvalidFile(f"object {digest} is coded against itself, by way of {missing[0]}")
        if missing:
            wanted.append(missing[-1])
            continue
        try:
            view = decode(at.coding or RAW, at.data, at.length, known.__getitem__)
        except InvalidFile as error:
            raise Damaged(f"object {last} is damaged: {error}") from None
        if canonical.digest_bytes([view]) != last:
            raise Damaged(f"object {last} is damaged: its bytes are not what its digest says")
        known[wanted.pop()] = view
    return known[digest]
