"""Cold packs: versions of one fine-tuned network, in our codings and in ZipNN's, on the same deltas.

``python -m benchmarks.cold``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.finetunes import fine_tune
from benchmarks.measure import surroundings, versions
from benchmarks.peers import peers_python
from layerwise import canonical
from layerwise.store.cold.coding import Base, decode, encode
from layerwise.store.tensors import read_header

LIMIT = 0.80
RATES = {"light": 1e-5, "heavy": 1e-3}
NETWORKS = ("MLP", "CNN", "transformer")
DEPTHS = (0, 1, 2, 4, 8, 16, 32)
BOUND_EVERY = 10  # The bound takes as long as all the rest.

Peer = subprocess.Popen[bytes]
States = Mapping[str, memoryview]


@dataclass
class Found:
    """Bytes of each version, by way, and seconds of CPU of ours."""

    raw: list[int] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    one: list[int] = field(default_factory=list)
    two: list[int] = field(default_factory=list)
    xor_zstd: list[int] = field(default_factory=list)
    zipnn_whole: list[int] = field(default_factory=list)
    zipnn: list[int] = field(default_factory=list)
    bound: list[tuple[int, float, float]] = field(default_factory=list)
    encoding: float = 0.0
    decoding: float = 0.0
    peer: float = 0.0


def measure(kind: str, rate: float, steps: int, count: int, peer: Peer | None) -> Found:
    """Return the sizes of ``count`` versions of a network after the one that was pretrained."""
    found = Found()
    past: list[States] = []
    for number, states in enumerate(fine_tune(kind, rate=rate, steps=steps, versions=count + 1)):
        found.raw.append(sum(len(data) for data in states.values()))
        found.whole.append(sum(len(encode(data).data) for data in states.values()))
        found.zipnn_whole.append(ask(peer, found, [tensors(data).tobytes() for data in states.values()]))
        if past:
            deltas = [tensors(data) ^ tensors(past[0][name]) for name, data in states.items()]
            found.zipnn.append(ask(peer, found, [delta.tobytes() for delta in deltas]))
            found.xor_zstd.append(sum(len(shuffled(delta)) for delta in deltas))
            found.one.append(sum(one_way(data, name, past[:1], found) for name, data in states.items()))
        if len(past) > 1:
            found.two.append(sum(one_way(data, name, past, found) for name, data in states.items()))
            if number % BOUND_EVERY == 2:
                bits = sum(bound(states[name], past[0][name], past[1][name]) for name in states)
                found.bound.append((number, bits / 8, sum(tensors(data).nbytes for data in states.values())))
        past = [states, *past[:1]]
    return found


def one_way(data: memoryview, name: str, past: Sequence[States], found: Found) -> int:
    """Return the bytes of one layer beside those of before, once they are known to come back."""
    bases = [Base(canonical.digest_bytes([states[name]]), states[name]) for states in past]
    start = time.process_time()
    coded = encode(data, bases)
    middle = time.process_time()
    back = decode(coded.coding, coded.data, len(data), {base.digest: base.data for base in bases}.__getitem__)
    end = time.process_time()
    if back != data:
        raise SystemExit(f"{name} came back with other bytes")
    if len(bases) > 1:
        found.encoding, found.decoding = found.encoding + middle - start, found.decoding + end - middle
    return len(coded.data)


def tensors(state: memoryview) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """Return a state's tensors as words of 32 bits, without its header."""
    return np.frombuffer(state, "<u4", offset=8 + int.from_bytes(state[:8], "little"))


