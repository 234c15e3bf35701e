"""Keeping what left the layers of a version: rows come in layer by layer, chunks go into packs, the set comes last.

Nothing of it is seen before the set is in the catalog, and the set is written when the block ends without an error.

>>> import tempfile
>>> from layerwise.store.tensors import RawTensor
>>> about = About("digits", 1, Digest("a" * 64), None, "look")
>>> with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
...     with RecordWriter(store, about, rows=2) as writer:
...         kept = writer.add("edges", {"values": RawTensor("F32", (2, 1), bytes(8))})
...     writer.kept.rows, len(store.catalog.recordings.of(about.version))
(2, 1)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import pyarrow as pa

from layerwise.canonical import encode
from layerwise.errors import InvalidData, LayerwiseError
from layerwise.records.chunks import Raw, Sort, can_be_kept, sort_of
from layerwise.records.keys import Ids, check_positions
from layerwise.records.lanes import ArrowLane, Lane, TensorLane
from layerwise.records.recordset import MAX_ROWS, WHATS, About, RecordSet, Track, check_layer
from layerwise.store.disk import Buffer
from layerwise.store.rows import Recording
from layerwise.store.store import Store
from layerwise.store.writer import PackWriter
from layerwise.words import Digest, shorten

NO_CAP = 2**63 - 1
"""No cap in bytes."""

MAX_NOTES = 10_000
"""Most notes of a set."""

_ENTRY = tuple[str, str]


@dataclass(slots=True)
class _Kept:
    """What is kept of one layer so far."""

    sort: Sort
    lane: Lane
    bytes: int = 0
    chunks: list[Digest] = field(default_factory=list)


class RecordWriter:
    """Keeps what left layers of one version for some rows; one thread uses it, inside a ``with``.

    Args:
        store: the repository.
        about: whose rows, of which version.
        positions: their positions in the dataset [rows]; None: they are its rows 0 to ``rows`` - 1.
        ids: their ids [rows], where they are not a dataset's.
        rows: how many there are. A layer that is given fewer is left out, and a note says so.
        cap: most bytes; a layer that would pass it is left out whole, and a note says so.
        age: after this time it is as if it had not been kept; None: it is kept for ever.

    Raises:
        InvalidData: there are not as many positions or ids as rows.
    """

    def __init__(
        self,
        store: Store,
        about: About,
        positions: Any = None,
        ids: Sequence[str] | None = None,
        *,
        rows: int,
        cap: int = NO_CAP,
        age: timedelta | None = None,
    ) -> None:
        if not 0 <= rows <= MAX_ROWS:
            raise InvalidData(f"{rows:,} rows cannot be kept; expected at most {MAX_ROWS:,}")
        if ids is not None and len(ids) != rows:
            raise InvalidData(f"there are {len(ids):,} ids for {rows:,} rows; expected one each")
        self._store = store
        self._about = about
        self._positions = None if positions is None else check_positions(positions, rows)
        self._ids = None if ids is None else Ids.encode(ids)
        self._rows, self._cap, self._age = rows, cap, age
        self._layers: dict[_ENTRY, _Kept] = {}
        self._left_out: set[_ENTRY] = set()
        self._notes: list[str] = []
        self._open = ExitStack()
        self._writer: PackWriter | None = None
        self._inside = False
        self._failed: BaseException | None = None
        self.bytes = 0
        """Bytes that are kept so far."""
        self.kept: RecordSet | None = None
        """The set, once the block has ended; None where no layer was kept."""

    def __enter__(self) -> Self:
        self._inside = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = False
        try:
            with self._open:
                if error is not None or self._failed is not None:
                    # The pack writer is told: what waits in memory is not written.
                    raise error or self._failed or LayerwiseError("records could not be kept")
                self._finish()
        except BaseException as raised:
            # Whoever passed over an error inside the block must not take a part for the whole.
            if raised is not error:
                raise
        finally:
            self._layers.clear()
            self._writer = None

    def add(self, layer: str, raw: Raw, what: str = "output") -> bool:
        """Keep the next rows of a layer; return whether it is kept, or was left out.

        Args:
            layer: its path; ``name:2`` for a later pass.
            raw: tensors [n, ...] or an Arrow array of ``n`` rows, any number at a time, in the order of the rows. The
                memory may change when this returns.
            what: ``output``, ``gradient`` or ``attention``.

        Raises:
            InvalidData: it is nothing that can be kept, or more rows than there are.
            OSError: the disk is full; nothing of the set is kept.
        """
        if not self._inside:
            raise LayerwiseError("this writer is closed; add records inside `with repo.recording(...) as writer:`")
        try:
            return self._add((check_layer(layer), _checked(what)), raw)
        except BaseException as error:
            self._failed = self._failed or error
            raise

    def leave_out(self, layer: str, why: str, what: str = "output") -> None:
        """Keep nothing of a layer, whatever was added, and note why."""
        key = (check_layer(layer), _checked(what))
        kept = self._layers.pop(key, None)
        self.bytes -= kept.bytes if kept is not None else 0
        self._left_out.add(key)
        self.note(f"{_called(key)}: {why}")

    def note(self, text: str) -> None:
        """Keep a sentence with the set: what is not in it, and why."""
        if len(self._notes) < MAX_NOTES:
            self._notes.append(text[:1_000])

    def _add(self, key: _ENTRY, raw: Raw) -> bool:
        if key in self._left_out:
            return False
        sort, count = sort_of(raw, key[0]), _count(raw)
        if isinstance(raw, pa.Array) and not can_be_kept(raw.type):
            self.leave_out(key[0], f"left out: Arrow arrays of {shorten(str(raw.type))} are not kept", key[1])
            return False
        kept = self._layers.get(key)
        if kept is None:
            lane = ArrowLane() if sort.type == "arrow" else TensorLane(key[0], sort, self._rows)
            kept = self._layers[key] = _Kept(sort, lane)
            # Known from its first rows: nothing is written of a layer that cannot be kept whole.
            if not self._grow(key, kept, self._rows * sort.row_bytes):
                return False
        if kept.sort != sort:
            self.leave_out(key[0], f"left out: its rows were {_named(kept.sort)}, then {_named(sort)}", key[1])
            return False
        if kept.lane.rows + count > self._rows:
            raise InvalidData(
                f"layer {key[0]}: {kept.lane.rows + count:,} rows were given, and {self._rows:,} are kept"
            )
        return self._put(key, kept, kept.lane.take(raw))

    def _grow(self, key: _ENTRY, kept: _Kept, more: int) -> bool:
        kept.bytes += more
        self.bytes += more
        if self.bytes > self._cap:
            self.leave_out(key[0], f"left out: with it the records pass the cap of {self._cap:,} bytes", key[1])
            return False
        return True

    def _put(self, key: _ENTRY, kept: _Kept, chunks: Iterator[list[Buffer]]) -> bool:
        for chunk in chunks:
            if kept.sort.type == "arrow" and not self._grow(key, kept, sum(len(part) for part in chunk)):
                return False
            kept.chunks.append(self._packs().put(chunk))
        return True

    def _packs(self) -> PackWriter:
        # Not before it is needed: a writer's lease ends where it is silent, and the first chunk may take an hour.
        if self._writer is None:
            self._writer = self._open.enter_context(self._store.objects.writing())
        return self._writer

    def _finish(self) -> None:
        tracks = []
        for key, kept in list(self._layers.items()):
            if kept.lane.rows != self._rows:
                self.leave_out(key[0], f"left out: {kept.lane.rows:,} of {self._rows:,} rows went through it", key[1])
            elif self._rows and self._put(key, kept, kept.lane.finish()):
                tracks.append(_track(key, kept))
        if tracks:
            self._publish(tuple(sorted(tracks, key=lambda track: (track.layer, track.what))))

    def _publish(self, tracks: tuple[Track, ...]) -> None:
        packs, made = self._packs(), datetime.now(UTC)
        positions = None if self._positions is None else packs.put([self._positions.data])
        ids = None if self._ids is None else packs.put(self._ids)
        expires = None if self._age is None else (made + self._age).isoformat(timespec="seconds")
        created = made.isoformat(timespec="seconds")
        kept = RecordSet(self._about, self._rows, positions, ids, tracks, tuple(self._notes), created, expires)
        digest = packs.put([encode(kept.to_json())])
        row = Recording(digest, "", digest, self._about.version, kept.bytes, created, expires)
        packs.publish_recording(row, names=set(kept.references().values()))
        self.kept = kept


def _track(key: _ENTRY, kept: _Kept) -> Track:
    sort = kept.sort
    return Track(*key, sort.type, sort.dtype, sort.shape, kept.lane.per_chunk, tuple(kept.chunks), kept.bytes)


def _count(raw: Raw) -> int:
    return len(raw) if isinstance(raw, pa.Array) else int(raw["values"].shape[0])


def _checked(what: str) -> str:
    if what not in WHATS:
        raise InvalidData(f"{shorten(what)} of a layer is not kept; expected one of {', '.join(WHATS)}")
    return what


def _called(key: _ENTRY) -> str:
    return key[0] if key[1] == "output" else f"{key[0]} ({key[1]})"


def _named(sort: Sort) -> str:
    return f"{sort.dtype} {list(sort.shape)}" if sort.type != "arrow" else sort.dtype
