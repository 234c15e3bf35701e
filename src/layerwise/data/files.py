"""Files and folders as sources, by the ending of the name. A file is what it says it is, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from layerwise.data.delimited import open_csv
from layerwise.data.images import open_images
from layerwise.data.npz import open_npz
from layerwise.data.records import open_lines
from layerwise.data.source import Source
from layerwise.errors import InvalidFile, nearest
from layerwise.words import shorten, visible

_ROWS_A_BATCH = 8192
_PIECE_BYTES = 1 << 20


def open_path(path: Path, known: Mapping[str, pa.DataType] | None = None) -> Source:
    """Return a file or a folder of images as a stream of rows.

    Args:
        path: where it is.
        known: types of columns that are known before, for files that do not say them themselves.

    Raises:
        InvalidFile: nothing is there, no plain file, an unknown ending, or it cannot be read as that.
    """
    try:
        if path.is_dir():
            return open_images(path)
        if not path.exists():
            raise InvalidFile(f"{visible(str(path))}: no such file or folder.{_beside(path)}")
        if not path.is_file():
            raise InvalidFile(f"{visible(str(path))} is neither a file nor a folder, and is not read")
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidFile):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InvalidFile(f"{shorten(str(path))} cannot be opened: {reason}") from None
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        endings = ", ".join(_OPENERS)
        raise InvalidFile(
            f"{path}: the ending {shorten(path.suffix)} is not known; expected one of {endings}, or a folder"
        )
    return open_csv(path, known) if opener is open_csv else opener(path)


def _beside(path: Path) -> str:
    folder = path.parent
    return nearest(path.name, (other.name for other in folder.iterdir())) if folder.is_dir() else ""


def _open_parquet(path: Path) -> Source:
    return Source(str(path), _parquet_batches(path))


def _parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        # Without pre_buffer a row group is read page by page, however large it is.
        with closing(pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16)) as file:
            rows = _rows_a_batch(file.metadata)
            yield from file.iter_batches(batch_size=rows, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidFile(f"{path} cannot be read as Parquet: {str(error)[:300]}") from None


def _rows_a_batch(metadata: pq.FileMetaData) -> int:
    groups = range(metadata.num_row_groups)
    size = sum(metadata.row_group(group).total_byte_size for group in groups)
    return min(_ROWS_A_BATCH, max(1, int(_PIECE_BYTES * metadata.num_rows // max(1, size))))


_OPENERS: dict[str, Callable[[Path], Source]] = {
    ".csv": open_csv,
    ".parquet": _open_parquet,
    ".jsonl": open_lines,
    ".npz": open_npz,
}
