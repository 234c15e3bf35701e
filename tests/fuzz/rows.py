"""Inputs that once got through, or that others' parsers fell for, by name: each must be refused, and say why.

Bytes are made by code here. A row of `SECURITY` is one of the list of known faults of such parsers.
"""

from __future__ import annotations

import functools
import io
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.canonical import decode, encode
from layerwise.errors import LayerwiseError
from layerwise.store.tensors import RawTensor, unframe
from tests.fuzz import archives, corpus, parsers, streams
from tests.fuzz.parser import Parser, Wrong


@dataclass(frozen=True)
class Row:
    """One named input.

    Attributes:
        id: its name.
        parser: which of `parsers.PARSERS` reads it.
        build: makes its bytes.
        says: what the refusal must say.
    """

    id: str
    parser: str
    build: Callable[[], bytes]
    says: str

    def read(self, data: bytes) -> None:
        """Read the input, and raise `Wrong` where it is accepted or refused in other words."""
        try:
            parsers.PARSERS[self.parser].read(data)
        except LayerwiseError as error:
            if self.says not in str(error):
                raise Wrong(f"it is refused with: {error}") from error
            raise
        raise Wrong("it is accepted")

    def as_parser(self) -> Parser:
        """Return a parser of this one input."""

        def built(_: bytes, __: Sequence[bytes], ___: Random) -> bytes:
            return self.build()

        return Parser(self.id, lambda: (), built, self.read)


def _frame(header: Any, data: bytes = b"") -> bytes:
    text = (
        header
        if isinstance(header, bytes)
        else header.encode()
        if isinstance(header, str)
        else json.dumps(header).encode()
    )
    return struct.pack("<Q", len(text)) + text + data


def _tensor(shape: list[int], size: int, dtype: str = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}


def _many_objects() -> bytes:
    return _frame("{" + ",".join(f'"{number:x}":{{}}' for number in range(800_000)) + "}")


def _json(change: Callable[[dict[str, Any]], object], whole: bytes) -> bytes:
    value = decode(whole, "whole")
    change(value)
    return encode(value)


def _model(change: Callable[[dict[str, Any]], object]) -> bytes:
    return _json(change, corpus.model_manifests()[0])


def _data(change: Callable[[dict[str, Any]], object]) -> bytes:
    return _json(change, corpus.data_manifests()[0])


def _noted() -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, corpus.rows().schema) as writer:
        writer.write_batch(corpus.rows(), custom_metadata={"ARROW:experimental_compression": "zstd"})
    return bytes(sink.getvalue())


def _zeros() -> bytes:
    return streams.stream([pa.record_batch({"__row__": pa.array(["\0" * 1000] * 100_000)})], compression="zstd")


def _hole() -> bytes:
    """Return a block with 64 bytes before its first buffer that no column shows."""
    data = corpus.blocks()[2]
    start, body, end = streams.batch(data)
    message = bytearray(data[start:body])
    # Bitmap, offsets and text of the one column; every place is moved by 64, and so is the end of the body.
    buffers = message.index(struct.pack("<qq", 0, 24))
    for at in (buffers - 16, buffers, buffers + 16):
        struct.pack_into("<q", message, at, struct.unpack_from("<q", message, at)[0] + 64)
    size = message.index(struct.pack("<q", end - body))
    struct.pack_into("<q", message, size, end - body + 64)
    return data[:start] + bytes(message) + b"hidden".ljust(64) + data[body:]


def _endless(text: bytes) -> bytes:
    """Return a block whose first text ends far behind the block."""
    data = corpus.blocks()[2]
    _, body, end = streams.batch(data)
    offsets = struct.pack("<ii", 0, 32)
    at = data.index(offsets, body, end)
    return data[: at + 4] + text + data[at + 8 :]


def _checkpoint(**changed: RawTensor) -> bytes:
    raw = dict(unframe(memoryview(corpus.checkpoints()[0]), "whole"))
    return corpus.sealed(raw | changed)


