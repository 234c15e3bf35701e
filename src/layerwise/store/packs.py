"""Packs: objects laid out in one safetensors file, each at a multiple of 64 bytes. Pure: bytes in, bytes out.

>>> plan = lay_out([(Digest("a" * 64), 3), (Digest("b" * 64), 5)])
>>> [place.position % 64 for place in plan.places]
[0, 0]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from layerwise import canonical
from layerwise.errors import InvalidFile, InvalidName
from layerwise.store.rows import Location
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
_CODING = "coding."
_MAX_RATIO = 1 << 20
"""Most bytes that one coded byte stands for: a length that is claimed is believed, and allocated, up to this."""

_CODED = re.compile(r"(\S{1,200}) (0|[1-9][0-9]{0,17}) ([0-9a-f]{64})\Z")


@dataclass(frozen=True, slots=True)
class Coded:
    """How an object lies in a pack that does not hold its bytes as they are.

    The pack's name stands for this too: its header has ``<coding> <length> <check>`` under ``coding.<digest>``.

    Attributes:
        coding: how (`layerwise.store.cold.coding`).
        length: of the object itself, in bytes.
        check: the digest of what lies in the pack.
    """

    coding: str
    length: int
    check: Digest


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object lies: ``stored`` bytes from ``position`` of the pack file; ``coded`` if they are not its own."""

    digest: Digest
    position: int
    stored: int
    coded: Coded | None = None

    @property
    def length(self) -> int:
        """Bytes of the object itself."""
        return self.stored if self.coded is None else self.coded.length

    @property
    def check(self) -> Digest:
        """The digest of what lies in the pack."""
        return self.digest if self.coded is None else self.coded.check

    def at(self, pack: Digest) -> Location:
        """Return the place as the catalog has it."""
        coding = None if self.coded is None else self.coded.coding
        return Location(pack, self.position, self.length, self.stored, coding)


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
            end = place.position + place.stored
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


def lay_out(objects: Sequence[tuple[Digest, int]], coded: Mapping[Digest, Coded] = MappingProxyType({})) -> Layout:
    """Return the layout of a pack.

    Args:
        objects: each as its digest and how many bytes of it lie in the pack, in that order.
        coded: those of them that do not lie there as they are.
    """
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
    codings = {f"{_CODING}{digest}": f"{how.coding} {how.length} {how.check}" for digest, how in coded.items()}
    header = encode_header(entries, {_FORMAT_KEY: FORMAT, **codings}, limit=HARD_MAX_HEADER)
    places = (
        Place(digest, len(header) + start, length, coded.get(digest))
        for start, (digest, length) in zip(starts, objects, strict=True)
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
    codings = _codings(header.metadata, what)
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
            digest = parse_digest(name)
        except InvalidName as error:
            raise InvalidFile(f"{what}: {error}") from None
        place = Place(digest, span.begin, span.end - span.begin, codings.pop(digest, None))
        if place.length > place.stored * _MAX_RATIO:
            raise InvalidFile(f"{what} says that {place.stored:,} bytes stand for {place.length:,}; they cannot")
        places.append(place)
    if codings:
        raise InvalidFile(f"{what} says how {min(codings)} is coded, which it does not hold")
    return places


def _codings(metadata: Mapping[str, str], what: str) -> dict[str, Coded]:
    found = {}
    for key, text in metadata.items():
        if key.startswith(_CODING):
            match = _CODED.match(text)
            if match is None:
                raise InvalidFile(f"{what} says {shorten(text)} of an object; expected coding, length and digest")
            found[key.removeprefix(_CODING)] = Coded(match[1], int(match[2]), Digest(match[3]))
    return found


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
