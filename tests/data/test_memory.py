"""Data larger than the memory it may take: streamed in and out, under a cap of a fifth of its size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

PROGRAM = """
import json, sys
import numpy, pyarrow, pyarrow.compute, pyarrow.csv, pyarrow.parquet
from layerwise.data import add, open_dataset
from layerwise.store.store import Store

def memory():
    # Anonymous memory: what the process took for itself. Mapped files are the system's to keep or to drop.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) << 10

folder, source = sys.argv[1], sys.argv[2]
with Store.open(folder + "/warm") as store:
    add(store, "warm", {"x": [1.0, 2.0]})

baseline = memory()
peak = 0
import threading, time
stop = threading.Event()
def watch():
    global peak
    while not stop.is_set():
        peak = max(peak, memory())
        time.sleep(0.005)
watcher = threading.Thread(target=watch)
watcher.start()
try:
    with Store.open(folder + "/repository") as store:
        add(store, "large", source)
        rows, total, size = 0, 0.0, 0
        for batch in open_dataset(store, "large").blocks():
            rows += batch.num_rows
            total += pyarrow.compute.sum(batch.column(0)).as_py()
            size += batch.nbytes
finally:
    stop.set()
    watcher.join()
print(json.dumps({"rows": rows, "total": total, "size": size, "memory": peak - baseline}))
"""


def written(folder: Path, kind: str, rows: int) -> Path:
    """A file of 20 columns of random numbers, one row group or none, written piece by piece."""
    path = folder / f"large.{kind}"
    schema = pa.schema([(f"c{place}", pa.float64()) for place in range(20)])
    random = np.random.default_rng(0)
    writer = pacsv.CSVWriter(path, schema) if kind == "csv" else pq.ParquetWriter(path, schema)
    with writer:
        for start in range(0, rows, 50_000):
            numbers = random.random((min(50_000, rows - start), 20))
            writer.write_batch(pa.RecordBatch.from_arrays([pa.array(column) for column in numbers.T], schema=schema))
    return path


def streamed(folder: Path, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(path)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["parquet", pytest.param("csv", marks=pytest.mark.slow)])
def test_data_larger_than_memory(tmp_path: Path, kind: str) -> None:
    rows = 3_200_000
    size = rows * 20 * 8
    found = streamed(tmp_path, written(tmp_path, kind, rows))
    assert found["rows"] == rows
    assert abs(found["total"] / rows - 0.5) < 0.01
    assert found["size"] >= size
    assert found["memory"] < size // 5