def _flipped() -> bytes:
    data = bytearray(corpus.checkpoints()[0])
    data[-1] ^= 1
    return bytes(data)


@functools.cache
def _estimator(name: str) -> bytes:
    return parsers.fitted()[name][1]


def _with_tree(change: Callable[[np.ndarray[Any, Any]], object], name: str = "IsolationForest") -> bytes:
    """Return a forest whose first tree's nodes are changed."""
    members = archives.opened(_estimator(name))
    nodes = next(key for key, value in members.items() if b"left_child" in value[:300])
    array = np.load(io.BytesIO(members[nodes])).copy()
    change(array)
    return archives.packed(members | {nodes: archives.saved(array)})


def _own_child(nodes: np.ndarray[Any, Any]) -> None:
    nodes["left_child"][0] = 0


def _far_child(nodes: np.ndarray[Any, Any]) -> None:
    nodes["right_child"][0] = 2**40


def _far_feature(nodes: np.ndarray[Any, Any]) -> None:
    nodes["feature"][0] = 1_000_000


def _described(name: str, old: str, new: str) -> bytes:
    """Return a state whose description says ``new`` where it said ``old``, once."""
    members = archives.opened(_estimator(name))
    text = members[archives.SCHEMA].decode()
    assert old in text, text
    return archives.packed(members | {archives.SCHEMA: text.replace(old, new, 1).encode()})


def _said(name: str, key: str, value: Any) -> bytes:
    """Return a state in which the estimator's attribute is another JSON value."""
    members = archives.opened(_estimator(name))
    schema = json.loads(members[archives.SCHEMA])
    node = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True, "__id__": 9_999}
    schema["content"]["content"][key] = node | {"content": json.dumps(value)}
    if len(schema["content"]["key_types"]["content"]) < len(schema["content"]["content"]):
        schema["content"]["key_types"]["content"].append(schema["content"]["key_types"]["content"][0])
    return archives.packed(members | {archives.SCHEMA: json.dumps(schema).encode()})


def _huge_array() -> bytes:
    members = archives.opened(_estimator("PCA"))
    name = next(name for name in members if name.endswith(".npy"))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return archives.packed(members | {name: b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header})


def _more_categories() -> bytes:
    members = archives.opened(_estimator("OneHotEncoder"))
    for name, content in members.items():
        if name.endswith(".npy") and (array := np.load(io.BytesIO(content))).dtype == np.float64:
            members[name] = archives.saved(np.concatenate([array, array]))
    return archives.packed(members)


def _wide_centres() -> bytes:
    members = archives.opened(_estimator("KMeans"))
    for name, content in members.items():
        if name.endswith(".npy") and (array := np.load(io.BytesIO(content))).shape == (2, corpus.FEATURES):
            return archives.packed(members | {name: archives.saved(array[:, :1].copy())})
    raise AssertionError("KMeans keeps its centres")


def _support() -> bytes:
    members = archives.opened(_estimator("OneClassSVM"))
    for name, content in members.items():
        if name.endswith(".npy") and (array := np.load(io.BytesIO(content))).shape == (2,):
            return archives.packed(members | {name: archives.saved(np.concatenate([array, array + 2**30]))})
    raise AssertionError("OneClassSVM keeps how many vectors support it")


FRAMES, PACKS, JSON = "tensor frames", "packs", "JSON"
MODELS, DATASETS, BLOCKS = "model manifests", "dataset manifests", "blocks of rows"
CHECKPOINTS, CONFIGS, STATES = "checkpoints", "configs", "scikit-learn states"

