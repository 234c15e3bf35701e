"""Drawings: what they say of a model, that they line up, and that no text breaks out of them."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.graph import draw
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.graph.mermaid import escape
from layerwise.graph.ports import Port
from layerwise.graph.table import cells, cut

PORTS = {"pixels": Port("uint8", (1, 8, 8)), "edges": Port("float32", (16, None)), "digit": Port("string")}
PARAMETERS = {"edges": 1160, "stage.conv": 20}

NASTY = [
    "\x1b]0;title\x07\x1b[31m", "</style><script>alert(1)</script>",
    '"]; click n0 "javascript:alert(1)"', "<img src=x>",
    "%%{init: {}}%%", "#quot;", "`x`", "end", "a\nb --> c", "\u202eabc", "&lt;", "שלום",
    "文字" * 40, "{{x}}", "'\"",
]  # fmt: skip


def digits() -> Graph:
    """Return a model with two sources, a block in a block, a frozen layer and an owner."""
    inner = [
        Layer("conv", "torch.nn.Conv2d", out_channels=16),
        Layer("deep", "block", layers=[Layer("norm", "torch.nn.BatchNorm2d"), Layer("act", "torch.nn.ReLU")]),
        Layer("sum", "join", inputs=["input", "deep"]),
    ]
    layers = [
        Layer("pixels", "column", column="image", shape=(1, 8, 8)),
        Layer("age", "column", column="age", sensitivity="low"),
        Layer("edges", "torch.nn.Conv2d", inputs="pixels", out_channels=16, owner="maria", frozen=True),
        Layer("stage", "block", layers=inner),
        Layer("both", "join", inputs=["stage", "age"]),
        Layer("digit", "classes", target="digit"),
    ]
    return Graph("digits", layers, data="digits-data")


def nasty(text: str) -> Graph:
    """Return a model in which ``text`` stands wherever a text may stand."""
    said = text if text.isprintable() and 0 < len(text) <= 200 else None
    layers = [
        Layer("a", "column", column=text, owner=said, sensitivity=said),
        Layer("b", f"torch.nn.{text}", options={text: text}, frozen=True),
        Layer("c", "anything", value=[text], layers=[Layer("end", "anything", value=text)]),
    ]
    return Graph("m", layers)


def ports_of(text: str) -> dict[str, Port]:
    """Return ports in which ``text`` stands."""
    return {"a": Port(text), "c.end": Port(text)}


def test_rows_say_of_each_layer_what_a_drawing_needs() -> None:
    rows = {row.path: row for row in draw.rows(digits(), PORTS, PARAMETERS)}
    assert list(rows) == [path for path, _ in digits().walk()]
    edges = rows["edges"]
    assert (edges.kind, edges.options, edges.inputs) == ("torch.nn.Conv2d", ("out_channels: 16",), ("pixels",))
    assert (edges.output, edges.parameters, edges.owner) == ("float32[batch, 16, ?]", 1160, "maria")
    assert edges.frozen
    assert not edges.straight, "the layer before it is `age`"
    assert rows["stage"].block
    assert rows["stage"].straight
    assert rows["stage.conv"].straight, "the first in a block takes the block's input"
    assert rows["stage.deep.act"].last == (False, False, True)
    assert (rows["stage.sum"].name, rows["stage.sum"].parent, rows["stage.sum"].role) == ("sum", "stage", "neural")
    assert rows["pixels"].kind == "column", "the newest version goes without saying"


def test_the_table_is_as_it_is() -> None:
    assert draw.text(digits(), PORTS, PARAMETERS) == TABLE


TABLE = """\
digits: 11 layers, for digits-data, 1,180 parameters

