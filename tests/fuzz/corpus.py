"""Whole files of every sort, made by our own writers: what the changes begin with."""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.canonical import digest_bytes, encode
from layerwise.data.manifest import Block
from layerwise.data.manifest import Manifest as DataManifest
from layerwise.data.split import Split
from layerwise.data.statistics import Gathering
from layerwise.engine.checkpoint import PROGRESS, SEAL
from layerwise.engine.model import Model
from layerwise.engine.tensors import digest_raw
from layerwise.layers.estimator import Estimator
from layerwise.store.cold.coding import Base
from layerwise.store.cold.coding import encode as encode_object
from layerwise.store.packs import lay_out
from layerwise.store.store import FORMAT
from layerwise.store.tables import ROW, encode_block
from layerwise.store.tensors import RawTensor, frame
from layerwise.versions.manifest import LayerEntry, Manifest
from layerwise.words import Digest, parse_name

ROWS = 5
FEATURES = 4
A, B = Digest("a" * 64), Digest("0123456789abcdef" * 4)

MODEL = """model: flower
data: flowers@1
layers:
  length: {kind: column, column: length}
  width: {kind: column, column: width}
  sizes: {kind: join, inputs: [length, width]}
  scaled: {kind: standardize}
  body:
    kind: block
    layers:
      hidden: {kind: torch.nn.Linear, out_features: 8, activation: relu}
      again: {kind: residual, layers: {inner: {kind: torch.nn.Linear, out_features: 8}}}
  scores: {kind: torch.nn.Linear, out_features: 3, owner: ada, sensitivity: internal}
  species: {kind: classes, target: species}
train: {epochs: 2, optimizer: {kind: sgd, momentum: 0.9}, lr: 0.1}
"""


def tensors() -> dict[str, RawTensor]:
    """Return tensors of several types, one of no values and one of no dimensions."""
    return {
        "weight": RawTensor("F32", (3, 4), np.arange(12, dtype="<f4").tobytes()),
        "bias": RawTensor("F64", (3,), np.arange(3, dtype="<f8").tobytes()),
        "seen": RawTensor("I64", (), bytes(8)),
        "mask": RawTensor("BOOL", (5,), b"\1\0\1\1\0"),
        "empty": RawTensor("F16", (0, 7), b""),
        "half": RawTensor("BF16", (4,), bytes(range(8))),
    }


def states() -> tuple[bytes, ...]:
    """Return states of layers."""
    return (b"".join(frame(tensors())), b"".join(frame({"w": tensors()["weight"]}, {"a": "b"})), b"".join(frame({})))


def packs() -> tuple[bytes, ...]:
    """Return packs."""
    return (_pack([b"one object", *states(), b""]), _pack([b"x"]))


def _pack(objects: list[bytes]) -> bytes:
    layout = lay_out([(digest_bytes([data]), len(data)) for data in objects])
    return b"".join(layout.chunks([[memoryview(data)] for data in objects]))


BASE = Digest("c" * 64)
"""The object that coded ones are differences from."""


@functools.cache
def base() -> bytes:
    """Return the state that `BASE` names."""
    return _weights(0)


def _weights(step: int) -> bytes:
    draw = np.random.default_rng(0)
    found = draw.normal(size=(40, 30)).astype("<f4") + np.float32(1e-4 * step)
    counts = np.arange(300, dtype="<i8") + step
    named = {"w": RawTensor("F32", (40, 30), found.tobytes()), "n": RawTensor("I64", (300,), counts.tobytes())}
    return b"".join(frame(named))


def coded_objects() -> tuple[bytes, ...]:
    """Return objects in every coding: a line that says how and of how many bytes, then what lies in the pack."""
    text = b"layer by layer, " * 500
    found = [(text, encode_object(text)), (_weights(1), encode_object(_weights(1)))]
    found.append((_weights(2), encode_object(_weights(2), [Base(BASE, memoryview(base()))])))
    return tuple(f"{coded.coding} {len(data)}\n".encode() + bytes(coded.data) for data, coded in found)


def documents() -> tuple[bytes, ...]:
    """Return JSON of every sort."""
    value: dict[str, Any] = {
        "a": [1, -2.5, None, True, "é\n\"\\'/", 10**39, 1e-300], "b": {"": {}, "c": [[], [[]]]}, "d": "\u2028😀",
    }  # fmt: skip
    return (encode(value), encode([]), encode("text"))


@functools.cache
def model() -> Model:
    """Return a model with blocks, options, an owner and settings of a training."""
    return Model.from_yaml(MODEL)


@functools.cache
def model_manifests() -> tuple[bytes, ...]:
    """Return manifests of versions of models."""
    graph = model().to_json()
    layers = {path: LayerEntry(layer.kind, B if path == "scores" else None, {}) for path, layer in model().walk()}
    layers["scaled"] = LayerEntry("function", A, {"mine.scaled": B})
    data = {
        "name": "flowers", "number": 1, "digest": A, "columns": {"length": "float64", "species": "string"},
        "split": Split().to_json(), "rows": {"train": 40, "validation": 5, "test": 5},
    }  # fmt: skip
    made = Manifest(
        "flower", 2, graph, layers, parent=1, data=data, training={"epochs": 2}, metrics={"test/accuracy": 0.5},
        run="r1", outcome="done", epoch=2, environment=B, created="2026-01-31T09:30:00+00:00",
        actor="ada", message="more",
    )  # fmt: skip
    tiny = Model.from_yaml(
        "model: tiny\nlayers: {x: {kind: column, column: x}, y: {kind: value, target: y}}\n"
    ).to_json()
    return (encode(made.to_json()), encode(Manifest("tiny", 1, tiny, {}).to_json()))


