"""A bucket of an object store as a place for immutable files.

A file is made by one conditional put (``If-None-Match: *``): it is there whole or not at all, and of two who make the
same name one is first. An answer that was lost is never guessed: what is there is read and compared with what was sent.

>>> bucket = Bucket("s3://models/team-a")  # doctest: +SKIP
>>> bucket.create("config.json", [b"{}"])  # doctest: +SKIP
True
"""

from __future__ import annotations

import contextlib
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError

from layerwise import canonical
from layerwise.errors import Damaged, InvalidFile, Unreachable, Unsupported
from layerwise.store.bucket.client import REFUSED, connect, lacks_condition, refused, unanswered
from layerwise.store.bucket.remote import check_environment, endpoint, parse_remote
from layerwise.store.disk import Buffer
from layerwise.store.file_names import check_file_name
from layerwise.store.tensors import as_bytes

ATTEMPTS = 7
"""How often a request is made before it is given up."""

PAUSE = 0.05
"""Seconds before the second attempt, at most; they double from attempt to attempt."""

PART_BYTES = 8 << 20
MULTIPART_BYTES = 64 << 20
"""A larger file is sent in parts."""

COPY_BYTES = 4 << 30
"""A larger file cannot be copied by one request."""

_MAX_PARTS = 5_000

_probed: set[tuple[str, str]] = set()
_probing = threading.Lock()

_T = TypeVar("_T")
_Views = Sequence[memoryview]


