"""Means and spreads of training rows, in one pass and the same to the bit whatever batches they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from layerwise.errors import InvalidData
from layerwise.layers.base import Padded, Value
from layerwise.layers.numeric import Numbers, blocks, exact, steps

Per = Literal["feature", "channel", "all"]
"""What has a mean of its own: each place in a row (of padded rows each feature of a step), each channel, or nothing."""


@dataclass(frozen=True)
class Moments:
    """How many values, their mean and the sum of their squared distances from it, for each feature: float64."""

    count: Numbers
    mean: Numbers
    squares: Numbers

    @classmethod
    def none(cls) -> Moments:
        """Return the moments of no values."""
        return cls(np.zeros(1), np.zeros(1), np.zeros(1))

    @classmethod
    def of(cls, x: Numbers) -> Moments:
        """Return the moments of the columns of ``x``, [samples, features]; NaN is not counted."""
        infinite = np.isinf(x)
        if infinite.any():
            raise InvalidData(f"{infinite.sum():,} values are infinite; put a `clip` layer before this one")
        there = ~np.isnan(x)
        count = there.sum(0).astype(np.float64)
        mean = np.where(there, x, 0.0).sum(0) / np.maximum(count, 1)
        return cls(count, mean, np.where(there, (x - mean) ** 2, 0.0).sum(0))

    def merged(self, other: Moments) -> Moments:
        """Return the moments of both together (Chan, Golub and LeVeque, 1979)."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        apart = other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * self.count * share
        return Moments(count, self.mean + apart * share, squares)

    def mean_and_spread(self) -> tuple[Numbers, Numbers]:
        """Return the means and standard deviations; 1 where all values are one value up to rounding."""
        empty = np.flatnonzero(self.count == 0)
        if len(empty):
            raise nothing_there(empty, len(self.count))
        variance = self.squares / self.count
        eps = np.finfo(np.float64).eps
        constant = variance <= self.count * eps * variance + (self.count * self.mean * eps) ** 2
        return self.mean, np.where(constant, 1.0, np.sqrt(variance))


def nothing_there(empty: Numbers, features: int) -> InvalidData:
    """Return the error for features (by their places) that are missing in every training row."""
    return InvalidData(
        f"{len(empty):,} features of {features:,} hold nothing but missing values in the training rows, the first is "
        f"feature {empty[0]}; leave it out, or put a `fill` layer with a fixed value before"
    )


def moments(values: Iterable[Value], per: Per) -> tuple[Moments, tuple[int, ...]]:
    """Return the moments of the training rows, and the shape in which they fit a row.

    Raises:
        InvalidData: no rows, or infinite values.
    """
    shape: tuple[int, ...] = ()

    def parts() -> Iterator[Numbers]:
        nonlocal shape
        for value in values:
            part, shape = samples(value, per)
            yield part

    total = Moments.none()
    for block in blocks(parts()):
        total = total.merged(Moments.of(block))
    return total, shape


def samples(value: Value, per: Per) -> tuple[Numbers, tuple[int, ...]]:
    """Return numbers as [samples, features] in float64, and the shape in which a number a feature fits a row."""
    x = exact(value).double()
    if isinstance(value, Padded):
        x = x[steps(value)]
    row = tuple(x.shape[1:])
    if per == "all":
        return x.reshape(-1, 1).numpy(), ()
    if per == "channel":
        return x.movedim(1, -1).reshape(-1, row[0]).numpy(), (row[0], *(1 for _ in row[1:]))
    return x.reshape(len(x), int(np.prod(row))).numpy(), row


def row_moments(value: Value) -> tuple[Numbers, Numbers]:
    """Return each row's own mean and spread, shaped to fit the batch: [batch, 1, ...]; padding is not counted."""
    x = exact(value).double()
    if isinstance(value, Padded):
        inside = steps(value).reshape(*x.shape[:2], *(1 for _ in x.shape[2:]))
        x = x.masked_fill(~inside, np.nan)
    total = Moments.of(x.flatten(1).numpy().T)
    # A row of nothing but missing values stays missing; it is no error.
    counted = Moments(np.maximum(total.count, 1), total.mean, total.squares)
    mean, spread = counted.mean_and_spread()
    shape = (len(x), *(1 for _ in x.shape[1:]))
    return mean.reshape(shape), spread.reshape(shape)
