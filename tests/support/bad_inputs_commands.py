"""Bad command lines, and repositories that are damaged, newer, or none."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layerwise as lw
from layerwise.repo import Repository
from tests.support.bad_inputs import Bad, Bench, Told, command

MODEL = """model: bad
data: things
layers:
  v: {kind: column, column: vector}
  scores: {kind: torch.nn.Linear, out_features: 2}
  end: {kind: classes, target: label}
train: {epochs: 1, optimizer: adam}
"""
ROW = '{"length": 5.0, "width": 3.0, "colour": "red"}'


def setting(id: str, said: str, error: str, *says: str) -> Bad:
    """A ``--set``."""
    return command(f"--set {id}", ["train", "model.yaml", "--set", said], error, *says, files={"model.yaml": MODEL})


def predict(id: str, arguments: list[str], error: str, *says: str, **more: Any) -> Bad:
    """A ``predict``."""
    return command(f"predict {id}", ["predict", "flower", *arguments], error, *says, **more)


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


ROWS: list[Bad] = [
    setting("without =", "train.epochs", "InvalidConfig"),
    setting("of nothing", "=3", "InvalidConfig"),
    setting("unknown top", "trian.epochs=3", "InvalidConfig"),
    setting("unknown setting", "train.epoch=3", "InvalidConfig"),
    setting("unknown layer", "layers.score.out_features=3", "InvalidConfig"),
    setting("a layer without an option", "layers.scores=3", "InvalidConfig"),
    setting("unknown option", "layers.scores.out_feature=3", "InvalidLayer"),
    setting("an option of a wrong type", "layers.scores.out_features=three", "InvalidLayer"),
    setting("all of train", "train=3", "InvalidConfig"),
    setting("inside a value", "train.optimizer.momentum=0.9", "InvalidConfig"),
    setting("a tag", "train.epochs=!!int 3", "InvalidFile"),
    setting("NaN", "train.lr=.nan", "InvalidFile"),
    setting("two lines", "train.epochs=3\nx: 4", "InvalidConfig"),
    setting("a value of no use", "train.epochs=0", "InvalidConfig"),
    setting("a path of dots", "layers..x=3", "InvalidConfig"),
    setting("a column that is not there", "layers.v.column=vektor", "InvalidData"),
    command("unknown command", ["trian", "model.yaml"], "Usage"),
    command("unknown option", ["list", "--jsn"], "Usage"),
    command("missing argument", ["predict"], "Usage"),
    command("one argument too many", ["list", "more"], "Usage"),
    command("version not there", ["show", "flower@9"], "NotFound"),
    command("alias not there", ["show", "flower@champoin"], "NotFound"),
    command("model not there", ["log", "flowr"], "NotFound"),
    command("dataset not there", ["data", "show", "flowerss"], "NotFound"),
    command("a layer where a version is meant", ["show", "flower@1/hidden"], "InvalidName"),
    command("alias without a name", ["alias", "flower@1"], "InvalidName"),
    command("alias of a number", ["alias", "flower@1", "3"], "InvalidName"),
    command("alias of a version not there", ["alias", "flower@9", "best"], "NotFound"),
    command("alias to drop, not there", ["alias", "flower", "champoin", "--drop"], "NotFound"),
    command("evaluate on a split that is none", ["evaluate", "flower", "--split", "tset"], "NotFound"),
    command("evaluate on a dataset not there", ["evaluate", "flower", "--data", "flowerz"], "NotFound"),
    command("evaluate on other columns", ["evaluate", "flower", "--data", "things"], "InvalidData"),
    command("export onto a folder", ["export", "flower", "out"], "InvalidFile", files={"out/mine.txt": "mine"}),
    command("export onto a file", ["export", "flower", "out"], "InvalidFile", files={"out": "mine"}),
    command("export below nothing", ["export", "flower", "no/such/out"], "InvalidFile"),
    command("data diff of a dataset that is not there", ["data", "diff", "flowers@1", "flowers@2"], "NotFound"),
    command("data diff of different datasets", ["data", "diff", "flowers", "parts"], "InvalidData"),
    command("train without data", ["train", "model.yaml", "--data", "thing"], "NotFound", files={"model.yaml": MODEL}),
    command("train on other data", ["train", "model.yaml", "--data", "parts"], "InvalidData", files={"model.yaml": MODEL}),
    command("a message of 100,001 characters", ["train", "model.yaml", "-m", "x" * 100_001], "InvalidName",
            files={"model.yaml": MODEL}),
    command("code that is no file", ["kinds", "--code", "mine.py"], "InvalidFile"),
    command("code that is no Python", ["kinds", "--code", "bad_mine.py"], "InvalidFile", files={"bad_mine.py": "x = = 1\n"}),
    command("code that fails", ["kinds", "--code", "bad_mine.py"], "InvalidFile",
            files={"bad_mine.py": "import os\n\nraise ValueError('no')\n"}),
    command("code called as another module", ["kinds", "--code", "json.py"], "InvalidFile", files={"json.py": "x = 1\n"}),
    command("code that is a path to a folder", ["kinds", "--code", "code"], "InvalidFile", files={"code/x.py": "x = 1\n"}),
    predict("no rows", [], "InvalidData"),
    predict("rows twice", ["t.csv", "--row", ROW], "InvalidData", files={"t.csv": "a\n1\n"}),
    predict("a file that is not there", ["rosw.csv"], "InvalidFile"),
    predict("a file without a column", ["t.csv"], "InvalidData", files={"t.csv": "length,width\n5,3\n"}),
    predict("a file with another label", ["t.csv"], "InvalidData", files={"t.csv": "length,width,colour\n5,3,reed\n"}),
    predict("a file with text for a number", ["t.csv"], "InvalidData", files={"t.csv": "length,width,colour\nlong,3,red\n"}),
    predict("a file of no rows", ["t.csv"], "InvalidData", files={"t.csv": "length,width,colour\n"}),
    predict("--row not JSON", ["--row", "length=5"], "InvalidFile"),
    predict("--row cut short", ["--row", '{"length": 5.0'], "InvalidFile"),
    predict("--row of a list", ["--row", "[5, 3]"], "InvalidFile"),
    predict("--row with a key twice", ["--row", '{"length": 5, "length": 6}'], "InvalidFile"),
    predict("--row with NaN", ["--row", '{"length": NaN}'], "InvalidFile"),
    predict("--row with a number of 5,000 digits", ["--row", '{"length": ' + "9" * 5000 + "}"], "InvalidFile"),
    predict("--row nested 200 deep", ["--row", '{"length": ' + "[" * 200 + "]" * 200 + "}"], "InvalidFile"),
    predict("--row without a column", ["--row", '{"length": 5.0, "width": 3.0}'], "InvalidData"),
    predict("--row with null", ["--row", '{"length": null, "width": 3.0, "colour": "red"}'], "InvalidData"),
    predict("--row with an object", ["--row", '{"length": {"cm": 5}, "width": 3.0, "colour": "red"}'], "InvalidData"),
    predict("lines not JSON", ["-"], "InvalidFile", stdin=f"{ROW}\nlength,width\n".encode()),
    predict("lines not UTF-8", ["-"], "InvalidFile", stdin=b'{"colour": "caf\xe9"}\n'),
    predict("no lines", ["-"], "InvalidData", stdin=b"\n\n"),
    predict("data that is not there", ["--data", "flowerz"], "NotFound"),
    predict("data of other columns", ["--data", "parts"], "InvalidData"),
    predict("out of an unknown ending", ["--row", ROW, "--out", "a.xlsx"], "InvalidFile"),
    predict("out below nothing", ["--row", ROW, "--out", "no/such/a.csv"], "InvalidFile"),
    command("trace of a row that is not there", ["trace", "flower", "t.csv", "--row", "5"], "InvalidData",
            files={"t.csv": "length,width,colour\n5,3,red\n"}),
    command("trace of a row below 0", ["trace", "flower", "t.csv", "--row", "-1"], "InvalidData",
            files={"t.csv": "length,width,colour\n5,3,red\n"}),
    command("trace of no rows", ["trace", "flower"], "InvalidData"),
    elsewhere("no repository", ["list"], "NotFound", make=lambda folder: None),
    elsewhere("a folder of other things", ["data", "add", "new", "t.csv"], "InvalidFile", make=_folder),
    elsewhere("a file as a repository", ["data", "add", "new", "t.csv"], "InvalidFile", make=_file),
    damaged("a repository of a newer format", _config(format=99), ["list"], "Unsupported"),
    damaged("a repository of a format of text", _config(format="one"), ["list"], "InvalidFile"),
    damaged("a repository without an id", _config(id=None), ["list"], "InvalidFile"),
    damaged("a config that is not JSON", _write("config.json", b"{"), ["list"], "InvalidFile"),
    damaged("a config with a key twice", _write("config.json", b'{"format":1,"format":2,"id":"a"}'), ["list"], "InvalidFile"),
    damaged("a catalog that is none", _write("catalog.sqlite", b"not a database" * 100), ["list"], "Damaged"),
    damaged("a flipped bit in a layer", _flip_layer("hidden"), ["predict", "flower", "--row", ROW], "Damaged"),
    damaged("a flipped bit in a data layer's state", _flip_layer("long"), ["predict", "flower", "--row", ROW], "Damaged"),
    damaged("a flipped bit in a manifest", _flip_manifest, ["show", "flower"], "Damaged"),
    damaged("a flipped bit in a dataset", _flip_data, ["data", "show", "flowers"], "Damaged"),
    damaged("a pack that is gone", _lose_pack, ["predict", "flower", "--row", ROW], "Damaged"),
    damaged("a pack cut short", _cut_pack, ["predict", "flower", "--row", ROW], "Damaged"),
]