layer       kind                  options            takes        gives                  parameters  notes
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
pixels      column                column: image, s…               uint8[batch, 1, 8, 8]
age         column                column: age                                                        sensitivity low
edges       torch.nn.Conv2d       out_channels: 16   pixels       float32[batch, 16, ?]       1,160  frozen, owner maria
stage       block
├─ conv     torch.nn.Conv2d       out_channels: 16                                               20
├─ deep     block
│  ├─ norm  torch.nn.BatchNorm2d
│  └─ act   torch.nn.ReLU
└─ sum      join                                     input, deep
both        join                                     stage, age
digit       classes               target: digit                   string"""


def test_columns_in_which_nothing_stands_are_left_out() -> None:
    assert draw.text(Graph("m", [Layer("a", "anything")])) == (
        "m: 1 layer\n\nlayer  kind\n───────────────\na      anything"
    )


@pytest.mark.parametrize("width", [10, 80, 100, 200])
def test_options_are_cut_to_the_width_and_the_rest_is_not(width: int) -> None:
    graph = Graph("m", [Layer("a", "anything", value="x" * 300), Layer("b", "join")])
    lines = draw.text(graph, width=width).splitlines()
    assert max(map(cells, lines)) <= max(width, 40)
    assert "…" in lines[4]
    assert lines[5].startswith("b      join")


@given(st.sampled_from(NASTY) | st.text())
def test_the_table_lines_up_and_sends_nothing_to_the_terminal(text: str) -> None:
    drawn = draw.text(nasty(text), ports_of(text), {"a": 3})
    assert all(line.isprintable() for line in drawn.split("\n"))
    lines = drawn.split("\n")
    assert len(lines) == 8
    assert all(cells(line) <= cells(lines[3]) for line in lines[4:])


@pytest.mark.parametrize(("text", "width", "shown"), [
    ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("文字", 4, "文字"), ("文字", 3, "文…"), ("文字", 2, "…"), ("a b", 2, "a…"),
    ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
])  # fmt: skip
def test_a_text_is_cut_by_the_cells_that_it_takes(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown
    assert cells(cut(text, width)) <= width


def test_the_flowchart_is_as_it_is() -> None:
    assert draw.mermaid(digits(), PORTS).split("  classDef")[0] == FLOWCHART


FLOWCHART = """\
flowchart LR
  n0(["pixels<br/>column<br/>uint8[batch, 1, 8, 8]"])
  n1(["age<br/>column"])
  n2["edges<br/>torch.nn.Conv2d<br/>float32[batch, 16, #63;]<br/>frozen"]
  subgraph n3["stage · block"]
    direction LR
    n3i(("input"))
    n4["conv<br/>torch.nn.Conv2d"]
    subgraph n5["deep · block"]
      direction LR
      n6["norm<br/>torch.nn.BatchNorm2d"]
      n7["act<br/>torch.nn.ReLU"]
    end
    n8["sum<br/>join"]
  end
  n9["both<br/>join"]
  n10{{"digit<br/>classes<br/>string"}}
  n0 --> n2
  n2 --> n3
  n3i --> n4
  n4 --> n5
  n6 --> n7
  n3i --> n8
  n5 --> n8
  n3 --> n9
  n1 --> n9
  n9 --> n10
