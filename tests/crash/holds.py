"""What must hold of a repository after a crash: docs/format.md, section 8, as a list of what does not hold."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

from layerwise import canonical
from layerwise.errors import LayerwiseError
from layerwise.repo import Repository
from layerwise.store.catalog.catalog import Catalog, Entry
from layerwise.store.catalog.tables import LIVE, TRASH
from layerwise.store.objects import Objects
from layerwise.store.store import CONFIG, Store
from layerwise.upkeep.packs import look as look_at_pack
from layerwise.words import Digest
from tests.crash.scenarios import Session, on_disk
from tests.crash.simdisk import Committed, SimDisk
from tests.crash.states import State

Promise = tuple[str, str, int, str]

ALIAS = "alias "
"""How the sort of a promise about an alias starts; the alias follows."""

ROWS = "SELECT object.digest, pack.state FROM object JOIN pack ON pack.digest = object.pack"

_named: dict[Digest, list[Digest]] = {}


class View:
    """What a catalog says, asked once: versions, numbers, what promises mean, which objects it has rows for.

    It stands for the catalog where objects are read.
    """

    def __init__(self, catalog: Catalog, path: Path) -> None:
        self._catalog = catalog
        self.entries: dict[tuple[str, str], list[Entry]] = {}
        for entry in catalog.every_entry():
            self.entries.setdefault((entry.sort, entry.name), []).append(entry)
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute(ROWS).fetchall()
        self.rows = sorted({Digest(digest) for digest, state in found if state == LIVE})
        self.trashed = sorted({Digest(digest) for digest, state in found if state == TRASH} - set(self.rows))
        self.packs = self
        self.damaged = catalog.packs.damaged
        self.locate = functools.cache(catalog.packs.locate)
        self.find = functools.cache(self._find)
        self.wrong = [fault for entries in self.entries.values() for fault in _wrong_numbers(catalog, entries)]

    def _find(self, sort: str, name: str, reference: str) -> Entry | None:
        try:
            return self._catalog.find(sort, name, reference)
        except LayerwiseError:
            return None


def faults(view: View, objects: Objects, promises: Iterable[Promise], *, trash: bool = False) -> list[str]:
    """Return what is wrong, a sentence each: what was promised and is not kept first; with ``trash``, there too."""
    found = [*_broken(view, promises), *view.wrong]
    for entries in view.entries.values():
        for entry in entries:
            found += _unreadable(objects, entry)
    # A later writer would build on a row without looking at the disk.
    what = "the catalog has a row for an object that cannot be read"
    rows = [*view.rows, *(view.trashed if trash else ())]
    return found + [fault for digest in rows for fault in _read(objects, digest, what)]


def _broken(view: View, promises: Iterable[Promise]) -> Iterator[str]:
    for sort, name, number, digest in promises:
        alias = sort.removeprefix(ALIAS) if sort.startswith(ALIAS) else None
        entry = view.find("model" if alias else sort, name, alias or str(number))
        if entry is None:
            yield f"{sort} {name}@{number} was acknowledged and is lost"
        elif (entry.number, entry.digest) != (number, digest):
            yield f"{sort} {name}@{number} was acknowledged and is another now: {entry.number}, {entry.digest}"


def _wrong_numbers(catalog: Catalog, entries: Sequence[Entry]) -> Iterator[str]:
    numbers = [entry.number for entry in entries]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"{entries[0].name} has the numbers {numbers}"
    for entry in entries:
        if entry.parent is not None and not entry.parent < entry.number:
            yield f"{entry.name}@{entry.number} has the parent {entry.parent}"
    lines: dict[str, list[Entry]] = {}
    for entry in entries:
        lines.setdefault(entry.branch, []).append(entry)
    for branch, line in lines.items():
        if [entry.parent for entry in line[1:]] != [entry.number for entry in line[:-1]]:
            yield f"{line[0].name}, branch {branch}, is not one line: a version was published beside another"
        if catalog.head(line[0].sort, line[0].name, branch) != line[-1]:
            yield f"the head of {line[0].name}, branch {branch}, is not its newest version"


def _unreadable(objects: Objects, entry: Entry) -> Iterator[str]:
    what = f"{entry.sort} {entry.name}@{entry.number}"
    damage = list(_read(objects, entry.digest, f"{what}: its manifest cannot be read"))
    if not damage and entry.digest not in _named:
        manifest = canonical.decode(objects.get(entry.digest), what)
        _named[entry.digest] = sorted(_digests(manifest, entry.sort))
    yield from damage
    for digest in _named.get(entry.digest, ()):
        yield from _read(objects, digest, f"{what} names an object that cannot be read")


def _read(objects: Objects, digest: Digest, what: str) -> Iterator[str]:
    try:
        objects.get(digest)
    except (LayerwiseError, OSError) as error:
        yield f"{what}: {error}"


def _digests(manifest: Any, sort: str) -> set[Digest]:
    if sort == "dataset":
        return {Digest(block["object"]) for block in manifest["blocks"]}
    layers = manifest["layers"].values()
    code = {digest for layer in layers for digest in layer["code"].values()}
    return {Digest(digest) for digest in code | {layer["state"] for layer in layers} if digest is not None}


@functools.lru_cache(maxsize=10_000)
def _wrong_pack(path: str, data: bytes) -> str:
    """Return what is wrong with a file that has a pack's name; nothing where it is whole."""
    name = path.rpartition("/")[2]
    return look_at_pack(memoryview(data), Digest(name.removesuffix(".pack"))).wrong


