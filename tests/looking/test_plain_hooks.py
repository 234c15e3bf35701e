"""For every layer a record equals what a plain forward hook on the plain module sees, and the data layers by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from layerwise.data.split import Split, split_rows
from layerwise.layers.base import as_tensor
from tests.support.any_modules import KINDS
from tests.support.hooked import hooked, take
from tests.support.same import differ
from tests.support.worlds import NAMES, World, tiers, world

POSITIONS = [3, 70, 5, 0, 99, 64, *range(20, 78), 3]
"""More than one batch, out of order, one row twice."""

Trained = Callable[[str], World]


def validation(found: World) -> list[int]:
    """Return the positions of the validation rows."""
    split = Split.from_json(found.run.version.manifest.data["split"])
    positions: list[int] = split_rows(split, found.dataset)["validation"].tolist()
    return positions


@pytest.mark.parametrize("name", NAMES)
def test_a_computed_record_is_what_a_hook_sees(name: str, trained: Trained) -> None:
    found = trained(name)
    version = found.version
    expected = hooked(version, found.dataset, POSITIONS)
    assert set(found.layers) - set(expected) <= fused(found)
    wrong = {layer: differ(version.layer(layer).record(POSITIONS), value) for layer, value in expected.items()}
    assert {layer: how for layer, how in wrong.items() if how} == {}


def fused(found: World) -> set[str]:
    """Return the parts that torch runs fused, of which a hook shows nothing."""
    return {layer for layer in found.layers if layer.startswith("encoder.layers")} if found.name == "encoder" else set()


@pytest.mark.parametrize("name", NAMES)
def test_a_kept_record_is_what_a_hook_sees(name: str, trained: Trained) -> None:
    """The records that the training kept, of rows that it chose among those that validate."""
    found = trained(name)
    version = found.version
    ids = found.dataset.ids.to_pylist()
    for layer in found.layers:
        if layer in fused(found):
            continue
        looked = version.layer(layer).look()
        if layer in found.guarded:
            assert looked.source == "computed"
            continue
        assert looked.source == "kept", layer
        positions = [ids.index(one) for one in looked.ids]
        assert set(positions) <= set(validation(found))
        assert len(positions) == min(24, len(validation(found)))
        assert differ(looked.values, hooked(version, found.dataset, positions)[layer]) == "", layer


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_is_what_a_hook_sees(name: str, trained: Trained) -> None:
    found = trained(name)
    version = found.version
    for position in (0, 77):
        expected = hooked(version, found.dataset, [position])
        row = found.dataset[: position + 1] if version.tables_whole else found.dataset[position]
        trace = version.trace(row)
        shown = {passage.layer: passage.value for passage in trace.passages}
        assert set(expected) <= set(shown)
        wrong = {layer: differ(shown[layer], value) for layer, value in expected.items()}
        assert {layer: how for layer, how in wrong.items() if how} == {}


@pytest.mark.parametrize("name", tiers("digits", "mlp"))
def test_an_evaluation_keeps_what_a_hook_sees(name: str, tmp_path: Path) -> None:
    with world(tmp_path, name) as found:
        found.version.evaluate(split="all", record="all")
        version = found.version
        positions = list(range(len(found.dataset)))
        expected = hooked(version, found.dataset, positions)
        for layer, value in expected.items():
            looked = version.layer(layer).look(positions)
            assert looked.source == ("computed" if layer in found.guarded else "kept"), layer
            assert differ(looked.values, value) == "", layer


def test_the_digits_by_hand(trained: Trained) -> None:
    """Nothing of Layerwise: the columns as NumPy has them, and the layers as torch has them."""
    found = trained("digits")
    version, raw = found.version, found.dataset.table(["image"]).column(0).combine_chunks()
    images = raw.chunk(0).to_numpy_ndarray() if hasattr(raw, "chunk") else raw.to_numpy_ndarray()
    positions = [7, 0, 7, 88]
    pixels = torch.from_numpy(images[positions].astype(np.float32)).reshape(-1, 1, 8, 8)
    assert torch.equal(as_tensor(version.layer("scaled").record(positions)), pixels / 16)
    state = version.module().state_dict()
    filled = torch.cat([pixels / 16, (pixels / 16)[:1].expand(60, -1, -1, -1)])
    with torch.inference_mode():
        edges = torch.conv2d(filled, state["edges.weight"], state["edges.bias"], padding=1)
        normed = torch.nn.functional.batch_norm(
            edges, state["edges_norm.running_mean"], state["edges_norm.running_var"],
            state["edges_norm.weight"], state["edges_norm.bias"],
        ).relu()  # fmt: skip
    assert differ(version.layer("edges").record(positions), edges[:4]) == ""
    assert differ(version.layer("edges_norm").record(positions), normed[:4]) == ""


@pytest.mark.parametrize(("name", "layer", "often"), [(n, *one) for n, kind in KINDS.items() for one in kind.passes])
def test_a_layer_that_runs_again_has_a_record_of_each_pass(name: str, layer: str, often: int, trained: Trained) -> None:
    found = trained(name)
    expected = hooked(found.version, found.dataset, [4, 9])
    values = []
    for number in range(1, often + 1):
        path = layer if number == 1 else f"{layer}:{number}"
        values.append(found.version.layer(path).record([4, 9]))
        assert differ(values[-1], expected[path]) == ""
    assert all(differ(values[0], later) for later in values[1:])


def test_one_row_comes_without_the_rows_dimension(trained: Trained) -> None:
    found = trained("mlp")
    view = found.version.layer("stack.3")
    many = as_tensor(view.record([9]))
    for row in (9, "row009", found.dataset[9]):
        one = view.record(row)
        assert differ(one, many[0]) == "", row
    for rows in (slice(9, 10), np.array([9]), found.dataset[9:10], ["row009"], found.dataset.table().to_pylist()[9:10]):
        assert differ(view.record(rows), many) == "", type(rows)
    assert differ(take(view.record(range(12)), torch.tensor([9])), many) == ""
