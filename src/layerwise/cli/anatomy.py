"""All that there is to show of a model: of a version, or of a file that is not trained yet."""

from __future__ import annotations

import html as markup
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layerwise.cli.code import run_code
from layerwise.data.dataset import Dataset
from layerwise.engine.model import Model
from layerwise.engine.ports import ports_of
from layerwise.engine.version import Version
from layerwise.errors import Invalid, NotFound
from layerwise.graph import draw, shapes
from layerwise.graph import yaml as files
from layerwise.graph.ports import Port
from layerwise.repo import Repository
from layerwise.words import parse_version


@dataclass(frozen=True)
class Anatomy:
    """A model with what is known of each layer, by path.

    Attributes:
        title: the version's address, or the file's name.
        model: the description.
        ports: what leaves each layer; empty where unknown.
        parameters: how many numbers each layer learns by gradient.
        state: bytes that are kept of each layer.
        aliases: the names that mean this version.
        environment: where it was trained.
        version: the version; None for a file.
        unknown: why shapes are not known, where they are not.
    """

    title: str
    model: Model
    ports: Mapping[str, Port] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    state: Mapping[str, int] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    version: Version | None = None
    unknown: str = ""

    @property
    def rows(self) -> list[draw.LayerRow]:
        """What a drawing says of each layer."""
        return draw.rows(self.model, self.ports, self.parameters)


def of_version(repo: Repository, address: str, code: list[Path] | None) -> Anatomy:
    """Return a version with everything that is kept of it."""
    entry = repo.find(parse_version(address))
    run_code(code)
    version = Version(repo, entry, repo.manifest(entry))
    manifest = version.manifest
    ports, parameters, unknown = _known(version)
    what = f"the environment of {version.address}"
    return Anatomy(
        version.address, version.model, ports, parameters, _state(version),
        aliases=tuple(name for name, number in repo.aliases(entry.name).items() if number == entry.number),
        environment=repo.json(manifest.environment, what) if manifest.environment else {},
        version=version, unknown=unknown,
    )  # fmt: skip


def _known(version: Version) -> tuple[dict[str, Port], dict[str, int], str]:
    try:
        ports = shapes.check(version.model, ports_of(version.types), version.states)
        return ports, counted(version.model, version.live.network.named_parameters()), ""
    except Invalid as error:
        # A module that only its owner's program has: what is kept can be shown all the same.
        return {}, {}, str(error)


def _state(version: Version) -> dict[str, int]:
    found = {}
    for path, entry in version.manifest.layers.items():
        if entry.state is not None:
            tensors = version.repo.layer_state(entry.state, f"the state of {version.address}/{path}")
            found[path] = sum(memoryview(tensor.data).nbytes for tensor in tensors.values())
    return found


def of_file(
    file: Path, repository: Callable[[], Repository | None], data: str | None, code: list[Path] | None
) -> Anatomy:
    """Return the model in a file, with shapes as far as its dataset or the file itself tells them."""
    run_code(code)
    description, marks = files.load_model(file)
    with files.in_file(marks):
        model = Model.from_description(description)
    repo = repository()
    try:
        dataset = _dataset(repo, data or model.data, asked=data is not None)
        with files.in_file(marks):
            return _sketch(str(file), model, dataset)
    finally:
        if repo is not None:
            repo.close()


def _dataset(repo: Repository | None, address: str | None, *, asked: bool) -> Dataset | None:
    if address is None:
        return None
    if repo is None:
        if asked:
            raise NotFound(
                f"there is no dataset {address!r}: there is no repository here; name one with --repository PATH"
            )
        return None
    try:
        return repo.dataset(address)
    except NotFound:
        if asked:
            raise
        return None


def _sketch(title: str, model: Model, dataset: Dataset | None) -> Anatomy:
    try:
        ports = model.check(dataset)
    except Invalid as error:
        # Without data some shapes cannot be known; with data, what is wrong must be said.
        if dataset is not None:
            raise
        return Anatomy(title, model, unknown=str(error))
    try:
        parameters = counted(model, model.module(dataset).named_parameters())
    except Invalid as error:
        return Anatomy(title, model, ports, unknown=str(error))
    return Anatomy(title, model, ports, parameters)


def counted(model: Model, parameters: Any) -> dict[str, int]:
    """Return how many numbers each layer learns, by path; a number counts for the innermost layer that holds it."""
    paths = {path for path, _ in model.walk()}
    found: dict[str, int] = {}
    for name, parameter in parameters:
        path = name.rpartition(".")[0]
        while path and path not in paths:
            path = path.rpartition(".")[0]
        found[path] = found.get(path, 0) + parameter.numel()
    return found


def mermaid(found: Anatomy) -> str:
    """Return the model as a Mermaid flowchart."""
    return draw.mermaid(found.model, found.ports or None)


def yaml(found: Anatomy) -> str:
    """Return the model's file."""
    return found.model.to_yaml()


def write_html(found: Anatomy, path: Path) -> None:
    """Write a page that draws the model; nothing in it comes from elsewhere."""
    from layerwise.store.disk import write_file

    card = draw.card(found.model, found.ports or None, found.parameters or None)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{markup.escape(found.title)}</title></head><body>{card}</body></html>\n"
    )
    write_file(path, [page.encode()])


def to_json(found: Anatomy) -> dict[str, Any]:
    """Return all of it as JSON."""
    layers = dict(found.model.walk())
    said: dict[str, Any] = {
        "title": found.title,
        "model": found.model.name,
        "layers": [
            {
                "layer": row.path, "role": row.role, "kind": row.kind, "options": layers[row.path].options,
                "inputs": list(row.inputs), "output": row.output or None, "parameters": row.parameters,
                "state_bytes": found.state.get(row.path), "owner": row.owner or None,
                "sensitivity": row.sensitivity or None, "frozen": row.frozen,
            }
            for row in found.rows
        ],
        "parameters": sum(found.parameters.values()),
        "state_bytes": sum(found.state.values()),
        "unknown": found.unknown or None,
    }  # fmt: skip
    return said | (_origin(found, found.version) if found.version is not None else _plans(found.model))


def _plans(model: Model) -> dict[str, Any]:
    return {"version": None, "data": model.data, "training": dict(model.train)}


def _origin(found: Anatomy, version: Version) -> dict[str, Any]:
    manifest, entry = version.manifest, version.entry
    states = {path: layer.state for path, layer in manifest.layers.items()}
    return {
        "version": version.address, "digest": entry.digest, "parent": entry.parent, "aliases": list(found.aliases),
        "metrics": dict(manifest.metrics), "data": dict(manifest.data), "training": dict(manifest.training),
        "environment": {key: value for key, value in found.environment.items() if key != "diff"},
        "states": states, "run": manifest.run, "outcome": manifest.outcome, "epoch": manifest.epoch,
        "created": entry.created, "actor": entry.actor, "message": entry.message,
    }  # fmt: skip
