"""NumPy archives, read member by member and row by row, without pickle and without trusting a declared size.

Arrays of equal first length become columns. An archive of the official splits of a benchmark, named
``train_images``, ``train_labels``, ``val_images``, …, or ``x_train``, ``y_train``, ``x_test``, …, becomes one
table with a column ``split`` of ``train``, ``validation`` and ``test``.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import pyarrow as pa

from layerwise.data.arrays import Array, same_lengths, to_arrow
from layerwise.data.schema import check_names
from layerwise.data.source import Source
from layerwise.errors import InvalidData, InvalidFile
from layerwise.words import shorten

MAX_MEMBERS = 1_000
"""Most arrays in one archive."""

MAX_UNPACKED = 64 << 30
"""Most bytes that an archive may say it holds, unpacked: 64 GiB. A larger table is better kept as Parquet."""

MAX_AT_ONCE = 1 << 30
"""Largest array that is read whole, where its order leaves no other way (Fortran order)."""

_PIECE_BYTES = 4 << 20
_SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_BEFORE = re.compile(r"(train|val|valid|validation|test)_(.+)\Z")
_AFTER = re.compile(r"(.+)_(train|val|valid|validation|test)\Z")


@dataclass(frozen=True, slots=True)
class _Member:
    """One array of an archive, as its header says and its size confirms."""

    name: str
    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])


def open_npz(path: Path) -> Source:
    """Return an archive of arrays as a stream of rows.

    Raises:
        InvalidFile: not an archive, a member that is no array, sizes that disagree, object arrays, a bomb.
    """
    return Source(str(path), _batches(path))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with zipfile.ZipFile(path) as archive:
            groups = _groups(_members(archive, path))
            for split, members in groups.items():
                yield from _rows(archive, members, split, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise InvalidFile(f"{path} cannot be read as an archive of arrays: {str(error)[:200]}") from None


def _members(archive: zipfile.ZipFile, path: Path) -> list[_Member]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise InvalidFile(f"{path} holds {len(infos):,} arrays; at most {MAX_MEMBERS:,} are read")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > MAX_UNPACKED:
        raise InvalidFile(f"{path} says it holds {unpacked:,} bytes; at most {MAX_UNPACKED:,} are read")
    members = [_member(archive, info, path) for info in infos]
    twice = [name for name, count in Counter(member.name for member in members).items() if count > 1]
    if twice:
        raise InvalidFile(f"{path} holds the array {shorten(twice[0])} twice; keep one")
    return members


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> _Member:
    if not info.filename.endswith(".npy"):
        raise InvalidFile(f"{path}: {shorten(info.filename)} is not an array (.npy)")
    name = info.filename[: -len(".npy")]
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file, f"{path}: {shorten(name)}")
        start = file.tell()
    if not dtype.itemsize:
        raise InvalidFile(f"{path}: {shorten(name)} holds values of no bytes ({dtype}); save numbers or text")
    if dtype.hasobject:
        raise InvalidFile(
            f"{path}: {shorten(name)} holds Python objects, which only pickle reads; save numbers or text"
        )
    if min(shape, default=0) < 0 or start + dtype.itemsize * math.prod(shape) != info.file_size:
        raise InvalidFile(
            f"{path}: {shorten(name)} says it is {dtype} of shape {list(shape)}, "
            f"which does not fit in its {info.file_size:,} bytes"
        )
    if not shape:
        raise InvalidFile(f"{path}: {shorten(name)} is a single value, not an array of rows")
    return _Member(name, info, shape, dtype, fortran)


def _header(file: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        if version not in {(1, 0), (2, 0)}:
            raise InvalidFile(f"{what} is of array format {version[0]}.{version[1]}; 1.0 and 2.0 are read")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(file)
    except InvalidFile:
        raise
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, TokenError):
        # What NumPy says of a header may hold a syntax tree; that it is none is enough.
        raise InvalidFile(f"{what} is not a NumPy array: its header cannot be read; save it with numpy.savez") from None


def _groups(members: list[_Member]) -> dict[str, dict[str, _Member]]:
    """Return the arrays by split and column; one group without a name where the archive has no splits."""
    for pattern, part, rest in ((_BEFORE, 1, 2), (_AFTER, 2, 1)):
        matches = [(pattern.match(member.name), member) for member in members]
        groups: dict[str, dict[str, _Member]] = {}
        for match, member in matches:
            if match is not None:
                groups.setdefault(_SPLITS[match[part]], {})[match[rest]] = member
        whole = len(groups) > 1 and sum(map(len, groups.values())) == len(members)
        if whole and len({frozenset(group) for group in groups.values()}) == 1:
            order = [name for name in ("train", "validation", "test") if name in groups]
            return {name: groups[name] for name in order}
    return {"": {member.name: member for member in members}}


def _rows(archive: zipfile.ZipFile, members: dict[str, _Member], split: str, path: Path) -> Iterator[pa.RecordBatch]:
    names = [*members, "split"] if split else list(members)
    check_names(names)
    total = same_lengths({name: member.shape[0] for name, member in members.items()}, str(path))
    step = max(1, _PIECE_BYTES // max(1, sum(member.row_bytes for member in members.values())))
    with ExitStack() as stack:
        readers = {
            name: _reader(stack.enter_context(archive.open(member.info)), member, step, path)
            for name, member in members.items()
        }
        for start in range(0, total, step):
            columns = [to_arrow(next(reader), name) for name, reader in readers.items()]
            if split:
                columns.append(pa.array([split] * min(step, total - start), pa.string()))
            yield pa.RecordBatch.from_arrays(columns, names=names)


def _reader(file: IO[bytes], member: _Member, step: int, path: Path) -> Iterator[Array]:
    """Yield the rows of one array, ``step`` at a time."""
    what = f"{path}: {shorten(member.name)}"
    _header(file, what)
    rows = member.shape[0]
    if member.fortran and len(member.shape) > 1:
        yield from _whole(file, member, step, what)
        return
    for start in range(0, rows, step):
        count = min(step, rows - start)
        yield _array(file, member, count * member.row_bytes, what).reshape(count, *member.shape[1:])


def _whole(file: IO[bytes], member: _Member, step: int, what: str) -> Iterator[Array]:
    size = member.shape[0] * member.row_bytes
    if size > MAX_AT_ONCE:
        raise InvalidFile(f"{what} is in Fortran order and {size:,} bytes; save it with numpy.ascontiguousarray")
    array = _array(file, member, size, what).reshape(member.shape, order="F")
    for start in range(0, member.shape[0], step):
        yield np.ascontiguousarray(array[start : start + step])


def _array(file: IO[bytes], member: _Member, size: int, what: str) -> Array:
    data = file.read(size)
    if len(data) != size:
        raise InvalidFile(f"{what} is cut short: {size - len(data):,} bytes are missing")
    try:
        return np.frombuffer(data, dtype=member.dtype)
    except ValueError as error:
        raise InvalidData(f"{what}: {error}") from None
