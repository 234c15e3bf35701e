"""Text is cut as Python's own regular expressions would, and byte pairs give every text back."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import make
from layerwise.graph.ports import Port
from layerwise.layers.base import tensor_to_texts
from layerwise.layers.bytepairs import build_tokenizer
from layerwise.layers.text import Tokens

texts = st.lists(st.text(st.sampled_from("aZé_9'’ \t\n.!?-ß\x1e\x1f…x"), max_size=25), min_size=1, max_size=8)
any_texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=8)


def run(kind: Tokens, rows: list[str]) -> Any:
    """Return what ``kind`` makes of ``rows`` without learning."""
    found = kind.run(pa.array(rows, pa.string()), state={})
    assert isinstance(found, pa.Array)
    assert len(found) == len(rows)
    return found.to_pylist()


@given(texts)
def test_words_are_what_findall_finds(rows: list[str]) -> None:
    wanted = [re.findall(r"\w+(?:['’]\w+)*|[^\s\x1e\x1f]", row) for row in rows]
    assert run(Tokens(), rows) == wanted
    assert run(Tokens(lower=True), rows) == [[word.lower() for word in words] for words in wanted]


@given(texts, st.sampled_from(["[a-z]+", "a|aZ", "x*", ".", "[0-9_]", "(a)(Z)?"]))
def test_a_pattern_finds_what_findall_finds(rows: list[str], pattern: str) -> None:
    rows = [row.replace("\x1e", " ").replace("\x1f", " ") for row in rows]
    wanted = [[match[0] for match in re.finditer(pattern, row) if match[0]] for row in rows]
    assert run(Tokens(pattern=pattern), rows) == wanted


@given(any_texts)
def test_characters_make_the_text(rows: list[str]) -> None:
    found = run(Tokens(by="characters"), rows)
    assert ["".join(row) for row in found] == [re.sub("[\x1e\x1f]", " ", row) for row in rows]
    assert all(len(character) == 1 for row in found for character in row)


CORPUS = ["the quick brown fox", "the lazy dog", "quick, quick!", "[PAD] is no padding"] * 20


@given(any_texts)
def test_byte_pairs_give_every_text_back(rows: list[str]) -> None:
    kind = Tokens(by="bytepairs", size=280)
    state = kind.fit([(pa.array(CORPUS),)])
    found = kind.run(pa.array(rows), state=state)
    assert isinstance(found, pa.Array)
    tokenizer = build_tokenizer(state["merges"])
    assert [tokenizer.decode(row) for row in found.to_pylist()] == rows
    assert all(token > 1 for row in found.to_pylist() for token in row)


def test_byte_pairs_know_their_size_and_merge_what_is_common() -> None:
    kind = Tokens(by="bytepairs", size=280)
    state = kind.fit([(pa.array(CORPUS),)])
    assert kind.infer((Port("string"),)) == Port("list<int64>")
    assert kind.infer((Port("string"),), state) == Port("list<int64>", size=280)
    assert len(tensor_to_texts(state["merges"])) == 280 - 258
    found = kind.run(pa.array(["the"]), state=state)
    assert isinstance(found, pa.Array)
    assert len(found[0]) == 1


@pytest.mark.slow
def test_byte_pairs_are_the_same_in_another_process() -> None:
    program = (
        "import pyarrow as pa; from layerwise.layers.text import Tokens;"
        f"print(Tokens('bytepairs', size=300).fit([(pa.array({CORPUS[:4]!r}),)])['merges'].tolist())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found == f"{Tokens('bytepairs', size=300).fit([(pa.array(CORPUS[:4]),)])['merges'].tolist()}\n"


def test_ports_are_lists() -> None:
    assert Tokens().infer((Port("string"),)) == Port("list<string>")
    with pytest.raises(InvalidShape, match="its input is binary, and it takes text"):
        Tokens().infer((Port("binary"),))


def test_missing_and_other_values_are_refused() -> None:
    with pytest.raises(InvalidData, match="1 texts of 2 are missing; put a `fill` layer"):
        Tokens().run(pa.array(["a", None]), state={})
    with pytest.raises(InvalidShape, match="expected text, found int64"):
        Tokens().run(pa.array([1]), state={})
    with pytest.raises(InvalidShape, match="expected text, found Tensor"):
        Tokens().run(torch.ones(2), state={})
    with pytest.raises(InvalidData, match="has not learned 'merges' yet"):
        Tokens(by="bytepairs").run(pa.array(["a"]), state={})


BAD = [
    ({"by": "sentences"}, "'by' is"),
    ({"pattern": "((a)"}, "no regular expression of RE2's syntax"),
    ({"pattern": r"(a)\1"}, "no regular expression"),
    ({"by": "characters", "pattern": "a"}, "'pattern' is for words"),
    ({"by": "bytepairs", "size": 257}, "expected 258 or more"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidLayer, match=message):
        make("tokens", options)


def test_a_hostile_pattern_takes_linear_time() -> None:
    assert run(Tokens(pattern="(a+)+b"), ["a" * 20_000]) == [[]]
