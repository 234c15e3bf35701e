"""A version's manifest: all that a version is, as one immutable object of strict JSON. See docs/format.md."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from layerwise.errors import Damaged, InvalidName, Unsupported
from layerwise.words import Digest, parse_digest, parse_name, shorten

FORMAT = 2
"""The manifest format that this Layerwise writes, and the newest that it reads."""

_SINCE: Mapping[str, int] = {"key": 2, "epochs": 2}
"""The format from which on a field is there; the others always were."""


@dataclass(frozen=True)
class LayerEntry:
    """What a version keeps of one layer.

    Attributes:
        kind: the kind's title.
        state: the safetensors object of what the layer has learned; None where it learns nothing.
        code: the user's source that the layer runs, by qualified name.
    """

    kind: str
    state: Digest | None = None
    code: Mapping[str, Digest] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return {"kind": self.kind, "state": self.state, "code": dict(self.code)}

    @property
    def mark(self) -> str:
        """The entry as one text: equal texts, equal entries."""
        # With its length before it, no text reads like what stands beside it.
        code = "".join(f" {len(name)} {name} {digest}" for name, digest in sorted(self.code.items()))
        return f"{self.state} {len(self.kind)} {self.kind}{code}"


@dataclass(frozen=True)
class Manifest:
    """All that a version is.

    Attributes:
        model, number, parent, branch: which version, and what it came from.
        graph: the description, layers as a list (``Graph.to_json``).
        layers: what is kept of every layer, by path.
        data: the dataset's name, number, digest, schema and split.
        training: every setting of the run.
        metrics: of the kept epoch, by ``split/name``.
        run, outcome, epoch: the run that made it, how it ended, which epoch's weights these are.
        environment: the object that says in which environment.
        key: what the run depended on, as one digest: equal keys make equal bits. Empty where no run made it.
        epochs: the object that says what each layer had learned after each epoch, by digest.
        created, actor, message: when (UTC), who, why.
    """

    model: str
    number: int
    graph: Mapping[str, Any]
    layers: Mapping[str, LayerEntry]
    parent: int | None = None
    branch: str = "main"
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    run: str = ""
    outcome: str = ""
    epoch: int = 0
    environment: Digest | None = None
    key: str = ""
    epochs: Digest | None = None
    created: str = ""
    actor: str = ""
    message: str = ""

    @functools.cached_property
    def marks(self) -> Mapping[str, str]:
        """What is kept of every layer as one text each, by path: equal texts, equal layers."""
        return {path: layer.mark for path, layer in self.layers.items()}

    def references(self) -> dict[str, Digest]:
        """Return the objects that the manifest names, by what a message calls them."""
        name = f"{self.model}@{self.number}"
        found = {}
        for path, layer in self.layers.items():
            if layer.state is not None:
                found[f"the state of {name}/{path}"] = layer.state
            found.update({f"the code {title!r} of {name}/{path}": digest for title, digest in layer.code.items()})
        if self.environment is not None:
            found[f"the environment of {name}"] = self.environment
        if self.epochs is not None:
            found[f"the epochs of {name}"] = self.epochs
        if "digest" in self.data:
            found[f"the data of {name}"] = parse_digest(self.data["digest"])
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON."""
        said = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"format": FORMAT, **said, "layers": {path: layer.to_json() for path, layer in self.layers.items()}}

    @classmethod
    def from_json(cls, value: Any, what: str) -> Self:
        """Return the manifest that ``value`` is, or raise Damaged or Unsupported naming ``what``."""
        if not isinstance(value, dict) or not _is_number(value.get("format"), 1):
            raise Damaged(f"{what} is not a manifest; put it back from a copy of the repository")
        if value["format"] > FORMAT:
            raise Unsupported(f"{what} has format {value['format']}; this Layerwise reads up to {FORMAT}: upgrade it")
        said = {key: inner for key, inner in value.items() if key != "format"}
        fields = {name: good for name, good in _FIELDS.items() if _SINCE.get(name, 1) <= value["format"]}
        if set(said) != set(fields):
            odd = sorted(set(said) ^ set(fields))
            raise Damaged(f"{what} has other keys than a manifest: {shorten(', '.join(odd), 200)}")
        for name, good in fields.items():
            if not good(said[name]):
                raise Damaged(f"{what} is damaged: its {name!r} cannot be {shorten(said[name])}")
        said["layers"] = {path: LayerEntry(**entry) for path, entry in said["layers"].items()}
        return cls(**said)


def _is_number(value: Any, least: int) -> bool:
    # A bool is an int in Python, and true is no number of a version.
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return _is_number(value, 0)


def _is_version(value: Any) -> bool:
    return _is_number(value, 1)


def _is_name(value: Any) -> bool:
    return _parses(parse_name, value)


def _is_digest(value: Any) -> bool:
    return _parses(parse_digest, value)


def _parses(parse: Callable[[object], str], value: Any) -> bool:
    try:
        parse(value)
    except InvalidName:
        return False
    return True


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _or_none(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or good(value)


def _each(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(good, value.values()))


def _exactly(fields: Mapping[str, Callable[[Any], bool]]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, dict)
        and set(value) == set(fields)
        and all(good(value[name]) for name, good in fields.items())
    )


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_DATA = _exactly(
    {
        "name": _is_name,
        "number": _is_version,
        "digest": _is_digest,
        "columns": _each(_is_text),
        "split": _is_mapping,
        "rows": _each(_is_count),
    }
)
_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "model": _is_name,
    "number": _is_version,
    "graph": _is_mapping,
    "layers": _each(_exactly({"kind": _is_text, "state": _or_none(_is_digest), "code": _each(_is_digest)})),
    "parent": _or_none(_is_version),
    "branch": _is_name,
    "data": lambda value: value == {} or _DATA(value),
    "training": _is_mapping,
    "metrics": _each(_is_score),
    "run": _is_text,
    "outcome": _is_text,
    "epoch": _is_count,
    "environment": _or_none(_is_digest),
    "key": _is_text,
    "epochs": _or_none(_is_digest),
    "created": _is_text,
    "actor": _is_text,
    "message": _is_text,
}
