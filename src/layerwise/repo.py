"""The one door to a repository: every read and write of names, versions and datasets goes through here."""

from __future__ import annotations

import atexit
import dataclasses
import getpass
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from layerwise.canonical import decode, encode
from layerwise.data.dataset import Added, Dataset, add, open_dataset
from layerwise.data.diff import DataDiff, diff
from layerwise.data.schema import parse_type
from layerwise.errors import Conflict, Expired, InvalidData, Moved
from layerwise.records.forgetting import Forgotten, forget
from layerwise.records.live import forget_live, live_files
from layerwise.records.nearby import Neighbours, neighbours
from layerwise.records.reading import LayerRecord, Records
from layerwise.records.recordset import About
from layerwise.records.units import UnitIndex, unit_index
from layerwise.records.writing import NO_CAP, RecordWriter
from layerwise.store.bucket.remote import is_remote
from layerwise.store.catalog.catalog import Entry, RunRow
from layerwise.store.catalog.runs import ended
from layerwise.store.rows import MetricKey, RunFilter, RunPage
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor, frame, unframe
from layerwise.store.writer import PackWriter
from layerwise.upkeep.collected import Collected
from layerwise.upkeep.gc import COLD_AFTER, DEAD_SHARE, collect
from layerwise.upkeep.repair import Repaired, repair
from layerwise.upkeep.verify import Verified, Watch, verify
from layerwise.versions.changes import changed_layers
from layerwise.versions.manifest import LayerEntry, Manifest
from layerwise.words import Address, Digest, parse_name, parse_version

FOLDER = ".layerwise"
ATTEMPTS = 100
"""How often a commit is tried anew when others move the name at the same moment."""

WRITERS = 5
"""How often what is to be kept is put anew when the writer was silent for so long that its lease ended."""


def find_folder(start: Path | None = None) -> Path | str:
    """Return where the repository is: ``LAYERWISE_REPOSITORY``, else the nearest ``.layerwise`` here or above.

    A folder, or text where the variable says ``s3://bucket/prefix``. Where there is none, it is ``.layerwise`` in the
    current folder, yet to be made.
    """
    said = os.environ.get("LAYERWISE_REPOSITORY")
    if said:
        return said if is_remote(said) else Path(said)
    here = (start or Path.cwd()).absolute()
    return next((folder / FOLDER for folder in (here, *here.parents) if (folder / FOLDER).is_dir()), here / FOLDER)


@dataclass(frozen=True)
class LayerState:
    """What a version is to keep of one layer: its kind, its tensors, the user's source."""

    kind: str
    tensors: Mapping[str, RawTensor]
    code: Mapping[str, str]