def shuffled(words: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> bytes:
    """Return words in planes of bytes and zstd at level 1: what one would write in an afternoon."""
    planes = np.ascontiguousarray(words.view(np.uint8).reshape(-1, 4).T)
    return bytes(pa.Codec("zstd", compression_level=1).compress(planes, asbytes=True))


def bound(new: memoryview, old: memoryview, older: memoryview) -> float:
    """Return the entropy, in bits, of how a layer's weights went on, to whom the last step and the exponents are known.

    The best of sixteen shares of the last step is taken off. What is left has a sign and a length in bits, which are
    counted as they are spread among weights of one exponent and one length of the last step; the bits below the
    highest are noise, and are counted whole. The spread is taken from the numbers themselves, so that it is never
    too large; no table that says it is counted.
    """
    total = 0.0
    for span in read_header(new, "new").spans.values():
        if span.dtype != "F32":
            continue
        now, base, before = (_in_order(state[span.begin : span.end]) for state in (new, old, older))
        exponents = (np.abs(base) >> 23).astype(np.int64)
        step = base - before
        contexts = exponents * 64 + _lengths(step)
        total += min(_entropy(now - base - (step * share >> 4), contexts) for share in range(0, 17, 2))
    return total


def _in_order(data: memoryview) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    words = np.frombuffer(data, "<i4").astype(np.int64)
    return np.where(words < 0, -(words & 0x7FFFFFFF), words)


def _lengths(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.frexp(np.abs(numbers).astype(np.float64))[1].astype(np.int64)


def _entropy(
    rest: np.ndarray[tuple[int], np.dtype[np.int64]], contexts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> float:
    lengths = _lengths(rest)
    symbols = lengths * 2 + (rest < 0)
    noise = float(np.maximum(lengths - 1, 0).sum())
    return noise + _spread(contexts * 256 + symbols) - _spread(contexts)


def _spread(symbols: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    counts = np.unique(symbols, return_counts=True)[1]
    return float(-(counts * np.log2(counts / counts.sum())).sum())


@contextmanager
def zipnn() -> Iterator[Peer]:
    """Run ZipNN in the peers' environment."""
    command = [str(peers_python()), str(Path(__file__).with_name("cold_peer.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


def ask(peer: Peer | None, found: Found, pieces: Sequence[bytes]) -> int:
    """Return what ZipNN makes of some pieces, in its best way for them."""
    if peer is None or peer.stdin is None or peer.stdout is None:
        return 0
    peer.stdin.write(json.dumps({"lengths": [len(piece) for piece in pieces]}).encode() + b"\n")
    peer.stdin.write(b"".join(pieces))
    peer.stdin.flush()
    answer = json.loads(peer.stdout.readline())
    found.peer += answer["as documented"][1]
    return min(int(size) for size, _ in answer.values())


def chain(found: Found, depth: int, *, peer: bool) -> int:
    """Return the bytes of all versions where each ``depth + 1``-th is whole, and the others are deltas."""
    total = 0
    for number in range(len(found.raw)):
        at = number % (depth + 1)
        if peer:
            total += found.zipnn[number - 1] if at else found.zipnn_whole[number]
        else:
            total += found.whole[number] if not at else found.one[number - 1] if at == 1 else found.two[number - 2]
    return total


def table(runs: Mapping[str, Found]) -> str:
    """Return the table of deltas, all versions from the second delta on, so that each has two versions before it."""
    lines = [
        "| network, fine-tune | raw | XOR, shuffle, zstd-1 | ZipNN | ours, parent | ours, parent and its parent "
        "| times ZipNN | entropy | encode, decode |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, found in runs.items():
        raw, peer, two = sum(found.raw[2:]), sum(found.zipnn[1:]), sum(found.two)
        speed = f"{raw / found.encoding / 1e6:,.0f}, {raw / found.decoding / 1e6:,.0f} MB/s"
        floor = sum(size for _, size, _ in found.bound) / sum(
            found.zipnn[number - 1] or 1 for number, _, _ in found.bound
        )
        ratios = [f"{two / peer:.3f}", f"{floor:.3f}"] if peer else ["–", "–"]
        sizes = [raw, sum(found.xor_zstd[1:]), peer, sum(found.one[1:]), two]
        shown = [f"{sizes[0] / 1e6:,.1f} MB", *(f"{size / raw:.3f}" for size in sizes[1:])]
        lines.append(f"| {' | '.join([name, *shown, *ratios, speed])} |")
    return "\n".join(lines)


def depths(runs: Mapping[str, Found]) -> str:
    """Return the table of chains: bytes of all versions against the full files, and against ZipNN on the same chain."""
    lines = [f"| depth | {' | '.join(runs)} |", f"| ---: |{' ---: |' * len(runs)}"]
    for depth in DEPTHS:
        cells = []
        for found in runs.values():
            ours, peer = chain(found, depth, peer=False), chain(found, depth, peer=True)
            cells.append(f"{ours / sum(found.raw):.3f}" + (f" ({ours / peer:.3f})" if peer else ""))
        lines.append(f"| {depth} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--versions", type=int, default=50, help="after the pretrained one (50)")
    parser.add_argument("--steps", type=int, default=5, help="of Adam between two versions (5)")
    parser.add_argument("--only", choices=NETWORKS, help="one network of the three")
    parser.add_argument("--quick", action="store_true", help="a smoke run: four versions of the MLP, no ZipNN")
    said = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"# Cold packs: at most {LIMIT} times ZipNN's bytes, light and heavy\n")
    print(surroundings(1, versions("layerwise", "torch", "numpy", "zstandard", "pyarrow")))
    count = 4 if said.quick else said.versions
    print(f"Adam at {RATES}; {said.steps} steps a version, {count} versions after the first; seeds 0 and 1\n")
    kinds = ("MLP",) if said.quick else (said.only,) if said.only else NETWORKS
    runs: dict[str, Found] = {}
    with ExitStack() as stack:
        peer = None if said.quick else stack.enter_context(zipnn())
        for kind in kinds:
            for name, rate in RATES.items():
                runs[f"{kind}, {name}"] = measure(kind, rate, said.steps, count, peer)
    print(f"{table(runs)}\n\n{depths(runs)}\n")
    for name, found in runs.items():
        if peer_bytes := sum(found.zipnn[1:]):
            ratio = sum(found.two) / peer_bytes
            print(f"{name}: {ratio:.3f} against {LIMIT}: {'held' if ratio <= LIMIT else 'NOT held'}")


if __name__ == "__main__":
    main()
