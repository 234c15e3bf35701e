"""Models as files: nothing is lost, a message names file and line, and no text gets by the reader."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.errors import Invalid, InvalidConfig, InvalidFile, LayerwiseError
from layerwise.graph import kinds
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.graph.scalars import read_plain, write_flow, write_scalar
from layerwise.graph.yaml import MAX_BYTES, Marks, in_file, load_model, read, write

DIGITS = """\
model: digits
data: digits-data
layers:
  pixels: {kind: column, column: image, shape: [1, 8, 8]}
  scaled: {kind: scale, by: 16.0}
  edges:  {kind: torch.nn.Conv2d, out_channels: 16, kernel_size: 3, padding: 1, activation: relu, owner: maria}
  stage:
    kind: block
    frozen: true
    layers:
      "0": {kind: torch.nn.Conv2d, out_channels: 16}
      norms:
        kind: block
        layers:
          "no": {kind: torch.nn.BatchNorm2d}
      sum: {kind: join, inputs: [input, norms]}
  scores: {kind: torch.nn.Linear, out_features: 10}
  digit:  {kind: classes, target: digit, inputs: [scores]}
train: {epochs: 10, batch: 64, optimizer: adam, lr: 0.001, seed: 7}
"""


def digits() -> Graph:
    """Return the model that ``DIGITS`` writes, made in Python."""
    conv = "torch.nn.Conv2d"
    norms = Layer("norms", "block", layers=[Layer("no", "torch.nn.BatchNorm2d")])
    inner = [Layer("0", conv, out_channels=16), norms, Layer("sum", "join", inputs=["input", "norms"])]
    layers = [
        Layer("pixels", "column", column="image", shape=(1, 8, 8)),
        Layer("scaled", "scale", by=16),
        Layer("edges", conv, out_channels=16, kernel_size=3, padding=1, activation="relu", owner="maria"),
        Layer("stage", "block", frozen=True, layers=inner),
        Layer("scores", "torch.nn.Linear", out_features=10),
        Layer("digit", "classes", target="digit", inputs="scores"),
    ]
    train = {"epochs": 10, "batch": 64, "optimizer": "adam", "lr": 1e-3, "seed": 7}
    return Graph("digits", layers, data="digits-data", train=train)


def graph_of(text: str) -> Graph:
    """Return the model in the text of a file called digits.yaml."""
    description, marks = read(text, what="digits.yaml")
    with in_file(marks):
        return Graph.from_description(description)


def test_a_model_is_written_as_people_write_it() -> None:
    assert write(digits()) == DIGITS


def test_from_python_to_a_file_and_back_nothing_is_lost() -> None:
    again = graph_of(write(digits()))
    assert again == digits()
    assert again.digest == digits().digest
    assert write(again) == DIGITS


def test_an_older_version_of_a_kind_is_written_with_its_version() -> None:
    kinds.register("scale", 2)(type("Scale2", (type(digits().layer("scaled").action),), {}))
    old = Graph("m", [Layer("a", "column", column="x"), Layer("b", "scale.v1"), Layer("c", "scale")])
    assert "b: {kind: scale.v1}" in write(old)
    assert "c: {kind: scale}" in write(old)
    assert graph_of(write(old)) == old


def test_a_long_name_does_not_push_its_neighbours_to_the_right() -> None:
    text = write(Graph("m", [Layer("a", "anything"), Layer("b" * 60, "anything")]))
    assert "  a: {kind: anything}\n" in text


TRICKY = [
    "yes", "no", "on", "off", "y", "n", "Null", "null", "~", "", " ", "true", "False", "1e3", "1e-3", "0x1F", "0o17",
    "017", "1_000", "1:30", "12", "-1", "+1", ".5", "5.", ".inf", "-.INF", ".nan", "2024-01-01", "- a", "-", "?", ":",
    "? a", "a: b", "a:", ":a", "#x", "a #x", "a#x", "*a", "&a", "!a", "!!str", "|", ">", "%a", "@a", "`a`", "'a'",
    '"a"', "a\"b", "a\\b", "[a]", "{a}", "a, b", "<<", "=", "---", "...", "--- a", "a\nb", "a\tb", "\r\n", " a", "a ",
    "a  b", "\x00", "\x1b[31m", "\x7f", "\x85", "\xa0", "\u2028", "\ufeff", "\u202eabc", "\ufffe", "\U0001f600",
    "größe", "文字", "שלום", "e\u0301", "\U0010ffff", "\\u0041", "x" * 2000, "ö" * 2000,
]  # fmt: skip

texts = st.sampled_from(TRICKY) | st.text(max_size=12)
numbers = st.sampled_from([1e-05, 1e16, 1e22, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1.0, 100.0])
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 10**40, 10**40 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | numbers
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["0", "1e3", "no", "null", "y", "true", "_", "0x1F", "conv1", "x" * 30]) | st.from_regex(
    r"[A-Za-z0-9_]{1,8}", fullmatch=True
).map(lambda name: "input_" if name == "input" else name)
labels = st.sampled_from([text for text in TRICKY if text and len(text) <= 200 and text.isprintable()]) | st.text(
    st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=12
)


@st.composite
def siblings(draw: st.DrawFn, depth: int = 0) -> list[Layer]:
    """Draw layers beside each other: some with inputs of their own, some with layers inside."""
    unique = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    layers: list[Layer] = []
    for number, name in enumerate(unique):
        known = [*unique[:number], *(["input"] if depth else [])]
        inputs = draw(st.none() | st.lists(st.sampled_from(known), min_size=1, max_size=3)) if known else None
        block = draw(st.booleans()) if depth < 3 else False
        said = {
            "inputs": inputs,
            "owner": draw(st.none() | labels),
            "sensitivity": draw(st.none() | labels),
            "frozen": draw(st.booleans()),
            "value": draw(values),
            "options_by_name": draw(st.dictionaries(texts, values, max_size=2)),
        }
        layers.append(Layer(name, "anything", layers=draw(siblings(depth=depth + 1)) if block else (), **said))
    return layers


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw a model."""
    layers = draw(siblings())
    data = draw(st.none() | st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,30}(@[0-9]{1,3})?", fullmatch=True))
    return Graph("m", layers, data=data, train=draw(st.dictionaries(texts, values, max_size=3)))


