"""What is kept of each layer of a version: ``layerwise look digits@3``. It loads no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from layerwise.cli import screen
from layerwise.cli.options import open_repository
from layerwise.cli.records import Kept, kept_of
from layerwise.words import Address

if TYPE_CHECKING:
    from layerwise.versions.manifest import Manifest

WHATS = {"gradient": "gradients", "attention": "attention weights"}
"""What may be kept of a layer beside what left it."""

_WORD = re.compile(r"(BF|F|I|U)(\d+)\Z")
_NAMES = {"BF": "bfloat", "F": "float", "I": "int", "U": "uint"}


def show_kept(context: typer.Context, address: Address, *, as_json: bool) -> None:
    """Print what is kept of each layer of a version: rows, shape, type, bytes."""
    with open_repository(context) as repo:
        entry = repo.find(address)
        found = _layers(repo.manifest(entry), sets := kept_of(repo, entry))
    version = f"{entry.name}@{entry.number}"
    if as_json:
        screen.print_json({"version": version, "layers": found, "records": [kept.to_json() for kept in sets]})
        return
    heads = ("layer", "kind", "rows kept", "a row", "type", "bytes", "and")
    rows = [[screen.words(one["layer"], screen.NAME), screen.words(_short(one["kind"]), screen.FAINT), *_cells(one)]
            for one in found]  # fmt: skip
    screen.show(
        screen.line((version, screen.HEAD), f": {_sum(sets)}"),
        "",
        screen.columns(*heads, rows=rows, right=["rows kept", "bytes"], spare=("and", "type", "kind")),
        "",
        screen.line((f"layerwise look {version}/LAYER shows one layer, of any row: what is not kept is computed",
                     screen.FAINT)),
    )  # fmt: skip


def _layers(manifest: Manifest, sets: Sequence[Kept]) -> list[dict[str, Any]]:
    said = dict(_walk(manifest.graph.get("layers")))
    found = {path: _empty(path, manifest.layers[path].kind, said.get(path)) for path in paths_of(manifest)}
    for kept in sets:
        for track in kept.inside.tracks:
            name = track.layer.partition(":")[0]
            kind = manifest.layers[name].kind if name in manifest.layers else ""
            one = found.setdefault(track.layer, _empty(track.layer, kind))
            one["bytes"] += track.bytes
            if track.what != "output":
                one["also"] = sorted({*one["also"], track.what})
            elif not one["rows"]:
                one |= {"rows": kept.inside.rows, "shape": list(track.shape), "dtype": dtype_of(track.dtype)}
    return list(found.values())


def paths_of(manifest: Manifest) -> list[str]:
    """Return the paths of a version's layers, in the order of the model."""
    walked = [path for path, _ in _walk(manifest.graph.get("layers"))]
    return [path for path in dict.fromkeys([*walked, *manifest.layers]) if path in manifest.layers]


def _walk(layers: Any, outer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for layer in layers if isinstance(layers, list) else ():
        path = f"{outer}{layer['name']}"
        yield path, layer
        yield from _walk(layer.get("layers"), f"{path}.")


def _empty(path: str, kind: str, said: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "layer": path, "kind": kind, "rows": 0, "shape": None, "dtype": None, "bytes": 0, "also": [],
        "sensitivity": (said or {}).get("sensitivity") or None,
    }  # fmt: skip


def _cells(one: dict[str, Any]) -> list[str]:
    if not one["rows"]:
        return ["", "", "", "", f"{one['sensitivity']}: not kept" if one["sensitivity"] else ""]
    shape = "×".join(map(str, one["shape"])) or "1"
    also = ", ".join(WHATS[what] for what in one["also"])
    return [f"{one['rows']:,}", shape, one["dtype"], screen.size(one["bytes"]), also]


def _short(kind: str) -> str:
    return kind.removeprefix("torch.nn.").removesuffix(".v1")


def dtype_of(word: str) -> str:
    """Return a type as PyTorch calls it, from safetensors' word for it.

    >>> dtype_of("F32"), dtype_of("BF16"), dtype_of("string"), dtype_of("struct<a: string, b: string>")
    ('float32', 'bfloat16', 'string', 'record')
    """
    match = _WORD.match(word)
    if word.startswith(("struct<", "extension<")):
        return "record" if word.startswith("struct<") else "tensor"
    return f"{_NAMES[match[1]]}{match[2]}" if match else word.lower() if word == "BOOL" else word


def _sum(sets: Sequence[Kept]) -> str:
    if not sets:
        return "nothing is kept of its layers"
    newest = sets[0].inside
    rows = f"{screen.plural(newest.rows, 'row')} of {sets[0].data or 'elsewhere'}"
    until = f" until {screen.moment(newest.expires)}" if newest.expires else ""
    more = f", and {screen.plural(len(sets) - 1, 'more set', 'more sets')}" if len(sets) > 1 else ""
    return f"{rows}, kept by {newest.about.made}{until}{more}"
