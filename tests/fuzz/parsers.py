"""What reads bytes that others made, and what must hold of all that it accepts."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pyarrow as pa
import safetensors
import torch

from layerwise import canonical
from layerwise.data.manifest import read_manifest
from layerwise.data.row import row_values
from layerwise.data.schema import parse_type
from layerwise.data.show import as_html, as_text
from layerwise.data.split import Split
from layerwise.engine import checkpoint
from layerwise.engine.model import Model
from layerwise.engine.tensors import from_raw
from layerwise.errors import LayerwiseError
from layerwise.layers.estimator import Estimator
from layerwise.store.cold.coding import decode as decode_object
from layerwise.store.packs import read_pack
from layerwise.store.store import Store
from layerwise.store.tables import check_values, decode_block, encode_block
from layerwise.store.tensors import RawTensor, frame, unframe
from layerwise.versions.manifest import Manifest
from layerwise.words import parse_digest
from tests.fuzz import archives, corpus, frames, octets, streams, values
from tests.fuzz.parser import Parser, Wrong, accepted, hold


def _theirs(data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    try:
        found = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise Wrong(f"safetensors refuses it: {error}") from None
    return {name: (said["dtype"], tuple(said["shape"]), bytes(said["data"])) for name, said in found}


def read_state(data: bytes) -> None:
    """Read a layer's state, as a version does."""
    found = unframe(memoryview(data), "the state")
    plain = {name: (tensor.dtype, tensor.shape, bytes(tensor.data)) for name, tensor in found.items()}
    hold(plain == _theirs(data), "safetensors reads something else")
    with accepted("what was read cannot be written"):
        again = unframe(memoryview(b"".join(frame(found))), "again")
    hold(
        {name: bytes(tensor.data) for name, tensor in again.items()} == {name: said[2] for name, said in plain.items()},
        "",
    )
    made = from_raw(found)
    hold(all(tuple(made[name].shape) == said[1] for name, said in plain.items()), "torch has another shape")
    hold(all(bool(torch.equal(tensor, tensor.clone())) or tensor.is_floating_point() for tensor in made.values()), "")


def read_a_pack(data: bytes) -> None:
    """Read where objects lie in a pack, as a rebuild of the catalog does."""
    places = read_pack(memoryview(data), "the pack")
    theirs = _theirs(data)
    for place in places:
        found = data[place.position : place.position + place.length]
        hold(len(found) == place.length and place.position % 64 == 0, "an object lies outside the pack")
        hold(found == theirs[place.digest][2], "safetensors reads other bytes")
    hold(len({place.digest for place in places}) == len(places), "an object twice")


def read_json(data: bytes) -> None:
    """Read strict JSON."""
    value = canonical.decode(data, "the document")
    hold(value == json.loads(data), "Python reads something else")
    with accepted("what was read cannot be written"):
        hold(canonical.decode(canonical.encode(value), "again") == value, "it changes when it is written")


def read_model_manifest(data: bytes) -> None:
    """Read the manifest of a model's version, and all that is made of it when it is opened."""
    value = canonical.decode(data, "the manifest")
    found = Manifest.from_json(value, "the manifest")
    hold(found.to_json() == value, "something of it is lost")
    for name in filter(None, [found.environment, *(layer.state for layer in found.layers.values())]):
        hold(parse_digest(name) == name, "a digest that is none")
    for text in found.data.get("columns", {}).values():
        parse_type(text, "a column")
    if found.data:
        Split.from_json(found.data["split"])
    model = Model.from_json(found.graph)
    with accepted("the model that was read cannot be written"):
        again = Model.from_json(canonical.decode(canonical.encode(model.to_json()), "again"))
    hold(again == model, "the model changes when it is written")


def read_data_manifest(data: bytes) -> None:
    """Read the manifest of a dataset's version, and show it."""
    found = read_manifest(data, "the manifest")
    with accepted("what was read cannot be written"):
        again = read_manifest(found.to_bytes(), "again")
    hold(again == found, "it changes when it is written")
    hold(sum(block.rows for block in found.blocks) == found.rows > -1, "rows")
    as_text(found)
    as_html(found)


def _schemas() -> tuple[pa.Schema, ...]:
    rows = corpus.rows()
    return (rows.schema, rows.select(["__row__", "x", "i"]).schema, rows.select(["__row__"]).schema)


def read_block(data: bytes) -> None:
    """Read a block of rows as a dataset does, by the schema that it is nearest to, and look at every value."""
    last: LayerwiseError | None = None
    for schema in _schemas():
        try:
            found = check_values(decode_block(memoryview(data), schema, "the block"), "the block")
        except LayerwiseError as error:
            last = error
            continue
        return _hold_rows(found, len(data))
    raise last or AssertionError("there is a schema")


