"""Identity: equal values are equal bytes, and bytes that two parsers would read differently are refused."""

from __future__ import annotations

import contextlib
import enum
import json
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.canonical import MAX_DEPTH, decode, digest, digest_bytes, digest_value, encode
from layerwise.errors import InvalidFile, LayerwiseError

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**39), 10**39)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> Any:
    """Return lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@given(JSON)
def test_what_is_written_is_read_back_and_written_the_same(value: Any) -> None:
    data = encode(value)
    assert encode(decode(data, "x")) == data
    assert json.loads(data) == value


@settings(max_examples=50)
@given(st.dictionaries(st.text(), JSON, min_size=2))
def test_the_order_of_keys_does_not_count(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert encode(turned) == encode(value)
    assert digest_value("t", turned) == digest_value("t", value)


def test_tuples_and_any_mapping_are_json_too() -> None:
    frozen: Mapping[str, Any] = types.MappingProxyType({"b": (1, 2), "a": types.MappingProxyType({})})
    assert encode(frozen) == b'{"a":{},"b":[1,2]}'


class Colour(enum.IntEnum):
    """A number with a name."""

    RED = 3


@pytest.mark.parametrize(
    ("value", "data"),
    [(1.0, b"1.0"), (1, b"1"), (True, b"true"), (1e-05, b"1e-05"), ("ö", b'"\xc3\xb6"'), (Colour.RED, b"3")],
)
def test_values_of_different_types_are_different_bytes(value: Any, data: bytes) -> None:
    assert encode(value) == data


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "nan"),
        ({"a": [float("inf")]}, r"inf: found at \$.a\[0\]"),
        ({1: 2}, "key must be text"),
        ({"a": {1, 2}}, "set"),
        ({"a": b"x"}, "bytes"),
        (np.float32(1), "float32"),
        (np.arange(3), "ndarray"),
        (object(), "object"),
        (10**40, "40 digits"),
        pytest.param(-(10**5000), "40 digits", id="a very long number"),
        ("\ud800", "half of a character"),
        ({"\udfff": 1}, "half of a character"),
        (nested(MAX_DEPTH + 1), "deeper than 64"),
        (nested(100_000), "deeper than 64"),
        ({"\x1b[31m" + "x" * 10_000: {1}}, "set"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_the_place(value: Any, said: str) -> None:
    with pytest.raises(InvalidFile, match=said) as caught:
        encode(value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[1,]", "is not JSON"),
        (b"{} {}", "is not JSON"),
        (b"'a'", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b'\xef\xbb\xbf{"a":1}', "is not JSON"),
        (b'"\t"', "is not JSON"),
        (b'{"a":1,"a":1}', "key 'a' twice"),
        (b'{"a":{"b":1,"\\u0062":2}}', "key 'b' twice"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e999", "too large"),
        (b"-1e999", "too large"),
        (b"9" * 41, "41 digits"),
        (b"9" * 10_000, "10,000 digits"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b"[" * 100_000, "deeper than 64"),
        (b'{"a":' * 100_000, "deeper than 64"),
        (b'"\\ud800"', "half of a character"),
        (b'{"\\uDFFF":0}', "half of a character"),
    ],
)
def test_strict_json_refuses_what_two_parsers_read_differently(data: bytes, said: str) -> None:
    with pytest.raises(InvalidFile, match=said) as caught:
        decode(data, "the manifest of digits@3")
    assert "the manifest of digits@3" in str(caught.value)


def test_what_is_written_is_as_deep_as_what_is_read() -> None:
    deepest = nested(MAX_DEPTH - 1)
    assert decode(encode(deepest), "x") == deepest
    for too_deep in (nested(MAX_DEPTH), {"a": nested(MAX_DEPTH - 1)}):
        with pytest.raises(InvalidFile, match="deeper than 64"):
            encode(too_deep)
        with pytest.raises(InvalidFile, match="deeper than 64"):
            decode(json.dumps(too_deep).encode(), "x")


def test_a_message_says_where_a_value_is() -> None:
    with pytest.raises(InvalidFile, match=r"found at \$\.layers\[1\]\.rate"):
        encode({"layers": [0, {"rate": float("nan")}]})


def test_brackets_in_texts_are_no_nesting() -> None:
    text = '["{' * 100 + '\\"'
    assert decode(json.dumps([text]).encode(), "x") == [text]


def test_a_pair_of_halves_is_one_character() -> None:
    assert decode(b'"\\ud83d\\ude00"', "x") == "\U0001f600"


@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_get_anything_but_a_layerwise_error_out_of_decode(data: bytes) -> None:
    with contextlib.suppress(LayerwiseError):
        value = decode(data, "x")
        assert encode(decode(encode(value), "x")) == encode(value)


@given(st.text(alphabet='{}[]",:\\eE+-.0123456789utrfalsnd ', max_size=40))
def test_almost_json_gets_nothing_else_out_either(text: str) -> None:
    with contextlib.suppress(LayerwiseError):
        decode(text.encode(), "x")


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_different_parts_are_different_digests(one: list[bytes], other: list[bytes]) -> None:
    assert (digest("t", *one) == digest("t", *other)) == (one == other)


@given(st.text(max_size=3), st.text(max_size=3), st.binary(max_size=3), st.binary(max_size=3))
def test_different_tags_are_different_digests(tag: str, other: str, part: bytes, next_part: bytes) -> None:
    assert (digest(tag, part) == digest(other, next_part)) == ((tag, part) == (other, next_part))


def test_digests_stay_what_they_are() -> None:
    # Kept repositories are named by these: a change here is a new format.
    assert digest("graph.v1", b"[]") == "7238d3b4c64ac89d2c273e2ce8ce52c9edc81753406615284db78214321da93e"
    assert (
        digest_value("graph.v1", {"a": [1, 2.5, None, "ö"]})
        == "e8975fbdf532247aeb77a0e7078c7ca954e5519335eb64f6a5c2c0227c4cd920"
    )


def test_a_table_of_bytes_has_its_length_in_bytes_not_in_rows() -> None:
    view = memoryview(bytes(range(6))).cast("B", (2, 3))
    assert digest("t", view) == digest("t", view.tobytes())


@given(st.lists(st.binary()))
def test_the_digest_of_an_object_is_plain_blake3_however_it_is_cut(chunks: list[bytes]) -> None:
    assert digest_bytes(chunks) == blake3(b"".join(chunks)).hexdigest()
