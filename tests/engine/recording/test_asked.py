"""What is asked for: a strict grammar, patterns that fit something, and layers that are guarded."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import layerwise as lw
from layerwise.engine.recording.asked import Recording, guarded
from layerwise.engine.training import Training
from layerwise.errors import InvalidConfig, LayerwiseError
from tests.support.flowers import small


@pytest.mark.parametrize(
    ("said", "keep", "rows"),
    [
        ("sample:256", "sample", 256), ("sample:1", "sample", 1), ("all", "all", 256), ("stats", "stats", 256),
        ("off", "off", 256), (False, "off", 256), ({"keep": "sample:7"}, "sample", 7), ({}, "sample", 256),
        ({"keep": False}, "off", 256),
    ],
)  # fmt: skip
def test_what_may_be_said(said: object, keep: str, rows: int) -> None:
    found = Recording.parse(said)
    assert (found.keep, found.rows) == (keep, rows)


def test_what_goes_with_it_is_read_from_a_mapping_and_from_arguments_alike() -> None:
    said = {"layers": "edges, stage1.*", "dtype": "float16", "cap": "2GiB", "age": "12h", "gradients": True}
    found = Recording.parse({"keep": "all", **said})
    assert found == Recording.parse("all", **said)
    assert found.layers == ("edges", "stage1.*")
    assert (found.cap, found.age) == (2 << 30, timedelta(hours=12))
    assert Recording.parse(found) is found
    assert Recording.parse(found, attention=True).attention


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("1.5 KiB", 1536), ("64", 64), (64, 64), ("3kB", 3000), (None, None)]
)
def test_a_cap_is_bytes_or_a_size(text: Any, size: int | None) -> None:
    assert Recording.parse("all", cap=text).cap == size


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("sampel:5", ["sampel:5", "sample"]), ("sample:0", ["sample:0"]), ("sample:-1", ["sample:-1"]),
        ("sample:99999999999", ["sample"]), (True, ["True"]), (5, ["5"]), (None, ["nothing"]),
        ({"kepe": "all"}, ["kepe", "keep"]), ({"said": "all"}, ["said"]), ({"layers": []}, ["layers"]),
        ({"layers": [3]}, ["layers", "3"]), ({"layers": ["x" * 501]}, ["layers"]), ({"dtype": "float8"}, ["float16"]),
        ({"cap": "much"}, ["much", "2GiB"]), ({"cap": 0}, ["cap", "0"]), ({"cap": True}, ["True"]),
        ({"cap": "9" * 15 + "TiB"}, ["cap"]), ({"age": "0d"}, ["0d", "90d"]), ({"age": 3}, ["3", "90d"]),
        ({"gradients": "yes"}, ["gradients", "yes"]), ({"attention": 1}, ["attention"]),
    ],
)  # fmt: skip
def test_what_may_not_be_said_is_named_with_what_may(said: object, words: list[str]) -> None:
    with pytest.raises(InvalidConfig) as caught:
        Recording.parse(said)
    assert str(caught.value).startswith("record: ")
    for word in words:
        assert word in str(caught.value)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5)
keys = st.sampled_from(["keep", "layers", "dtype", "cap", "age", "gradients", "attention", "x"])


@given(values | st.dictionaries(keys, values | st.lists(values, max_size=3), max_size=4))
def test_whatever_is_said_is_read_or_refused_in_our_words(said: object) -> None:
    with contextlib.suppress(LayerwiseError):
        assert isinstance(Recording.parse(said), Recording)


def test_patterns_choose_layers_by_path_and_the_answer_is_none() -> None:
    model = small()
    assert Recording.parse("all", layers="h*,long").chosen(model) == {"hidden", "long"}
    assert "kind" not in Recording().chosen(model)
    with pytest.raises(InvalidConfig, match=r"no layer is called 'hiden'.*hidden"):
        Recording.parse("all", layers="hiden").chosen(model)


@pytest.mark.parametrize(("said", "free"), [("public", True), (" Open ", True), ("none", True), ("patient", False)])
def test_a_sensitivity_that_is_not_open_keeps_a_layer_and_all_in_it_from_being_recorded(said: str, free: bool) -> None:
    inner = [lw.Layer("one", nn.Linear, out_features=4), lw.Layer("two", nn.Linear, out_features=4)]
    model = lw.Model("m", [
        lw.Layer("x", lw.Column("x", shape=(4,))),
        lw.Layer("stage", lw.Block(), layers=inner, sensitivity=said),
        lw.Layer("scores", nn.Linear, out_features=2),
    ])  # fmt: skip
    expected = set() if free else {"stage", "stage.one", "stage.two"}
    assert guarded(model) == expected
    assert Recording().chosen(model) == {"x", "stage", "stage.one", "stage.two", "scores"} - expected


def test_it_stands_under_train_in_a_models_file_and_is_no_setting_of_the_training() -> None:
    text = small(record={"keep": "all", "layers": ["hidden"], "age": "90d"}).to_yaml()
    model = lw.Model.from_yaml(text)
    assert model.train["record"]["layers"] == ["hidden"]
    assert Training.from_mapping(model.train) == Training.from_mapping(small().train)
    with pytest.raises(InvalidConfig, match="float16"):
        Training.from_mapping({"record": {"dtype": "double"}})
