"""Packs: objects laid out in one safetensors file, each at a multiple of 64 bytes. Pure: bytes in, bytes out.

>>> plan = lay_out([(Digest("a" * 64), 3), (Digest("b" * 64), 5)])
>>> [place.position % 64 for place in plan.places]
[0, 0]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layerwise import canonical
from layerwise.errors import InvalidFile, InvalidName
from layerwise.store.tensors import ALIGNMENT, HARD_MAX_HEADER, MAX_TENSORS, encode_header, read_header
from layerwise.words import Digest, parse_digest, shorten

FORMAT = "layerwise.pack.v2"
"""What a pack's metadata says it is. Its name is the digest of its header, which has the digest of every object."""

FORMAT_1 = "layerwise.pack.v1"
"""As repositories of format 1 have them: the name is the digest of the whole file."""

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

    @property
    def name(self) -> Digest:
        """What the pack is called: the digest of its header, which stands for every byte of the pack."""
        return canonical.digest_bytes([memoryview(self.header)])

    def chunks(self, contents: Sequence[Sequence[memoryview]]) -> list[bytes | memoryview]:
        """Return the bytes of the pack: header, then each object's chunks with the zeros before it."""
        pieces: list[bytes | memoryview] = [self.header]
        end = len(self.header)
        for place, content in zip(self.places, contents, strict=True):
            pieces += [bytes(place.position - end), *content] if place.position > end else content
            end = place.position + place.length
        return pieces


FOLDERS = ("packs", *(f"packs/{number:02x}" for number in range(256)))
"""The folders of packs, made with the repository: a commit finds its own there."""


def pack_name(pack: Digest) -> str:
    """Return the name of a pack's file in a repository."""
    return f"packs/{parse_digest(pack)[:2]}/{pack}.pack"


def trash_name(pack: Digest) -> str:
    """Return the name of a pack's file while it waits to be removed."""
    return f"trash/{parse_digest(pack)}.pack"


def damaged_name(pack: Digest) -> str:
    """Return the name of a pack's file that was set aside because its bytes have changed."""
    return f"damaged/{parse_digest(pack)}.pack"


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
    if header.metadata.get(_FORMAT_KEY) not in (FORMAT, FORMAT_1):
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


def name_of(data: memoryview, what: str) -> Digest:
    """Return the name that a pack's own bytes give it; objects are not looked at, everything else is.

    Raises:
        InvalidFile: ``what`` is not a pack, or its padding is not zeros.
    """
    header = read_header(data, what, header_limit=HARD_MAX_HEADER)
    if header.metadata.get(_FORMAT_KEY) == FORMAT_1:
        return canonical.digest_bytes([data])
    for name, span in header.spans.items():
        if name.startswith(_PADDING) and any(data[span.begin : span.end]):
            raise InvalidFile(f"{what} has padding that is not zeros at byte {span.begin}")
    return canonical.digest_bytes([data[: 8 + int.from_bytes(data[:8], "little")]])
