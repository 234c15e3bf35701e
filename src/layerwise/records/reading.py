"""Records of a version, given back: found by layer, read row by row from the mapped bytes of their chunks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from mmap import mmap
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.canonical import decode
from layerwise.errors import Damaged, InvalidData
from layerwise.records.chunks import Array, Raw, decode_arrow, read_chunk, to_raw
from layerwise.records.gathering import Spread, by_chunk
from layerwise.records.keys import Ids, Places, Positions, read_positions
from layerwise.records.recordset import RecordSet, Track
from layerwise.store.rows import Recording
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor
from layerwise.words import Digest

HELD_CHUNKS = 1024
"""Most chunks whose place a layer's record remembers: each may keep a file mapped."""

HELD_COPIES = 16
"""Most chunks that it keeps in memory: of those that a collector packed tighter, and of Arrow arrays."""

_Chunk = tuple[Array, Array | None]
"""Values [rows, ...], and lengths [rows] of padded ones."""


class SetKeys:
    """Which row of a set is meant: positions and ids, read when they are first asked for, once for all its layers."""

    def __init__(self, store: Store, kept: RecordSet) -> None:
        self._store, self._kept = store, kept

    @cached_property
    def positions(self) -> Positions:
        """The rows' positions in their dataset. Raises Damaged."""
        digest, what = self._kept.positions, f"the positions of the records of {self._kept.about.address}"
        rows = self._kept.rows
        return Positions(
            None if digest is None else read_positions(self._store.objects.get(digest, what), rows, what), rows
        )

    @cached_property
    def ids(self) -> Ids | None:
        """The rows' ids, where the rows are not a dataset's; else None. Raises Damaged."""
        digest, what = self._kept.ids, f"the row ids of the records of {self._kept.about.address}"
        return None if digest is None else Ids.read(self._store.objects.get(digest, what), self._kept.rows, what)