class Repository:
    """A repository, opened. Use it as a context manager, or ``close`` it.

    Args:
        path: the folder, or ``s3://bucket/prefix``; found by ``find_folder`` where not given. It is made if it is
            not there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Repository(folder) as repo:
        ...     repo.models()
        []
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        where = path if path is not None else find_folder()
        self.store = Store.open(where, create=True)
        self.path = self.store.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the files."""
        self.store.close()

    def __repr__(self) -> str:
        return f"Repository({self.address!r})"

    @property
    def address(self) -> str:
        """Where it is, as a person writes it: a folder, or ``s3://bucket/prefix``."""
        return self.store.address

    @property
    def actor(self) -> str:
        """Who acts: ``LAYERWISE_ACTOR``, else the name of the system's user."""
        try:
            return os.environ.get("LAYERWISE_ACTOR") or getpass.getuser()
        except (OSError, KeyError):
            return "unknown"

    # datasets

    def add_dataset(self, name: str, source: Any, *, key: str | None = None, message: str = "") -> Added:
        """Keep ``source`` as a new version of the dataset ``name``; the same content again makes none."""
        return add(self.store, name, source, key=key, actor=self.actor, message=message)

    def dataset(self, address: str) -> Dataset:
        """Return a dataset: ``digits-data`` (the newest), ``digits-data@2``, or NotFound with the nearest name."""
        parts = parse_version(address)
        return open_dataset(self.store, parts.model, parts.version)

    def datasets(self) -> list[Entry]:
        """Return the newest version of every dataset, by name."""
        return self._newest("dataset")

    def dataset_versions(self, name: str) -> list[Entry]:
        """Return all versions of a dataset, oldest first."""
        return self._all("dataset", name)

    def diff_datasets(self, old: str, new: str) -> DataDiff:
        """Return the rows added, removed and changed from one version of a dataset to another."""
        before, after = self.dataset(old), self.dataset(new)
        if before.name != after.name:
            raise InvalidData(
                f"{before.address} and {after.address} are two datasets; compare two versions of one: "
                f"{before.name}@1 and {before.name}"
            )
        return diff(before, after)

    # versions

    def models(self) -> list[Entry]:
        """Return the newest version of every model, by name."""
        return self._newest("model")

    def versions(self, name: str) -> list[Entry]:
        """Return all versions of a model, oldest first."""
        return self._all("model", name)

    def find(self, address: str | Address) -> Entry:
        """Return the version that an address names (the newest where it names none), or NotFound."""
        parts = address if isinstance(address, Address) else parse_version(address)
        return self.store.catalog.find("model", parts.model, parts.version)

    def manifest(self, entry: Entry) -> Manifest:
        """Return a version's manifest."""
        what = f"the manifest of {entry.name}@{entry.number}"
        return Manifest.from_json(decode(self.store.objects.get(entry.digest, what), what), what)

    def changed_layers(self, old: str, new: str) -> list[str]:
        """Return the layers that differ between two versions of models: added, removed, other kind, state or code.

        Example:
            >>> repo.changed_layers("digits@2", "digits@3")  # doctest: +SKIP
            ['edges']
        """
        return changed_layers(self.manifest(self.find(old)), self.manifest(self.find(new)))

    def column_types(self, manifest: Manifest) -> dict[str, pa.DataType]:
        """Return the types that the dataset's columns had in training, by name: rows to answer have them too."""
        what = f"the columns of {manifest.model}@{manifest.number}"
        return {name: parse_type(text, what) for name, text in manifest.data["columns"].items()}

    def aliases(self, name: str) -> dict[str, int]:
        """Return the aliases of a model and the versions that they stand for."""
        return self.store.catalog.aliases("model", parse_name(name))

    def set_alias(self, address: str, alias: str) -> Entry:
        """Make ``alias`` stand for the version at ``address`` and return that version."""
        entry = self.find(address)
        self.store.catalog.set_alias("model", entry.name, parse_name(alias, "an alias"), entry.number)
        return entry

    def drop_alias(self, name: str, alias: str) -> None:
        """Take an alias away, or raise NotFound."""
        self.store.catalog.drop_alias("model", parse_name(name), parse_name(alias, "an alias"))

    def commit(
        self,
        make: Callable[[int, int | None], Manifest],
        layers: Mapping[str, LayerState | LayerEntry],
        extras: Mapping[str, bytes],
        status: str = "done",
    ) -> Entry:
        """Keep a new version durably and return it: one pack, then one transaction that gives it its name.

        Args:
            make: returns the manifest for a number and parent, its ``layers`` and ``environment`` yet to be filled.
            layers: what is kept of every layer, by path; their memory is left alone until this returns. An entry of
                an older version stands for itself: nothing of that layer is read.
            extras: more objects by the manifest field that names them.
            status: how the manifest's run ended, if it has one; written down in the same transaction.

        Raises:
            Conflict: others moved the name at every attempt.
        """
        for _ in range(WRITERS):
            # A lease ends where a machine slept; what was to be kept is still here, so it is put once more.
            with suppress(Expired), self.store.objects.writing() as writer:
                entries, named = _put(writer, layers, extras)
                for _ in range(ATTEMPTS):
                    with suppress(Moved):
                        return self._publish(writer, make, entries, named, status)
                raise Moved(f"others committed at each of {ATTEMPTS} attempts; try again")
        raise Conflict(f"this commit was silent for too long in each of {WRITERS} attempts; try again")

    def _publish(
        self,
        writer: PackWriter,
        make: Callable[[int, int | None], Manifest],
        layers: Mapping[str, LayerEntry],
        named: Mapping[str, Digest],
        status: str,
    ) -> Entry:
        blank = make(0, None)
        parent, last = self.store.catalog.tip("model", blank.model, blank.branch)
        number = last + 1
        manifest = dataclasses.replace(make(number, parent), layers=layers, **named)  # type: ignore[arg-type]
        digest = writer.put([encode(manifest.to_json())])
        entry = Entry(
            sort="model", name=manifest.model, number=number, digest=digest, branch=manifest.branch, parent=parent,
            created=manifest.created, actor=manifest.actor, message=manifest.message,
        )  # fmt: skip
        run = ended(manifest.run, status, number) if manifest.run else None
        writer.publish(entry, expected=parent, names=set(manifest.references().values()), run=run)
        return entry

    def layer_state(self, digest: Digest, what: str) -> dict[str, RawTensor]:
        """Return a layer's tensors, memory-mapped, read-only."""
        return unframe(self.store.objects.get(digest, what), what)

    def layer_states(self, states: Mapping[str, Digest]) -> dict[str, dict[str, RawTensor]]:
        """Return the tensors of layers by what a message calls them: memory-mapped, not copied, the caller's own.

        Args:
            states: the states' digests by what a message calls them.
        """
        return {what: unframe(data, what) for what, data in self.store.loading().get_all(states).items()}

    def json(self, digest: Digest, what: str) -> Any:
        """Return an object that is JSON, such as a run's environment."""
        return decode(self.store.objects.get(digest, what), what)

    # records

    def recording(
        self,
        about: About,
        positions: Any = None,
        ids: Sequence[str] | None = None,
        *,
        rows: int,
        cap: int = NO_CAP,
        age: timedelta | None = None,
    ) -> RecordWriter:
        """Return a writer of records, to be used in a ``with``: they are there when its block ends without an error.

        Args:
            about: whose rows, of which version.
            positions: the rows' positions in the dataset [rows], int64; None: they are its rows 0 to ``rows`` - 1.
            ids: their ids [rows], where they are not a dataset's.
            rows: how many there are.
            cap: most bytes; a layer that would pass it is left out whole, and a note says so.
            age: after this time they are as if they had not been kept; None: they are kept for ever.

        Raises:
            NotFound: there is no such version.
            InvalidData: the version is another one; there are not as many positions or ids as rows.

        Example:
            >>> with repo.recording(about, rows=256) as writer:  # doctest: +SKIP
            ...     writer.add("edges", {"values": raw})
        """
        entry = self.find(about.address)
        if entry.digest != about.version:
            raise InvalidData(f"{about.address} is version {entry.digest}, and the records are of {about.version}")
        return RecordWriter(self.store, about, positions, ids, rows=rows, cap=cap, age=age)

    def records(self, version: Digest) -> Records:
        """Return the records of a version, by the digest of its manifest: ``repo.find("digits@3").digest``."""
        return Records(self.store, version)

    def unit_index(self, record: LayerRecord) -> UnitIndex:
        """Return the index of a record's units, for ``top(unit, k)``; made and kept when it is first asked for."""
        return unit_index(self.store, record)

    def neighbours(self, record: LayerRecord) -> Neighbours:
        """Return a record's rows as points, for ``nearest(query, k)``; made ready when it is first asked for."""
        return neighbours(self.store, record)

    def forget_records(
        self, version: Digest | None = None, *, before: datetime | None = None, over: int | None = None
    ) -> Forgotten:
        """Forget records; what they alone needed is removed by the next ``gc``.

        Args:
            version: of this version alone; of all where None.
            before: those that were made before this time; with a zone.
            over: the oldest, until the rest has at most so many bytes. With neither: all.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder, Repository(folder) as repo:
            ...     repo.forget_records(over=10**9).sets
            0
        """
        return forget(self.store, version, before=before, over=over)

    def live_recordings(self) -> list[str]:
        """Return the ids of the runs that kept what left their layers while they trained, sorted.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder, Repository(folder) as repo:
            ...     repo.live_recordings()
            []
        """
        return sorted(live_files(self.store.disk))

    def forget_live(self, run: str | None = None, *, expired: bool = False) -> tuple[int, int]:
        """Remove live recordings, of one run or of all; return how many files, and their bytes.

        Args:
            run: the run's id.
            expired: only those whose time is over (as ``gc`` does).
        """
        return forget_live(self.store.disk, run, expired=expired)

    # upkeep

    def gc(
        self, *, yes: bool = False, dead_share: float = DEAD_SHARE, cold_after: timedelta | None = COLD_AFTER
    ) -> Collected:
        """Find what no version needs; with ``yes``, remove it, and code what is cold in fewer bytes.

        Args:
            yes: whether to do it; nothing is changed otherwise.
            dead_share: from 0 to 1: the share of a pack that nothing needs from which on the rest is written anew.
            cold_after: packs are coded that no version names that was made in this time; None: none is.

        Raises:
            Conflict: another collection is under way.
            NotFound, Damaged: what is needed cannot be found out, and nothing is removed.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder, Repository(folder) as repo:
            ...     repo.gc().freed
            0
        """
        return collect(self.store, yes=yes, dead_share=dead_share, cold_after=cold_after)

    def verify(self, watch: Watch | None = None) -> Verified:
        """Compare every byte with its digest and every name with what it names; set aside what is damaged.

        Args:
            watch: called with the number of packs looked at, and of all, after each.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder, Repository(folder) as repo:
            ...     repo.verify().sound
            True
        """
        return verify(self.store, watch=watch)

    def repair(self) -> Repaired:
        """Make the catalog anew from the packs, the log of names and what can be read of the old one, which is kept.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder, Repository(folder) as repo:
            ...     _ = repo.add_dataset("people", {"age": [36, 41]})
            ...     repo.repair().versions
            1
        """
        return repair(self.store)

    # runs

    def start_run(self, run: str, model: str, config: Mapping[str, Any]) -> None:
        """Write down that a run began."""
        row = RunRow(
            id=run, model=model, status="running", version=None, created=now(), finished=None, actor=self.actor,
            config=dict(config),
        )  # fmt: skip
        self.store.catalog.runs.start(row)

    def log_metrics(self, run: str, steps: Mapping[int, Mapping[str, float]]) -> None:
        """Keep the metrics of epochs, by epoch and name."""
        self.store.catalog.runs.log(run, steps)

    def finish_run(self, run: str, status: str, version: int | None) -> None:
        """Write down how a run ended."""
        self.store.catalog.runs.finish(run, status, version)

    def runs(self, model: str | None = None, **wanted: Any) -> list[RunRow]:
        """Return the runs, newest first: of one model or of all; ``wanted`` is any field of `RunFilter`.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder, Repository(folder) as repo:
            ...     repo.runs("digits", status="failed", since="2026-01-01", limit=10)
            []
        """
        return list(self.find_runs(RunFilter(model=model, **wanted)).runs)

    def find_runs(self, wanted: RunFilter) -> RunPage:
        """Return a page of the runs that a filter finds, and how many it finds in all."""
        return self.store.catalog.runs.find(wanted)

    def metric_keys(self, run: str, prefix: str = "", after: str = "", limit: int = 1000) -> list[MetricKey]:
        """Return which metrics a run has, by key, with the last value of each: a page, after the key ``after``."""
        return self.store.catalog.runs.keys(run, prefix, after, limit)

    def metrics(self, run: str, keys: Sequence[str] | None = None) -> list[tuple[int, str, float]]:
        """Return the metrics of every epoch of a run: (epoch, name, value); of some names, or all."""
        return self.store.catalog.runs.metrics(run, keys)

    def _all(self, sort: str, name: str) -> list[Entry]:
        entries = self.store.catalog.entries(sort, parse_name(name))
        if not entries:
            self.store.catalog.find(sort, name)  # Says which is the nearest.
        return entries

    def _newest(self, sort: str) -> list[Entry]:
        return [self.store.catalog.entries(sort, name)[-1] for name in self.store.catalog.names(sort)]


