"""Whatever stands in data is shown and never acts: in a page, in a notebook, on a terminal, in a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layerwise as lw
from layerwise.cli import main
from layerwise.data.dataset import Dataset
from layerwise.engine.model import Model
from layerwise.engine.version import Version
from layerwise.errors import LayerwiseError
from layerwise.pictures import Shown, draw_html, draw_png, draw_svg, draw_text, fragment_html
from layerwise.repo import Repository
from tests.support.hostile import TEXTS, faults_of_html, faults_of_terminal


def pictures(text: str) -> list[Shown]:
    """Return pictures of every sort, with a text wherever a text can be."""
    rest: dict[str, Any] = {"note": text, "source": "computed", "row": text}
    names = [text, "plain", text * 3]
    vector = np.array([0.5, -1.0, 2.0])
    return [
        Shown(text, text, np.zeros((3, 6, 6)), "image", **rest),
        Shown("a", "k", np.random.default_rng(0).normal(size=(4, 5, 5)), "maps", **rest),
        Shown("b", "k", [text, 1, None], "cells", names=names, raw=[text, 2, text], **rest),
        Shown("c", "k", vector, "tokens", names=names, raw=[text, 1, 2], **rest),
        Shown("c2", "k", np.ones((3, 2)), "tokens", names=names, **rest),
        Shown("d", "k", np.arange(12.0).reshape(6, 2), "series", names=names[:2], **rest),
        Shown("e", "k", vector, "vector", names=names, unit=text, **rest),
        Shown("f", "k", np.ones((3, 3)), "matrix", names=names, **rest),
        Shown("g", "k", np.array([0.2, 0.5, 0.3]), "answer", names=names, truth=text, **rest),
        Shown("h", "k", text, "scalar", unit=text, **rest),
        Shown("i", "k", vector, "ranking", names=names, truth=text, **rest),
        Shown("j", "k", text, "text", **rest),
        Shown("k", "k", text.encode(), "text", same_as=text, **rest),
    ]


def hold_harmless(text: str) -> None:
    """Draw a text everywhere, in every way, and assert that it does nothing."""
    shown = pictures(text)
    for rows in (False, True):
        page = draw_html(shown, title=text, lead=text, rows=rows)
        assert faults_of_html(page) == []
        assert faults_of_html(fragment_html(shown, title=text, lead=text, rows=rows)) == []
    for one in shown:
        assert faults_of_html(draw_svg(one)) == []
        for colour in (False, True):
            for line in draw_text(one, 70, colour=colour):
                assert faults_of_terminal(line) == []
                assert "\n" not in line


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_does_nothing_in_any_picture(text: str) -> None:
    hold_harmless(text)


def test_a_text_is_a_picture_too() -> None:
    assert draw_png(pictures("".join(TEXTS)), title="".join(TEXTS)).startswith(b"\x89PNG")


@settings(max_examples=15)
@given(st.text(max_size=40), st.sampled_from(TEXTS))
def test_no_text_does_anything(text: str, more: str) -> None:
    hold_harmless(text + more)


COLUMN = "<i onclick=alert(1)>\u202eweight"
CLASSES = (TEXTS[0], TEXTS[7])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Version, Dataset]]:
    """Give a version whose columns, keys, words and classes all would act."""
    folder = tmp_path_factory.mktemp("hostile") / "repo"
    rows = 3 * len(TEXTS)
    table = {
        "key": [f"{at}{TEXTS[at % len(TEXTS)]}" for at in range(rows)],
        "said": [f"{TEXTS[at % len(TEXTS)]} {TEXTS[(at + 1) % len(TEXTS)]}" for at in range(rows)],
        COLUMN: np.arange(rows, dtype=np.float64),
        "class": [CLASSES[at % 2] for at in range(rows)],
    }
    model = Model(
        "hostile",
        [
            lw.Layer("said", lw.Column("said")),
            lw.Layer("words", lw.Tokens()),
            lw.Layer("known", lw.Vocabulary(fewest=1)),
            lw.Layer("row", lw.Pad(length=12)),
            lw.Layer("meaning", "torch.nn.Embedding", embedding_dim=4),
            lw.Layer("pooled", lw.PoolOverTime()),
            lw.Layer("numbers", lw.Columns((COLUMN,))),
            lw.Layer("even", lw.Standardize()),
            lw.Layer("both", "concatenate", inputs=["pooled", "even"]),
            lw.Layer("scores", "torch.nn.Linear", out_features=2),
            lw.Layer("answer", lw.Classes(target="class")),
        ],
        data="hostile-data",
        train={"epochs": 1, "device": "cpu", "split": {"train": 0.7, "validation": 0.3, "test": 0.0}},
    )
    with Repository(folder) as repo:
        dataset = repo.add_dataset("hostile-data", table, key="key").dataset
        yield folder, lw.load(lw.train(model, dataset, repo=repo).version.address, repo=repo), dataset


def test_a_trace_of_hostile_data_only_shows(hostile: tuple[Path, Version, Dataset]) -> None:
    _, version, dataset = hostile
    for at in range(len(TEXTS)):
        trace = version.trace(dataset[at])
        assert faults_of_html(trace._repr_html_()) == []
        assert faults_of_terminal(str(trace)) == []


def test_comparing_and_looking_at_hostile_data_only_shows(hostile: tuple[Path, Version, Dataset]) -> None:
    _, version, dataset = hostile
    scores = version.layer("scores")
    for one in (
        version.compare(dataset[0], dataset[7]), version.layer("words").look([0, 7]), scores, scores.stats(),
        scores.top(unit=CLASSES[0]), scores.top(unit=CLASSES[1]), scores.nearest(0), version.layer("even").stats(),
        version.layer("even").top(unit=COLUMN),
    ):  # fmt: skip
        assert faults_of_terminal(str(one)) == []
        if hasattr(one, "_repr_html_"):
            assert faults_of_html(one._repr_html_()) == []


@pytest.mark.parametrize("ask", [
    lambda version, text: version.layer(text),
    lambda version, text: version.layer("scores").record(text),
    lambda version, text: version.layer("scores").record({"said": text}),
    lambda version, text: version.layer("scores").record({"said": "a", COLUMN: text}),
    lambda version, text: version.layer("scores").record([{text: 1}]),
    lambda version, text: version.nearest(text, layer="scores"),
    lambda version, text: version.nearest(0, layer=text),
    lambda version, text: version.layer("scores").top(unit=text),
    lambda version, text: version.trace(0).patch(text, 0.0),
    lambda version, text: version.trace(0).patch("scores", text),
    lambda version, text: version.layer("scores").attribute(0, target=text),
    lambda version, text: version.layer("scores").attribute(0, method=text),
    lambda version, text: version.evaluate(record=text),
    lambda version, text: version.evaluate(record={"keep": "all", "layers": text}),
])  # fmt: skip
@pytest.mark.parametrize("text", ["\x1b[2J\x1b[31mredder", "\u202edesrever\u2066\x9b", "two\nlines\x00", "x" * 100_000])
def test_a_message_only_shows(
    ask: Callable[[Version, str], object], text: str, hostile: tuple[Path, Version, Dataset]
) -> None:
    with pytest.raises(LayerwiseError) as caught:
        ask(hostile[1], text)
    assert faults_of_terminal(str(caught.value)) == []
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("words", [
    ["look", "hostile@1/words", "--row", "0"],
    ["look", "hostile@1/even", "--row", "3", "--row", "4"],
    ["look", "hostile@1"],
    ["trace", "hostile@1", "--row", "5"],
    ["stats", "hostile@1"],
    ["nearest", "hostile@1/scores", "--row", "2"],
    ["top", "hostile@1/scores", "--unit", "0"],
    ["compare", "hostile@1", "--row", "0", "--row", "1"],
    ["records", "hostile@1"],
])  # fmt: skip
def test_a_command_only_shows(
    words: list[str], hostile: tuple[Path, Version, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERWISE_REPOSITORY", str(hostile[0]))
    assert main(words) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert faults_of_terminal(said.out) == []
    assert faults_of_terminal(said.err) == []
    if words[0] in ("look", "trace") and len(words) > 2:
        assert main([*words, "--html", "page.html"]) == 0
        assert faults_of_html((tmp_path / "page.html").read_text(encoding="utf-8")) == []
