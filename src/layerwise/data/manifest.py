"""The manifest of one version of a dataset: strict, canonical JSON that says all of it but the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from layerwise.canonical import decode, digest_value, encode
from layerwise.data import schema as schemas
from layerwise.data.statistics import ColumnStatistics
from layerwise.errors import InvalidFile, InvalidName, Unsupported
from layerwise.words import Digest, Name, parse_digest, parse_name

FORMAT = 1
"""The newest format of a dataset's manifest that this Layerwise reads, and the one it writes."""

_FIELDS = {
    "format", "dataset", "number", "parent", "key", "schema", "rows", "blocks", "content", "statistics",
    "created", "actor", "message",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """A block of consecutive rows: the object that holds them, and how many they are."""

    object: Digest
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One immutable version of a dataset. ``content`` stands for schema and rows alone."""

    dataset: Name
    number: int
    parent: int | None
    key: str | None
    schema: pa.Schema
    blocks: tuple[Block, ...]
    statistics: dict[str, ColumnStatistics]
    created: str
    actor: str
    message: str

    @property
    def rows(self) -> int:
        """How many rows the version has."""
        return sum(block.rows for block in self.blocks)

    @property
    def content(self) -> Digest:
        """The digest of key, schema and blocks."""
        return content_of(self.key, self.schema, self.blocks)

    def references(self) -> dict[str, Digest]:
        """Return the objects that the manifest names, by what a message calls them."""
        name = f"{self.dataset}@{self.number}"
        return {f"block {at} of {name}": block.object for at, block in enumerate(self.blocks, start=1)}

    def to_bytes(self) -> bytes:
        """Return the manifest as canonical JSON."""
        return encode(
            {
                "format": FORMAT,
                "dataset": self.dataset,
                "number": self.number,
                "parent": self.parent,
                "key": self.key,
                "schema": schemas.to_json(self.schema),
                "rows": self.rows,
                "blocks": _blocks_to_json(self.blocks),
                "content": self.content,
                "statistics": {name: column.to_json() for name, column in self.statistics.items()},
                "created": self.created,
                "actor": self.actor,
                "message": self.message,
            }
        )


def content_of(key: str | None, schema: pa.Schema, blocks: tuple[Block, ...]) -> Digest:
    """Return the digest that two versions share exactly when their rows and columns are the same."""
    described = {"key": key, "schema": schemas.to_json(schema), "blocks": _blocks_to_json(blocks)}
    return digest_value("layerwise.dataset.v1", described)


def _blocks_to_json(blocks: tuple[Block, ...]) -> list[dict[str, Any]]:
    return [{"object": block.object, "rows": block.rows} for block in blocks]


def read_manifest(data: memoryview | bytes, what: str) -> Manifest:
    """Return the manifest in ``data``.

    Args:
        data: canonical JSON.
        what: how a message names it, e.g. ``"the manifest of digits-data@2"``.

    Raises:
        Unsupported: it is of a newer format.
        InvalidFile: it is not what a manifest must be.
    """
    value = decode(data, what)
    if isinstance(value, dict) and _is_count(value.get("format")) and value["format"] > FORMAT:
        raise Unsupported(f"{what} is of format {value['format']}; this Layerwise reads {FORMAT}: use a newer one")
    if not isinstance(value, dict) or set(value) != _FIELDS or value["format"] != FORMAT:
        raise InvalidFile(f"{what} has other fields than {', '.join(sorted(_FIELDS))}")
    try:
        manifest = _manifest(value, what)
    except InvalidName as error:
        raise InvalidFile(f"{what}: {error}") from None
    if value["rows"] != manifest.rows or value["content"] != manifest.content:
        raise InvalidFile(f"{what} contradicts itself: its blocks do not make its rows or its content")
    return manifest


def _manifest(value: dict[str, Any], what: str) -> Manifest:
    number, parent, key = value["number"], value["parent"], value["key"]
    schema = schemas.from_json(value["schema"], what)
    if not _is_count(number) or not (parent is None or _is_count(parent)):
        raise InvalidFile(f"{what}: number and parent must be whole numbers")
    if key is not None and key not in schema.names:
        raise InvalidFile(f"{what}: the key is not a column")
    if not all(isinstance(value[field], str) for field in ("created", "actor", "message")):
        raise InvalidFile(f"{what}: created, actor and message must be text")
    statistics = value["statistics"]
    if not isinstance(statistics, dict) or set(statistics) != set(schema.names):
        raise InvalidFile(f"{what}: the statistics are of other columns than the schema")
    return Manifest(
        dataset=parse_name(value["dataset"]),
        number=number,
        parent=parent,
        key=key,
        schema=schema,
        blocks=_blocks(value["blocks"], what),
        statistics={name: ColumnStatistics.from_json(statistics[name], what) for name in schema.names},
        created=value["created"],
        actor=value["actor"],
        message=value["message"],
    )


def _blocks(value: Any, what: str) -> tuple[Block, ...]:
    if not isinstance(value, list) or not all(isinstance(block, dict) for block in value):
        raise InvalidFile(f"{what}: blocks must be a list of objects")
    for block in value:
        if set(block) != {"object", "rows"} or not _is_count(block["rows"]):
            raise InvalidFile(f"{what}: a block must have exactly an object and a number of rows")
    return tuple(Block(parse_digest(block["object"]), block["rows"]) for block in value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
