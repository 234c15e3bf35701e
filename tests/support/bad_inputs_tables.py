"""Bad sources of data: files cut short, empty, of another kind than they say, and tables that cannot be kept."""

from __future__ import annotations

import io
import os
import struct
import warnings
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


def _member(header: str, data: bytes = b"") -> Content:
    """Return an archive of one array whose header says what it likes."""

    def write(path: Path) -> None:
        text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)

    return write


def _bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3000000000), }"
        text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
        for _ in range(8):
            file.write(bytes(1 << 20))


def _archive(name: str, data: bytes) -> Content:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, data)

    return write


def _twice(path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.arange(3))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("x.npy", file.getvalue())


def _pickled(path: Path) -> None:
    # What pyarrow before 14.0.1 unpickled (CVE-2023-47248).
    said = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": "cos\nsystem\n(S'id'\ntR."}
    field = pa.field("a", pa.int64(), metadata=said)
    pq.write_table(pa.table([pa.array([1, 2])], schema=pa.schema([field])), path)


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _image(color: str = "red") -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "PNG")
    return file.getvalue()


def _rows(source: Any, **options: Any) -> Callable[[Any], object]:
    return lambda bench: lw.dataset("new", source, repo=bench.repo, **options)


ROWS: list[Bad] = [
    table("csv empty", "t.csv", "", "InvalidFile", "t.csv", "cannot be read as CSV", "Empty CSV file"),
    table(
        "csv of a header alone", "t.csv", "a,b\n", "InvalidData", "t.csv", "has no rows", "a dataset needs at least one"
    ),
    table("csv ragged", "t.csv", "a,b\n1,2\n3\n", "InvalidFile", "t.csv", "Row #3: Expected 2 columns, got 1"),
    table(
        "csv with a column twice",
        "t.csv",
        "a,b,a\n1,2,3\n",
        "InvalidFile",
        "t.csv",
        "'a'",
        "every column needs its own",
    ),
    table(
        "csv with a column without a name",
        "t.csv",
        "a,\n1,2\n",
        "InvalidData",
        "t.csv",
        "''",
        "expected 1 to 200 characters, no control characters",
    ),
    table("csv not UTF-8", "t.csv", b"name\ncaf\xe9\n", "InvalidFile", "t.csv", "'name'", "save the file as UTF-8"),
    table(
        "csv with a header not UTF-8",
        "t.csv",
        b"caf\xe9\n1\n",
        "InvalidFile",
        "t.csv",
        "the header is not UTF-8 text",
        "save the file as UTF-8",
    ),
    table(
        "csv cut in a quote",
        "t.csv",
        'a,b\n1,"two\n3,4\n',
        "InvalidFile",
        "t.csv",
        'the last row begins a text with " and does',
        "write it anew",
    ),
    table(
        "csv with a control character in a name",
        "t.csv",
        "a\x1b[31m,b\n1,2\n",
        "InvalidData",
        "t.csv",
        "'a\\x1b[31m'",
        "expected 1 to 200 characters, no control characters",
    ),
    table(
        "csv with a name of 10 kB",
        "t.csv",
        "a" * 10_000 + ",b\n1,2\n",
        "InvalidData",
        "t.csv",
        "… (10,000 characters)",
        "expected 1 to 200 characters, no control characters",
    ),
    table(
        "csv that is a png",
        "t.csv",
        _image(),
        "InvalidFile",
        "t.csv",
        "the header is not UTF-8 text",
        "save the file as UTF-8",
    ),
    table(
        "csv without its key",
        "t.csv",
        "a,b\n1,2\n",
        "InvalidData",
        "no column 'idd'",
        "There is: a, b.",
        more=("--key", "idd"),
    ),
    table(
        "csv with its key twice",
        "t.csv",
        "id,b\n7,2\n8,3\n7,4\n",
        "InvalidData",
        "'id'",
        "drop the repeated rows, choose a column that differs in",
        more=("--key", "id"),
    ),
    table(
        "csv with a key missing", "t.csv", "id,b\n7,2\n,3\n", "InvalidData", "'id'", "fill it in", more=("--key", "id")
    ),
    table(
        "csv with a key of fractions",
        "t.csv",
        "id,b\n7.5,2\n8,3\n",
        "InvalidData",
        "'id'",
        "a key is text or whole numbers",
        more=("--key", "id"),
    ),
    table(
        "csv with a key of 2,000 characters",
        "t.csv",
        f"id,b\n{'x' * 2000},2\n",
        "InvalidData",
        "the key 'id' must be 1 to 1,000 bytes of text in every row",
        more=("--key", "id"),
    ),
    table(
        "csv with our own column",
        "t.csv",
        "__row__,b\n1,2\n",
        "InvalidData",
        "t.csv",
        "'__row__'",
        "give the column another name",
    ),
    table("jsonl empty", "t.jsonl", "", "InvalidData", "t.jsonl", "has no rows", "a dataset needs at least one"),
    table(
        "jsonl cut short",
        "t.jsonl",
        '{"a": 1}\n{"a": \n',
        "InvalidFile",
        "t.jsonl, line 2",
        "is not JSON",
        "Expecting value at character 7",
    ),
    table(
        "jsonl of lists",
        "t.jsonl",
        '{"a": 1}\n[1, 2]\n',
        "InvalidFile",
        "t.jsonl, line 2",
        "is list,",
        "expected an object of column: value",
    ),
    table(
        "jsonl with a key twice",
        "t.jsonl",
        '{"a": 1}\n{"a": 1, "a": 2}\n',
        "InvalidFile",
        "t.jsonl, line 2",
        "'a'",
        "keep one",
    ),
    table(
        "jsonl with NaN",
        "t.jsonl",
        '{"a": NaN}\n',
        "InvalidFile",
        "t.jsonl, line 1",
        "holds NaN, which JSON does not have",
        "write null where a value is missing",
    ),
    table(
        "jsonl with infinity",
        "t.jsonl",
        '{"a": 1e999}\n',
        "InvalidFile",
        "t.jsonl, line 1",
        "holds the number '1e999', which is too large for a float",
    ),
    table(
        "jsonl nested 200 deep",
        "t.jsonl",
        '{"a": ' + "[" * 200 + "]" * 200 + "}\n",
        "InvalidFile",
        "t.jsonl, line 1",
        "nests deeper than 64 levels",
    ),
    table(
        "jsonl with a number of 5,000 digits",
        "t.jsonl",
        '{"a": ' + "9" * 5000 + "}\n",
        "InvalidFile",
        "t.jsonl, line 1",
        "holds a whole number of 5,000 digits",
        "at most 40 are read",
    ),
    table(
        "jsonl of two types",
        "t.jsonl",
        '{"a": 1}\n{"a": "one"}\n',
        "InvalidFile",
        "t.jsonl, lines 1 to 2",
        "'a'",
        "give the column one type",
    ),
    table(
        "jsonl with an object inside",
        "t.jsonl",
        '{"a": {"b": 1}}\n',
        "InvalidData",
        "t.jsonl",
        "'a'",
        "turn the column into one of these or leave it out",
    ),
    table(
        "jsonl not UTF-8",
        "t.jsonl",
        b'{"a": "caf\xe9"}\n',
        "InvalidFile",
        "t.jsonl, line 1",
        "is not JSON: the byte 0xe9 is not UTF-8",
        "save it as UTF-8",
    ),
    table(
        "jsonl of empty objects",
        "t.jsonl",
        "{}\n{}\n",
        "InvalidData",
        "t.jsonl",
        "has no rows",
        "a dataset needs at least one",
    ),
    table(
        "jsonl with an empty line",
        "t.jsonl",
        '{"a": 1}\n\n{"a": 2}\n',
        "InvalidFile",
        "t.jsonl, line 2",
        "is not JSON",
        "Expecting value at character 1",
    ),
    table(
        "jsonl with half a character",
        "t.jsonl",
        '{"a": "\\ud800"}\n',
        "InvalidFile",
        "t.jsonl, line 1",
        "a text of the value holds '\\ud800', half of a character,",
    ),
    table(
        "parquet cut short",
        "t.parquet",
        _parquet({"a": list(range(1000))}, keep=0.6),
        "InvalidFile",
        "t.parquet",
        "cannot be read as Parquet",
        "Parquet magic bytes not found in footer. Either the file",
    ),
    table(
        "parquet that is text",
        "t.parquet",
        "a,b\n1,2\n",
        "InvalidFile",
        "t.parquet",
        "cannot be read as Parquet",
        "Parquet magic bytes not found in footer. Either the file",
    ),
    table(
        "parquet empty",
        "t.parquet",
        "",
        "InvalidFile",
        "t.parquet",
        "cannot be read as Parquet",
        "Parquet file size is 0 bytes",
    ),
    table(
        "parquet of no rows",
        "t.parquet",
        _parquet({"a": pa.array([], pa.int64())}),
        "InvalidData",
        "t.parquet",
        "has no rows",
        "a dataset needs at least one",
    ),
    table(
        "parquet of structs",
        "t.parquet",
        _parquet({"a": pa.array([{"b": 1}])}),
        "InvalidData",
        "t.parquet",
        "'a'",
        "turn the column into one of these or leave it out",
    ),
    table(
        "parquet of maps",
        "t.parquet",
        _parquet({"a": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))}),
        "InvalidData",
        "t.parquet",
        "'a'",
        "turn the column into one of these or leave it out",
    ),
    table(
        "parquet that hides a pickle",
        "t.parquet",
        _pickled,
        "InvalidData",
        "t.parquet",
        "'a'",
        "turn the column into one of these or leave it out",
    ),
    table(
        "npz cut short",
        "t.npz",
        _npz(keep=0.5, a=np.arange(1000)),
        "InvalidFile",
        "t.npz",
        "cannot be read as an archive of arrays",
        "File is not a zip file",
    ),
    table(
        "npz that is text",
        "t.npz",
        "a,b\n1,2\n",
        "InvalidFile",
        "t.npz",
        "cannot be read as an archive of arrays",
        "File is not a zip file",
    ),
    table(
        "npz empty",
        "t.npz",
        "",
        "InvalidFile",
        "t.npz",
        "cannot be read as an archive of arrays",
        "File is not a zip file",
    ),
    table(
        "npz of no arrays", "t.npz", _npz(), "InvalidData", "t.npz", "the table has no columns", "give it at least one"
    ),
    table(
        "npz of objects",
        "t.npz",
        _npz(a=np.array([{"x": 1}, None], dtype=object)),
        "InvalidFile",
        "t.npz",
        "'a'",
        "save numbers or text",
    ),
    table(
        "npz of unequal lengths",
        "t.npz",
        _npz(a=np.arange(3), b=np.arange(4)),
        "InvalidData",
        "t.npz",
        "'a'",
        "every column needs the same number",
    ),
    table(
        "npz of one number",
        "t.npz",
        _npz(a=np.array(3)),
        "InvalidFile",
        "t.npz",
        "'a' is a single value, not an array of rows",
    ),
    table(
        "npz of complex numbers",
        "t.npz",
        _npz(a=np.array([1j, 2j])),
        "InvalidData",
        "t.npz",
        "column 'a' is of NumPy type 'complex128', which is not",
    ),
    table(
        "npz that declares 10**12 numbers",
        "t.npz",
        _member("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", bytes(64)),
        "InvalidFile",
        "t.npz",
        "'x' says it is float64 of shape [1000000000000], which",
    ),
    table(
        "npz of a negative shape",
        "t.npz",
        _member("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }", bytes(24)),
        "InvalidFile",
        "t.npz",
        "'x' says it is float64 of shape [-3], which does not fit",
    ),
    table(
        "npz with code in its header",
        "t.npz",
        _member("{'descr': __import__('os').system('id'), 'shape': (3,)}"),
        "InvalidFile",
        "t.npz",
        "'x'",
        "save it with numpy.savez",
    ),
    table("npz of an array twice", "t.npz", _twice, "InvalidFile", "t.npz", "'x'", "keep one"),
    table(
        "npz of two negative sizes",
        "t.npz",
        _member("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, -1), }", bytes(24)),
        "InvalidFile",
        "t.npz",
        "'x' says it is float64 of shape [-3, -1], which does not",
    ),
    table(
        "npz of 10**12 values without bytes",
        "t.npz",
        _member("{'descr': '|S0', 'fortran_order': False, 'shape': (1000000000000,), }"),
        "InvalidFile",
        "t.npz",
        "'x' holds values of no bytes",
        "save numbers or text",
    ),
    table(
        "npz of another format",
        "t.npz",
        _archive("x.npy", b"\x93NUMPY\x09\x00" + bytes(100)),
        "InvalidFile",
        "t.npz",
        "'x'",
        "1.0 and 2.0 are read",
    ),
    table(
        "npz of another file",
        "t.npz",
        _archive("x.pkl", b"\x80\x04."),
        "InvalidFile",
        "t.npz",
        "'x.pkl' is not an array (.npy)",
    ),
    table(
        "npz of a path",
        "t.npz",
        _archive("../../x\x1b.npy", b"\x93NUMPY\x09\x00" + bytes(100)),
        "InvalidFile",
        "t.npz",
        "'../../x\\x1b'",
        "1.0 and 2.0 are read",
    ),
    table(
        "npz bomb", "t.npz", _bomb, "InvalidFile", "t.npz", "'x' says it is uint8 of shape [1, 3000000000], which does"
    ),
    table(
        "ending not known",
        "t.xlsx",
        "a,b\n1,2\n",
        "InvalidFile",
        "t.xlsx",
        "is not known",
        "expected one of .csv, .parquet, .jsonl, .npz, or a folder",
    ),
    table(
        "ending of pickles",
        "t.pkl",
        b"\x80\x04.",
        "InvalidFile",
        "t.pkl",
        "is not known",
        "expected one of .csv, .parquet, .jsonl, .npz, or a folder",
    ),
    table(
        "no ending",
        "table",
        "a,b\n1,2\n",
        "InvalidFile",
        "is not known",
        "expected one of .csv, .parquet, .jsonl, .npz, or a folder",
    ),
    command(
        "no such file",
        ["data", "add", "new", "tabel.csv"],
        "InvalidFile",
        "tabel.csv: no such file or folder",
        "Did you mean 'table.csv'",
        files={"table.csv": "a\n1\n"},
    ),
    python("a file's name with NUL", _rows("a\0b.csv"), "InvalidFile", "a\\x00b.csv", "no such file or folder."),
    python(
        "a file's name of 10 kB",
        _rows("x" * 10_000 + ".csv"),
        "InvalidFile",
        "… (10,004 characters)",
        "File name too long",
    ),
    command(
        "a pipe",
        ["data", "add", "new", "pipe.csv"],
        "InvalidFile",
        "pipe.csv is neither a file nor a folder, and is not read",
        files={"pipe.csv": os.mkfifo},
    ),
    command(
        "a device",
        ["data", "add", "new", "/dev/zero"],
        "InvalidFile",
        "/dev/zero is neither a file nor a folder, and is not read",
    ),
    command(
        "a folder of links",
        ["data", "add", "new", "scans"],
        "InvalidFile",
        "scans holds no images in subfolders",
        "expected FOLDER/CLASS/IMAGE.png",
        files={"scans/cat/a.png": _link},
    ),
    command(
        "folder without images",
        ["data", "add", "new", "scans"],
        "InvalidFile",
        "scans holds no images in subfolders",
        "expected FOLDER/CLASS/IMAGE.png",
        files={"scans/notes.txt": "x"},
    ),
    command(
        "folder of images without classes",
        ["data", "add", "new", "scans"],
        "InvalidFile",
        "scans holds no images in subfolders",
        "expected FOLDER/CLASS/IMAGE.png",
        files={"scans/a.png": _image()},
    ),
    command(
        "image that is text",
        ["data", "add", "new", "scans"],
        "InvalidFile",
        "scans/cat/b.png",
        "is not an image that can be read: it begins",
        "repair or remove it",
        files={"scans/cat/a.png": _image(), "scans/cat/b.png": "not an image"},
    ),
    command(
        "image cut short",
        ["data", "add", "new", "scans"],
        "InvalidFile",
        "scans/cat/a.png",
        "is not an image that can be read: it begins",
        "repair or remove it",
        files={"scans/cat/a.png": _image()[:40]},
    ),
    command(
        "image that is empty",
        ["data", "add", "new", "scans"],
        "InvalidFile",
        "scans/cat/a.jpg",
        "is not an image that can be read: it begins",
        "repair or remove it",
        files={"scans/cat/a.jpg": b""},
    ),
    python("rows: nothing", _rows([]), "InvalidData", "the list of rows has no rows", "a dataset needs at least one"),
    python("rows: an empty dict", _rows({}), "InvalidData", "the table has no columns", "give it at least one"),
    python(
        "rows: a number",
        _rows(3),
        "InvalidData",
        "'builtins.int'",
        "give a pandas or Polars frame, an Arrow table, a dict of",
    ),
    python(
        "rows: an array without a name",
        _rows(np.ones((2, 2))),
        "InvalidData",
        'an array without a name (write {"name":',
        "give a pandas or Polars frame, an Arrow table, a dict of",
    ),
    python(
        "rows: no rows",
        _rows({"a": np.ones(0)}),
        "InvalidData",
        "the dict of arrays has no rows",
        "a dataset needs at least one",
    ),
    python(
        "rows: of unequal lengths",
        _rows({"a": [1, 2], "b": [1]}),
        "InvalidData",
        "'a'",
        "every column needs the same number",
    ),
    python("rows: objects", _rows({"a": [object(), object()]}), "InvalidData", "'a'", "give the column one type"),
    python("rows: of two types", _rows({"a": [1, "one"]}), "InvalidData", "'a'", "give the column one type"),
    python("rows: a column of a number", _rows({3: [1, 2]}), "InvalidData", "found int", "rename the column"),
    python(
        "rows: a list of lists", _rows([[1, 2], [3, 4]]), "InvalidData", "is list,", "expected a dict of column: value"
    ),
    python(
        "rows: columns twice",
        _rows(pa.table([[1], [2]], names=["a", "a"])),
        "InvalidData",
        "'a'",
        "every column needs its own",
    ),
    python(
        "rows: an extension type",
        _rows(pa.table({"a": pa.array([b"x" * 16], pa.uuid())})),
        "InvalidData",
        "'a'",
        "turn the column into one of these or leave it out",
    ),
    python(
        "rows: tensors of several shapes",
        _rows({"a": [np.ones((2, 2)), np.ones((2, 3))]}),
        "InvalidData",
        "'a'",
        "give them one",
    ),
    python("rows: half a character", _rows({"a": ["\ud800"]}), "InvalidData", "'a'", "write the whole one"),
    python(
        "rows: a key that is a list",
        _rows({"a": [[1], [2]]}, key="a"),
        "InvalidData",
        "'a'",
        "a key is text or whole numbers",
    ),
    python(
        "rows: a key of a number",
        _rows({"a": [1, 2]}, key=3),
        "InvalidData",
        "there is no column 3 to be the key",
        "There is: a.",
    ),
    python(
        "rows: a message of a number",
        _rows({"a": [1, 2]}, message=3),
        "InvalidName",
        "'3' is not a message",
        "expected at most 100,000 characters, none of them NUL",
    ),
]
