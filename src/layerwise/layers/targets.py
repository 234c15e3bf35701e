"""The truth in a dataset's columns: labels with their own type, numbers, and what cannot be used.

>>> learned = learn_labels([pa.array(["no", "yes", "no"])], "answer")
>>> learned.labels, learned.counts
(('no', 'yes'), (2, 1))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from layerwise.canonical import decode, encode
from layerwise.errors import InvalidData, InvalidLayer, nearest
from layerwise.words import shorten

Label: TypeAlias = str | bool | int
"""What a class or an item is called, in the type that the dataset has it."""

_WORDS = {str: "text", bool: "truth values", int: "whole numbers"}


class Learned(NamedTuple):
    """Labels in a fixed order, and how often each stands in the training rows."""

    labels: tuple[Label, ...]
    counts: tuple[int, ...]


def label_text(label: Label) -> str:
    """Return a label as text: ``true``, ``17``, ``cat``."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def plain_labels(array: pa.Array, column: str) -> pa.Array:
    """Return a column of labels as ``string``, ``int64`` or ``bool``.

    Raises:
        InvalidData: another type, or missing values, with their count.
    """
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    kind = array.type
    hold_present(array.null_count, len(array), column)
    if pa.types.is_boolean(kind):
        return array
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if not pa.types.is_integer(kind):
        raise InvalidData(
            f"the column {column!r} is {kind}; labels are text, whole numbers or truth values. "
            "Cast the column, or answer with the kind `value` where it is a quantity"
        )
    try:
        return array.cast(pa.int64())
    except pa.ArrowInvalid:
        raise InvalidData(f"the column {column!r} holds whole numbers above 2**63; make them text") from None


def hold_present(missing: int, rows: int, column: str) -> None:
    """Raise InvalidData where values of a target are missing."""
    if missing:
        raise InvalidData(
            f"{missing:,} of {rows:,} values of the column {column!r} are missing; "
            "leave those rows out, or give them a value in the dataset"
        )


def learn_labels(arrays: Iterable[pa.Array], column: str, given: Sequence[Label] | None = None) -> Learned:
    """Return the labels of the training rows, sorted, or those ``given`` in their order, with their counts.

    Raises:
        InvalidData: missing values, a type that is no label's, or a label that is not among those given.
    """
    counts: Counter[Label] = Counter()
    for array in arrays:
        for pair in plain_labels(array, column).value_counts().to_pylist():
            counts[pair["values"]] += pair["counts"]
    found = sorted(counts)
    if given is not None:
        hold_type(found, given, column)
        _hold_known({label: counts[label] for label in found}, given, column)
    labels = tuple(found if given is None else given)
    return Learned(labels, tuple(counts[label] for label in labels))


def hold_type(found: Iterable[Label], known: Sequence[Label], column: str) -> None:
    """Raise InvalidData where the labels of a column and those known are of different types."""
    here = next((type(label) for label in found), None)
    if here is not None and known and here is not type(known[0]):
        raise InvalidData(
            f"the column {column!r} holds {_WORDS[here]} and the labels are {_WORDS[type(known[0])]}; "
            "cast the column (in YAML, quote a label that is a text)"
        )


def _hold_known(counts: dict[Label, int], known: Sequence[Label], column: str) -> None:
    unknown = sorted(counts.keys() - set(known))
    if unknown:
        text = label_text(unknown[0])
        others = f" (and {len(unknown) - 1:,} other labels)" if len(unknown) > 1 else ""
        raise InvalidData(
            f"the label {shorten(text)} of the column {column!r} ({counts[unknown[0]]:,} rows){others} was never seen "
            f"in training.{nearest(text, map(label_text, known))} Correct it, or train with it among `labels`"
        )


