"""Digests that this process knows already: bytes seen before are recognised ten times faster than they are digested.

A fingerprint is an XXH3 of 128 bits under a key that this process drew. It is not a digest: it never leaves the
process and names nothing. Two contents of one length with one fingerprint are expected once in 2**64 contents; whoever
wants to make two must know the key (docs/decisions/0006-fingerprints.md).

>>> known = Fingerprints()
>>> first = known.digest([memoryview(bytes(100_000))])
>>> known.digest([memoryview(bytes(100_000))]) == first == canonical.digest_bytes([memoryview(bytes(100_000))])
True
"""

from __future__ import annotations

import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import xxhash

from layerwise import canonical
from layerwise.words import Digest

SMALLEST = 64 << 10
"""Shorter contents are digested each time: it costs no more."""

MANY_BYTES = 8 << 20
"""From here on two threads share the work."""

MOST = 100_000
"""Most contents that are remembered."""


class Fingerprints:
    """What this process has digested before. Safe to use from several threads."""

    def __init__(self) -> None:
        self._key = secrets.randbits(64)
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[bytes, int], Digest] = OrderedDict()

    def digest(self, views: Sequence[memoryview]) -> Digest:
        """Return the digest of an object's bytes, given in chunks; every byte of them is read."""
        length = sum(len(view) for view in views)
        if length < SMALLEST:
            return canonical.digest_bytes(views)
        key = self._fingerprint(views, length)
        with self._lock:
            found = self._known.get(key)
        if found is not None:
            return found
        digest = canonical.digest_bytes(views)
        # Memory that somebody changed in between would give its new bytes' digest to the old ones for ever.
        return self._remember(key, digest) if self._fingerprint(views, length) == key else digest

    def digest_all(self, objects: Sequence[Sequence[memoryview]]) -> list[Digest]:
        """Return the digests of many objects."""
        if len(objects) < 2 or sum(len(view) for views in objects for view in views) < MANY_BYTES:
            return [self.digest(views) for views in objects]
        # Both hashes let go of Python's lock; more threads than two would wait for memory.
        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            return list(pool.map(self.digest, objects))

    def _fingerprint(self, views: Sequence[memoryview], length: int) -> tuple[bytes, int]:
        hasher = xxhash.xxh3_128(seed=self._key)
        for view in views:
            hasher.update(view)
        return hasher.digest(), length

    def _remember(self, key: tuple[bytes, int], digest: Digest) -> Digest:
        with self._lock:
            self._known[key] = digest
            self._known.move_to_end(key)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        return digest