ROWS: tuple[Row, ...] = (
    Row("a length of 2**63", FRAMES, lambda: struct.pack("<Q", 2**63) + b"{}", "says its header has"),
    Row("a length beyond the file", FRAMES, lambda: struct.pack("<Q", 3) + b"{}", "is cut off"),
    Row("nothing", FRAMES, lambda: b"", "has 0 bytes"),
    Row("a tensor twice", FRAMES, lambda: _frame(b'{"a":0,"a":0}'), "twice"),
    Row("100,000 empty tensors", PACKS, lambda: _frame({f"{n:x}": _tensor([0], 0) for n in range(100_000)}), "tensors"),
    Row("a header of 1.4 million objects", PACKS, _many_objects, "values; at most 800,000 are read"),
    Row(
        "a header of 900,000 values",
        PACKS,
        lambda: _frame(b'{"a":[' + b"{}," * 900_000 + b"0]}"),
        "values; at most 800,000 are read",
    ),
    Row("nothing beside 2**62", FRAMES, lambda: _frame({"a": _tensor([0, 2**62], 0, "F32")}), "more than 2**63 bytes"),
    Row("2**62 beside nothing", FRAMES, lambda: _frame({"a": _tensor([2**62, 0, 8], 0)}), "more than 2**63 bytes"),
    Row("a shape that wraps round", FRAMES, lambda: _frame({"a": _tensor([2**32, 2**32], 0)}), "more than 2**63 bytes"),
    Row(
        "a whole number that is -0",
        FRAMES,
        lambda: _frame(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[-0,1]}}', b"1"),
        "holds -0",
    ),
    Row("a truth value of 2", FRAMES, lambda: _frame({"a": _tensor([1], 1, "BOOL")}, b"\2"), "neither 0 nor 1"),
    Row("a string that is never closed", JSON, lambda: b"[" * 70 + b'"' + b'\\"' * 500_000, "nests deeper"),
    Row("the same, cut in an escape", JSON, lambda: b"[" * 70 + b'"' + b'\\"' * 500_000 + b"\\", "nests deeper"),
    Row("three million lists", JSON, lambda: b"[" + b"[]," * 3_000_000 + b"0]", "values; at most"),
    Row("100,000 brackets", JSON, lambda: b"[" * 100_000, "nests deeper"),
    Row(
        "a version called true", MODELS, lambda: _model(lambda said: said.update(number=True)), "its 'number' cannot be"
    ),
    Row("a parent before the first", MODELS, lambda: _model(lambda said: said.update(parent=-1)), "its 'parent'"),
    Row("a manifest of format 0", MODELS, lambda: _model(lambda said: said.update(format=0)), "is not a manifest"),
    Row("a graph that is a list", MODELS, lambda: _model(lambda said: said.update(graph=[])), "its 'graph'"),
    Row("data without columns", MODELS, lambda: _model(lambda said: said["data"].pop("columns")), "its 'data'"),
    Row(
        "a layer with a field too many",
        MODELS,
        lambda: _model(lambda said: said["layers"]["scores"].update(path="../x")),
        "its 'layers'",
    ),
    Row("a metric in words", MODELS, lambda: _model(lambda said: said["metrics"].update(loss="low")), "its 'metrics'"),
    Row(
        "an escape sequence in an example",
        DATASETS,
        lambda: _data(lambda said: said["statistics"]["text"].update(examples=["\x1b[2J"])),
        "examples of a column's",
    ),
    Row(
        "a top value without a count",
        DATASETS,
        lambda: _data(lambda said: said["statistics"]["text"].update(top=[["a"]])),
        "top of a column's statistics",
    ),
    Row(
        "a mean without a spread",
        DATASETS,
        lambda: _data(lambda said: said["statistics"]["x"].update(spread=None)),
        "and not the other",
    ),
    Row("100 MB packed to nothing", BLOCKS, _zeros, "is compressed, and blocks are not"),
    Row(
        "packed, and said to be 2**62 bytes",
        BLOCKS,
        lambda: streams.claimed(streams.stream([corpus.rows()], compression="zstd"), 2**62),
        "is compressed",
    ),
    Row("packed as Arrow 0.17 did", BLOCKS, _noted, "has notes on a message"),
    Row(
        "another format of Arrow",
        BLOCKS,
        lambda: streams.stream([corpus.rows()], metadata_version=pa.ipc.MetadataVersion.V4),
        "another Arrow format",
    ),
    Row("two batches", BLOCKS, lambda: streams.stream([corpus.rows()] * 2), "more than one batch"),
    Row("no batch", BLOCKS, lambda: streams.stream([], corpus.rows().schema), "is not an Arrow block"),
    Row("bytes behind the end", BLOCKS, lambda: corpus.blocks()[0] + b"hidden", "does not end where it says"),
    Row("bytes in a hole", BLOCKS, _hole, "leave a hole"),
    Row(
        "a column of numbers into a dictionary",
        BLOCKS,
        lambda: streams.stream([pa.record_batch({"__row__": corpus.rows().column(0).dictionary_encode()})]),
        "another message than a schema",
    ),
    Row("a text that ends behind the block", BLOCKS, lambda: _endless(struct.pack("<i", 2**30)), "cannot be"),
    Row("a text that ends before it begins", BLOCKS, lambda: _endless(struct.pack("<i", -1)), "cannot be"),
    Row(
        "notes on a column",
        BLOCKS,
        lambda: streams.stream(
            [
                pa.record_batch(
                    [corpus.rows().column(0)], schema=pa.schema([pa.field("__row__", pa.string(), metadata={"a": "b"})])
                )
            ]
        ),
        "other columns than",
    ),
    Row("one bit of the weights", CHECKPOINTS, _flipped, "not as it was written"),
    Row(
        "progress that is a list", CHECKPOINTS, lambda: _checkpoint(progress=RawTensor("U8", (2,), b"[]")), "is a list"
    ),
    Row(
        "weights of a type that no layer makes",
        CHECKPOINTS,
        lambda: _checkpoint(w=RawTensor("F8_E5M2", (1,), b"a")),
        "no layer makes",
    ),
    Row("a newer repository", CONFIGS, lambda: encode({"format": 2**31, "id": "0"}), "install a newer Layerwise"),
    Row("a repository of format true", CONFIGS, lambda: b'{"format":true,"id":"0"}', "expected a whole number"),
    Row(
        "a node that is its own child", STATES, lambda: _with_tree(_own_child), "a child or a feature that is not there"
    ),
    Row("a child that is not there", STATES, lambda: _with_tree(_far_child), "a child or a feature that is not there"),
    Row(
        "a feature that is not there",
        STATES,
        lambda: _with_tree(_far_feature),
        "a child or a feature that is not there",
    ),
    Row(
        "the same in an embedding",
        STATES,
        lambda: _with_tree(_far_feature, "RandomTreesEmbedding"),
        "a child or a feature that is not there",
    ),
    Row(
        "a tree of another width than its forest",
        STATES,
        lambda: _described("IsolationForest", '"content": "4", "is_json": true', '"content": "99", "is_json": true'),
        "",
    ),
    Row("an array of 10**12 numbers", STATES, _huge_array, "of shape [1000000000000]"),
    Row(
        "a packed state",
        STATES,
        lambda: archives.packed(archives.opened(_estimator("PCA")), zipfile.ZIP_DEFLATED),
        "is packed",
    ),
    Row("more categories than columns", STATES, _more_categories, "refuses the rows"),
    Row("centres of another width", STATES, _wide_centres, "cluster_centers_ is not of shape"),
    Row("more classes of support than there are", STATES, _support, "is not of shape"),
    Row("a value in the place of a method", STATES, lambda: _said("PCA", "transform", 1), "in the place of its method"),
    Row("a million threads", STATES, lambda: _said("KMeans", "_n_threads", 10**6), "threads"),
    Row(
        "a million processes", STATES, lambda: _said("IsolationForest", "n_jobs", 10**6), "'n_jobs' is not the layer's"
    ),
)

PARSERS: dict[str, Parser] = {row.id: row.as_parser() for row in ROWS}
