"""Numbers as their difference from numbers of before: what training changed, in as few bits as it has.

Floats are taken as whole numbers in their own order, so that a small step is a small number whatever its size; that
is subtracted modulo 2**bits, which loses nothing. What is left is about as large as a step, counted in the last place
of each weight: large where the weight is small. Who reads knows the old weights, and so knows how large: numbers that
should be alike are put together (a group), their lowest bits, which are noise, are kept as they are, and what is above
goes through zstd. With the version before the old one, the last step says more: steps go on in their direction,
and weights that stood still stand still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerwise.store.cold.shuffle import Bytes, Numbers, Reader, Writer, read_planes, write_planes

Signed = NDArray[Any]
"""Whole numbers with a sign, of the width of those that they come from. What overflows wraps."""

CHUNK = 1 << 18
"""Numbers that are coded together: 1 MiB of 32-bit floats, so that the work stays in the processor's cache."""

MANTISSA: Mapping[str, int] = MappingProxyType({"F64": 52, "F32": 23, "C64": 23, "F16": 10, "BF16": 7})
"""Bits of a float below its exponent, by safetensors' name of the type."""

_LEAST = 512  # A group's table of frequencies costs some 60 bytes: fewer numbers join the next group.
_KEPT = 5  # Bits of an average number that go through zstd; finer ones are noise.
_MASKED = 1 / 64  # Share of numbers that stood still above which they are told apart first.
_SIXTEENTHS = 16
_SAMPLE = 4096
_MAX_SCALE = (1 << 16) - 1


def write_delta(writer: Writer, new: Numbers, old: Numbers, older: Numbers | None, *, mantissa: int) -> None:
    """Write the difference of ``new`` from ``old``, arrays of one width and length.

    Args:
        writer: takes it.
        new: the numbers to keep.
        old: what the reader will have.
        older: what the reader will have too, where there is one: the numbers before ``old``.
        mantissa: bits below the exponent where the numbers are floats, else 0.
    """
    now, base = _in_order(new, mantissa), _in_order(old, mantissa)
    step = None if older is None else base - _in_order(older, mantissa)
    change, places = now - base, _exponents(old, mantissa)
    share = _share(change, step)
    if step is not None:
        change -= _predicted(step, share)
    rest = _fold(change)
    scale = _scale(rest, places)
    moved = rest != 0
    masked = bool(moved.mean() < 1 - _MASKED)
    writer.number(share)
    writer.number(scale, 2)
    writer.number(masked)
    sizes = _sizes(step, places, scale, rest.itemsize * 8)
    if masked:
        writer.stream(np.packbits(moved))
        rest, sizes = rest[moved], sizes[moved]
    order, groups = _groups(sizes)
    rest = rest[order]
    for begin, end in groups:
        _write_group(writer, rest[begin:end])


