"""What left layers while a model trained: one memory-mapped file a layer, read by others while it is written.

It belongs to a run, not to a version: dropout is on, and the weights change from step to step. It is not durable. A
file is a header, a stamp for every row, the rows' lengths where rows differ in length, and the rows::

    magic 8, length of the header 8 | header, strict JSON | stamps 8 each | lengths 8 each | rows

A stamp says in which epoch and step its row was written. It is 0 before the row is written and while it is: whoever
reads the stamp before and after the row, and finds the same one, has a whole row.
"""

from __future__ import annotations

import mmap
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from layerwise.canonical import decode, encode
from layerwise.errors import InvalidFile, InvalidName, NotFound, nearest
from layerwise.store.disk import Disk
from layerwise.store.tensors import MAX_DIMENSIONS, SIZES
from layerwise.words import shorten

FOLDER = "records/live"
MAGIC = b"LWLIVE\x00\x01"
MAX_HEADER = 100_000
"""Longest header that is read, in bytes."""

MAX_LAYER = 1_000
MAX_SIZE = 1 << 50
PAGE = 4096
EPOCH = 32
"""How many bits of a stamp say the step; those above them say the epoch, from 1."""

POSITIONS = ""
"""The layer of the file that says which row of the dataset each row is."""

ATTEMPTS = 6
"""How often a row is read that was being written, or never was: two milliseconds in all."""

_FILE = re.compile(r"(r-[0-9a-f]{12})-([0-9]{1,6})\.live\Z")
_RUN = re.compile(r"r-[0-9a-f]{12}\Z")
_UNREADABLE = timedelta(days=1)

Numbers = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class LiveHeader:
    """What a live file is of.

    Attributes:
        run, layer: whose; the layer's path, ``name:2`` for a later pass.
        dtype, shape: of one row, in safetensors' words.
        rows: how many rows there is room for.
        padded: whether rows have lengths.
        data: the digest of the dataset's version whose rows these are.
        created, expires: times in ISO 8601; ``expires`` is None where it is kept until somebody forgets it.
    """

    run: str
    layer: str
    dtype: str
    shape: tuple[int, ...]
    rows: int
    padded: bool
    data: str
    created: str
    expires: str | None

    def __post_init__(self) -> None:
        sizes = (self.rows, *self.shape)
        texts = (self.layer, self.data, self.created, self.expires or "")
        good = (
            isinstance(self.run, str) and _RUN.match(self.run)
            and all(isinstance(text, str) and len(text) <= MAX_LAYER for text in texts)
            and isinstance(self.dtype, str) and self.dtype in SIZES
            and isinstance(self.padded, bool) and len(sizes) <= MAX_DIMENSIONS
            and all(isinstance(size, int) and not isinstance(size, bool) and 0 < size < MAX_SIZE for size in sizes)
            and self.size <= MAX_SIZE
        )  # fmt: skip
        if not good:
            raise InvalidFile(f"a live recording is not {shorten(str(asdict(self)), 200)}; forget the run's recordings")

    @property
    def row(self) -> int:
        """Bytes of a row."""
        size = SIZES[self.dtype]
        for length in self.shape:
            size *= length
        return size

    @property
    def text(self) -> bytes:
        """The header as bytes."""
        return encode({**asdict(self), "shape": list(self.shape)})

    @property
    def places(self) -> tuple[int, int, int]:
        """Where stamps, lengths and rows begin."""
        stamps = _up(16 + len(self.text))
        lengths = stamps + _up(8 * self.rows)
        return stamps, lengths, lengths + (_up(8 * self.rows) if self.padded else 0)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.places[2] + self.rows * self.row

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and datetime.fromisoformat(self.expires) <= datetime.now(UTC)