def _half_packs(state: State) -> Iterator[str]:
    for path, data in state.files.items():
        if path.startswith("packs/") and (wrong := _wrong_pack(path, data)):
            yield f"a file that has a pack's name is not whole: {path}: {wrong}"


class Checker:
    """Checks states after a loss of power. Use `checking`.

    ``opened`` counts those on which the repository was opened and written to, as a new process does it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened = 0
        self._made = 0
        self._views: dict[int, tuple[Committed, View, Store]] = {}

    def check(self, state: State, *, thorough: bool = False, trash: bool = False) -> list[str]:
        """Return what is wrong with the repository in ``state``; nothing where all holds.

        Args:
            state: what the loss of power left.
            thorough: whether to open it as a new process does, commit to it, and look again. Of a repository that
                is not made yet nothing else can be said.
            trash: whether what is in the trash must be readable too: nobody relies on it.
        """
        promises = [acknowledged.promise for acknowledged in state.promises]
        if half := list(_half_packs(state)):
            return half
        whole = CONFIG in state.files and state.database is not None
        if not whole and promises:
            return ["what was acknowledged is lost: there is no repository"]
        if thorough:
            return self._open(state, promises)
        if not whole:
            return []
        view, store = self._view(state)
        disk = SimDisk(store.path, state.world())
        return faults(view, Objects(disk, cast(Catalog, view)), promises, trash=trash)

    def _view(self, state: State) -> tuple[View, Store]:
        assert state.database is not None
        known = self._views.get(id(state.database))
        if known is None:
            path = _materialise(state, self.folder / str(self._made))
            self._made += 1
            store = Store.open(path, disk=_disk(path, state))
            known = self._views[id(state.database)] = (
                state.database,
                View(store.catalog, path / "catalog.sqlite"),
                store,
            )
        return known[1], known[2]

    def _open(self, state: State, promises: list[Promise]) -> list[str]:
        self.opened += 1
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            path = _materialise(state, Path(folder) / "repository")
            disk = _disk(path, state)
            kept: list[Promise] = list(promises)
            session = Session(path, disk, kept.append)
            try:
                found = look(session.repo, kept)
                session.commit("net", {"body": b"after the crash", "head": b"first" * 20})
                found += look(session.repo, kept)
            except (LayerwiseError, OSError) as error:
                found = [f"the repository cannot be opened and written to: {type(error).__name__}: {error}"]
            finally:
                session.close()
            return found

    def close(self) -> None:
        """Close what was kept open."""
        for _, _, store in self._views.values():
            store.close()
        self._views.clear()


def look(repository: Repository, promises: Sequence[Promise]) -> list[str]:
    """Return what is wrong with an open repository, a sentence each."""
    store = repository.store
    view = View(store.catalog, store.path / "catalog.sqlite")
    return faults(view, store.objects, promises)


def _disk(path: Path, state: State) -> SimDisk:
    disk = SimDisk(path, state.world())
    disk.mirror()
    return disk


def _materialise(state: State, path: Path) -> Path:
    path.mkdir()
    if state.database is not None:
        (path / "catalog.sqlite").write_bytes(state.database.database)
    return path


@contextmanager
def checking() -> Iterator[Checker]:
    """Give a `Checker` with a folder of its own."""
    with on_disk() as folder:
        checker = Checker(folder)
        try:
            yield checker
        finally:
            checker.close()
