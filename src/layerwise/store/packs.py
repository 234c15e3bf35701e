"""Packs: objects laid out in one safetensors file, each at a multiple of 64 bytes. Pure: bytes in, bytes out.

>>> plan = lay_out([(Digest("a" * 64), 3), (Digest("b" * 64), 5)])
>>> [place.position % 64 for place in plan.places]
[0, 0]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layerwise.errors import InvalidFile, InvalidName
from layerwise.store.tensors import ALIGNMENT, HARD_MAX_HEADER, MAX_TENSORS, encode_header, read_header
from layerwise.words import Digest, parse_digest, shorten

FORMAT = "layerwise.pack.v1"
"""What a pack's metadata says it is."""

MAX_OBJECTS = MAX_TENSORS // 2
"""Most objects in a pack: each may need padding, and a file holds 10,000 tensors."""

_FORMAT_KEY = "format"
_PADDING = "pad."


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object lies: ``position`` of its first byte in the pack file, ``length`` in bytes."""

    digest: Digest
    position: int
    length: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A pack before it is written: its header, and the place of each object."""

    header: bytes
    places: tuple[Place, ...]

    def chunks(self, contents: Sequence[Sequence[memoryview]]) -> list[bytes | memoryview]:
        """Return the bytes of the pack: header, then each object's chunks with the zeros before it."""
        pieces: list[bytes | memoryview] = [self.header]
        end = len(self.header)
        for place, content in zip(self.places, contents, strict=True):
            pieces += [bytes(place.position - end), *content] if place.position > end else content
            end = place.position + place.length
        return pieces


def pack_name(pack: Digest) -> str:
    """Return the name of a pack's file in a repository."""
    return f"packs/{parse_digest(pack)[:2]}/{pack}.pack"


def lay_out(objects: Sequence[tuple[Digest, int]]) -> Layout:
    """Return the layout of a pack of ``objects``, given as digest and length, in that order."""
    if not 1 <= len(objects) <= MAX_OBJECTS:
        raise InvalidFile(f"a pack holds 1 to {MAX_OBJECTS:,} objects, found {len(objects):,}")
    entries: list[tuple[str, str, Sequence[int], int]] = []
    starts: list[int] = []
    end = 0
    for number, (digest, length) in enumerate(objects):
        if gap := -end % ALIGNMENT:
            entries.append((f"{_PADDING}{number}", "U8", (gap,), gap))
        starts.append(end + gap)
        entries.append((digest, "U8", (length,), length))
        end += gap + length
    header = encode_header(entries, {_FORMAT_KEY: FORMAT}, limit=HARD_MAX_HEADER)
    places = (
        Place(digest, len(header) + start, length) for start, (digest, length) in zip(starts, objects, strict=True)
    )
    return Layout(header, tuple(places))


def read_pack(data: memoryview, what: str) -> list[Place]:
    """Return where each object lies in a pack, from the pack alone, in the order of their bytes.

    Raises:
        InvalidFile: ``what`` is not a safetensors file, or not a pack.
    """
    header = read_header(data, what, header_limit=HARD_MAX_HEADER)
    if header.metadata.get(_FORMAT_KEY) != FORMAT:
        found = shorten(header.metadata.get(_FORMAT_KEY, "nothing"))
        raise InvalidFile(f"{what} says its format is {found}; a pack says {FORMAT!r}")
    places = []
    for name, span in header.spans.items():
        if span.dtype != "U8" or len(span.shape) != 1:
            raise InvalidFile(
                f"{what} holds {shorten(name)} as {span.dtype} {span.shape}; objects are U8, one dimension"
            )
        if name.startswith(_PADDING):
            continue
        if span.begin % ALIGNMENT:
            raise InvalidFile(
                f"{what} holds {shorten(name)} at byte {span.begin}, which is not a multiple of {ALIGNMENT}"
            )
        try:
            places.append(Place(parse_digest(name), span.begin, span.end - span.begin))
        except InvalidName as error:
            raise InvalidFile(f"{what}: {error}") from None
    return places
