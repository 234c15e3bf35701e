"""Bad names and addresses: of models, datasets, layers, aliases, versions and runs."""

from __future__ import annotations

from typing import Any

import layerwise as lw
from tests.support.bad_inputs import Bad, command, layers, python

LONG = "x" * 10_000
RULE = "a letter, then letters, digits, '_' or '-'"
ADDRESS = "expected NAME, NAME@VERSION or NAME@VERSION/LAYER"
TABLE: Any = {"x": [1, 2]}

_NAMES = {
    "path-like": ("../x", "'../x'"),
    "absolute": ("/etc/passwd", "'/etc/passwd'"),
    "NUL": ("a\0b", r"'a\x00b'"),
    "control characters": ("red\x1b[31m", r"\x1b[31m"),
    "new line": ("a\nb", r"'a\nb'"),
    "right to left": ("x\u202egpj", r"\u202e"),
    "10 kB": (LONG, "(10,000 characters)"),
    "empty": ("", "''"),
    "emoji": ("flower🌷", "flower🌷"),
    "space": ("my flowers", "'my flowers'"),
    "begins with a digit": ("3flowers", "'3flowers'"),
    "trailing new line": ("flowers\n", r"'flowers\n'"),
    "windows": ("a\\b", r"a\\b"),
    "look-alike": ("flоwers", "flоwers"),
}


def _dataset(name: Any) -> Any:
    return lambda bench: lw.dataset(name, TABLE, repo=bench.repo)


def _model(name: Any) -> Any:
    return lambda bench: lw.Model(name, [lw.Layer("x", lw.Column("x"))])


