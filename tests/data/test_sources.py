"""Every kind of source: the same content is the same rows, and what cannot be used says so clearly."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from PIL import Image

from layerwise.data import add, as_table, npz
from layerwise.data.images import MAX_PIXELS
from layerwise.errors import InvalidData, InvalidFile
from layerwise.store.store import Store
from tests.data.tables import ids

DAY = datetime.fromisoformat("2020-01-01")

NUMBERS = {"age": np.array([36, 41, 7]), "weight": np.array([60.5, 0.0, 22.25])}
PEOPLE: dict[str, list[Any]] = {
    "name": ["Ada", "Bo", None],
    "age": [36, 41, 7],
    "weight": [60.5, None, 22.25],
    "member": [True, False, True],
}


def written(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def parquet(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "people.parquet", row_group_size=2)
    return folder / "people.parquet"


def lines(table: pa.Table) -> str:
    return "".join(json.dumps(row) + "\n" for row in table.to_pylist())


def archive(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "arrays.npz", **arrays)
    return folder / "arrays.npz"


CSV = "name,age,weight,member\nAda,36,60.5,true\nBo,41,,false\n,7,22.25,true\n"

SOURCES: dict[str, Callable[[Path], Any]] = {
    "arrow table": lambda folder: pa.table(PEOPLE),
    "arrow batch": lambda folder: pa.RecordBatch.from_pydict(PEOPLE),
    "arrow reader": lambda folder: pa.table(PEOPLE).to_reader(max_chunksize=2),
    "arrow dataset": lambda folder: pads.dataset(parquet(folder, pa.table(PEOPLE))),
    "encoded": lambda folder: pa.table(PEOPLE).set_column(0, "name", pa.array(PEOPLE["name"]).dictionary_encode()),
    "large text": lambda folder: pa.table(PEOPLE).set_column(0, "name", pa.array(PEOPLE["name"], pa.large_string())),
    "pandas": lambda folder: pd.DataFrame(PEOPLE),
    "pandas with an index": lambda folder: pd.DataFrame(PEOPLE, index=[5, 7, 9]),
    "pandas categories": lambda folder: pd.DataFrame(PEOPLE).astype({"name": "category"}),
    "polars": lambda folder: pl.DataFrame(PEOPLE),
    "polars categories": lambda folder: pl.DataFrame(PEOPLE).with_columns(pl.col("name").cast(pl.Categorical)),
    "dict of lists": lambda folder: PEOPLE,
    "dict of series": lambda folder: {name: pl.Series(values) for name, values in PEOPLE.items()},
    "rows": lambda folder: pa.table(PEOPLE).to_pylist(),
    "hugging face": lambda folder: datasets.Dataset.from_dict(PEOPLE),
    "hugging face, selected": lambda folder: datasets.Dataset.from_dict(PEOPLE).select([2, 1, 0]).select([2, 1, 0]),
    "csv": lambda folder: written(folder, "people.csv", CSV),
    "csv with a byte order mark": lambda folder: written(folder, "people.csv", b"\xef\xbb\xbf" + CSV.encode()),
    "csv of windows": lambda folder: written(folder, "people.csv", CSV.replace("\n", "\r\n")),
    "parquet": lambda folder: parquet(folder, pa.table(PEOPLE)),
    "jsonl": lambda folder: written(folder, "people.jsonl", lines(pa.table(PEOPLE))),
    "a path as text": lambda folder: str(written(folder, "people.CSV", CSV)),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_same_content_is_the_same_rows(store: Store, tmp_path: Path, kind: str) -> None:
    add(store, "people", pa.table(PEOPLE))
    again = add(store, "people", SOURCES[kind](tmp_path))
    assert not again, again.dataset.schema


@pytest.mark.parametrize("kind", ["arrays", "npz", "columns of one", "other byte order", "strided", "masked"])
def test_arrays_are_the_same_rows(store: Store, tmp_path: Path, kind: str) -> None:
    add(store, "numbers", pa.table(NUMBERS))
    sources: dict[str, Any] = {
        "arrays": NUMBERS,
        "npz": archive(tmp_path, **NUMBERS),
        "columns of one": {name: values.reshape(-1, 1) for name, values in NUMBERS.items()},
        "other byte order": {name: values.astype(values.dtype.newbyteorder()) for name, values in NUMBERS.items()},
        "strided": {name: np.repeat(values, 2)[::2] for name, values in NUMBERS.items()},
        "masked": {name: np.ma.masked_array(values) for name, values in NUMBERS.items()},
    }
    assert not add(store, "numbers", sources[kind])


IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)

TENSORS: dict[str, Callable[[Path], Any]] = {
    "array": lambda folder: {"image": IMAGES},
    "fortran order": lambda folder: {"image": np.asfortranarray(IMAGES)},
    "list of arrays": lambda folder: {"image": list(IMAGES)},
    "rows": lambda folder: [{"image": image} for image in IMAGES],
    "npz": lambda folder: archive(folder, image=IMAGES),
    "npz in fortran order": lambda folder: archive(folder, image=np.asfortranarray(IMAGES)),
    "polars": lambda folder: pl.DataFrame({"image": pl.Series(IMAGES.tolist(), dtype=pl.Array(pl.UInt8, (4, 5)))}),
    "parquet": lambda folder: parquet(folder, as_table({"image": IMAGES})),
    "hugging face": lambda folder: datasets.Dataset.from_dict(
        {"image": IMAGES}, features=datasets.Features({"image": datasets.Array2D((4, 5), "uint8")})
    ),
    "nested lists": lambda folder: pa.table({"image": pa.array(IMAGES.tolist(), pa.list_(pa.list_(pa.uint8())))}),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_are_the_same_rows(store: Store, tmp_path: Path, kind: str) -> None:
    dataset = add(store, "images", {"image": IMAGES}).dataset
    assert dataset.schema.field("image").type == pa.fixed_shape_tensor(pa.uint8(), [4, 5])
    assert not add(store, "images", TENSORS[kind](tmp_path))
    assert dataset[2]["image"].tolist() == IMAGES[2].tolist()


def test_types_that_are_brought_to_others() -> None:
    table = pa.table(
        {
            "price": pa.array([Decimal("1.50"), None]),
            "day": pa.array([date(2020, 1, 1), None], pa.date64()),
            "at": pa.array([DAY, None], pa.timestamp("s")),
            "code": pa.array([b"ab", None], pa.binary(2)),
            "nothing": pa.nulls(2),
            "runs": pa.RunEndEncodedArray.from_arrays([2], ["a"]),
            "marks": pa.array([["x"], None], pa.large_list(pa.large_string())),
            "mask": pa.array([[True, False]] * 2, pa.list_(pa.bool_(), 2)),
        }
    )
    found = as_table(table)
    assert [str(kind) for kind in found.schema.types[:-1]] == [
        "double", "date32[day]", "timestamp[us]", "binary", "double", "string", "list<item: string>",
    ]  # fmt: skip
    assert found["price"].to_pylist() == [1.5, None]
    assert found["mask"].chunk(0).storage.to_pylist() == [[1, 0], [1, 0]]


def test_numpy_types() -> None:
    found = as_table(
        {
            "day": np.array(["2020-01-01", "NaT"], "datetime64[D]"),
            "hour": np.array(["2020-01-01T05", "2020-01-01T06"], "datetime64[h]"),
            "word": np.array(["ab", "c"]),
            "bytes": np.array([b"ab", b"c"]),
            "half": np.array([1, 2], np.float16),
            "gone": np.ma.masked_array([1, 2], [False, True]),
            "mask": np.ones((2, 3), dtype=bool),
        }
    )
    assert found["day"].to_pylist() == [date(2020, 1, 1), None]
    assert found["hour"].to_pylist()[0] == DAY.replace(hour=5)
    assert found["bytes"].to_pylist() == [b"ab", b"c"]
    assert found["gone"].to_pylist() == [1, None]
    assert found.schema.field("mask").type == pa.fixed_shape_tensor(pa.uint8(), [3])


def test_one_row_to_predict() -> None:
    assert as_table({"age": 41, "name": "Ada", "gone": None}).num_rows == 1
    one = as_table({"image": IMAGES[0], "age": 3})
    assert one.schema.field("image").type == pa.fixed_shape_tensor(pa.uint8(), [4, 5])
    assert as_table([{"a": 1}, {"b": "x"}]).to_pydict() == {"a": [1, None], "b": [None, "x"]}


def test_hugging_face_splits_become_a_column(store: Store) -> None:
    part = datasets.Dataset.from_dict({"text": ["a", "b"]})
    found = add(store, "texts", datasets.DatasetDict({"train": part, "test": part})).dataset
    assert found.table().to_pydict() == {"text": ["a", "b"] * 2, "split": ["train"] * 2 + ["test"] * 2}
    stream = part.to_iterable_dataset()
    assert as_table(stream).to_pydict() == {"text": ["a", "b"]}


def test_hugging_face_images_are_their_bytes() -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": b"PNG", "path": None}, None]
    assert as_table(pa.table({"image": pa.array(rows, kind)}))["image"].to_pylist() == [b"PNG", None]
    with pytest.raises(InvalidData, match="1 values name a file and hold no bytes"):
        as_table(pa.table({"image": pa.array([{"bytes": None, "path": "/etc/passwd"}], kind)}))


# CSV


@pytest.mark.parametrize(
    ("late", "kind"),
    [
        ("1.5", "double"),
        ("x", "string"),
        ("2020-01-01", "string"),
        ("", "int64"),
        ("NA", "int64"),
        ('""', "string"),
    ],
)
def test_csv_types_are_decided_over_the_whole_file(tmp_path: Path, late: str, kind: str) -> None:
    path = written(tmp_path, "late.csv", "a,b\n" + "7,x\n" * 400_000 + f"{late},x\n")
    assert path.stat().st_size > 1 << 20
    assert str(as_table(path).schema.field("a").type) == kind


def test_csv_columns_that_begin_empty_or_as_days(tmp_path: Path) -> None:
    path = written(tmp_path, "late.csv", "a,b,c\n" + ",2020-01-01,1\n" * 200_000 + "5,2020-01-01 10:00:00,true\n")
    assert [str(kind) for kind in as_table(path).schema.types] == ["int64", "timestamp[us]", "bool"]


def test_csv_text_in_quotes_is_text(tmp_path: Path) -> None:
    found = as_table(written(tmp_path, "quotes.csv", 'country,n\n"NA",1\nNA,2\n"two\nlines",3\n"",4\n'))
    assert found["country"].to_pylist() == ["NA", None, "two\nlines", ""]


BAD_FILES: dict[str, tuple[str, str | bytes, str]] = {
    "no such ending": (
        "people.xlsx",
        "PK",
        r"the ending '.xlsx' is not known; expected one of .csv, .parquet",
    ),
    "no ending": ("people", "a\n1\n", r"the ending '' is not known"),
    "empty csv": ("people.csv", "", "cannot be read as CSV: Empty CSV file"),
    "header alone": ("people.csv", "a,b\n", "no rows"),
    "header twice": ("people.csv", "a,a\n1,2\n", "the header names the column 'a' twice"),
    "ragged csv": ("people.csv", "a,b\n1,2\n3\n", "Row #3: Expected 2 columns, got 1"),
    "late ragged csv": ("people.csv", "a,b\n" + "1,2\n" * 300_000 + "3\n", "Row #300002: Expected 2 columns"),
    "csv not utf-8": ("people.csv", b"a\n\xff\n", "column 'a' is not UTF-8 text"),
    "csv of other bytes": ("people.csv", b"\x00\x01\x02\n" * 9, "people.csv|column"),
    "parquet that is text": ("people.parquet", "a,b\n1,2\n", "cannot be read as Parquet"),
    "empty parquet": ("people.parquet", "", "cannot be read as Parquet"),
    "empty jsonl": ("people.jsonl", "", "no rows"),
    "jsonl with a list": (
        "people.jsonl",
        '{"a":1}\n[1]\n',
        "people.jsonl, line 2 is list, expected an object",
    ),
    "jsonl cut short": ("people.jsonl", '{"a":1}\n{"a":', "people.jsonl, line 2 is not JSON"),
    "jsonl with an empty line": ("people.jsonl", '{"a":1}\n\n{"a":2}\n', "line 2 is not JSON"),
    "jsonl with NaN": ("people.jsonl", '{"a":NaN}\n', "line 1 holds NaN"),
    "jsonl with a key twice": ("people.jsonl", '{"a":1,"a":2}\n', "line 1 has the key 'a' twice"),
    "jsonl too deep": ("people.jsonl", '{"a":' + "[" * 100_000 + "\n", "line 1 nests deeper"),
    "jsonl long number": (
        "people.jsonl",
        '{"a":' + "1" * 5000 + "}\n",
        "line 1 holds a whole number of 5,000 digits",
    ),
    "jsonl number too large": ("people.jsonl", '{"a":' + "1" * 30 + "}\n", "lines 1 to 1: column 'a'"),
    "jsonl mixed": ("people.jsonl", '{"a":1}\n{"a":"x"}\n', "lines 1 to 2: column 'a' mixes types"),
    "jsonl mixed late": (
        "people.jsonl",
        '{"a":1}\n' * 4096 + '{"a":"x"}\n',
        "column 'a' is string here and int64",
    ),
    "jsonl nested": ("people.jsonl", '{"a":{"b":1}}\n', "column 'a' is of type"),
    "jsonl ragged": (
        "people.jsonl",
        '{"a":[[1,2],[3]]}\n',
        "column 'a': the lists of the first value differ",
    ),
    "jsonl other shape": (
        "people.jsonl",
        '{"a":[[1,2]]}\n{"a":[[1],[2]]}\n',
        r"column 'a': a value is not of shape",
    ),
    "jsonl empty rows": ("people.jsonl", "{}\n{}\n", "no rows|no columns"),
    "npz that is text": ("arrays.npz", "hello", "cannot be read as an archive of arrays"),
    "empty npz": ("arrays.npz", b"PK\x05\x06" + bytes(18), "no columns"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(store: Store, tmp_path: Path, case: str) -> None:
    name, data, says = BAD_FILES[case]
    with pytest.raises((InvalidFile, InvalidData), match=says) as caught:
        add(store, "people", written(tmp_path, name, data))
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert store.catalog.names("dataset") == []


def test_parquet_cut_short(tmp_path: Path) -> None:
    path = parquet(tmp_path, pa.table({"a": np.arange(10_000)}))
    data = path.read_bytes()
    for size in (4, len(data) // 2, len(data) - 1):
        with pytest.raises(InvalidFile, match="cannot be read as Parquet"):
            as_table(written(tmp_path, "cut.parquet", data[:size]))


def test_a_flipped_page_of_parquet(tmp_path: Path) -> None:
    data = bytearray(parquet(tmp_path, pa.table({"a": ["text"] * 1000})).read_bytes())
    data[4:40] = bytes(36)
    with pytest.raises(InvalidFile):
        as_table(written(tmp_path, "flipped.parquet", bytes(data)))


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    written(tmp_path, "people.csv", CSV)
    with pytest.raises(InvalidFile, match=r"no such file or folder. Did you mean 'people.csv'"):
        as_table(tmp_path / "poeple.csv")


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InvalidFile, match="neither a file nor a folder"):
        as_table(tmp_path / "pipe.csv")


_MAP = pa.map_(pa.string(), pa.int64())

BAD_TABLES: dict[str, tuple[Any, str]] = {
    "nothing": (None, "not a table; give a pandas"),
    "a number": (7, "not a table"),
    "an array without a name": (np.zeros((2, 2)), r'write {"name": array}'),
    "no rows": (pa.table({"a": pa.array([], pa.int64())}), "no rows"),
    "an empty list": ([], "no rows"),
    "no columns": ({}, "no columns"),
    "empty frame": (pd.DataFrame(), "no columns|no rows"),
    "different lengths": ({"a": [1, 2], "b": np.arange(3)}, "'a' has 2 rows and 'b' has 3"),
    "mixed types": ({"a": [1, "x"]}, "column 'a' mixes types"),
    "mixed pandas": (pd.DataFrame({"a": [1, "x"]}, dtype=object), "mixed types.*column a"),
    "nested": (pa.table({"a": [{"b": 1}]}), "column 'a' is of type 'struct<b: int64>'"),
    "map": (pa.table({"a": pa.array([[("k", 1)]], _MAP)}), "column 'a' is of type"),
    "lists of days": (pa.table({"a": [[DAY]]}), "column 'a' is of type"),
    "extension": (pa.table({"a": pa.array([b"0" * 16], pa.uuid())}), "column 'a' is of type"),
    "pandas periods": (pd.DataFrame({"a": pd.period_range("2020", periods=2)}), "column 'a' is of type"),
    "objects": ({"a": np.array([object()])}, "column 'a' mixes types"),
    "complex": ({"a": np.array([1j])}, "column 'a' is of NumPy type 'complex128'"),
    "records": ({"a": np.zeros(2, dtype=[("x", "i4")])}, "column 'a' is of NumPy type"),
    "tensors of text": ({"a": np.array([["x", "y"]])}, "column 'a': tensors hold numbers"),
    "empty tensors": ({"a": np.zeros((2, 0, 3))}, "holds 0 values"),
    "arrays of different shapes": ({"a": [IMAGES, IMAGES[1:]]}, "the arrays differ in shape"),
    "tensors with gaps": (pa.table({"a": pa.array([[1, None]], pa.list_(pa.int8(), 2))}), "missing values"),
    "a name of control": ({"a\nb": [1]}, "cannot name a column"),
    "an empty name": ({"": [1]}, "cannot name a column"),
    "a long name": ({"a" * 201: [1]}, r"cannot name a column: .*\(201 characters\)|cannot name a column"),
    "a name that is ours": ({"__row__": [1]}, "where row ids are kept"),
    "a name that is none": ({3: [1]}, "must be text, found int"),
    "a name twice": (pa.table([[1], [2]], names=["a", "a"]), "two columns have the name 'a'"),
    "a row that is none": ([{"a": 1}, 5], "row 1 is int, expected a dict"),
    "not computed": (pl.LazyFrame({"a": [1]}), "not computed yet; give .collect"),
    "polars objects": (pl.DataFrame({"a": [object()]}), "column|type"),
    "permuted": (
        pa.table({"a": pa.ExtensionArray.from_storage(
            kind := pa.fixed_shape_tensor(pa.int8(), [2, 3], permutation=[1, 0]),
            pa.array([[1] * 6], kind.storage_type))}),
        "permuted dimensions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(store: Store, case: str) -> None:
    source, says = BAD_TABLES[case]
    with pytest.raises(InvalidData, match=says):
        add(store, "people", source)
    assert store.catalog.names("dataset") == []


def test_an_unknown_extension_is_refused() -> None:
    field = pa.field("a", pa.binary(), metadata={"ARROW:extension:name": "arrow.py_extension_type"})
    with pytest.raises(InvalidData, match=r"column 'a' is of type 'arrow.py_extension_type'"):
        as_table(pa.table({"a": [b"x"]}, schema=pa.schema([field])))


def test_a_shape_that_changes_on_the_way() -> None:
    batches = [pa.record_batch({"a": [1]}), pa.record_batch({"b": [1]})]
    with pytest.raises((InvalidData, pa.ArrowInvalid)):
        as_table([*batches])


# NumPy archives


def test_official_splits(store: Store, tmp_path: Path) -> None:
    parts = {"train": 5, "val": 2, "test": 3}
    arrays: dict[str, Any] = {
        f"{part}_images": np.full((count, 2, 2), count, np.uint8) for part, count in parts.items()
    }
    arrays |= {f"{part}_labels": np.arange(count).reshape(-1, 1) for part, count in parts.items()}
    found = add(store, "scans", archive(tmp_path, **arrays)).dataset
    assert found.schema.names == ["images", "labels", "split"]
    assert found.schema.field("labels").type == pa.int64()
    assert found.table()["split"].to_pylist() == ["train"] * 5 + ["validation"] * 2 + ["test"] * 3
    assert found[6]["images"].tolist() == [[2, 2], [2, 2]]


def test_official_splits_named_behind(tmp_path: Path) -> None:
    arrays = {
        "x_train": np.zeros((4, 2)),
        "y_train": np.zeros(4),
        "x_test": np.ones((2, 2)),
        "y_test": np.ones(2),
    }
    assert as_table(archive(tmp_path, **arrays)).schema.names == ["x", "y", "split"]


def test_arrays_that_only_look_like_splits_are_columns(tmp_path: Path) -> None:
    arrays = {"train_images": np.zeros(3), "val_labels": np.zeros(3)}
    assert as_table(archive(tmp_path, **arrays)).schema.names == ["train_images", "val_labels"]


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def zipped(folder: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(folder / "bad.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name + ("" if "." in name else ".npy"), data)
    return folder / "bad.npz"


BAD_ARRAYS: dict[str, tuple[dict[str, bytes], str]] = {
    "shape without its bytes": (
        {"a": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", bytes(80))},
        r"says it is float64 of shape \[1000000000000\], which does not fit in its 208 bytes",
    ),
    "shape that overflows": (
        {"a": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}")},
        "does not fit",
    ),
    "bytes without a shape": (
        {"a": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", bytes(800))},
        "does not fit",
    ),
    "objects": (
        {"a": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n(S'id'\ntR.")},
        "holds Python objects, which only pickle reads",
    ),
    "a single value": (
        {"a": npy("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", bytes(8))},
        "a single value",
    ),
    "negative shape": (
        {"a": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", bytes(8))},
        "does not fit|not a NumPy array",
    ),
    "code in the header": ({"a": npy("__import__('os').system('id')")}, "is not a NumPy array"),
    "deep header": ({"a": npy("(" * 110)}, "is not a NumPy array"),
    "newer format": ({"a": npy("{}", version=b"\x09\x00")}, "is not a NumPy array|array format"),
    "not an array": ({"a": b"hello"}, "is not a NumPy array"),
    "another file": ({"readme.txt": b"hello"}, r"'readme.txt' is not an array \(.npy\)"),
    "a name that is a path": (
        {"../../evil": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", bytes(8))},
        "not an array",
    ),
    "lengths that differ": (
        {
            "a": npy("{'descr': '<i1', 'fortran_order': False, 'shape': (2,)}", bytes(2)),
            "b": npy("{'descr': '<i1', 'fortran_order': False, 'shape': (3,)}", bytes(3)),
        },
        "'a' has 2 rows and 'b' has 3",
    ),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays(store: Store, tmp_path: Path, case: str) -> None:
    members, says = BAD_ARRAYS[case]
    with pytest.raises((InvalidFile, InvalidData), match=says):
        add(store, "arrays", zipped(tmp_path, **members))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, a=np.zeros(1_000_000))
    monkeypatch.setattr(npz, "MAX_UNPACKED", 1_000_000)
    with pytest.raises(InvalidFile, match=r"says it holds 8,000,1.. bytes; at most 1,000,000"):
        as_table(path)
    monkeypatch.setattr(npz, "MAX_UNPACKED", 1 << 40)
    monkeypatch.setattr(npz, "MAX_MEMBERS", 0)
    with pytest.raises(InvalidFile, match="holds 1 arrays; at most 0"):
        as_table(path)


def test_an_archive_that_lies_about_its_sizes(tmp_path: Path) -> None:
    path = zipped(tmp_path, a=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10000,)}", bytes(80_000)))
    data = path.read_bytes()
    size = struct.pack("<I", 80_000 + 128)
    for wrong in (80_000 + 128 + 8, 2**31, 0):
        lie = data.replace(size, struct.pack("<I", wrong))
        with pytest.raises(InvalidFile):
            as_table(written(tmp_path, "lie.npz", lie))
    with pytest.raises(InvalidFile):
        as_table(written(tmp_path, "cut.npz", data[: len(data) // 2]))


# Folders of images


def image(color: int, kind: str = "PNG") -> bytes:
    sink = io.BytesIO()
    Image.new("L", (4, 4), color).save(sink, kind)
    return sink.getvalue()


def folder_of(root: Path, **files: bytes) -> Path:
    for name, data in files.items():
        label, _, file = name.partition("__")
        (root / "images" / label).mkdir(parents=True, exist_ok=True)
        (root / "images" / label / file.replace("_", ".")).write_bytes(data)
    return root / "images"


def test_a_folder_of_images(store: Store, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, cats__b_png=image(1), cats__a_JPG=image(2, "JPEG"), dogs__c_gif=image(3, "GIF"))
    found = add(store, "pets", folder).dataset
    assert found.schema == pa.schema([("image", pa.binary()), ("label", pa.string()), ("file", pa.string())])
    table = found.table()
    assert table["label"].to_pylist() == ["cats", "cats", "dogs"]
    assert table["file"].to_pylist() == ["cats/a.JPG", "cats/b.png", "dogs/c.gif"]
    assert table["image"][1].as_py() == image(1)


def test_what_is_left_out_is_counted(store: Store, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, cats__a_png=image(1), cats__notes_txt=b"hello", cats___hidden=b"")
    (folder / "cats" / "link.png").symlink_to("/etc/passwd")
    (folder / "all").symlink_to("/etc")
    (folder / "readme.txt").write_text("hello")
    added = add(store, "pets", folder)
    assert added.notes == ("2 links left out", "2 other files left out")
    assert str(added) == "pets@1: 1 row in 1 new block; 2 links left out; 2 other files left out"


def png_header(width: int, height: int) -> bytes:
    data = bytearray(image(0))
    data[16:24] = struct.pack(">II", width, height)
    import zlib

    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"hello", "a.png is not an image that can be read"),
        (b"", "a.png is not an image that can be read"),
        (image(0)[:40], "a.png is not an image that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a.png is not an image that can be read"),
        (png_header(10_000, MAX_PIXELS // 10_000 + 1), "pixels; at most"),
        (png_header(2**31 - 1, 2**31 - 1), "a.png is not an image|pixels"),
    ],
)
def test_images_that_are_none(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(InvalidFile, match=says):
        as_table(folder_of(tmp_path, cats__a_png=data))


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"holds no images in subfolders; expected FOLDER/CLASS/IMAGE.png"):
        as_table(folder_of(tmp_path, cats__a_txt=b""))


def test_ids_of_the_same_rows_in_two_kinds_of_file(store: Store, tmp_path: Path) -> None:
    one = add(store, "one", written(tmp_path, "people.csv", CSV)).dataset
    other = add(store, "other", parquet(tmp_path, pa.table(PEOPLE).slice(1))).dataset
    assert ids(one)[1:] == ids(other)