class LayerRecord:
    """What is kept of one layer in one set. Safe to use from several threads.

    Its rows have numbers of their own, *slots*, from 0 in the order in which they were kept; ``slots`` and
    ``slot_of_id`` lead there from positions in the dataset and from ids.

    Attributes:
        kept: the set.
        digest: the set's object.
        track: what is kept of this layer.
        rows: how many rows.
        made: what was made of it and is kept (``records.parts``), by name, once it was asked for.
    """

    def __init__(
        self, store: Store, kept: RecordSet, digest: Digest, track: Track, keys: SetKeys | None = None
    ) -> None:
        self._store = store
        self._keys = keys or SetKeys(store, kept)
        self.kept = kept
        self.digest = digest
        self.track = track
        self.rows = kept.rows
        self._per_chunk = track.rows_per_chunk
        self._guard = threading.Lock()
        self._chunks: OrderedDict[int, Any] = OrderedDict()
        self._copies = 0
        self._values: dict[int, Array] = {}
        few = len(track.chunks) <= HELD_CHUNKS
        self.made: dict[str, Mapping[str, RawTensor]] = {}
        self._spreads = [Spread(len(track.chunks), self._per_chunk) if few else None for _ in range(2)]

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return f"LayerRecord({self.kept.about.address}/{self.track.layer}, {self.rows:,} rows)"

    @property
    def positions(self) -> Positions:
        """The rows' positions in their dataset. Raises Damaged."""
        return self._keys.positions

    @property
    def ids(self) -> Ids | None:
        """The rows' ids, where the rows are not a dataset's; else None. Raises Damaged."""
        return self._keys.ids

    def slot(self, position: int) -> int:
        """Return the slot of the row at a position in the dataset, or -1 where it is not kept."""
        return self._keys.positions.slot(position)

    def slots(self, positions: Places) -> Places:
        """Return the slots [n] of the rows at positions [n], int64; -1 where one is not kept."""
        return self.positions.slots(positions)

    def slot_of_id(self, row: str) -> int:
        """Return the slot of the row with an id, or -1 where there is none."""
        ids = self._keys.ids
        return -1 if ids is None else ids.slot(row)

    def chunk(self, number: int) -> Raw:
        """Return a chunk, as views of its bytes; they are compared with its digest once a process.

        Raises:
            Damaged: it is cut short or changed; names version, layer and rows.
            InvalidData: there is no such chunk.
        """
        found = self._chunk(number)
        if self.track.type == "arrow":
            return found
        return to_raw(found[0], self.track.dtype, found[1])

    def row(self, slot: int) -> Array:
        """Return one row's values [...]: a view of mapped bytes, read-only. Of bfloat16 the bits, as uint16.

        Args:
            slot: from 0; not of an Arrow array.

        Raises:
            InvalidData: there is no such slot.
            Damaged: its chunk is not what it was.
        """
        number, at = divmod(slot, self._per_chunk)
        values = self._values.get(number)
        if values is None:
            values = self._tensor(number)
        if at >= len(values):
            raise InvalidData(self._outside(slot))
        found: Array = values[at]
        return found

    def take(self, slots: Places) -> Raw:
        """Return rows by slots [n], in that order, as a copy that may be written to.

        Raises:
            InvalidData: a slot is not there.
            Damaged: a chunk is not what it was; names version, layer and rows.
        """
        slots = self._held(slots)
        if self.track.type == "arrow":
            return self._take_arrow(slots)
        return to_raw(self._gather(slots, 0), self.track.dtype, self.lengths(slots))

    def gather(self, slots: Places) -> Array:
        """Return the values [n, ...] of rows by slots [n], as `take` does, in NumPy's type (bfloat16: its bits)."""
        if self.track.type == "arrow":
            raise InvalidData(f"{self._name} is of Arrow arrays; use take")
        return self._gather(self._held(slots), 0)

    def lengths(self, slots: Places) -> Array | None:
        """Return the lengths [n] of padded rows by slots [n], int64; None where rows are not padded."""
        return self._gather(self._held(slots), 1) if self.track.type == "padded" else None

    def parts(self) -> Iterator[tuple[int, Array, Array | None]]:
        """Give the chunks in order: the slot of the first row, values [rows, ...], lengths [rows] of padded ones."""
        for number in range(len(self.track.chunks)):
            values, lengths = self._chunk(number)
            yield number * self._per_chunk, values, lengths

    def part(self, number: int) -> tuple[Array, Array | None]:
        """Return the values [rows, ...] of a chunk, and lengths [rows] of padded ones: views of mapped bytes."""
        if self.track.type == "arrow":
            raise InvalidData(f"{self._name} is of Arrow arrays; use chunk")
        found: _Chunk = self._chunk(number)
        return found

    @property
    def _name(self) -> str:
        return f"the record of {self.kept.about.address}/{self.track.layer}"

    def _outside(self, slot: int) -> str:
        return f"{self._name} has {self.rows:,} rows, counted from 0; there is no {slot}"

    def _held(self, slots: Places) -> Places:
        found = np.asarray(slots)
        if found.ndim != 1 or (found.dtype.kind not in "iu" and len(found)):
            raise InvalidData(f"slots are {found.dtype} {list(found.shape)}; expected whole numbers [n]")
        found = found.astype(np.int64, copy=False)
        if len(found):
            low, high = int(found.min()), int(found.max())
            if low < 0 or high >= self.rows:
                raise InvalidData(self._outside(low if low < 0 else high))
        return found

    def _gather(self, slots: Places, part: int) -> Array:
        """Return rows of one of the two arrays of chunks: 0 the values, 1 the lengths."""
        spread = self._spreads[part]
        if spread is not None and len(slots):
            try:
                return spread.gather(slots, lambda number: self._mapped(number, part))
            except _CopiedError:
                # It would have to be held in memory whole.
                self._spreads = [None, None]
        like: Array = self._chunk(0)[part]
        out: Array = np.empty((len(slots), *like.shape[1:]), like.dtype)
        for number, chosen in by_chunk(slots, self._per_chunk):
            out[chosen] = self._chunk(number)[part][slots[chosen] - number * self._per_chunk]
        return out

    def _mapped(self, number: int, part: int) -> Array:
        found: Array = self._chunk(number)[part]
        if not isinstance(_owner(found), mmap):
            raise _CopiedError
        return found

    def _take_arrow(self, slots: Places) -> pa.Array:
        pieces, order = [], []
        for number, chosen in by_chunk(slots, self._per_chunk):
            at = np.arange(len(slots))[chosen]
            pieces.append(self._chunk(number).take(pa.array(slots[at] - number * self._per_chunk)))
            order.append(at)
        if not pieces:
            return self._chunk(0).slice(0, 0)
        back = np.empty(len(slots), np.int64)
        back[np.concatenate(order)] = np.arange(len(slots))
        return pa.concat_arrays(pieces).take(pa.array(back))

    def _tensor(self, number: int) -> Array:
        if self.track.type == "arrow":
            raise InvalidData(f"{self._name} is of Arrow arrays; use take")
        if not 0 <= number < len(self.track.chunks):
            raise InvalidData(self._outside(number * self._per_chunk))
        values: Array = self._chunk(number)[0]
        return values

    def _chunk(self, number: int) -> Any:
        with self._guard:
            found = self._chunks.get(number)
            if found is not None:
                self._chunks.move_to_end(number)
                return found
        if not 0 <= number < len(self.track.chunks):
            raise InvalidData(
                f"{self._name} has {len(self.track.chunks):,} chunks, counted from 0; there is no {number}"
            )
        digest, what = self.track.chunks[number], self.kept.name_of(self.track, number)
        data, rows = self._store.objects.get(digest, what), self.track.rows_of(number, self.rows)
        if self.track.type == "arrow":
            found = decode_arrow(data, self.track, rows, what)
        else:
            found = read_chunk(data, self.track, rows, what)
        self._remember(number, found, mapped=isinstance(data.obj, mmap))
        return found

    def _remember(self, number: int, found: Any, *, mapped: bool) -> None:
        most = HELD_CHUNKS if mapped and self._copies == 0 else HELD_COPIES
        with self._guard:
            self._copies += not mapped
            self._chunks[number] = found
            if self.track.type != "arrow":
                self._values[number] = found[0]
            while len(self._chunks) > most:
                oldest, _ = self._chunks.popitem(last=False)
                self._values.pop(oldest, None)