@settings(max_examples=40)
@given(graphs())
def test_any_model_is_written_and_read_back_without_loss(graph: Graph) -> None:
    text = write(graph)
    again = graph_of(text)
    assert again == graph
    assert repr(again.describe()) == repr(graph.describe())  # 1 is not 1.0, and the order counts
    assert again.digest == graph.digest
    assert write(again) == text
    assert all(line.isprintable() for line in text.splitlines())


@settings(max_examples=20)
@given(graphs())
def test_an_old_parser_reads_the_same_from_what_is_written(graph: Graph) -> None:
    # PyYAML reads YAML 1.1: editors and other tools do, too.
    said = pyyaml.safe_load(write(graph))
    for layer in said["layers"].values():
        layer["kind"] += ".v1"
    assert said["layers"].keys() == graph.describe()["layers"].keys()
    for name, layer in said["layers"].items():
        described = graph.describe()["layers"][name]
        assert {key: layer.get(key) for key in ("value", "owner", "options_by_name")} == {
            key: described.get(key) for key in ("value", "owner", "options_by_name")
        }


@given(values)
def test_any_value_reads_back_as_the_same_value_of_the_same_type(value: Any) -> None:
    found, _ = read(f"a: {write_flow(value)}\n")
    assert repr(found["a"]) == repr(value)


