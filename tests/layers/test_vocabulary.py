"""A vocabulary gives the commonest values the lowest indices, and never fails on a new one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import Value
from layerwise.layers.vocabulary import Vocabulary

rows_of_words = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=12)


def run(kind: Vocabulary, train: Value, rows: Value) -> Any:
    """Return what the kind makes of ``rows`` after learning from ``train``."""
    found = kind.run(rows, state=kind.fit([(train,)]))
    return found.to_pylist() if isinstance(found, pa.Array) else torch.as_tensor(found).tolist()


@given(rows_of_words, rows_of_words, st.integers(1, 3), st.none() | st.integers(3, 7))
def test_indices_are_those_of_the_sorted_counts(
    train: list[list[str]], rows: list[list[str]], fewest: int, size: int | None
) -> None:
    counts = Counter(word for row in train for word in row)
    often = sorted((word for word in counts if counts[word] >= fewest), key=lambda word: (-counts[word], word))
    places = {word: place for place, word in enumerate(often[: None if size is None else size - 2], 2)}
    kind, kinds = Vocabulary(size=size, fewest=fewest), pa.list_(pa.string())
    wanted = [[places.get(word, 1) for word in row] for row in rows]
    assert run(kind, pa.array(train, kinds), pa.array(rows, kinds)) == wanted
    port = kind.infer((Port("list<string>"),), kind.fit([(pa.array(train, kinds),)]))
    assert port == Port("list<int64>", size=2 + len(places))


CASES: list[tuple[Value, Value, Any]] = [
    (pa.array([[30, 4], [4]]), pa.array([[4, 30, 9], None, []]), [[2, 3, 1], [], []]),
    (pa.array(["b", "a", "b"]), pa.array(["a", "b", "c", None]), [3, 2, 1, 1]),
    (torch.tensor([7, 7, 8]), torch.tensor([8, 9]), [3, 1]),
    (pa.array([["a", None, "b"]]), pa.array([["b", None]]), [[3, 1]]),
]


@pytest.mark.parametrize(("train", "rows", "wanted"), CASES)
def test_lists_items_and_gaps_have_indices(train: Value, rows: Value, wanted: Any) -> None:
    assert run(Vocabulary(), train, rows) == wanted


def test_ports() -> None:
    kind = Vocabulary()
    assert kind.infer((Port("list<int64>"),)) == Port("list<int64>")
    assert kind.infer((Port("string"),)) == Port("int64")
    for port in (Port("float32"), Port("int64", (3,)), Port("list<float32>")):
        with pytest.raises(InvalidShape, match="it takes lists of text or whole numbers, or one a row"):
            kind.infer((port,))


@pytest.mark.parametrize("options", [{"size": 2}, {"fewest": 0}, {"size": "many"}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidLayer, match=r"size|fewest"):
        make("vocabulary", options)