def read_delta(reader: Reader, old: Numbers, older: Numbers | None, *, mantissa: int) -> Numbers:
    """Return the numbers that `write_delta` was given, from the same ``old``, ``older`` and ``mantissa``."""
    base = _in_order(old, mantissa)
    step = None if older is None else base - _in_order(older, mantissa)
    share = reader.number(most=_SIXTEENTHS if step is not None else 0, name="the share of the last step")
    scale = reader.number(2, most=_MAX_SCALE, name="the scale")
    masked = reader.number(most=1, name="the mark of a mask")
    sizes = _sizes(step, _exponents(old, mantissa), scale, old.itemsize * 8)
    moved = np.unpackbits(reader.stream(-(-old.size // 8)), count=old.size).view(bool) if masked else slice(None)
    order, groups = _groups(sizes[moved])
    sorted_rest = np.empty(order.size, old.dtype)
    for begin, end in groups:
        sorted_rest[begin:end] = _read_group(reader, end - begin, old.dtype)
    rest = np.empty_like(sorted_rest)
    rest[order] = sorted_rest
    if masked:
        all_rest = np.zeros(old.size, old.dtype)
        all_rest[moved] = rest
        rest = all_rest
    change = _unfold(rest)
    if step is not None:
        change += _predicted(step, share)
    change += base
    return _in_order(change.view(old.dtype), mantissa).view(old.dtype)


def _in_order(numbers: Numbers, mantissa: int) -> Signed:
    # A negative float grows downwards: with its lower bits turned over, whole numbers are in the order of the floats.
    # Doing it twice gives the same bits again.
    bits = numbers.itemsize * 8
    signed = numbers.view(f"<i{numbers.itemsize}")
    return signed ^ ((signed >> (bits - 1)) & signed.dtype.type(2 ** (bits - 1) - 1)) if mantissa else signed


def _exponents(numbers: Numbers, mantissa: int) -> Signed:
    if not mantissa:
        return np.zeros(numbers.size, np.int16)
    width = numbers.itemsize * 8 - 1 - mantissa
    return ((numbers >> mantissa) & ((1 << width) - 1)).astype(np.int16)


def _fold(signed: Signed) -> Numbers:
    # 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4: small either way is small.
    folded: Signed = (signed << 1) ^ (signed >> (signed.itemsize * 8 - 1))
    return folded.view(f"<u{signed.itemsize}")


def _unfold(numbers: Numbers) -> Signed:
    one = numbers.dtype.type(1)
    unfolded: Numbers = (numbers >> one) ^ (~(numbers & one) + one)
    return unfolded.view(f"<i{numbers.itemsize}")


def _predicted(step: Signed, share: int) -> Signed:
    # Whole numbers only: every machine must predict the same bits. Overflow wraps, there and back.
    predicted: Signed = (step * step.dtype.type(share)) >> 4
    return predicted


def _share(change: Signed, step: Signed | None) -> int:
    # How much of the last step is taken again, in sixteenths: what leaves the fewest bits of some of the numbers.
    if step is None:
        return 0
    every = max(1, change.size // _SAMPLE)
    some, last = change[::every], step[::every]
    left = [int(_lengths(_fold(some - _predicted(last, share))).sum()) for share in range(_SIXTEENTHS + 1)]
    return left.index(min(left))


def _scale(rest: Numbers, places: Signed) -> int:
    # The size of a usual step: its length in bits where the exponent is 0.
    lengths = _lengths(rest)
    moved = np.count_nonzero(lengths)
    total = (lengths + places).sum(where=lengths > 0, dtype=np.int64)
    return int(total) // int(moved) if moved else 0


def _sizes(step: Signed | None, places: Signed, scale: int, bits: int) -> Bytes:
    # How many bits a number should have, from what the reader knows: the last step and a usual step.
    gaps = np.clip(scale - places.astype(np.int32), 0, bits - 2)
    if step is None:
        return (gaps + 1).astype(np.uint8)
    unsigned = np.dtype(f"<u{bits // 8}")
    return _lengths(np.abs(step).view(unsigned) + (unsigned.type(1) << gaps.astype(unsigned)))


def _lengths(numbers: Numbers) -> Bytes:
    # Bits up to the highest 1, read from the exponent of the same number as a float.
    return ((numbers.astype(np.float64).view(np.int64) >> 52) - 1022).clip(0).astype(np.uint8)


def _groups(sizes: Bytes) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    order = np.argsort(sizes, kind="stable")
    return order, list(_spans(np.bincount(sizes)))


def _spans(counts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    begin = end = 0
    total = int(counts.sum(dtype=np.int64))
    for count in counts.tolist():
        end += count
        if end - begin >= _LEAST and total - end >= _LEAST:
            yield begin, end
            begin = end
    if total > begin:
        yield begin, total


def _write_group(writer: Writer, rest: Numbers) -> None:
    bits = max(0, int(rest.mean(dtype=np.float64)).bit_length() - _KEPT)
    writer.number(bits)
    writer.stream(_pack(rest, bits))
    write_planes(writer, rest >> rest.dtype.type(bits))


def _read_group(reader: Reader, count: int, dtype: np.dtype[Any]) -> Numbers:
    bits = reader.number(most=dtype.itemsize * 8 - 1, name="a count of bits")
    low = _unpack(reader.stream(-(-count * bits // 8)), count, bits, dtype)
    high: Numbers = read_planes(reader, count, dtype.itemsize) << dtype.type(bits)
    return low | high


def _pack(numbers: Numbers, bits: int) -> Bytes:
    # Whole bytes of the lowest bits rank by rank, then what is left of each number, bit to bit.
    whole, left = divmod(bits, 8)
    ranks = numbers.view(np.uint8).reshape(-1, numbers.itemsize)
    parts = [np.ascontiguousarray(ranks[:, rank]) for rank in range(whole)]
    if left:
        loose = np.unpackbits(ranks[:, whole : whole + 1], axis=1, count=left, bitorder="little")
        parts.append(np.packbits(loose.ravel(), bitorder="little"))
    return np.concatenate(parts) if parts else np.empty(0, np.uint8)


def _unpack(packed: Bytes, count: int, bits: int, dtype: np.dtype[Any]) -> Numbers:
    whole, left = divmod(bits, 8)
    ranks = np.zeros((count, dtype.itemsize), np.uint8)
    for rank in range(whole):
        ranks[:, rank] = packed[rank * count : (rank + 1) * count]
    if left:
        loose = np.zeros((count, 8), np.uint8)
        loose[:, :left] = np.unpackbits(packed[whole * count :], count=count * left, bitorder="little").reshape(
            -1, left
        )
        ranks[:, whole] = np.packbits(loose.ravel(), bitorder="little")
    return ranks.view(dtype).ravel()
