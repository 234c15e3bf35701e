"""What is kept of which layers of a version, for which rows: the set of records, as an object of strict JSON.

>>> about = About("digits", 3, Digest("a" * 64), None, "look")
>>> track = Track("edges", "output", "tensor", "F32", (16,), 65536, (Digest("b" * 64),), 4096)
>>> kept = RecordSet(about, 64, None, None, (track,), (), "2026-01-31T09:30:00+00:00", None)
>>> RecordSet.from_json(kept.to_json(), "an example") == kept
True
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from layerwise.errors import InvalidFile, InvalidName, LayerwiseError, Unsupported
from layerwise.store.tensors import MAX_DIMENSIONS, SIZES
from layerwise.words import Digest, parse_digest, parse_name, shorten

FORMAT = 1
"""The format of a set. A larger one is refused."""

MADE = ("train", "evaluate", "serve", "look")
"""What can have made a set."""

WHATS = ("output", "gradient", "attention")
"""What can be kept of a layer."""

TYPES = ("tensor", "padded", "arrow")
"""What a value can be."""

MIN_ROWS = 64
"""Fewest rows of a chunk that is not the last."""

MAX_TRACKS = 20_000
"""Most layers of a set."""

MAX_ROWS = 1 << 40
"""Most rows of a set."""

MAX_LAYER = 1_000
"""Longest path of a layer, in characters."""

_LAYER = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*(:[1-9][0-9]{0,8})?\Z")
_RUN = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]{5,15}(Z|[+-]\d\d:\d\d)\Z")
_WIDEST = 2**63 - 1
_LENGTH = 8


@dataclass(frozen=True)
class About:
    """Whose rows, of which version.

    Attributes:
        model, number: the version, as a person calls it.
        version: the digest of its manifest.
        data: the digest of the manifest of the dataset's version whose rows these are; None: rows from elsewhere.
        made: what kept them, one of ``MADE``.
        run: the run that kept them; empty where none did.
    """

    model: str
    number: int
    version: Digest
    data: Digest | None
    made: str
    run: str = ""

    def __post_init__(self) -> None:
        parse_name(self.model, "the name of a model")
        parse_digest(self.version)
        if self.data is not None:
            parse_digest(self.data)
        if not _is_count(self.number) or self.number < 1:
            raise InvalidName(f"the number of a version counts from 1, found {shorten(self.number)}")
        if self.made not in MADE:
            raise InvalidName(f"{shorten(self.made)} does not make records; expected one of {', '.join(MADE)}")
        if self.run and (not isinstance(self.run, str) or not _RUN.match(self.run)):
            raise InvalidName(f"{shorten(self.run)} is not a run's id: expected a-z, 0-9, '_', '-'")

    @property
    def address(self) -> str:
        """The version as a person writes it: ``digits@3``."""
        return f"{self.model}@{self.number}"


@dataclass(frozen=True)
class Track:
    """What is kept of one layer: all rows of its set, in chunks of equally many.

    Attributes:
        layer: its path; ``name:2`` for a later pass.
        what: one of ``WHATS``.
        type: ``tensor``; ``padded``: a tensor and the lengths of its rows; ``arrow``: an Arrow array.
        dtype: of a value, in safetensors' words; of an Arrow array its type, as Arrow writes it.
        shape: of one row's values; empty for an Arrow array.
        rows_per_chunk: a power of two; the last chunk may have fewer.
        chunks: in the order of rows.
        bytes: of all chunks.
    """

    layer: str
    what: str
    type: str
    dtype: str
    shape: tuple[int, ...]
    rows_per_chunk: int
    chunks: tuple[Digest, ...]
    bytes: int

    def __post_init__(self) -> None:
        check_layer(self.layer)
        where = f"the record of {self.layer}"
        if self.what not in WHATS or self.type not in TYPES:
            raise InvalidFile(f"{where} is {shorten(self.what)}, {shorten(self.type)}; expected {WHATS} and {TYPES}")
        if not isinstance(self.dtype, str) or not 1 <= len(self.dtype) <= 10_000:
            raise InvalidFile(f"{where} has the type {shorten(self.dtype)}; expected text")
        if self.type != "arrow" and self.dtype not in SIZES:
            raise InvalidFile(f"{where} has the type {shorten(self.dtype)}; expected one of {', '.join(SIZES)}")
        fits = len(self.shape) <= MAX_DIMENSIONS and all(_is_count(size) for size in self.shape)
        if not fits or math.prod(filter(None, self.shape)) * 8 > _WIDEST:
            raise InvalidFile(f"{where} has the shape {shorten(self.shape)}; expected whole numbers from 0")
        if not _is_count(self.rows_per_chunk) or self.rows_per_chunk < MIN_ROWS or self.rows_per_chunk.bit_count() != 1:
            raise InvalidFile(
                f"{where} has {shorten(self.rows_per_chunk)} rows a chunk; expected a power of two, at least {MIN_ROWS}"
            )
        if not _is_count(self.bytes):
            raise InvalidFile(f"{where} has {shorten(self.bytes)} bytes; expected a whole number")
        for digest in self.chunks:
            parse_digest(digest)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a chunk; 0 where rows differ (Arrow)."""
        if self.type == "arrow":
            return 0
        return math.prod(self.shape) * SIZES[self.dtype] + (_LENGTH if self.type == "padded" else 0)

    def rows_of(self, number: int, rows: int) -> int:
        """Return how many rows the chunk of a number has, of ``rows`` in the set."""
        return min(self.rows_per_chunk, rows - number * self.rows_per_chunk)

    def hold(self, rows: int, where: str) -> None:
        """Raise InvalidFile where the chunks are not those of ``rows`` rows."""
        expected = -(-rows // self.rows_per_chunk)
        if len(self.chunks) != expected:
            raise InvalidFile(
                f"{where}: {self.layer} has {len(self.chunks):,} chunks; {rows:,} rows, "
                f"{self.rows_per_chunk:,} a chunk, take {expected:,}"
            )
        if self.type != "arrow" and self.bytes != rows * self.row_bytes:
            raise InvalidFile(
                f"{where}: {self.layer} has {self.bytes:,} bytes; {rows:,} rows of {self.dtype} {list(self.shape)} "
                f"take {rows * self.row_bytes:,}"
            )


@dataclass(frozen=True)
class RecordSet:
    """What left some layers of a version for some rows.

    Attributes:
        about: which version, whose rows.
        rows: how many; every layer has all of them, in one order.
        positions: the object with the rows' positions in the dataset, int64; None: they are rows 0 to ``rows`` - 1.
        ids: the object with the rows' ids; None where none were given.
        tracks: by layer and what.
        notes: what was left out, and why.
        created: when; ISO 8601 in UTC.
        expires: from when on it is as if it were not there; None: never.
    """

    about: About
    rows: int
    positions: Digest | None
    ids: Digest | None
    tracks: tuple[Track, ...]
    notes: tuple[str, ...]
    created: str
    expires: str | None

    def __post_init__(self) -> None:
        where = f"the records of {self.about.address}"
        if not _is_count(self.rows) or not 1 <= self.rows <= MAX_ROWS:
            raise InvalidFile(f"{where} have {shorten(self.rows)} rows; expected a whole number from 1")
        for digest in (self.positions, self.ids):
            if digest is not None:
                parse_digest(digest)
        if not 1 <= len(self.tracks) <= MAX_TRACKS:
            raise InvalidFile(f"{where} name {len(self.tracks):,} layers; expected 1 to {MAX_TRACKS:,}")
        if len({(track.layer, track.what) for track in self.tracks}) != len(self.tracks):
            raise InvalidFile(f"{where} name a layer twice")
        for track in self.tracks:
            track.hold(self.rows, where)
        if not all(isinstance(note, str) for note in self.notes):
            raise InvalidFile(f"{where} have a note that is not text")
        for time in (self.created, self.expires):
            if time is not None and (not isinstance(time, str) or not _TIME.match(time)):
                raise InvalidFile(f"{where} say the time {shorten(time)}; expected ISO 8601 with its zone")

    @property
    def bytes(self) -> int:
        """Bytes of all chunks; what other sets share is counted too."""
        return sum(track.bytes for track in self.tracks)

    def references(self) -> dict[str, Digest]:
        """Return the objects that the set needs, by what a message calls them.

        Example:
            >>> kept.references()  # doctest: +SKIP
            {'the record of digits@3/edges, rows 0 to 255': 'b3…'}
        """
        found = {what: digest for what, digest in self._rows() if digest is not None}
        for track in self.tracks:
            found |= {self.name_of(track, number): digest for number, digest in enumerate(track.chunks)}
        return found

    def name_of(self, track: Track, number: int) -> str:
        """Return how a message names a chunk: ``the record of digits@3/edges, rows 0 to 255``."""
        first = number * track.rows_per_chunk
        last = first + track.rows_of(number, self.rows) - 1
        what = "record" if track.what == "output" else f"{track.what} record"
        return f"the {what} of {self.about.address}/{track.layer}, rows {first} to {last}"

    def _rows(self) -> Iterator[tuple[str, Digest | None]]:
        yield f"the positions of the records of {self.about.address}", self.positions
        yield f"the row ids of the records of {self.about.address}", self.ids

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"record": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, value: object, what: str) -> RecordSet:
        """Return the set that JSON describes.

        Raises:
            Unsupported: it is of a newer format.
            InvalidFile: it is not one, naming ``what`` and what is wrong.
        """
        said = _fields(value, {"record", *cls.__dataclass_fields__}, what)
        if not _is_count(said["record"]) or said["record"] > FORMAT:
            raise Unsupported(
                f"{what} has the format {shorten(said['record'])} and this Layerwise reads up to {FORMAT}; "
                "install a newer Layerwise"
            )
        try:
            return cls(
                About(**_fields(said["about"], set(About.__dataclass_fields__), what)), said["rows"],
                said["positions"], said["ids"], tuple(_track(one, what) for one in _list(said["tracks"], what)),
                tuple(_list(said["notes"], what)), said["created"], said["expires"],
            )  # fmt: skip
        except Unsupported:
            raise
        except LayerwiseError as error:
            raise InvalidFile(f"{what}: {error}") from None


def check_layer(layer: object) -> str:
    """Return the path of a layer, ``edges`` or ``edges:2``, or raise InvalidName."""
    if not isinstance(layer, str) or len(layer) > MAX_LAYER or not _LAYER.match(layer):
        raise InvalidName(f"{shorten(layer)} is not the path of a layer: expected edges, stage1.edges or edges:2")
    return layer


def _track(value: object, what: str) -> Track:
    said = _fields(value, set(Track.__dataclass_fields__), what)
    lists = {name: tuple(_list(said[name], what)) for name in ("shape", "chunks")}
    return Track(**{**said, **lists})


def _fields(value: object, expected: set[str], what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or set(value) != expected:
        found = sorted(value) if isinstance(value, Mapping) else type(value).__name__
        raise InvalidFile(f"{what} has {shorten(str(found))}; expected exactly {', '.join(sorted(expected))}")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidFile(f"{what} has {shorten(value)} where a list is expected")
    return list(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _WIDEST