class Bucket:
    """The files of one prefix in one bucket. Safe to use from several threads, not after a fork.

    Args:
        address: ``s3://bucket/prefix``; credentials and endpoint come from the environment.
        patience: seconds that one request may take.
    """

    def __init__(self, address: str, *, patience: float = 300.0) -> None:
        self.address = parse_remote(address)
        check_environment(self.address)
        self._endpoint = endpoint()
        self._store = connect(self.address, patience, retries=0)
        self._parts = connect(self.address, patience, retries=ATTEMPTS)

    # Making files.

    def create(self, name: str, chunks: Sequence[Buffer]) -> bool:
        """Make a file where none of that name is; tell whether it is there with these bytes, or with others.

        Whoever must know that the file is *its own* puts something into it that nobody else writes.

        Raises:
            Unreachable: it could not be found out; the message says whether anything may have been written.
            Unsupported: the store does not honour the condition.
        """
        self.probe()
        return self._create(name, [as_bytes(chunk) for chunk in chunks])

    def publish(self, name: str, chunks: Sequence[Buffer]) -> None:
        """Make a file whose name stands for its bytes; one that is there already is compared.

        Raises:
            Damaged: there is one of that name with other bytes.
        """
        self.probe()
        views = [as_bytes(chunk) for chunk in chunks]
        if sum(map(len, views)) > MULTIPART_BYTES:
            self._upload(name, views)
        elif not self._create(name, views):
            raise Damaged(
                f"{self._at(name)} is there with other bytes than its name stands for; "
                "`layerwise verify` sets it aside, and then this can be written again"
            )

    def probe(self) -> None:
        """Make sure, once a process and before anything else is written, that the store honours conditional puts.

        Raises:
            Unsupported: it does not.
        """
        with _probing:
            if (self.address, self._endpoint) in _probed:
                return
            name = f"probe/{secrets.token_hex(16)}"
            first, second = ([memoryview(secrets.token_bytes(32))] for _ in range(2))
            try:
                honest = self._create(name, first) and self._has(name, first) is True
                # A store may also say that it refused the second, and have written it.
                honest = honest and not self._create(name, second) and self._has(name, first) is True
            finally:
                with contextlib.suppress(Unreachable):
                    self.discard(name)
            if not honest:
                raise Unsupported(
                    f"the object store behind {self.address} does not honour conditional puts (If-None-Match: *): "
                    "two writers could overwrite each other. Use one that does, or a folder"
                )
            _probed.add((self.address, self._endpoint))

    # Reading.

    def read(self, name: str, limit: int | None = None) -> memoryview:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: there is none.
            InvalidFile: it has more than ``limit`` bytes.
        """

        def get() -> memoryview:
            found = obstore.get(self._store, name)
            size = found.meta["size"]
            if limit is not None and size > limit:
                raise InvalidFile(f"{self._at(name)} has {size:,} bytes; expected at most {limit:,}")
            data = memoryview(found.bytes())
            if len(data) != size:
                raise _CutOff
            return data

        return self._try("read", name, get)

    def read_range(self, name: str, begin: int, end: int) -> memoryview:
        """Return bytes ``begin`` to ``end`` of a file; fewer where it ends before. Raises FileNotFoundError."""

        def get() -> memoryview:
            try:
                data = memoryview(obstore.get_range(self._store, name, start=begin, end=end))
            except BaseError:
                if begin < self._size(name):
                    raise
                return memoryview(b"")
            if len(data) < end - begin and begin + len(data) < self._size(name):
                raise _CutOff
            return data

        return self._try("read", name, get) if begin < end else memoryview(b"")

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file."""
        try:
            self._try("look for", name, lambda: self._size(name))
        except FileNotFoundError:
            return False
        return True

    def list(self, folder: str | None = None) -> Sequence[str]:
        """Return the names of what is in ``folder`` (None: the root), sorted."""

        def look() -> Sequence[str]:
            found = obstore.list_with_delimiter(self._store, folder)
            paths = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
            return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

        return self._try("list", folder or "", look)

    def read_private(self, name: str) -> None:
        """Return None: what lies elsewhere cannot be mapped."""

    def forget(self, name: str) -> None:
        """Nothing is kept here."""

    # Moving and removing.

    def move(self, source: str, target: str) -> None:
        """Give a file another name; it is there under one of the two, or both. Raises FileNotFoundError."""
        try:
            size = self._try("move", source, lambda: self._size(source))
        except FileNotFoundError:
            # An answer may have been lost: what is moved already is moved.
            if self.exists(target):
                return
            raise
        self._try("copy", source, lambda: self._copy(source, check_file_name(target), size))
        self.discard(source)

    def discard(self, name: str) -> None:
        """Remove a file that may be gone already."""
        with contextlib.suppress(FileNotFoundError):
            self._try("remove", name, lambda: obstore.delete(self._store, name))

    # How.

    def _create(self, name: str, views: _Views) -> bool:
        data: Any = b"".join(views) if len(views) != 1 else views[0]
        last: BaseError | None = None
        doubt = False
        for _ in _attempts():
            try:
                obstore.put(self._store, check_file_name(name), data, mode="create")
                return True
            except REFUSED as error:
                raise refused("write", self._at(name), error, unknown=doubt) from None
            except BaseError as error:
                if lacks_condition(error):
                    raise refused("write", self._at(name), NotSupportedError(), unknown=doubt) from None
                # 412 and 409 say that nothing was written; anything else leaves it open, also for later.
                doubt = doubt or not isinstance(error, AlreadyExistsError)
                last = error
            if (equal := self._has(name, views)) is not None:
                return equal
        raise unanswered("write", self._at(name), last, unknown=doubt)

    def _has(self, name: str, views: _Views) -> bool | None:
        """Tell whether a file has these bytes; None where there is none."""

        def same() -> bool:
            found = obstore.get(self._store, name)
            if found.meta["size"] != sum(map(len, views)):
                return False
            return canonical.digest_bytes(found.stream()) == canonical.digest_bytes(views)

        try:
            return self._try("read", name, same, unknown=True)
        except FileNotFoundError:
            return None

    def _upload(self, name: str, views: _Views) -> None:
        """Send a file in parts: there is no condition for that, and equal bytes are written over equal bytes."""

        part = _part(sum(map(len, views)))

        def put() -> None:
            try:
                pieces: Any = iter(views)
                obstore.put(self._parts, name, pieces, use_multipart=True, chunk_size=part, max_concurrency=4)
            except (FileNotFoundError, BaseError):
                # "No such upload" may hide that a request whose answer was lost completed it.
                if self._has(name, views) is not True:
                    raise

        self._try("write", name, put, unknown=True)

    def _copy(self, source: str, target: str, size: int) -> None:
        if size <= COPY_BYTES:
            obstore.copy(self._store, source, target)
            return
        writer = obstore.open_writer(self._parts, target, buffer_size=_part(size))
        for piece in obstore.get(self._parts, source).stream():
            writer.write(piece)
        # Only here is there a file of that name: an error before leaves none.
        writer.close()

    def _size(self, name: str) -> int:
        return int(obstore.head(self._store, name)["size"])

    def _at(self, name: str) -> str:
        return f"{self.address}/{name}"

    def _try(self, verb: str, name: str, act: Callable[[], _T], *, unknown: bool = False) -> _T:
        """Do what may be done twice, until it is answered."""
        if name:
            check_file_name(name)
        last: Exception | None = None
        for _ in _attempts():
            try:
                return act()
            except REFUSED as error:
                raise refused(verb, self._at(name), error, unknown=unknown) from None
            except (BaseError, _CutOff) as error:
                last = error
        raise unanswered(verb, self._at(name), last, unknown=unknown)


class _CutOff(Exception):
    """An answer ended before its end."""


def _part(size: int) -> int:
    """Return how large the parts of a file are sent."""
    return max(PART_BYTES, size // _MAX_PARTS)


def _attempts() -> Iterator[int]:
    """Count attempts, and wait between them: longer each time, and not all at once."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
        yield attempt