PLAIN: list[tuple[str, Any]] = [
    ("", None), ("~", None), ("null", None), ("NULL", None), ("nULL", "nULL"),
    ("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE"),
    ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"),
    ("0", 0), ("-7", -7), ("+7", 7), ("007", 7), ("0o17", 15), ("0x1F", 31), ("0b11", "0b11"), ("1_000", "1_000"),
    ("-0x1F", "-0x1F"), ("1:30", "1:30"), ("٣", "٣"),
    ("1e-3", 0.001), ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-.5", -0.5), ("1.5E+2", 150.0), (".", "."),
    ("e3", "e3"),
    ("2024-01-01", "2024-01-01"), ("2024-01-01 10:00:00", "2024-01-01 10:00:00"), ("inf", "inf"), ("nan", "nan"),
    ("<<", "<<"), ("=", "="), ("1.2.3", "1.2.3"), ("9" * 40, int("9" * 40)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), PLAIN, ids=lambda value: ascii(value)[:20])
def test_plain_text_means_what_yaml_1_2_says(text: str, value: Any) -> None:
    found = read_plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**40, b"x", {1}, object()], ids=lambda value: str(value)[:10])
def test_what_yaml_here_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidFile, match="YAML here cannot hold"):
        write_scalar(value)


REFUSED: list[tuple[str | bytes, int | None, str]] = [
    ("", None, "the file is empty"),
    ("# nothing\n", None, "the file is empty"),
    ("- a\n", 1, "found a list; expected KEY: VALUE at the top"),
    ("\n\ntext", 3, "found a single value"),
    ("a: 1\nb: 2\na: 3", 3, "the key 'a' is there twice, first on line 1; keep one"),
    ("a:\n  b: 1\n  b: 2", 3, "the key 'b' is there twice"),
    ('a: 1\n"\\x61": 3', 2, "the key 'a' is there twice"),
    ("a: 1\nb: !!python/object/apply:os.system [ls]", 2, "found the tag"),
    ("a: !!str 1", 1, "found the tag"),
    ("a: ! 1", 1, "found the tag '!'"),
    ("a: !mine {b: 1}", 1, "found the tag '!mine'"),
    ("!!map {a: 1}", 1, "found the tag"),
    ("a: &x 1", 1, "found the anchor '&x'; write the value out where it is used"),
    ("a: 1\nb: *x", 2, "found the alias '*x'; write the value out, or put a text in quotes"),
    ("&k a: 1", 1, "found the anchor '&k'"),
    ("a: &a [*a, *a, *a]", 1, "found the anchor '&a'"),
    ("<<: {a: 1}", 1, "found the merge key <<"),
    ("1: a", 1, 'a key is a text; found 1: write it as "1"'),
    ("a: {null: 1}", 1, "a key is a text; found null"),
    ("a: {true: 1}", 1, "a key is a text; found true"),
    ("? \n: 1", 1, "a key is a text; found nothing"),
    ("? [a]\n: 1", 1, "found a list or a mapping as a key"),
    ("{a: 1}: 2", 1, "found a list or a mapping as a key"),
    ("a: 1\n---\nb: 2", 2, "a second document begins"),
    ("a: 1\n...\nb: 2", 3, "a file holds one document"),
    ("a:\n\tb: 1", 2, "found a tab; indent with spaces"),
    ("a: 1\nb: \x1b[31m", 2, "found U+001B"),
    ("a: \u202ex", 1, 'found U+202E, which editors do not show; take it out, or write "\\u202e"'),
    ("a: 1\rb: 2", 1, "found U+000D"),
    ("a: x\x85b: 2", 1, "found U+0085"),
    ("a: x\u2028b: 2", 1, "found U+2028"),
    (b"a: 1\nb: \xff", 2, "the byte 0xff is not UTF-8"),
    ("a: 1\n".encode("utf-16"), 1, "is not UTF-8"),
    ('a: "\\ud800"', 1, "half of a character"),
    ("a: \ud800", 1, "is not UTF-8"),
    ('a: "\\UFFFFFFFF"', None, "not YAML"),
    ("%YAML 1." + "9" * 5000 + "\n---\na: 1", None, "not YAML"),
    ("%YAML 2.0\n---\na: 1", 1, "not YAML"),
    ("a: .inf", 1, 'numbers here are finite. For the text, write ".inf"'),
    ("a: -.Inf", 1, "numbers here are finite"),
    ("a:\n- .nan", 2, "numbers here are finite"),
    ("a: 1e999", 1, "which no float holds"),
    ("a: 1." + "0" * 100_000, 1, "which no float holds"),
    ("a: " + "9" * 41, 1, "a whole number of 41 digits; at most 40"),
    ("a: 0x" + "F" * 41, 1, "a whole number of"),
    ("a: b: c", 1, "needs quotes"),
    ("a: @b", 1, "put the text in quotes"),
    ("a: %b", 1, "put the text in quotes"),
    ("a: {b: 1\nc: 2", 2, "a comma or a closing bracket is missing"),
    ("a: 'b", 1, "a closing quote is missing"),
    ("a: 1\n  b: 2", 2, "needs quotes, and keys of one mapping the same indent"),
    ("  a: 1\n b: 2", 2, "keys beside each other need the same indent"),
    ("a: " + "[" * 64, 1, "nests deeper than 64 levels"),
    ("a: " + "[" * 100_000, 1, "nests deeper than 64 levels"),
    ("a: " + "{b: " * 100_000, 1, "nests deeper than 64 levels"),
    ("- " * 100_000, 1, "found a list"),
    ("a:\n" + "".join(" " * i + "- \n" for i in range(1, 70)), None, "deeper"),
    (b"a: " + b"x" * MAX_BYTES, None, "larger than 1,048,576 bytes"),
]