# fmt: off
ROWS: list[Bad] = [
    *(python(f"dataset's name: {id}", _dataset(name), "InvalidName", found, RULE)
      for id, (name, found) in _NAMES.items()),
    *(python(f"model's name: {id}", _model(name), "InvalidName", found, "a model's name", RULE)
      for id, (name, found) in list(_NAMES.items())[:8]),
    python("dataset's name: a number", _dataset(3), "InvalidName", "must be text, found int"),
    python("dataset's name: bytes", _dataset(b"x"), "InvalidName", "must be text, found bytes"),
    python("model's name: nothing", _model(None), "InvalidName", "a model's name must be text, found NoneType"),
    python("layer's name: a dot", lambda b: lw.Layer("a.b", lw.Column("x")), "InvalidName", "layer 'a.b'",
        "'a.b' is not a layer's name", "expected letters, digits and '_', at most 100 characters"),
    python("layer's name: path-like", lambda b: lw.Layer("../x", lw.Column("x")), "InvalidName", "layer '../x'",
        "'../x' is not a layer's name", "expected letters, digits and '_', at most 100 characters"),
    python("layer's name: 10 kB", lambda b: lw.Layer(LONG, lw.Column("x")), "InvalidName",
        "layer 'xxxxxxxxxxxxxxxxxxxx…'", "characters) is not a layer's name",
        "expected letters, digits and '_', at most 100 characters"),
    python("layer's name: a number", lambda b: lw.Layer(7, lw.Column("x")), "InvalidName", "layer '7'", "found int",  # type: ignore[arg-type]
        "write letters, digits and '_'"),
    python("layer's name: control characters", lambda b: lw.Layer("a\x07", lw.Column("x")), "InvalidName",
        "layer 'a\\x07'", "'a\\x07' is not a layer's name",
        "expected letters, digits and '_', at most 100 characters"),
    layers("layer's name in a file: a slash", "x/y: {kind: column, column: number}", "InvalidName",
        "model.yaml:4: layer 'x/y'", "'x/y' is not a layer's name",
        "expected letters, digits and '_', at most 100 characters"),
    layers("layer's name in a file: a dash", "my-layer: {kind: column, column: number}", "InvalidName",
        "model.yaml:4: layer 'my-layer'", "'my-layer' is not a layer's name",
        "expected letters, digits and '_', at most 100 characters"),
    python("owner: control characters", lambda b: lw.Layer("x", lw.Column("x"), owner="a\x1b[2J"), "InvalidLayer",
        "layer 'x'", "found 'a\\x1b[2J'", "write 1 to 200 characters on one line"),
    python("owner: a number", lambda b: lw.Layer("x", lw.Column("x"), owner=7), "InvalidLayer", "layer 'x'",  # type: ignore[arg-type]
        "found 7", "write 1 to 200 characters on one line"),
    python("sensitivity: 10 kB", lambda b: lw.Layer("x", lw.Column("x"), sensitivity=LONG), "InvalidLayer",
        "layer 'x'", "… (10,000 characters)", "write 1 to 200 characters on one line"),
    python("frozen: a text", lambda b: lw.Layer("x", lw.Column("x"), frozen="yes"), "InvalidLayer", "layer 'x'",  # type: ignore[arg-type]
        "is 'yes'", "expected true or false"),
    python("address: nothing", lambda b: b.repo.find(None), "InvalidName", "NoneType is not an address",  # type: ignore[arg-type]
        "expected NAME, NAME@VERSION or NAME@VERSION/LAYER"),
    python("address: 10 kB", lambda b: lw.load(LONG, repo=b.repo), "InvalidName", "characters) is not an address",
        "expected NAME, NAME@VERSION or NAME@VERSION/LAYER"),
    python("address: two versions", lambda b: lw.load("flower@1@2", repo=b.repo), "InvalidName",
        "'flower@1@2' is not an address", "expected NAME, NAME@VERSION or NAME@VERSION/LAYER"),
    python("address: path-like", lambda b: lw.load("../../flower", repo=b.repo), "InvalidName",
        "'../../flower' is not an address", "expected NAME, NAME@VERSION or NAME@VERSION/LAYER"),
    python("address: version path-like", lambda b: lw.load("flower@../1", repo=b.repo), "InvalidName",
        "'..' is not a version", "expected a number, an alias or a digest's first digits,"),
    python("address: version of emoji", lambda b: lw.load("flower@🌷", repo=b.repo), "InvalidName",
        "'🌷' is not a version", "expected a number, an alias or a digest's first digits,"),
    python("address: pass 0", lambda b: lw.load("flower@1/hidden:0", repo=b.repo), "InvalidName",
        "'flower@1/hidden:0' is not an address", "expected NAME, NAME@VERSION or NAME@VERSION/LAYER"),
    python("address: of a layer", lambda b: lw.load("flower@1/hidden", repo=b.repo), "InvalidName",
        "'flower@1/hidden'", "write flower@1"),
    python("model's data: path-like", lambda b: lw.Model("m", [lw.Layer("x", lw.Column("x"))], data="../x"),
        "InvalidName", "found '../x'", "write data: NAME or data: NAME@N"),
    python("model's data: a number", lambda b: lw.Model("m", [lw.Layer("x", lw.Column("x"))], data=3), "InvalidName",  # type: ignore[arg-type]
        "found 3", "write data: NAME or data: NAME@N"),
    python("model's data: of a layer", lambda b: lw.Model("m", [lw.Layer("x", lw.Column("x"))], data="a@1/x"),
        "InvalidName", "found 'a@1/x'", "write data: NAME or data: NAME@N"),
    python("no such model", lambda b: lw.load("flowr", repo=b.repo), "NotFound", "no model 'flowr'",
        "Did you mean 'flower'"),
    python("no such dataset", lambda b: lw.dataset("flowerss", repo=b.repo), "NotFound", "no dataset 'flowerss'",
        "Did you mean 'flowers'"),
    python("no such version", lambda b: lw.load("flower@7", repo=b.repo), "NotFound", "no version '7'",
        "its newest is 1."),
    python("no such alias", lambda b: lw.load("flower@champoin", repo=b.repo), "NotFound", "no version 'champoin'",
        "Did you mean 'champion'"),
    python("no such digest", lambda b: lw.load("flower@abcdef123456", repo=b.repo), "NotFound",
        "no version 'abcdef123456'", "There is: champion."),
    python("version beyond any number", lambda b: lw.load("flower@99999999999999999999999", repo=b.repo), "NotFound",
        "no version '99999999999999999999999'", "its newest is 1."),
    python("a dataset where a model is meant", lambda b: lw.load("flowers", repo=b.repo), "NotFound",
        "no model 'flowers'", "Did you mean 'flower'"),
    python("dataset of a layer", lambda b: lw.dataset("flowers@1/x", repo=b.repo), "InvalidName", "'flowers@1/x'",
        "write flowers@1"),
    python("versions of path-like", lambda b: b.repo.versions("../x"), "InvalidName", "'../x' is not a name",
        "expected a letter, then letters, digits, '_' or '-', at"),
    python("versions of nothing there", lambda b: b.repo.versions("flowr"), "NotFound", "no model 'flowr'",
        "Did you mean 'flower'"),
    python("alias: path-like", lambda b: b.repo.set_alias("flower@1", "../x"), "InvalidName",
        "'../x' is not an alias", "expected a letter, then letters, digits, '_' or '-', at"),
    python("alias: a number", lambda b: b.repo.set_alias("flower@1", "3"), "InvalidName", "'3' is not an alias",
        "expected a letter, then letters, digits, '_' or '-', at"),
    python("alias: a number that is none", lambda b: b.repo.set_alias("flower@1", 3), "InvalidName", "found int",  # type: ignore[arg-type]
        "write a letter, then letters, digits, '_' or '-'"),
    python("alias: 10 kB", lambda b: b.repo.set_alias("flower@1", LONG), "InvalidName", "characters) is not an alias",
        "expected a letter, then letters, digits, '_' or '-', at"),
    python("alias: of no version", lambda b: b.repo.set_alias("flower@9", "best"), "NotFound", "no version '9'",
        "its newest is 1."),
    python("alias: to drop, not there", lambda b: b.repo.drop_alias("flower", "champoin"), "NotFound",
        "no alias 'champoin'", "Did you mean 'champion'"),
    python("run: none there", lambda b: b.repo.metrics("r-nope"), "NotFound", "no run 'r-nope'"),
    python("row: none there", lambda b: lw.dataset("flowers", repo=b.repo).row("nope"), "NotFound", "no row 'nope'"),
    command("show a path", ["show", "../../etc/passwd"], "InvalidName", "'../../etc/passwd' is not an address",
        "expected NAME, NAME@VERSION or NAME@VERSION/LAYER"),
    command("log of emoji", ["log", "🌷"], "InvalidName", "'🌷' is not a name",
        "expected a letter, then letters, digits, '_' or '-', at"),
    command("data show of a path", ["data", "show", "/etc/passwd"], "InvalidName", "'/etc/passwd' is not an address",
        "expected NAME, NAME@VERSION or NAME@VERSION/LAYER"),
    command("alias of control characters", ["alias", "flower@1", "a\x1b[31mb"], "InvalidName",
        "'a\\x1b[31mb' is not an alias", "expected a letter, then letters, digits, '_' or '-', at"),
    command("data add under a path", ["data", "add", "../x", "t.csv"], "InvalidName",
        "'../x' is not a dataset's name", "expected a letter, then letters, digits, '_' or '-', at",
        files={"t.csv": "a\n1\n"}),
]
# fmt: on