"""


def test_the_flowchart_gives_each_role_its_colour_and_marks_what_is_frozen() -> None:
    drawn = draw.mermaid(digits())
    assert "  class n0,n1 data\n" in drawn
    assert "  class n10 answer\n" in drawn
    assert "  class n3,n5 block\n" in drawn
    assert "  class n2 frozen\n" in drawn
    for role in ("data", "neural", "answer"):
        assert re.search(rf"classDef {role} fill:#\w{{6}},stroke:#\w{{6}},color:#\w{{6}}\n", drawn)


LINE = re.compile(
    r"""flowchart\ LR
    |\ +n\d+(\(\[|\[|\{\{)"[\w .,\[\]()\-#;·<br/>]*"(\]\)|\]|\}\})
    |\ +subgraph\ n\d+\["[\w .,\[\]()\-#;·]*"\]|\ +direction\ LR|\ +end
    |\ +n\d+i\(\("input"\)\)
    |\ \ n\d+i?\ -->\ n\d+
    |\ \ classDef\ \w+\ [\w#:,\- ]+
    |\ \ class\ n\d+(,n\d+)*\ \w+""",
    re.VERBOSE,
)


@given(st.sampled_from(NASTY) | st.text())
def test_no_text_breaks_out_of_a_label_of_the_flowchart(text: str) -> None:
    drawn = draw.mermaid(nasty(text), ports_of(text))
    for line in drawn.removesuffix("\n").split("\n"):
        assert LINE.fullmatch(line), line
        assert "<" not in line.replace("<br/>", "")


@given(st.text())
def test_a_label_reads_as_the_text_that_it_was(text: str) -> None:
    back = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), escape(text))
    assert back == text


class Shape(HTMLParser):
    """Collects which elements and attributes a piece of HTML has, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.classes: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes.update(name for name, _ in attrs)
        self.classes += [value or "" for name, value in attrs if name == "class"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


TAGS = {"div", "style", "b", "span", "ol", "li", "details", "summary"}


def test_the_card_says_every_layer_and_is_whole() -> None:
    drawn = draw.card(digits(), PORTS, PARAMETERS)
    shape = Shape(drawn)
    assert shape.open == []
    for said in ("11 layers · for digits-data · 1,180 parameters", "takes input, deep", "takes stage, age", "frozen"):
        assert said in shape.text
    for path, layer in digits().walk():
        assert f'<div class="lw-name">{path.rpartition(".")[2]}</div>' in drawn
        assert layer.kind.removesuffix(".v1") in shape.text
    assert "takes pixels" in shape.text, "it does not follow the card before it"
    assert "takes input<" not in drawn, "the first of a block takes the block's input as a matter of course"
    assert [name for name in shape.classes if name.startswith("lw-group ")] == [
        "lw-group lw-data",
        "lw-group lw-neural",
        "lw-group lw-answer",
    ]


@given(st.sampled_from(NASTY) | st.text())
def test_no_text_breaks_out_of_the_card(text: str) -> None:
    shape = Shape(draw.card(nasty(text), ports_of(text)))
    assert shape.open == []
    assert set(shape.tags) <= TAGS
    assert shape.attributes <= {"class", "role", "aria-label", "title", "open"}
    assert shape.tags.count("style") == 1
    assert shape.text.replace("\n", "").isprintable()


def test_the_card_brings_all_it_needs_and_knows_light_and_dark() -> None:
    drawn = draw.card(digits())
    assert "<script" not in drawn
    assert "url(" not in drawn
    assert "http" not in drawn
    assert "prefers-color-scheme: dark" in drawn
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", drawn.partition("<style>")[2].partition("</style>")[0])
    assert all(".lw-card" in part for rule in rules for part in rule.split("}")[-1].split(",")), "scoped"


def test_the_blocks_of_a_large_model_are_closed() -> None:
    def blocks(size: int) -> Graph:
        inner = [Layer(f"x{number}", "join") for number in range(size)]
        return Graph("m", [Layer("a", "anything"), Layer("b", "block", layers=inner)])

    small, large = blocks(3), blocks(100)
    assert "<details open>" in draw.card(small)
    assert "<details>" in draw.card(large)
    assert "<details open>" not in draw.card(large)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG has it."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_what_is_written_on_the_card_can_be_read_in_light_and_dark() -> None:
    themes = re.findall(r"color-scheme: (?:light|dark);([^}]*)", draw.card(digits()))
    assert len(themes) == 4
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for ink in ("ink", "quiet", "data", "neural", "answer"):
            assert min(contrast(colours[ink], colours[face]) for face in ("face", "ground")) >= 4.5
        assert contrast(colours["ink"], colours["chip"]) >= 4.5


def test_the_colours_of_the_flowchart_can_be_read() -> None:
    for fill, ink in re.findall(r"fill:(#\w{6}),stroke:#\w{6},color:(#\w{6})", draw.mermaid(digits())):
        assert contrast(fill, ink) >= 4.5


def test_html_is_escaped_once() -> None:
    graph = Graph("m", [Layer("a", "anything", owner="a & b")])
    assert f"owner {html.escape('a & b')}" in draw.card(graph)
