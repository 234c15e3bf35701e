"""A version's manifest: all that a version is, as one immutable object of strict JSON. See docs/format.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from layerwise.errors import Damaged, InvalidName, Unsupported
from layerwise.words import Digest, parse_digest, parse_name

FORMAT = 1
"""The manifest format that this Layerwise writes, and the newest that it reads."""


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
    created: str = ""
    actor: str = ""
    message: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as JSON."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: Any, what: str) -> Self:
        """Return the manifest that ``value`` is, or raise Damaged or Unsupported naming ``what``."""
        if not isinstance(value, dict) or not isinstance(value.get("format"), int):
            raise Damaged(f"{what} is not a manifest; put it back from a copy of the repository")
        if value["format"] > FORMAT:
            raise Unsupported(f"{what} has format {value['format']}; this Layerwise reads up to {FORMAT}: upgrade it")
        said = {key: inner for key, inner in value.items() if key != "format"}
        known = {item.name: item for item in dataclasses.fields(cls)}
        if set(said) != set(known):
            odd = sorted(set(said) ^ set(known))
            raise Damaged(f"{what} has other keys than a manifest: {', '.join(odd)[:200]}")
        try:
            parse_name(said["model"])
            said["layers"] = {str(path): _entry(entry) for path, entry in said["layers"].items()}
        except (InvalidName, TypeError, KeyError, AttributeError) as error:
            raise Damaged(f"{what} is damaged: {error}") from None
        return cls(**said)


def _entry(value: Mapping[str, Any]) -> LayerEntry:
    state = None if value["state"] is None else parse_digest(value["state"])
    return LayerEntry(str(value["kind"]), state, {str(k): parse_digest(v) for k, v in value["code"].items()})
