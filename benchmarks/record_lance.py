"""Lance's take beside ours: ``python -m benchmarks.record_lance FOLDER ROWS UNITS LAYERS`` in the peers' environment.

It writes a table of one column a layer and stays there: for each line that it reads, ``COUNT SEED``, it takes so many
rows of one column at random, each by itself, then 10,000 rows at once, and answers with the nanoseconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import peers_python

MANY = 10_000
TABLE = 65_536
ROOT = Path(__file__).parents[1]

Answer = dict[str, list[int]]


def serve(folder: Path, rows: int, units: int, layers: int) -> None:
    """Write the table, and answer until there is no more question."""
    import lance  # type: ignore[import-not-found]
    import pyarrow as pa

    names = [f"dense{at}" for at in range(layers)]
    schema = pa.schema([(name, pa.list_(pa.float32(), units)) for name in names])
    draw = np.random.default_rng(0)

    def batches() -> Iterator[Any]:
        for start in range(0, rows, TABLE):
            count = min(TABLE, rows - start)
            flat = (pa.array(draw.standard_normal(count * units, dtype=np.float32)) for _ in names)
            yield pa.record_batch([pa.FixedSizeListArray.from_arrays(one, units) for one in flat], schema=schema)

    table = lance.write_dataset(pa.RecordBatchReader.from_batches(schema, batches()), str(folder / "rows.lance"))
    print(lance.__version__, flush=True)
    for line in sys.stdin:
        count, seed = map(int, line.split())
        draw = np.random.default_rng(seed)
        positions, columns = draw.integers(0, rows, count).tolist(), draw.integers(0, layers, count).tolist()
        one = [clock(lambda p=p, c=c: table.take([p], columns=[names[c]])) for p, c in zip(positions, columns)]  # type: ignore[misc] # noqa: B905
        chosen = [draw.integers(0, rows, MANY) for _ in range(3)]
        many = [clock(lambda p=p: table.take(p, columns=[names[0]])) for p in chosen]  # type: ignore[misc]
        print(json.dumps({"one": one, "many": many}), flush=True)


def clock(work: Callable[[], object]) -> int:
    """Return the nanoseconds that some work takes."""
    begin = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begin


@contextmanager
def lance(folder: Path, rows: int, units: int, layers: int) -> Iterator[tuple[str, Callable[[int, int], Answer]]]:
    """Give Lance's version, and what asks it."""
    said = [
        str(peers_python("record")),
        "-m",
        "benchmarks.record_lance",
        str(folder),
        str(rows),
        str(units),
        str(layers),
    ]
    with subprocess.Popen(said, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:

        def line() -> str:
            assert running.stdout is not None
            found: str = running.stdout.readline()
            if not found:
                raise SystemExit(f"Lance ended with exit code {running.wait()}; its message stands above")
            return found

        def ask(count: int, seed: int) -> Answer:
            assert running.stdin is not None
            print(count, seed, file=running.stdin, flush=True)
            answer: Answer = json.loads(line())
            return answer

        yield line().strip(), ask


if __name__ == "__main__":
    serve(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