def _hold_rows(found: pa.RecordBatch, size: int) -> None:
    hold(found.nbytes <= size, "it is larger than its bytes")
    table = pa.Table.from_batches([found])
    for row in {0, len(table) // 2, len(table) - 1} if len(table) else ():
        row_values(table.take([row]).combine_chunks())
    with accepted("what was read cannot be written"):
        written = encode_block(found)
        again = check_values(decode_block(memoryview(written), found.schema, "again"), "again")
    hold(encode_block(again) == written, "it changes when it is written")


def mutate_coded(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """Change what lies in the pack, or now and then how long the object is said to be."""
    how, _, stored = data.partition(b"\n")
    if draw.random() < 0.2:
        coding, length = how.split(b" ")
        new = draw.choice(
            (int(length) + 1, int(length) - 1, 2 * int(length), 0, 1, 2**26, 2**40, 2**62, 2**63, 2**64 - 1)
        )
        return coding + b" " + str(new).encode() + b"\n" + stored
    return how + b"\n" + octets.changed(stored, [other.partition(b"\n")[2] for other in others], draw)


def read_coded(data: bytes) -> None:
    """Decode an object of a cold pack."""
    how, _, stored = data.partition(b"\n")
    coding, length = how.decode().split(" ")
    bases = {corpus.BASE: memoryview(corpus.base())}
    found = decode_object(coding, stored, int(length), bases.__getitem__)
    hold(len(found) == int(length), "it is of another length than it says")


def mutate_checkpoint(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """Change a checkpoint, half of them as one who knows how it is sealed."""
    if draw.random() < 0.5:
        return frames.changed(data, others, draw)
    raw: dict[str, RawTensor] = dict(unframe(memoryview(data), "whole"))
    text = values.changed(corpus.progress(), draw) if draw.random() < 0.6 else bytes(raw[checkpoint.PROGRESS].data)
    raw[checkpoint.PROGRESS] = RawTensor("U8", (len(text),), text)
    name = draw.choice(sorted(raw))
    if draw.random() < 0.5:
        content = octets.flipped(bytes(raw[name].data), draw)
        raw[name] = RawTensor(raw[name].dtype, raw[name].shape, content)
    elif draw.random() < 0.3:
        del raw[name]
    return corpus.sealed(raw)


def read_checkpoint(data: bytes) -> None:
    """Read what a killed run goes on from."""
    found = checkpoint.read(memoryview(data))
    hold(isinstance(found.progress, dict), "progress")
    hold(all(isinstance(tensor, torch.Tensor) for tensor in found.tensors.values()), "tensors")


@functools.cache
def _repository() -> Path:
    path = Path(tempfile.mkdtemp(prefix="layerwise-fuzz-")) / "repository"
    Store.open(path).close()
    return path


def read_config(data: bytes) -> None:
    """Open a repository with this config."""
    path = _repository()
    (path / "config.json").chmod(0o644)
    (path / "config.json").write_bytes(data)
    with Store.open(path, create=False) as store:
        said = json.loads(data)
        hold(store.id == said["id"] and type(said["format"]) is int and said["format"] >= 1, "another repository")


@functools.cache
def fitted() -> dict[str, tuple[Estimator, bytes]]:
    rows = torch.from_numpy(corpus.samples())
    found = {}
    for kind in corpus.estimators():
        found[kind.estimator.rpartition(".")[2]] = (kind, kind.fit([(rows,)])["skops"].numpy().tobytes())
    return found


def whole_estimators() -> tuple[bytes, ...]:
    """Return the states of fitted estimators."""
    return tuple(state for _, state in fitted().values())


def read_estimator(data: bytes) -> None:
    """Open the state of a scikit-learn layer, as each of the layers whose class it names, and ask it about rows."""
    rows = torch.from_numpy(corpus.samples()[:3])
    state = {"skops": torch.frombuffer(bytearray(data or b"\0"), dtype=torch.uint8), "width": torch.tensor(2)}
    last: LayerwiseError | None = None
    for name, (kind, _) in fitted().items():
        if name.encode() in data:
            try:
                kind.run(rows, state=state)
            except LayerwiseError as error:
                last = error
            else:
                return
    if last is None:
        kind.run(rows, state=state)
        raise Wrong("a state of no class that it names")
    raise last


def _mutate_json(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    return octets.changed(data, others, draw) if draw.random() < 0.15 else values.changed(json.loads(data), draw)


def _mutate_data_manifest(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """Change a manifest, half of them as one who puts the digest of the content right again."""
    text = _mutate_json(data, others, draw)
    if draw.random() < 0.3:
        return text
    try:
        said = canonical.decode(text, "changed")
        described = {key: said[key] for key in ("key", "schema", "blocks")}
        said["content"] = canonical.digest_value("layerwise.dataset.v1", described)
        said["rows"] = sum(block["rows"] for block in said["blocks"])
        return canonical.encode(said)
    except (LayerwiseError, TypeError, KeyError, AttributeError):
        return text


PARSERS: dict[str, Parser] = {
    parser.name: parser
    for parser in (
        Parser("tensor frames", corpus.states, frames.changed, read_state),
        Parser("packs", corpus.packs, frames.changed, read_a_pack),
        Parser("coded objects", corpus.coded_objects, mutate_coded, read_coded),
        Parser("JSON", corpus.documents, _mutate_json, read_json),
        Parser("model manifests", corpus.model_manifests, _mutate_json, read_model_manifest),
        Parser("dataset manifests", corpus.data_manifests, _mutate_data_manifest, read_data_manifest),
        Parser("blocks of rows", corpus.blocks, streams.changed, read_block),
        Parser("checkpoints", corpus.checkpoints, mutate_checkpoint, read_checkpoint),
        Parser("configs", corpus.configs, _mutate_json, read_config),
        Parser("scikit-learn states", whole_estimators, archives.changed, read_estimator),
    )
}
