"""The catalog made anew: from the packs, which hold every manifest, the log of names, and what can be read of the old.

The old catalog is kept beside the damaged packs. Versions that were acknowledged come back; a manifest that lost a race
for its number does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from layerwise import canonical
from layerwise.store.catalog.catalog import Entry
from layerwise.store.catalog.salvage import Salvaged, copy_catalog, make_catalog, overwrite_catalog, salvage_catalog
from layerwise.store.catalog.tables import DAMAGED, LIVE
from layerwise.store.rows import MAX_PAGE, RunFilter
from layerwise.store.store import CATALOG, Store
from layerwise.upkeep.manifests import unnamed
from layerwise.upkeep.names import Alias, Logged, logged_names
from layerwise.upkeep.packs import salvage
from layerwise.upkeep.recorded import recordings_of
from layerwise.upkeep.recover import Key, recovered
from layerwise.upkeep.scan import Scanned, scan
from layerwise.versions.manifest import Manifest

Rows = Mapping[str, Sequence[Mapping[str, Any]]]

NEW = "catalog.new"
"""The file of a catalog that is being made."""

_LOG_FILES = (f"{CATALOG}-wal", f"{CATALOG}-shm")


@dataclass(frozen=True, slots=True)
class Repaired:
    """What the new catalog has, and where the old one is.

    Attributes:
        versions, aliases, runs, metrics: how many there are now.
        packs, objects: what was found on disk.
        recovered: versions that neither the old catalog nor the log of names had, found by their manifests.
        damaged: packs that were set aside.
        absent: versions whose manifest is damaged or gone: they keep their number, and cannot be read.
        old: the file that the old catalog was kept in; empty where there was none.
        records: how many sets of records there are now.
    """

    versions: int
    aliases: int
    runs: int
    metrics: int
    packs: int
    objects: int
    recovered: tuple[str, ...]
    damaged: tuple[str, ...]
    absent: tuple[str, ...]
    old: str
    records: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def repair(store: Store) -> Repaired:
    """Make the catalog of a repository anew; the old one is kept. Nobody else can write meanwhile.

    On an object store the log of changes is the catalog: this machine's copy of it is made anew from the log.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        ...     repair(store).versions
        0
    """
    if store.blobs is not store.disk:
        return _copy_anew(store)
    with store.disk.lock("gc.lock"), store.disk.lock("catalog.lock"):
        path = store.disk.path / CATALOG
        salvaged = salvage_catalog(path) if path.exists() else Salvaged()
        kept = salvaged.rows
        old = _keep_old(store)
        scanned = scan(store)
        logged = logged_names(store)
        entries, back = _entries(logged, salvaged, scanned)
        # A sound catalog alone counts: the log may have missed that an alias was taken away.
        aliases = _aliases({} if salvaged.sound else logged.aliases, kept, entries)
        runs = {**_runs_of(scanned, entries), **{row["id"]: row for row in kept["run"]}}
        metrics = [row for row in kept["metric"] if row["run"] in runs]
        recordings = recordings_of(scanned, kept["recording"], entries, sound=salvaged.sound)
        store.disk.discard(NEW)
        make_catalog(
            store.disk.path / NEW, {LIVE: scanned.written(), DAMAGED: scanned.set_aside()}, entries, aliases,
            {"run": list(runs.values()), "metric": metrics, "recording": recordings}, logged.last + 1,
        )  # fmt: skip
        _put_in_place(store)
    store.catalog.close()
    for pack in scanned.damaged:
        salvage(store, pack)
    absent = tuple(f"{e.name}@{e.number}" for e in entries if e.digest not in scanned.objects)
    return Repaired(
        len(entries), len(aliases), len(runs), len(metrics), len(scanned.packs), len(scanned.objects),
        back, tuple(sorted(scanned.damaged)), absent, old, sum(not row["part"] for row in recordings),
    )  # fmt: skip


def _copy_anew(store: Store) -> Repaired:
    with store.disk.lock("catalog.lock"):
        old = _keep_old(store)
        store.disk.discard(NEW)
        make_catalog(store.disk.path / NEW, {}, (), (), {"run": (), "metric": (), "recording": ()}, first=0)
        _put_in_place(store)
    store.catalog.close()
    contents = store.catalog.check()
    page = store.catalog.runs.find(RunFilter(limit=MAX_PAGE))
    metrics = sum(len(store.catalog.runs.metrics(run.id)) for run in page.runs)
    damaged = tuple(sorted(pack for pack, state in contents.states.items() if state == DAMAGED))
    objects = {digest for pack in contents.packs.values() for digest in pack}
    return Repaired(
        len(contents.entries), len(contents.aliases), page.total, metrics, len(contents.packs), len(objects),
        (), damaged, (), old, sum(not row.part for row in contents.recordings),
    )  # fmt: skip


def _keep_old(store: Store) -> str:
    """Copy the old catalog to where damaged files are, and return the copy's name; empty where there is none."""
    disk, old = store.disk, f"damaged/catalog-{datetime.now(UTC).strftime('%Y%m%dt%H%M%S%f')}.sqlite"
    if not disk.exists(CATALOG):
        return ""
    disk.make_folder("damaged")
    if not copy_catalog(disk.path / CATALOG, disk.path / old):
        disk.discard(old)
        disk.publish(old, [disk.read(CATALOG)])
    disk.sync_folder("damaged")
    return old


