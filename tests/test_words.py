"""The grammar of names, digests and addresses: what is taken, what is refused, and that no text gets by."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.errors import InvalidName
from layerwise.words import (
    MAX_NAME,
    Address,
    parse_address,
    parse_digest,
    parse_layer_name,
    parse_name,
    shorten,
    visible,
)

PARSERS = (parse_name, parse_layer_name, parse_digest, parse_address)

BAD_EVERYWHERE = [
    "",
    " ",
    "digits ",
    "digits\n",
    "\ndigits",
    "../digits",
    "a/../b",
    "C:\\digits",
    "digits\0",
    "dig\x1b[31mits",
    "größe",
    "ｄigits",  # full-width d, noqa: RUF003
    "dıgits",  # dotless i
    "א",
    "\u202edigits",
    "a" * (MAX_NAME + 1),
    "a" * 10_000,
    "-rf",
    ".",
    "..",
    "~",
    "*",
    "a b",
    "%2e%2e",
    "\ud800",
    None,
    7,
    b"digits",
    ["digits"],
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@pytest.mark.parametrize("text", BAD_EVERYWHERE, ids=lambda text: ascii(text)[:20])
def test_what_no_grammar_takes_is_refused_with_the_rule(parse: Callable[[object], object], text: object) -> None:
    with pytest.raises(InvalidName) as caught:
        parse(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    assert "expected" in str(caught.value) or "write" in str(caught.value)


@pytest.mark.parametrize("text", ["a", "digits-data", "A_1", "x" * MAX_NAME])
def test_names_are_taken(text: str) -> None:
    assert parse_name(text) == text


@pytest.mark.parametrize("text", ["0", "1e3", "conv1", "_hidden", "x" * MAX_NAME])
def test_parts_of_a_layers_path_are_what_torch_takes(text: str) -> None:
    assert parse_layer_name(text) == text


@pytest.mark.parametrize("text", ["1digits", "a.b", "a@b", "a:1"])
def test_a_name_begins_with_a_letter_and_holds_no_sign_of_an_address(text: str) -> None:
    with pytest.raises(InvalidName, match="a letter, then letters"):
        parse_name(text)


@pytest.mark.parametrize("text", ["conv-1", "a.b", "a b"])
def test_a_layers_name_holds_no_dot_or_dash(text: str) -> None:
    with pytest.raises(InvalidName, match="a layer's name"):
        parse_layer_name(text)


@pytest.mark.parametrize("text", ["a" * 63, "a" * 65, "A" * 64, "g" * 64, "٣" * 64])
def test_a_digest_is_64_small_hexadecimal_digits(text: str) -> None:
    with pytest.raises(InvalidName, match="64 hexadecimal"):
        parse_digest(text)
    assert parse_digest("0f" * 32) == "0f" * 32


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("digits", Address("digits")),
        ("digits@3", Address("digits", "3")),
        ("digits@champion", Address("digits", "champion")),
        ("digits@1f3a99", Address("digits", "1f3a99")),
        ("digits@3/edges", Address("digits", "3", "edges")),
        ("digits@3/encoder.0.conv1:2", Address("digits", "3", "encoder.0.conv1", 2)),
        ("digits/edges", Address("digits", None, "edges")),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, parts: Address) -> None:
    assert parse_address(text) == parts
    assert str(parts) == text


@pytest.mark.parametrize(
    "text",
    [
        "@3",
        "digits@",
        "digits@-3",
        "digits@3/",
        "digits@3/.edges",
        "digits@3/edges.",
        "digits@3/a..b",
        "digits@3/../secrets",
        "digits@3@4",
        "digits@3/edges:0",
        "digits@3/edges:007",
        "digits@3/edges:٣",  # a digit, but not one of ours
        "digits@3/edges:-1",
        "digits@3/edges:1234567890",
        "digits@latest!",
    ],
)
def test_what_looks_like_an_address_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_address(text)


@given(st.text() | st.binary() | st.integers() | st.none())
def test_no_text_gets_anything_but_invalid_name_out_of_a_parser(text: object) -> None:
    for parse in PARSERS:
        with contextlib.suppress(InvalidName):
            assert str(parse(text)) == text


@given(st.text(alphabet="ab1@/:.-_", max_size=12))
def test_every_address_that_is_taken_is_written_back_as_it_was(text: str) -> None:
    try:
        parsed = parse_address(text)
    except InvalidName:
        return
    assert str(parsed) == text


@given(st.text(st.characters()))
def test_what_is_shown_holds_nothing_that_a_terminal_acts_on(text: str) -> None:
    assert visible(text).isprintable()
    assert shorten(text).isprintable()
    assert visible(visible(text)) == visible(text)


def test_a_persons_own_language_stays_readable() -> None:
    assert shorten("Größe") == "'Größe'"
    assert visible("Größe") == "Größe"


def test_a_long_text_is_cut_and_its_length_said() -> None:
    assert shorten("x" * 10_000, 5) == "'xxxxx'… (10,000 characters)"