class _CopiedError(Exception):
    """A chunk is not mapped: a collector packed it tighter, and it was unpacked into memory."""


def _owner(values: Array) -> object:
    base: object = values
    while isinstance(base, np.ndarray):
        base = base.base
    return base.obj if isinstance(base, memoryview) else base


class Records:
    """The records of one version, by layer. What is kept meanwhile is found with the next look.

    Args:
        store: the repository.
        version: the digest of the version's manifest.
        clock: what time it is; what has expired by then is not there.
    """

    def __init__(
        self, store: Store, version: Digest, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._version = version
        self._clock = clock
        self._read: dict[Digest, RecordSet] = {}
        self._keys: dict[Digest, SetKeys] = {}

    def sets(self) -> list[tuple[Digest, RecordSet]]:
        """Return the sets with the digests of their objects, the newest first; none that has expired.

        Raises:
            Damaged: a set is not what it was, or is of another version.
            Unsupported: one is of a newer format.
        """
        now = self._clock()
        rows = [row for row in self._store.catalog.recordings.of(self._version) if not row.part]
        return [(row.record, self._set(row)) for row in rows if not has_expired(row, now)]

    def find(self, layer: str, what: str = "output", data: Digest | None = None) -> list[LayerRecord]:
        """Return what is kept of a layer, the newest first; an empty list where nothing is.

        Args:
            layer: its path; ``name:2`` for a later pass.
            what: ``output``, ``gradient`` or ``attention``.
            data: of rows of this dataset version alone; of any where None.

        Raises:
            Damaged: a set is not what it was, or is of another version.
        """
        return [
            LayerRecord(self._store, kept, digest, track, self._keys[digest])
            for digest, kept in self.sets()
            if data is None or kept.about.data == data
            for track in kept.tracks
            if track.layer == layer and track.what == what
        ]

    def layers(self, what: str = "output") -> list[str]:
        """Return the layers of which anything is kept, sorted."""
        return sorted({track.layer for _, kept in self.sets() for track in kept.tracks if track.what == what})

    def _set(self, row: Recording) -> RecordSet:
        found = self._read.get(row.record)
        if found is None:
            found = read_set(self._store, row)
            self._keys[row.record] = SetKeys(self._store, found)
            self._read[row.record] = found
        return found


def read_set(store: Store, row: Recording) -> RecordSet:
    """Return the set that a row of the catalog names.

    Raises:
        Damaged: it is not what it was, or of another version than the catalog says.
        NotFound: it is not there.
        InvalidFile, Unsupported: it cannot be read.
    """
    what = f"the set of records {row.record}"
    kept = RecordSet.from_json(decode(store.objects.get(row.record, what), what), what)
    if kept.about.version != row.version:
        raise Damaged(
            f"{what} is of {kept.about.address}, version {kept.about.version}, and the catalog has it as one of "
            f"version {row.version}; `layerwise repair` makes the catalog anew"
        )
    return kept


def has_expired(row: Recording, now: datetime) -> bool:
    """Tell whether a set of records is as if it were not there."""
    return row.expires is not None and datetime.fromisoformat(row.expires) <= now