def _put_in_place(store: Store) -> None:
    disk = store.disk
    if disk.exists(CATALOG) and overwrite_catalog(disk.path / CATALOG, disk.path / NEW):
        disk.discard(NEW)
        return
    # SQLite cannot open the old one, so nobody else has it open. Its log must be gone before the new one comes: SQLite
    # would take it for the new one's.
    for name in _LOG_FILES:
        disk.discard(name)
    disk.sync_folder()
    disk.rename(NEW, CATALOG)
    disk.sync_folder()


def _entries(logged: Logged, salvaged: Salvaged, scanned: Scanned) -> tuple[list[Entry], tuple[str, ...]]:
    """Return the versions that there are, and the addresses of those that nothing but their manifests knew."""
    read = {(row["sort"], row["name"], row["number"]): Entry(**row) for row in salvaged.rows["entry"]}
    named = {**logged.entries, **read}
    back: dict[Key, Entry] = {}
    if not salvaged.sound or salvaged.last < logged.last:
        back = recovered(unnamed(scanned.manifests()), named, scanned.objects.keys())
    entries = sorted({**named, **back}.values(), key=lambda entry: (entry.sort, entry.name, entry.number))
    return entries, tuple(f"{entry.name}@{entry.number}" for entry in back.values())


def _runs_of(scanned: Scanned, entries: Iterable[Entry]) -> dict[str, dict[str, Any]]:
    """Return the runs that made the versions, as far as their manifests say."""
    found = {}
    for entry in entries:
        if entry.sort == "model" and entry.digest in scanned.objects:
            what = f"the manifest of {entry.name}@{entry.number}"
            said = Manifest.from_json(canonical.decode(scanned.get(entry.digest), what), what)
            if said.run:
                config = {"model": dict(said.graph), "data": dict(said.data), "training": dict(said.training)}
                found[said.run] = {
                    "id": said.run, "model": said.model, "status": "stopped" if said.outcome == "stopped" else "done",
                    "version": said.number, "created": said.created, "finished": said.created, "actor": said.actor,
                    "config": canonical.encode(config).decode(),
                }  # fmt: skip
    return found


def _aliases(logged: Mapping[Alias, int], kept: Rows, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    there = {(entry.sort, entry.name, entry.number) for entry in entries}
    known = {**logged, **{(r["sort"], r["name"], r["alias"]): r["number"] for r in kept["alias"]}}
    return [
        {"sort": sort, "name": name, "alias": alias, "number": number}
        for (sort, name, alias), number in sorted(known.items())
        if (sort, name, number) in there
    ]