def _put(
    writer: PackWriter, layers: Mapping[str, LayerState | LayerEntry], extras: Mapping[str, bytes]
) -> tuple[dict[str, LayerEntry], dict[str, Digest]]:
    new = {path: layer for path, layer in layers.items() if isinstance(layer, LayerState)}
    states = {path: frame(layer.tensors) for path, layer in new.items() if layer.tensors}
    sources = {(path, name): [text.encode()] for path, layer in new.items() for name, text in layer.code.items()}
    digests = iter(writer.put_all([*states.values(), *sources.values(), *([data] for data in extras.values())]))
    kept = dict(zip(states, digests, strict=False))
    code = dict(zip(sources, digests, strict=False))
    entries = {
        path: LayerEntry(layer.kind, kept.get(path), {name: code[path, name] for name in layer.code})
        if isinstance(layer, LayerState)
        else layer
        for path, layer in layers.items()
    }
    return entries, dict(zip(extras, digests, strict=True))


_default: dict[Path | str, Repository] = {}


def default_repository() -> Repository:
    """Return the repository that ``find_folder`` finds, opened once a process."""
    path = find_folder()
    path = path.absolute() if isinstance(path, Path) else path
    if path not in _default:
        _default[path] = Repository(path)
    return _default[path]


@atexit.register
def _close_default() -> None:
    while _default:
        _default.popitem()[1].close()


def now() -> str:
    """Return the time as manifests write it: ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def dataset(
    name: str, source: Any = None, *, key: str | None = None, message: str = "", repo: Repository | None = None
) -> Dataset:
    """Keep ``source`` as a version of the dataset ``name`` and return it; the same content again makes no new one.

    Args:
        name: the dataset's name; an address (``digits-data@2``) where no source is given.
        source: a pandas or Polars frame, an Arrow table, a dict of arrays, a Hugging Face dataset, a path of a
            ``.csv``, ``.parquet``, ``.jsonl`` or ``.npz`` file or of a folder of images with one subfolder a class.
            Not given: the version that is there is returned.
        key: the column that names a row for ever; without one, a row is named by its content.
        message: why.
        repo: the repository; the one that ``find_folder`` finds where not given.

    Raises:
        InvalidData, InvalidFile, InvalidName: what was given cannot be used; nothing is kept.

    Example:
        >>> scans = lw.dataset("digits-data", {"image": images, "digit": digits})  # doctest: +SKIP
        >>> scans[17]  # doctest: +SKIP
    """
    door = repo or default_repository()
    return door.dataset(name) if source is None else door.add_dataset(name, source, key=key, message=message).dataset