def hold_labels(labels: Sequence[Label] | None) -> None:
    """Raise InvalidLayer where the option ``labels`` has one twice, or labels of different types."""
    if labels is None:
        return
    kinds = sorted({_WORDS[type(label)] for label in labels})
    if len(kinds) > 1:
        raise InvalidLayer(f"the option 'labels' mixes {' and '.join(kinds)}; in YAML, quote a label that is a text")
    twice = next((label for label, count in Counter(labels).items() if count > 1), None)
    if twice is not None:
        raise InvalidLayer(f"the option 'labels' has {shorten(label_text(twice))} twice; name each label once")
    if not labels:
        raise InvalidLayer("the option 'labels' is empty; name the labels in order, or leave it out")


def find_label(text: Any, labels: Sequence[Label], option: str) -> int:
    """Return the place of the label that an option names, as itself or as its text.

    Raises:
        InvalidData: there is no such label, with the nearest.
    """
    texts = [label_text(label) for label in labels]
    wanted = label_text(text)
    if wanted not in texts:
        raise InvalidData(f"the option {option!r} names {shorten(wanted)}, which is no label.{nearest(wanted, texts)}")
    return texts.index(wanted)


def index_labels(array: pa.Array, labels: Sequence[Label], column: str, *, strict: bool = True) -> Tensor:
    """Return each label's place, [rows], int64; one that is not known is an error, or -1 where not ``strict``.

    Raises:
        InvalidData: naming the first label that is not known, the nearest ones and the cure.
    """
    plain = plain_labels(array, column)
    hold_type(plain[:1].to_pylist(), labels, column)
    places = pc.index_in(plain, value_set=pa.array(labels, type=plain.type))
    if strict and places.null_count:
        counted = plain.filter(places.is_null()).value_counts().to_pylist()
        _hold_known({pair["values"]: pair["counts"] for pair in counted}, labels, column)
    filled = places.fill_null(-1).to_numpy(zero_copy_only=False)
    return torch.from_numpy(filled.astype(np.int64))


def keep_labels(labels: Sequence[Label]) -> Tensor:
    """Return labels as one uint8 tensor (canonical JSON keeps text, whole numbers and truth values apart)."""
    return torch.from_numpy(np.frombuffer(encode(list(labels)), dtype=np.uint8).copy())


def kept_labels(tensor: Tensor) -> list[Label]:
    """Return the labels that ``keep_labels`` kept.

    >>> kept_labels(keep_labels([False, True]))
    [False, True]
    """
    values: list[Label] = decode(tensor.cpu().numpy().tobytes(), "the labels in an answer layer's state")
    return values


def read_numbers(array: pa.Array, column: str) -> npt.NDArray[np.float64]:
    """Return a column of numbers, or of vectors of one length, as float64 [rows] or [rows, values].

    Raises:
        InvalidData: another type, missing or infinite values, or vectors of different lengths.
    """
    kind, rows = array.type, len(array)
    shape: tuple[int, ...] = (rows,)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        hold_present(array.null_count, rows, column)
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) > 1:
            raise InvalidData(
                f"the column {column!r} has vectors of {min(lengths)} to {max(lengths)} values; give all one length"
            )
        shape, array = (rows, *lengths), pc.list_flatten(array)
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)):
        raise InvalidData(
            f"the column {column!r} is {kind}; a value is a number. Cast it, or answer with the kind `classes`"
        )
    numbers: npt.NDArray[np.float64] = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    hold_present(int(np.isnan(numbers).sum()), len(numbers), column)
    if not np.isfinite(numbers).all():
        raise InvalidData(f"{int(np.isinf(numbers).sum()):,} of {rows:,} values of the column {column!r} are infinite")
    return numbers.reshape(shape)


def hold_target(target: str, taken: Sequence[str]) -> None:
    """Raise InvalidLayer where the answer would have two columns of the target's name."""
    if not target:
        raise InvalidLayer("the option 'target' is empty; name the column that holds the truth")
    if target in taken or target.startswith("p("):
        raise InvalidLayer(f"the target {shorten(target)} is what the answer calls a column of its own; rename it")
