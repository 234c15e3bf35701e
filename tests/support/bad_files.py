"""Files that are not what they say they are, for the table of bad sources of data."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.support.bad_inputs import Content


def parquet(columns: dict[str, Any], keep: float = 1.0) -> Content:
    def write(path: Path) -> None:
        pq.write_table(pa.table(columns), path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])

    return write


def npz(keep: float = 1.0, **arrays: Any) -> Content:
    def write(path: Path) -> None:
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        data = file.getvalue()
        path.write_bytes(data[: int(len(data) * keep)])

    return write


def member(header: str, data: bytes = b"") -> Content:
    """Return an archive of one array whose header says what it likes."""

    def write(path: Path) -> None:
        text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)

    return write


def bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3000000000), }"
        text = header.encode() + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
        for _ in range(8):
            file.write(bytes(1 << 20))


def archive(name: str, data: bytes) -> Content:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, data)

    return write


def twice(path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.arange(3))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("x.npy", file.getvalue())


def pickled(path: Path) -> None:
    # What pyarrow before 14.0.1 unpickled (CVE-2023-47248).
    said = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": "cos\nsystem\n(S'id'\ntR."}
    field = pa.field("a", pa.int64(), metadata=said)
    pq.write_table(pa.table([pa.array([1, 2])], schema=pa.schema([field])), path)


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def image(color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "PNG")
    return file.getvalue()