@functools.cache
def rows() -> pa.RecordBatch:
    """Return rows with a column of every sort that a block can have."""
    tensor = pa.fixed_shape_tensor(pa.uint8(), [2, 2])
    pixels = pa.array([[row, 1, 2, 3] if row != 2 else None for row in range(ROWS)], pa.list_(pa.uint8(), 4))
    found: dict[str, Any] = {
        ROW: pa.array([f"{row:032x}" for row in range(ROWS)]),
        "x": pa.array([1.5, None, float("nan"), -0.0, 7.0]),
        "i": pa.array([1, 2, None, -(2**63), 2**63 - 1]),
        "small": pa.array([1, 2, 3, None, 5], pa.int8()),
        "flag": pa.array([True, False, None, True, False]),
        "text": pa.array(["a", "", None, "größe", "x" * 30]),
        "bytes": pa.array([b"\0\xff", b"", None, b"a", b"b"]),
        "list": pa.array([[1, 2], [], None, [3], [4, 5, 6]], pa.list_(pa.int64())),
        "words": pa.array([["a", "b"], [], None, ["c"], [""]], pa.list_(pa.string())),
        "image": pa.ExtensionArray.from_storage(tensor, pixels.cast(tensor.storage_type)),
        "day": pa.array([date(2026, 1, day + 1) for day in range(ROWS)]),
        "time": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * ROWS, pa.timestamp("us", "UTC")),
        "took": pa.array([timedelta(seconds=row) for row in range(ROWS)], pa.duration("us")),
    }
    return pa.record_batch(found)


@functools.cache
def blocks() -> tuple[bytes, ...]:
    """Return a block of every sort of column, one of numbers alone, one of a single text."""
    return tuple(bytes(encode_block(found)) for found in (rows(), rows().select([ROW, "x", "i"]), rows().select([ROW])))


@functools.cache
def data_manifests() -> tuple[bytes, ...]:
    """Return manifests of versions of datasets."""
    return (_data_manifest(rows().drop_columns([ROW]), "text"), _data_manifest(rows().select(["x", "flag"]), None))


def _data_manifest(found: pa.RecordBatch, key: str | None) -> bytes:
    statistics = {}
    for name in found.schema.names:
        gathered = Gathering(found.schema.field(name).type)
        gathered.add(found.column(name))
        statistics[name] = gathered.result()
    made = "2026-01-31T09:30:00+00:00"
    blocks = (Block(A, ROWS), Block(B, ROWS))
    named = parse_name("flowers")
    return DataManifest(named, 2, 1, key, found.schema, blocks, statistics, made, "ada", "more").to_bytes()


def sealed(raw: dict[str, RawTensor]) -> bytes:
    """Return a checkpoint of any tensors, as one who knows how it is sealed can make it."""
    return b"".join(frame(raw, {SEAL: digest_raw(raw)}))


def progress() -> dict[str, Any]:
    """Return what a checkpoint says beside its tensors."""
    optimizer = {"optimizer": "Adam", "parameters": ["w"], "state": {}}
    groups = [{"lr": 0.1, "betas": [0.9, 0.999], "foreach": None}]
    return {
        "epoch": 2, "best": 1, "history": [{"train/loss": 0.5}, {"train/loss": {"float": "inf"}}],
        "learner": {"optimizer": optimizer | {"groups": groups}, "schedule": None},
    }  # fmt: skip


def checkpoints() -> tuple[bytes, ...]:
    """Return checkpoints of runs."""
    text = encode(progress())
    kept = {f"weights/{name}": tensor for name, tensor in tensors().items()}
    return (sealed(kept | {PROGRESS: RawTensor("U8", (len(text),), text)}),)


def configs() -> tuple[bytes, ...]:
    """Return the first file of a repository, of the first format and of this one."""
    said = {"created": "2026-01-31T09:30:00+00:00", "format": 1, "id": "0" * 32}
    return (encode(said), encode(said | {"format": FORMAT}))


ESTIMATORS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("sklearn.ensemble.IsolationForest", {"n_estimators": 2, "max_samples": 8}),
    ("sklearn.ensemble.RandomTreesEmbedding", {"n_estimators": 2, "max_depth": 2}),
    ("sklearn.cluster.KMeans", {"n_clusters": 2, "n_init": 1}),
    ("sklearn.decomposition.PCA", {"n_components": 2}),
    ("sklearn.svm.OneClassSVM", {}),
    ("sklearn.decomposition.LatentDirichletAllocation", {"n_components": 2, "max_iter": 1}),
    ("sklearn.decomposition.NMF", {"n_components": 2, "max_iter": 5, "tol": 0.0, "init": "random"}),
    ("sklearn.impute.KNNImputer", {"n_neighbors": 2}),
    ("sklearn.preprocessing.OneHotEncoder", {"handle_unknown": "ignore"}),
    ("sklearn.mixture.GaussianMixture", {}),
)
"""Estimators whose fitted state goes into compiled code."""


def estimators() -> tuple[Estimator, ...]:
    """Return the layers that the states of scikit-learn are of."""
    return tuple(Estimator(name, settings | _seed(name)) for name, settings in ESTIMATORS)


def _seed(name: str) -> dict[str, int]:
    return {} if name.rpartition(".")[2] in ("OneClassSVM", "KNNImputer", "OneHotEncoder") else {"random_state": 0}


def samples() -> np.ndarray[Any, Any]:
    """Return rows to fit and to ask, [24, FEATURES]: small whole numbers from 0, which every estimator takes."""
    return np.random.default_rng(0).integers(0, 4, (24, FEATURES)).astype(np.float64)
