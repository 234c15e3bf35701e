"""Records without torch: values of a layer as the store takes them, and sets of them in a small repository."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerwise.records.chunks import WORDS
from layerwise.records.reading import LayerRecord
from layerwise.records.recordset import About, RecordSet
from layerwise.records.writing import RecordWriter
from layerwise.repo import Repository
from layerwise.store.store import Store
from layerwise.store.tensors import RawTensor
from layerwise.words import Digest

VERSION = Digest("a" * 64)
ABOUT = About("digits", 1, VERSION, None, "look")

Values = np.ndarray[Any, np.dtype[Any]]


def raw(values: Values, lengths: Values | None = None, word: str = "") -> dict[str, RawTensor]:
    """Return values [rows, ...], and lengths [rows] of padded ones, as an observer gives them."""
    word = word or next(name for name, dtype in WORDS.items() if dtype == values.dtype)
    found = {"values": RawTensor(word, values.shape, values.tobytes())}
    return found if lengths is None else found | {"lengths": RawTensor("I64", lengths.shape, lengths.tobytes())}


def keep(store: Store, layers: dict[str, Values], about: About = ABOUT, **options: Any) -> RecordSet:
    """Keep layers of equally many rows, at once, and return the set."""
    rows = len(next(iter(layers.values())))
    with RecordWriter(store, about, **{"rows": rows, **options}) as writer:
        for layer, values in layers.items():
            writer.add(layer, raw(values))
    assert writer.kept is not None
    return writer.kept


def about_of(repo: Repository, address: str) -> About:
    """Return whose records those of a version are."""
    entry = repo.find(address)
    return About(entry.name, entry.number, entry.digest, None, "look")


def only(found: list[LayerRecord]) -> LayerRecord:
    """Return the one record that was found."""
    (record,) = found
    return record