@dataclass(frozen=True)
class LiveFile:
    """A live file, mapped: stamps and lengths [rows], and rows as runs of bytes [rows]."""

    header: LiveHeader
    data: memoryview | mmap.mmap
    stamps: Numbers = field(init=False, repr=False)
    lengths: Numbers = field(init=False, repr=False)
    values: Numbers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = self.header.rows
        stamps, lengths, values = self.header.places
        set_ = object.__setattr__
        set_(self, "stamps", np.frombuffer(self.data, "<u8", count, stamps))
        set_(self, "lengths", np.frombuffer(self.data, "<i8", count if self.header.padded else 0, lengths))
        set_(self, "values", np.frombuffer(self.data, f"V{self.header.row}", count, values))

    def take(self, slots: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Return rows as bytes [slots, bytes of a row], their lengths, and stamps: 0 where a row is not there whole.

        A row that is being written is waited for, for a short while.
        """
        values = np.zeros(len(slots), self.values.dtype)
        lengths = np.zeros(len(slots) if self.header.padded else 0, "<i8")
        stamps = np.zeros(len(slots), "<u8")
        left = np.arange(len(slots))
        for attempt in range(ATTEMPTS):
            at = slots[left]
            before = self.stamps[at]
            values[left] = self.values[at]
            if self.header.padded:
                lengths[left] = self.lengths[at]
            whole = (self.stamps[at] == before) & (before != 0)
            stamps[left[whole]] = before[whole]
            left = left[~whole]
            if not len(left) or attempt == ATTEMPTS - 1:
                break
            time.sleep(0.0004)
        values[left] = np.zeros((), values.dtype)
        return values.view("u1").reshape(len(slots), self.header.row), lengths, stamps


def make_live(disk: Disk, number: int, header: LiveHeader) -> LiveFile:
    """Make a live file, empty, and return it to be written to.

    Raises:
        OSError: the disk has no room for it.
    """
    disk.make_folder(FOLDER)
    data = disk.allocate(f"{FOLDER}/{header.run}-{number}.live", header.size)
    text = header.text
    data[8 : 16 + len(text)] = len(text).to_bytes(8, "little") + text
    # Last, so that whoever finds it finds a whole header behind it.
    data[:8] = MAGIC
    return LiveFile(header, data)


def read_live(disk: Disk, name: str) -> LiveFile:
    """Return a live file, mapped to be read.

    Raises:
        InvalidFile: it is cut off, or its header is not one.
    """
    data = disk.read(name)
    what = f"the live recording {name}"
    if len(data) < 16 or bytes(data[:8]) != MAGIC:
        raise InvalidFile(f"{what} does not begin as one does; it is being made, or was when its run was killed")
    length = int.from_bytes(data[8:16], "little")
    if length > min(MAX_HEADER, len(data) - 16):
        raise InvalidFile(f"{what} says its header has {length:,} bytes; there are {len(data):,} in all")
    said = decode(data[16 : 16 + length], what)
    if not isinstance(said, dict) or set(said) != set(LiveHeader.__dataclass_fields__):
        raise InvalidFile(f"{what} has the header {shorten(str(said))}; expected that of a layer's rows")
    shape = said["shape"]
    header = LiveHeader(**{**said, "shape": tuple(shape) if isinstance(shape, list) else (0,)})
    if header.size != len(data):
        raise InvalidFile(f"{what} has {len(data):,} bytes; its {header.rows:,} rows take {header.size:,}")
    return LiveFile(header, data)


def live_files(disk: Disk, run: str | None = None) -> dict[str, list[str]]:
    """Return the names of the live files by run, of one run or of all, in the order in which they were made."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name, match in _files(disk):
        if run in (None, match[1]):
            found.setdefault(match[1], []).append((int(match[2]), name))
    return {key: [name for _, name in sorted(names)] for key, names in found.items()}


def live_layers(disk: Disk, run: str) -> dict[str, LiveFile]:
    """Return a run's live files by layer; the file of positions under ``POSITIONS``.

    Raises:
        InvalidName: that is not the id of a run.
        NotFound: the run has no live recording.
    """
    if not isinstance(run, str) or not _RUN.match(run):
        raise InvalidName(f"{shorten(run)} is not the id of a run; `layerwise runs` lists them: r-1f3a…")
    found = {}
    for name in live_files(disk, run).get(run, []):
        try:
            file = read_live(disk, name)
        except (InvalidFile, FileNotFoundError):
            continue  # Being made, or just forgotten.
        found[file.header.layer] = file
    if POSITIONS not in found:
        raise NotFound(f"the run {run!r} has no live recording.{nearest(run, live_files(disk))}")
    return found


def forget_live(disk: Disk, run: str | None = None, *, expired: bool = False) -> tuple[int, int]:
    """Remove live files: of a run, or those whose time is over; return how many, and their bytes."""
    count = size = 0
    for name, match in list(_files(disk)):
        if run not in (None, match[1]) or (expired and not _is_over(disk, name)):
            continue
        try:
            length = os.stat(disk.at(name)).st_size
            disk.discard(name)
        except FileNotFoundError:
            continue
        count, size = count + 1, size + length
    return count, size


def _is_over(disk: Disk, name: str) -> bool:
    try:
        return read_live(disk, name).header.expired
    except (FileNotFoundError, ValueError, TypeError):
        pass
    try:
        # Of a run that was killed while it made the file, or of another Layerwise.
        return time.time() - os.stat(disk.at(name)).st_mtime > _UNREADABLE.total_seconds()
    except FileNotFoundError:
        return False


def _files(disk: Disk) -> Iterator[tuple[str, re.Match[str]]]:
    if disk.exists(FOLDER):
        for name in disk.list(FOLDER):
            if match := _FILE.match(name):
                yield f"{FOLDER}/{name}", match


def _up(size: int) -> int:
    return -(-size // PAGE) * PAGE
