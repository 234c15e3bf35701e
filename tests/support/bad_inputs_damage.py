"""Repositories that are damaged, of a newer format, or none."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from layerwise.repo import Repository
from tests.support.bad_inputs import Bad, Bench, Told

ROW = '{"length": 5.0, "width": 3.0, "colour": "red"}'


def damaged(id: str, damage: Callable[[Path], object], arguments: list[str], error: str, *says: str) -> Bad:
    """A command on a copy of the repository with something wrong in it."""

    def provoke(bench: Bench) -> Told:
        copy = bench.folder / "copy"
        shutil.copytree(bench.repository, copy)
        damage(copy)
        return Bench(copy, bench.folder).command(*arguments)

    return Bad(id, provoke, error, says)


def _place(repository: Path, digest: str) -> tuple[Path, int, int]:
    with sqlite3.connect(repository / "catalog.sqlite") as catalog:
        pack, position, length = catalog.execute(
            "select pack, position, length from object where digest = ?", (digest,)
        ).fetchone()
    return next(path for path in (repository / "packs").rglob("*") if pack in path.name), position, length


def _flip(pack: Path, position: int) -> None:
    data = bytearray(pack.read_bytes())
    data[position] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(bytes(data))


def _state(repository: Path, layer: str) -> str:
    with Repository(repository) as repo:
        found = repo.manifest(repo.find("flower")).layers[layer].state
    assert found is not None
    return found


def _flip_layer(layer: str) -> Callable[[Path], object]:
    def damage(repository: Path) -> None:
        pack, position, length = _place(repository, _state(repository, layer))
        _flip(pack, position + length - 1)

    return damage


def _flip_manifest(repository: Path) -> None:
    with Repository(repository) as repo:
        digest = repo.find("flower").digest
    pack, position, _ = _place(repository, digest)
    _flip(pack, position + 5)


def _flip_data(repository: Path) -> None:
    with Repository(repository) as repo:
        digest = repo.dataset("flowers").manifest.blocks[0].object
    pack, position, length = _place(repository, digest)
    _flip(pack, position + length // 2)


def _lose_pack(repository: Path) -> None:
    pack, _, _ = _place(repository, _state(repository, "hidden"))
    pack.unlink()


def _cut_pack(repository: Path) -> None:
    pack, position, _ = _place(repository, _state(repository, "hidden"))
    pack.chmod(0o644)
    with pack.open("r+b") as file:
        file.truncate(position + 4)


def _config(**changes: Any) -> Callable[[Path], object]:
    def damage(repository: Path) -> None:
        path = repository / "config.json"
        config = {**json.loads(path.read_bytes()), **changes}
        path.chmod(0o644)
        path.write_text(json.dumps(config))

    return damage


def _write(name: str, data: bytes) -> Callable[[Path], object]:
    def damage(repository: Path) -> None:
        (repository / name).chmod(0o644)
        (repository / name).write_bytes(data)

    return damage


def elsewhere(id: str, arguments: list[str], error: str, *says: str, make: Callable[[Path], object]) -> Bad:
    """A command on a folder that is no repository."""

    def provoke(bench: Bench) -> Told:
        make(bench.folder)
        return Bench(bench.folder / "other", bench.folder).command(*arguments)

    return Bad(id, provoke, error, says)


def _folder(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "notes.txt").write_text("mine")
    (folder / "t.csv").write_text("a\n1\n")


def _file(folder: Path) -> None:
    (folder / "other").write_text("a file")
    (folder / "t.csv").write_text("a\n1\n")


# fmt: off
ROWS: list[Bad] = [
    elsewhere("no repository", ["list"], "NotFound", "there is no repository at",
        "`layerwise data add NAME FILE` makes one, and", make=lambda folder: None),
    elsewhere("a folder of other things", ["data", "add", "new", "t.csv"], "InvalidFile", "'notes.txt'",
        "choose an empty folder", make=_folder),
    elsewhere("a file as a repository", ["data", "add", "new", "t.csv"], "InvalidFile", "choose another place",
        make=_file),
    damaged("a repository of a newer format", _config(format=99), ["list"], "Unsupported",
        "install a newer Layerwise"),
    damaged("a repository of a format of text", _config(format="one"), ["list"], "InvalidFile", "'one'",
        "expected a whole number from 1"),
    damaged("a repository without an id", _config(id=None), ["list"], "InvalidFile", "'id'",
        "put the file back from a copy of the repository"),
    damaged("a config that is not JSON", _write("config.json", b"{"), ["list"], "InvalidFile",
        "Expecting property name enclosed in double quotes at"),
    damaged("a config with a key twice", _write("config.json", b'{"format":1,"format":2,"id":"a"}'), ["list"],
        "InvalidFile", "'format'", "keep one"),
    damaged("a catalog that is none", _write("catalog.sqlite", b"not a database" * 100), ["list"], "Damaged",
        "the catalog", "put it back from a copy of the repository"),
    damaged("a flipped bit in a layer", _flip_layer("hidden"), ["predict", "flower", "--row", ROW], "Damaged",
        "the state of flower@1/hidden", "its bytes have changed", "back from a copy of the repository"),
    damaged("a flipped bit in a data layer's state", _flip_layer("long"), ["predict", "flower", "--row", ROW],
        "Damaged", "the state of flower@1/long", "its bytes have changed", "back from a copy of the repository"),
    damaged("a flipped bit in a manifest", _flip_manifest, ["show", "flower"], "Damaged", "the manifest of flower@1",
        "its bytes have changed", "back from a copy of the repository"),
    damaged("a flipped bit in a dataset", _flip_data, ["data", "show", "flowers"], "Damaged", "block 0 of flowers@1",
        "its bytes have changed", "back from a copy of the repository"),
    damaged("a pack that is gone", _lose_pack, ["predict", "flower", "--row", ROW], "Damaged",
        "the manifest of flower@1", "the pack is not there", "back from a copy of the repository"),
    damaged("a pack cut short", _cut_pack, ["predict", "flower", "--row", ROW], "Damaged",
        "the manifest of flower@1", "bytes from byte", "back from a copy of the repository"),
]
# fmt: on
