"""ZipNN beside `benchmarks.cold`: runs in the peers' environment, reads pieces of bytes and answers with their sizes.

A question is a line of JSON, ``{"lengths": [...]}``, and that many bytes; the answer is a line of JSON: for each way,
how many bytes ZipNN makes of them, piece by piece, and the seconds of CPU that it takes.
"""

from __future__ import annotations

import json
import sys
import time

from zipnn import ZipNN  # type: ignore[import-not-found]

# As its page says for 32-bit floats, and with a smaller chunk or every gain kept, where it does a little better.
WAYS: dict[str, dict[str, float]] = {
    "as documented": {},
    "every gain kept": {"compression_threshold": 1.0},
    "chunks of 64 KiB, every gain kept": {"compression_chunk": 64 * 1024, "compression_threshold": 1.0},
}


def sizes(pieces: list[bytes]) -> dict[str, tuple[int, float]]:
    """Return bytes and seconds of CPU by way."""
    found = {}
    for name, options in WAYS.items():
        start, total = time.process_time(), 0
        for piece in pieces:
            coder = ZipNN(method="AUTO", input_format="byte", bytearray_dtype="float32", threads=1, **options)
            # A copy: compress writes over what it is given.
            total += min(len(coder.compress(bytearray(piece))), len(piece)) if piece else 0
        found[name] = (total, time.process_time() - start)
    return found


def main() -> None:
    """Answer until there is no more question."""
    for line in sys.stdin.buffer:
        pieces = [sys.stdin.buffer.read(length) for length in json.loads(line)["lengths"]]
        print(json.dumps(sizes(pieces)), flush=True)


if __name__ == "__main__":
    main()
