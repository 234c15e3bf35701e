"""A row through every layer: as it was, as it were had something else left a layer, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.engine.looking.patching import apart, patched
from layerwise.engine.version import Version
from layerwise.errors import InvalidData, InvalidShape, NotFound
from layerwise.layers.base import Padded
from layerwise.repo import Repository
from tests.support.any_modules import KINDS
from tests.support.hooked import hooked
from tests.support.same import differ


def test_a_trace_is_what_every_layer_gives_and_says_what_was_kept(blocks: Version) -> None:
    version = lw.load(blocks.address, repo=blocks.repo)
    for row, source in ((3, "kept"), (4, "computed")):
        trace = version.trace(row)
        for passage in trace.passages:
            assert passage.source == source
            assert differ(passage.value, version.layer(passage.layer).record([row])) == "", passage.layer
        paths = [passage.layer for passage in trace.passages]
        walked = [path for path, layer in version.model.walk() if layer.action.role != "answer"]
        assert paths == walked
        assert trace.answers.table == version.predict(version.repo.dataset("flowers")[row]).table
        assert trace.truth == version.repo.dataset("flowers")[row]["kind"]


def test_a_row_is_traced_however_it_is_named(version: Version, data: Dataset) -> None:
    first = version.trace(7)
    forms: list[Any] = [data[7], data.ids[7].as_py(), 7 - len(data), {name: data[7][name] for name in data[7]}]
    for row in [*forms, data.table().slice(7, 1)]:
        assert differ(version.trace(row)["scores"], first["scores"]) == ""
    with pytest.raises(InvalidData, match="follows one row; found 2"):
        version.trace([1, 2])
    with pytest.raises(NotFound, match="no row 999"):
        version.trace(999)
    with pytest.raises(NotFound, match="Did you mean 'hidden'"):
        first["hiden"]


def by_hand(version: Version, hidden: torch.Tensor) -> torch.Tensor:
    """Return the scores that follow from what leaves ``hidden``, [1, 8], by torch alone."""
    weights = lw.load(version.address, repo=version.repo).module().state_dict()
    with torch.inference_mode():
        return nn.functional.linear(hidden.expand(64, -1), weights["scores.weight"], weights["scores.bias"])[:1]


def test_what_follows_a_patch_is_computed_from_it(version: Version) -> None:
    trace = version.trace(3)
    given = torch.arange(8.0)
    for value in (given, given[None], given.numpy(), given.tolist(), lambda was: was * 0 + given):
        found = trace.patch("hidden", value)
        assert differ(found["scores"], by_hand(version, given[None])) == ""
        assert found.passage("hidden").source == "patched"
        assert found.answers.table != trace.answers.table
        assert found.before is trace
        assert set(found.changes) == {"hidden", "dropped", "scores"}
    assert differ(trace.patch("hidden", 2)["hidden"], torch.full((1, 8), 2.0)) == ""
    assert trace.patch("hidden", lambda was: was).changes == {}
    assert trace.changes == {}


def test_patches_follow_patches_and_the_first_trace_stays(version: Version) -> None:
    trace = version.trace(3)
    both = trace.patch("hidden", 1.0).patch("scores", torch.tensor([5.0, -5.0]))
    assert differ(both["scores"], torch.tensor([[5.0, -5.0]])) == ""
    assert differ(both["hidden"], torch.ones(1, 8)) == ""
    assert both.before is trace
    assert both.answers[0]["p(iris)"] > 0.99
    back = both.patch("hidden", lambda was: was + 1)
    assert differ(back["hidden"], torch.full((1, 8), 2.0)) == ""
    assert differ(back["scores"], torch.tensor([[5.0, -5.0]])) == ""
    assert differ(version.trace(3)["scores"], trace["scores"]) == ""


def test_a_data_layer_can_be_patched_too(version: Version, data: Dataset) -> None:
    trace = version.trace(3)
    row = {name: data[3][name] for name in ("length", "width", "colour")}
    other = {"red": "blue", "blue": "white", "white": "red"}[row["colour"]]
    assert differ(trace.patch("colour", other)["scores"], version.outputs({**row, "colour": other})) == ""
    assert differ(trace.patch("length", 9.5)["scores"], version.outputs({**row, "length": 9.5})) == ""
    assert trace.patch("colour", row["colour"]).changes == {}
    with pytest.raises(InvalidData, match=r"'long'.*cannot take the place"):
        trace.patch("long", "tall")
    with pytest.raises(InvalidData, match=r"'length'.*cannot take the place of a value of double"):
        trace.patch("length", "tall")


WRONG = [
    (torch.ones(7), InvalidShape, r"'hidden'.*shape \[8\].*has \[7\]"),
    (np.ones((2, 8)), InvalidShape, r"\[8\].*\[2, 8\]"),
    (lambda was: was[:, :3], InvalidShape, r"\[8\].*\[1, 3\]"),
    (["a"], InvalidData, "cannot take the place"),
    (None, InvalidData, "cannot take the place"),
]


@pytest.mark.parametrize(("value", "error", "says"), WRONG)
def test_a_value_that_does_not_fit_is_named_with_its_layer(version: Version, value: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        version.trace(3).patch("hidden", value)


def test_a_layer_that_is_not_there_cannot_be_patched(version: Version, wrapped: Callable[[str], Version]) -> None:
    with pytest.raises(NotFound, match="Did you mean 'hidden'"):
        version.trace(3).patch("hiden", 0)
    with pytest.raises(NotFound, match="answer layer"):
        version.trace(3).patch("kind", 0)
    with pytest.raises(NotFound, match="no pass 'step:9'"):
        wrapped("twice").trace(3).patch("step:9", 0)


@pytest.mark.parametrize("name", KINDS)
def test_a_part_of_any_module_can_be_patched(wrapped: Callable[[str], Version], name: str) -> None:
    version, layer = wrapped(name), KINDS[name].layer
    trace = version.trace(5)
    assert trace.patch(layer, lambda was: was).changes == {}
    found = trace.patch(layer, 0.0)
    assert layer in found.changes
    assert "head" in found.changes or "fc" in found.changes
    assert torch.as_tensor(found[layer]).abs().sum() == 0
    data = version.repo.dataset(version.data_address)
    expected = hooked(version, data, [5])
    for path in ("body", layer):
        assert differ(trace[path], expected[path]) == ""


def test_a_later_pass_is_patched_by_its_number(wrapped: Callable[[str], Version]) -> None:
    found = wrapped("twice").trace(5).patch("step:2", 0.0)
    assert "step" not in found.changes
    assert {"step:2", "act:2", "step:3", "body"} <= set(found.changes)


def test_a_trace_prints_a_table_and_draws_itself_offline(version: Version) -> None:
    trace = version.trace(3)
    lines = str(trace).splitlines()
    assert [line.split()[0] for line in lines[: len(trace.passages)]] == [passage.layer for passage in trace.passages]
    page = trace._repr_html_()
    assert "hidden" in page
    assert "http" not in page.replace("http://www.w3.org/", "")
    assert "<script" not in page
    told = str(trace.patch("hidden", 0))
    assert "[patched by 1]" in told
    assert "before:" in told


def test_what_data_holds_is_shown_and_never_acts(repo: Repository) -> None:
    evil = "</svg><script>alert(1)</script>\x1b[31m"
    rows = {"name": [f"{evil}{at}" for at in range(40)], "size": np.arange(40.0), "label": ["a", evil] * 20}
    repo.add_dataset("evil", rows, key="name")
    layers = [
        lw.Layer("size", lw.Column("size", shape=(1,))),
        lw.Layer("name", lw.Column("name")),
        lw.Layer("coded", lw.OneHot(unknown="other")),
        lw.Layer("all", lw.Join(), inputs=["size", "coded"]),
        lw.Layer("scores", nn.Linear, out_features=2),
        lw.Layer("label", lw.Classes(target="label")),
    ]
    version = lw.train(lw.Model("evil", layers), "evil", repo=repo, epochs=1, record="off").version
    found: list[Any] = [version.trace(3), version.compare(0, 1), version.layer("scores").top(0, 3),
                        version.nearest(3, "scores", 3), version.layer("scores").attribute([1])]  # fmt: skip
    for one in found:
        assert "<script" not in one._repr_html_()
        assert "\x1b" not in str(one)
        assert "\x1b" not in one._repr_html_()


def test_values_are_as_far_apart_as_they_are() -> None:
    one = torch.tensor([[3.0, 4.0]])
    assert apart(one, one) == 0
    assert apart(one, one * 2) == 1
    assert apart(torch.zeros(1, 2), one) == float("inf")
    assert apart(one, torch.ones(1, 3)) == float("inf")
    gap = torch.tensor([[float("nan"), 1.0]])
    assert apart(gap, gap) == 0
    assert apart(pa.array(["a"]), pa.array(["a"])) == 0
    assert apart(pa.array(["a"]), pa.array(["b"])) == 1


def test_padded_values_and_whole_numbers_are_patched_as_what_they_are() -> None:
    was = Padded(torch.ones(1, 3, 2), torch.tensor([2]))
    found = patched("x", was, 5)
    assert isinstance(found, Padded)
    assert found.lengths.tolist() == [2]
    longer = patched("x", was, Padded(torch.zeros(1, 3, 2), torch.tensor([3])))
    assert isinstance(longer, Padded)
    assert longer.lengths.tolist() == [3]
    assert torch.as_tensor(patched("x", torch.tensor([[1, 2]]), [3.0, 4.0])).dtype == torch.int64
    with pytest.raises(InvalidData, match="no whole numbers"):
        patched("x", torch.tensor([[1, 2]]), [0.5, 1])
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((1, 2, 2), np.uint8))
    sevens = patched("x", tensors, 7)
    assert isinstance(sevens, pa.Array)
    assert sevens.to_numpy_ndarray().tolist() == [[[7, 7], [7, 7]]]