@pytest.mark.parametrize(("text", "line", "said"), REFUSED, ids=lambda value: ascii(value)[:24])
def test_what_is_refused_names_the_file_the_line_and_the_cure(text: str | bytes, line: int | None, said: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read(text, what="digits.yaml")
    message = str(caught.value)
    assert said in message
    assert message.startswith(f"digits.yaml:{line}: " if line else "digits.yaml")
    assert message.isprintable()
    assert len(message) < 500
    assert caught.value.file == "digits.yaml"


def test_a_file_full_of_data_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layerwise.graph.yaml.MAX_VALUES", 5)
    assert read("a: [1, 2, 3]")[0] == {"a": [1, 2, 3]}
    with pytest.raises(InvalidFile, match=r"digits\.yaml:2: found more than 5 values; keep data out"):
        read("a: [1, 2, 3,\n 4, 5, 6]", what="digits.yaml")


def test_bombs_are_refused() -> None:
    # Read as they say they are, none of them would end.
    laughs = "a: &a [x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    for text in (laughs, "a: " + "[" * 500_000, "a: " + "{? " * 200_000, "- " * 250_000):
        with pytest.raises(InvalidFile):
            read(text)


@given(st.text() | st.binary())
def test_no_bytes_get_anything_but_a_layerwise_error_out_of_the_reader(source: str | bytes) -> None:
    with contextlib.suppress(LayerwiseError):
        read(source)


PIECES = [
    "a", "b: ", "- ", "[", "]", "{", "}", ", ", "\n", "  ", "? ", ": ", "|", ">", "'", '"', "#", "&a ", "*a",
    "!t ", "<<",
    "---\n", "...\n", "%", "1", ".5", "\\", "é", "\x00", "\t", "|2-\n", "model: m\n", "layers: ", "kind: join",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_almost_yaml_gets_nothing_else_out_either(text: str) -> None:
    with contextlib.suppress(LayerwiseError):
        graph_of(text)


@given(st.integers(0, len(DIGITS) - 1), st.text(max_size=3), st.integers(0, 20))
def test_a_file_with_a_slip_of_the_hand_is_a_model_or_a_layerwise_error(at: int, text: str, gone: int) -> None:
    with contextlib.suppress(LayerwiseError):
        graph_of(DIGITS[:at] + text + DIGITS[at + gone :])


def test_files_from_windows_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "digits.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + DIGITS.replace("\n", "\r\n").encode())
    description, marks = load_model(path)
    assert Graph.from_description(description) == digits()
    assert marks.line(("layers", "edges")) == 6
    assert marks.what == str(path)


@pytest.mark.parametrize("name", ["gone.yaml", "", "a\0b", "x" * 5000, "\x1b[31m.yaml"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidFile, match="the file cannot be read: ") as caught:
        load_model(tmp_path / name)
    assert str(caught.value).isprintable()
    assert caught.value.file


def test_lines_are_known_by_the_path_of_keys() -> None:
    _, marks = read(DIGITS)
    assert marks.line(("layers", "pixels", "shape", 2)) == 4
    assert marks.line(("layers", "stage", "layers", "norms", "layers", "no")) == 15
    assert marks.line(("layers", "stage", "layers", "gone")) == 10
    assert marks.line(("gone",)) == 1


WRONG: list[tuple[str, str, str]] = [
    ("scale, by: 16.0", "scael", "digits.yaml:5: layer 'scaled': there is no kind 'scael'. Did you mean 'scale'?"),
    ("by: 16.0", "by: many", "digits.yaml:5: layer 'scaled': the option 'by' is 'many'; expected a number"),
    ("    frozen: true", "    frozen: 3", "digits.yaml:9: layer 'stage': the option 'frozen' is 3"),
    ("{kind: torch.nn.BatchNorm2d}", "{kind: gone}", "digits.yaml:15: layer 'stage.norms.no': there is no kind 'gone'"),
    ("[input, norms]", "[input, norm]", "digits.yaml:16: layer 'stage.sum' (join.v1): the input 'norm' is no layer"),
    ("inputs: [scores]", "inputs: [score]", "digits.yaml:18: layer 'digit' (classes.v1): the input 'score' is no"),
    ("  edges:", "  ed-ges:", "digits.yaml:6: layer 'ed-ges': 'ed-ges' is not a layer's name"),
    ("model: digits", "model: 3", "digits.yaml:1: a model needs the key 'model'; found 3"),
    ("model: digits", "model: ../x", "digits.yaml:1: '../x' is not a model's name"),
    ("data: digits-data", "data: [a]", "digits.yaml:2: data must be a dataset's name, found ['a']"),
    ("data: digits-data", "dta: a", "digits.yaml:2: a model has no key 'dta'. Did you mean 'data'?"),
    ("train: {", "train: 3 #", "digits.yaml:19: train must be a mapping of settings, found 3"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "said"), WRONG, ids=lambda value: value[:30])
def test_what_is_wrong_in_a_file_is_told_with_its_line(right: str, wrong: str, said: str) -> None:
    assert right in DIGITS
    with pytest.raises(Invalid) as caught:
        graph_of(DIGITS.replace(right, wrong, 1))
    assert str(caught.value).startswith(said)
    assert caught.value.file == "digits.yaml"


def test_a_cycle_is_told_at_a_layer_that_is_in_it() -> None:
    text = "model: m\nlayers:\n  a: {kind: anything}\n  b: {kind: join, inputs: [c]}\n  c: {kind: join}\n"
    with pytest.raises(Invalid, match=r"digits\.yaml:[45]: there is a cycle in the model: "):
        graph_of(text)


def test_an_option_on_a_line_of_its_own_is_told_with_that_line() -> None:
    with pytest.raises(Invalid, match=r"^digits\.yaml:6: layer 'd': the option 'units' is 'x'"):
        graph_of("model: m\nlayers:\n  a: {kind: anything}\n  d:\n    kind: dense\n    units: x\n")


def test_a_setting_of_the_training_is_told_with_its_line() -> None:
    _, marks = read("model: m\ntrain:\n  epochs: 3\n  lr: fast\n", what="digits.yaml")
    with pytest.raises(InvalidConfig, match=r"^digits\.yaml:4: the setting 'lr' is 'fast'$"), in_file(marks):
        raise InvalidConfig("the setting 'lr' is 'fast'")


def test_the_file_is_named_once_and_a_bug_of_ours_is_not_dressed_up() -> None:
    marks = Marks("digits.yaml", {})
    with pytest.raises(InvalidFile, match=r"^x\.yaml: the file is empty"), in_file(marks):
        read("", what="x.yaml")
    with pytest.raises(ZeroDivisionError), in_file(marks):
        1 / 0  # noqa: B018
