"""Which rows train, which validate and which test, decided so that adding rows moves no other row.

>>> Split(by="column", column="split").to_json()["by"]
'column'
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from layerwise.data.reading import Dataset, Positions
from layerwise.errors import InvalidConfig, nearest
from layerwise.store.tables import ROW
from layerwise.words import shorten

By = Literal["row", "column", "time", "group"]
PARTS = ("train", "validation", "test")
"""The names of the parts, in their order."""

_SPELLINGS = {"train": "train", "training": "train", "val": "validation", "valid": "validation",
              "validation": "validation", "dev": "validation", "test": "test"}  # fmt: skip
_MAX_SEED = 2**63


@dataclass(frozen=True, slots=True)
class Split:
    """How rows are divided into ``train``, ``validation`` and ``test``.

    - ``by="row"``: by a hash of seed and row id, in about the given shares. A row never moves when rows are
      added; rows of equal content stay together.
    - ``by="group"``: the same by the value of ``column``, so that all rows of a patient or a customer stay
      together.
    - ``by="time"``: ordered by ``column``, the earliest rows train and the latest test; equal times stay
      together. Adding later rows moves the bounds.
    - ``by="column"``: the value of ``column`` says it, either literally (``train``, ``validation`` or
      ``val``, ``test``) or through ``values``, e.g. ``{"train": ["2019", "2020"], "test": ["2021"]}``.

    Args:
        by: ``row``, ``group``, ``time`` or ``column``.
        train, validation, test: the shares, 0 to 1, which add up to 1; of no account where ``by`` is ``column``.
        column: the column to split by; none where ``by`` is ``row``.
        values: the column's values by part, where ``by`` is ``column`` and the values do not say it themselves.
        seed: another seed, another division; 0 to 2**63 - 1.

    Raises:
        InvalidConfig: shares that do not add up, a column that is missing or too much, an unknown word.

    Example:
        >>> Split(by="group", column="patient", train=0.7, validation=0.15, test=0.15).by
        'group'
    """

    by: By = "row"
    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    column: str | None = None
    values: Mapping[str, tuple[Any, ...]] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise InvalidConfig(f"split by {shorten(str(self.by))} is not known.{nearest(str(self.by), get_args(By))}")
        if self.by == "row" and self.column is not None:
            raise InvalidConfig(
                f"split by row takes no column; for {shorten(str(self.column))} write by: group or column"
            )
        if self.by != "row" and not isinstance(self.column, str):
            raise InvalidConfig(f"split by {self.by} needs the name of a column, found {shorten(self.column)}")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or not 0 <= self.seed < _MAX_SEED:
            raise InvalidConfig(f"the seed of a split must be a whole number from 0 to 2**63, found {self.seed!r}")
        _check_shares(self)
        if self.values is not None:
            object.__setattr__(self, "values", _checked_values(self))

    def to_json(self) -> dict[str, Any]:
        """Return the split as JSON; fields at their default are there too."""
        fields = {name.name: getattr(self, name.name) for name in dataclasses.fields(self)}
        if self.values is not None:
            fields["values"] = {part: list(values) for part, values in self.values.items()}
        return fields

    @classmethod
    def from_json(cls, value: Any) -> Split:
        """Return the split that JSON describes, or raise InvalidConfig with the nearest name there is."""
        if not isinstance(value, Mapping):
            raise InvalidConfig(f"a split is a mapping, e.g. {{by: group, column: patient}}; found {shorten(value)}")
        known = [name.name for name in dataclasses.fields(cls)]
        for name in value:
            if name not in known:
                raise InvalidConfig(f"{shorten(str(name))} is not a field of a split.{nearest(str(name), known)}")
        return cls(**value)


def _check_shares(split: Split) -> None:
    shares = (split.train, split.validation, split.test)
    for part, share in zip(PARTS, shares, strict=True):
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
            raise InvalidConfig(f"the share of {part} must be a number from 0 to 1, found {share!r}")
    if split.by != "column" and (not math.isclose(sum(shares), 1, abs_tol=1e-6) or split.train == 0):
        raise InvalidConfig(
            f"the shares {list(shares)} must add up to 1, with some for train; they are {sum(shares):g}"
        )


def _checked_values(split: Split) -> dict[str, tuple[Any, ...]]:
    if split.by != "column" or not isinstance(split.values, Mapping):
        raise InvalidConfig(f"values belong to a split by column, as {{part: [value, …]}}; found {split.values!r:.100}")
    found: dict[str, tuple[Any, ...]] = {}
    for part, values in split.values.items():
        if part not in _SPELLINGS:
            raise InvalidConfig(f"{shorten(str(part))} is not a part of a split.{nearest(str(part), PARTS)}")
        if not isinstance(values, list | tuple):
            raise InvalidConfig(f"the values of {part} must be a list, found {type(values).__name__}")
        found[_SPELLINGS[part]] = tuple(values)
    listed = [value for values in found.values() for value in values]
    twice = [value for value in listed if listed.count(value) > 1]
    if twice:
        raise InvalidConfig(f"the value {shorten(str(twice[0]))} is given to two parts of the split")
    return found


def split_rows(split: Split, dataset: Dataset) -> dict[str, Positions]:
    """Return the positions of the rows of each part, ascending: ``train``, ``validation`` and ``test``.

    Raises:
        InvalidConfig: a column that is not there or of no use, a value of no part, no row to train on.
    """
    if split.column is not None and split.column not in dataset.schema.names:
        known = nearest(split.column, dataset.schema.names)
        raise InvalidConfig(f"{dataset.address} has no column {shorten(split.column)} to split by.{known}")
    parts = _WAYS[split.by](split, dataset)
    found = {name: np.flatnonzero(parts == place) for place, name in enumerate(PARTS)}
    if not len(found["train"]):
        raise InvalidConfig(f"the split leaves no row of {dataset.address} to train on; give train a larger share")
    return found


def _by_row(split: Split, dataset: Dataset) -> Positions:
    parts = []
    for batch in dataset.blocks([ROW]):
        ids = batch.column(0).to_pylist()
        # Equal rows are told apart as …#2, …#3: hashed without it, so none is trained on and tested with.
        parts.append(_hashed(split, ids if dataset.key else [id[:32] for id in ids]))
    return _parts(split, np.concatenate(parts))


def _by_group(split: Split, dataset: Dataset) -> Positions:
    parts = []
    for batch in dataset.blocks([split.column or ""]):
        values = _texts(batch.column(0), split, dataset).dictionary_encode()
        parts.append(_hashed(split, values.dictionary.to_pylist())[values.indices.to_numpy()])
    return _parts(split, np.concatenate(parts))


def _texts(values: pa.Array, split: Split, dataset: Dataset) -> pa.Array:
    if values.null_count:
        raise InvalidConfig(f"{dataset.address}: {split.column!r} is missing in {values.null_count:,} rows; fill it in")
    try:
        return values.cast(pa.string())
    except (pa.ArrowException, NotImplementedError):
        raise InvalidConfig(f"{dataset.address}: rows cannot be split by {split.column!r}, of {values.type}") from None


def _hashed(split: Split, names: list[str]) -> Any:
    """Return a number from 0 to 1 for each name, shape [names]."""
    key = blake3(f"layerwise.split.v1:{split.seed}".encode()).digest()
    digests = b"".join([blake3(name.encode(), key=key).digest(length=8) for name in names])
    return np.frombuffer(digests, dtype="<u8") / 2.0**64


def _parts(split: Split, numbers: Any) -> Positions:
    # A share of nothing must stay empty, whatever rounding makes of the bounds.
    test = 2 if split.test else 1 if split.validation else 0
    bounds = [split.train, split.train + split.validation]
    parts: Positions = np.minimum(np.searchsorted(bounds, numbers, side="right"), test)
    return np.where((parts == 1) & (split.validation == 0), test, parts)


def _by_time(split: Split, dataset: Dataset) -> Positions:
    column = dataset.table([split.column or ""]).column(0)
    if column.null_count:
        raise InvalidConfig(f"{dataset.address}: {split.column!r} is missing in {column.null_count:,} rows; fill it in")
    try:
        ranks = pc.rank(column, tiebreaker="min").to_numpy(zero_copy_only=False)
    except (pa.ArrowException, NotImplementedError):
        raise InvalidConfig(f"{dataset.address}: {split.column!r}, of {column.type}, has no order in time") from None
    return _parts(split, (ranks.astype(np.float64) - 1) / len(dataset))


def _by_column(split: Split, dataset: Dataset) -> Positions:
    places = {name: place for place, name in enumerate(PARTS)}
    if split.values is None:
        known = {spelling: places[part] for spelling, part in _SPELLINGS.items()}
    else:
        known = {_spelled(value): places[part] for part, values in split.values.items() for value in values}
    parts = []
    for batch in dataset.blocks([split.column or ""]):
        values = _texts(batch.column(0), split, dataset).dictionary_encode()
        texts = [text if split.values is not None else text.lower() for text in values.dictionary.to_pylist()]
        for text in texts:
            if text not in known:
                raise InvalidConfig(
                    f"{dataset.address}: {split.column!r} has the value {shorten(text)}, which belongs "
                    f"to no part of the split; say so in values.{nearest(text, known)}"
                )
        parts.append(np.array([known[text] for text in texts])[values.indices.to_numpy()])
    return np.concatenate(parts)


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_WAYS = {"row": _by_row, "group": _by_group, "time": _by_time, "column": _by_column}
