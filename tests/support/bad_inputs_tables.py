"""Bad sources of data: files cut short, empty, of another kind than they say, and tables that cannot be kept."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import layerwise as lw
from tests.support.bad_inputs import Bad, Content, command, python, table


def _parquet(columns: dict[str, Any], keep: float = 1.0) -> Content:
    def write(path: Path) -> None:
        pq.write_table(pa.table(columns), path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])

    return write


def _npz(keep: float = 1.0, **arrays: Any) -> Content:
    def write(path: Path) -> None:
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        data = file.getvalue()
        path.write_bytes(data[: int(len(data) * keep)])

    return write


def _member(header: str, data: bytes = b"", declared: int | None = None) -> Content:
    """Return an archive of one array whose header says what it likes."""

    def write(path: Path) -> None:
        text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)

    return write


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w", force_zip64=True) as file:
        header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3000000000), }"
        text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
        for _ in range(8):
            file.write(bytes(1 << 20))


def _image(color: str = "red") -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "PNG")
    return file.getvalue()


def _rows(source: Any, **options: Any) -> Callable[[Any], object]:
    return lambda bench: lw.dataset("new", source, repo=bench.repo, **options)


ROWS: list[Bad] = [
    table("csv empty", "t.csv", "", "InvalidFile"),
    table("csv of a header alone", "t.csv", "a,b\n", "InvalidData"),
    table("csv ragged", "t.csv", "a,b\n1,2\n3\n", "InvalidFile"),
    table("csv with a column twice", "t.csv", "a,b,a\n1,2,3\n", "InvalidFile"),
    table("csv with a column without a name", "t.csv", "a,\n1,2\n", "InvalidData"),
    table("csv not UTF-8", "t.csv", b"name\ncaf\xe9\n", "InvalidFile"),
    table("csv with a header not UTF-8", "t.csv", b"caf\xe9\n1\n", "InvalidFile"),
    table("csv cut in a quote", "t.csv", 'a,b\n1,"two\n3,4\n', "InvalidFile"),
    table("csv with a control character in a name", "t.csv", "a\x1b[31m,b\n1,2\n", "InvalidData"),
    table("csv with a name of 10 kB", "t.csv", "a" * 10_000 + ",b\n1,2\n", "InvalidData"),
    table("csv that is a png", "t.csv", _image(), "InvalidFile"),
    table("csv without its key", "t.csv", "a,b\n1,2\n", "InvalidData", more=("--key", "idd")),
    table("csv with its key twice", "t.csv", "id,b\n7,2\n8,3\n7,4\n", "InvalidData", more=("--key", "id")),
    table("csv with a key missing", "t.csv", "id,b\n7,2\n,3\n", "InvalidData", more=("--key", "id")),
    table("csv with a key of fractions", "t.csv", "id,b\n7.5,2\n8,3\n", "InvalidData", more=("--key", "id")),
    table("csv with a key of 2,000 characters", "t.csv", f"id,b\n{'x' * 2000},2\n", "InvalidData", more=("--key", "id")),
    table("csv with our own column", "t.csv", "__row__,b\n1,2\n", "InvalidData"),
    table("jsonl empty", "t.jsonl", "", "InvalidData"),
    table("jsonl cut short", "t.jsonl", '{"a": 1}\n{"a": \n', "InvalidFile"),
    table("jsonl of lists", "t.jsonl", '{"a": 1}\n[1, 2]\n', "InvalidFile"),
    table("jsonl with a key twice", "t.jsonl", '{"a": 1}\n{"a": 1, "a": 2}\n', "InvalidFile"),
    table("jsonl with NaN", "t.jsonl", '{"a": NaN}\n', "InvalidFile"),
    table("jsonl with infinity", "t.jsonl", '{"a": 1e999}\n', "InvalidFile"),
    table("jsonl nested 200 deep", "t.jsonl", '{"a": ' + "[" * 200 + "]" * 200 + "}\n", "InvalidFile"),
    table("jsonl with a number of 5,000 digits", "t.jsonl", '{"a": ' + "9" * 5000 + "}\n", "InvalidFile"),
    table("jsonl of two types", "t.jsonl", '{"a": 1}\n{"a": "one"}\n', "InvalidFile"),
    table("jsonl with an object inside", "t.jsonl", '{"a": {"b": 1}}\n', "InvalidData"),
    table("jsonl not UTF-8", "t.jsonl", b'{"a": "caf\xe9"}\n', "InvalidFile"),
    table("jsonl of empty objects", "t.jsonl", "{}\n{}\n", "InvalidData"),
    table("jsonl with an empty line", "t.jsonl", '{"a": 1}\n\n{"a": 2}\n', "InvalidFile"),
    table("jsonl with half a character", "t.jsonl", '{"a": "\\ud800"}\n', "InvalidFile"),
    table("parquet cut short", "t.parquet", _parquet({"a": list(range(1000))}, keep=0.6), "InvalidFile"),
    table("parquet that is text", "t.parquet", "a,b\n1,2\n", "InvalidFile"),
    table("parquet empty", "t.parquet", "", "InvalidFile"),
    table("parquet of no rows", "t.parquet", _parquet({"a": pa.array([], pa.int64())}), "InvalidData"),
    table("parquet of structs", "t.parquet", _parquet({"a": pa.array([{"b": 1}])}), "InvalidData"),
    table("parquet of maps", "t.parquet", _parquet({"a": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))}),
          "InvalidData"),
    table("npz cut short", "t.npz", _npz(keep=0.5, a=np.arange(1000)), "InvalidFile"),
    table("npz that is text", "t.npz", "a,b\n1,2\n", "InvalidFile"),
    table("npz empty", "t.npz", "", "InvalidFile"),
    table("npz of no arrays", "t.npz", _npz(), "InvalidFile"),
    table("npz of objects", "t.npz", _npz(a=np.array([{"x": 1}, None], dtype=object)), "InvalidFile"),
    table("npz of unequal lengths", "t.npz", _npz(a=np.arange(3), b=np.arange(4)), "InvalidData"),
    table("npz of one number", "t.npz", _npz(a=np.array(3)), "InvalidData"),
    table("npz of complex numbers", "t.npz", _npz(a=np.array([1j, 2j])), "InvalidData"),
    table("npz that declares 10**12 numbers", "t.npz",
          _member("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", bytes(64)), "InvalidFile"),
    table("npz of a negative shape", "t.npz", _member("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }", bytes(24)),
          "InvalidFile"),
    table("npz with code in its header", "t.npz", _member("{'descr': __import__('os').system('id'), 'shape': (3,)}"),
          "InvalidFile"),
    table("npz bomb", "t.npz", _bomb, "InvalidFile"),
    table("ending not known", "t.xlsx", "a,b\n1,2\n", "InvalidFile"),
    table("ending of pickles", "t.pkl", b"\x80\x04.", "InvalidFile"),
    table("no ending", "table", "a,b\n1,2\n", "InvalidFile"),
    command("no such file", ["data", "add", "new", "tabel.csv"], "InvalidFile", files={"table.csv": "a\n1\n"}),
    command("a name with NUL", ["data", "add", "new", "a\0b.csv"], "InvalidFile"),
    command("no file at all", ["data", "add", "new", ""], "InvalidFile"),
    command("folder without images", ["data", "add", "new", "scans"], "InvalidFile", files={"scans/notes.txt": "x"}),
    command("folder of images without classes", ["data", "add", "new", "scans"], "InvalidFile",
            files={"scans/a.png": _image()}),
    command("image that is text", ["data", "add", "new", "scans"], "InvalidFile",
            files={"scans/cat/a.png": _image(), "scans/cat/b.png": "not an image"}),
    command("image cut short", ["data", "add", "new", "scans"], "InvalidFile", files={"scans/cat/a.png": _image()[:40]}),
    command("image that is empty", ["data", "add", "new", "scans"], "InvalidFile", files={"scans/cat/a.jpg": b""}),
    python("rows: nothing", _rows([]), "InvalidData"),
    python("rows: an empty dict", _rows({}), "InvalidData"),
    python("rows: a number", _rows(3), "InvalidData"),
    python("rows: an array without a name", _rows(np.ones((2, 2))), "InvalidData"),
    python("rows: no rows", _rows({"a": np.ones(0)}), "InvalidData"),
    python("rows: of unequal lengths", _rows({"a": [1, 2], "b": [1]}), "InvalidData"),
    python("rows: objects", _rows({"a": [object(), object()]}), "InvalidData"),
    python("rows: of two types", _rows({"a": [1, "one"]}), "InvalidData"),
    python("rows: a column of a number", _rows({3: [1, 2]}), "InvalidData"),
    python("rows: a list of lists", _rows([[1, 2], [3, 4]]), "InvalidData"),
    python("rows: columns twice", _rows(pa.table([[1], [2]], names=["a", "a"])), "InvalidData"),
    python("rows: an extension type", _rows(pa.table({"a": pa.array([b"x" * 16], pa.uuid())})), "InvalidData"),
    python("rows: tensors of several shapes", _rows({"a": [np.ones((2, 2)), np.ones((2, 3))]}), "InvalidData"),
    python("rows: half a character", _rows({"a": ["\ud800"]}), "InvalidData"),
    python("rows: a key that is a list", _rows({"a": [[1], [2]]}, key="a"), "InvalidData"),
    python("rows: a key of a number", _rows({"a": [1, 2]}, key=3), "InvalidData"),
    python("rows: a message of a number", _rows({"a": [1, 2]}, message=3), "InvalidName"),
]
