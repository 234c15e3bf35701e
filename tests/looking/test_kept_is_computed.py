"""What is computed is to the bit what would have been kept: of every layer, from row and cut, in float16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from layerwise.layers.base import Padded, Value, as_tensor
from tests.support.hooked import hooked
from tests.support.same import differ
from tests.support.worlds import World, tiers, world

Trained = Callable[[str], World]
POSITIONS = list(range(3, 80))


def half(value: Value) -> Value:
    """Return a value as float16, where it is floating."""
    if isinstance(value, Padded):
        return Padded(as_tensor(half(value.values)), value.lengths)
    return value.half() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


@pytest.mark.parametrize("name", tiers("digits", "spam", "credit", "sunspots", "mlp", "twice"))
@pytest.mark.parametrize("dtype", [None, "float16"])
def test_what_is_computed_is_what_is_kept(name: str, dtype: str | None, tmp_path: Path) -> None:
    """Half of the layers are kept; forgotten, they are computed from the row: three answers, the same bits."""
    with world(tmp_path, name) as found:
        version = found.version
        expected = hooked(version, found.dataset, POSITIONS)
        version.evaluate(split="all", record={"keep": "all", "dtype": dtype})
        kept = {layer: found.version.layer(layer).look(POSITIONS) for layer in expected}
        assert {layer for layer, looked in kept.items() if looked.source != "kept"} == found.guarded
        found.repo.forget_records(version.entry.digest)
        computed = {layer: found.version.layer(layer).look(POSITIONS) for layer in expected}
        assert {looked.source for looked in computed.values()} == {"computed"}
        for layer, value in expected.items():
            rounded = dtype is not None and layer not in found.guarded
            assert differ(kept[layer].values, half(value) if rounded else value) == "", layer
            assert differ(computed[layer].values, value) == "", layer


@pytest.mark.parametrize("name", tiers("spam", "credit", "sunspots", "mlp", "twice", "encoder"))
def test_from_a_cut_and_from_the_row_the_bits_are_the_same(name: str, tmp_path: Path) -> None:
    """One layer at a time is kept, and all others are asked for: those behind it may be computed from it."""
    with world(tmp_path, name) as found:
        version = found.version
        positions = [*range(5), 70, 71]
        expected = hooked(version, found.dataset, positions)
        ordered = [layer for layer in found.layers if layer in expected and layer not in found.guarded]
        for cut in ordered[:: max(1, len(ordered) // 5)]:
            version.evaluate(split="all", record={"keep": "all", "layers": [cut]})
            opened = found.version
            for layer, value in expected.items():
                looked = opened.layer(layer).look(positions)
                assert differ(looked.values, value) == "", f"{layer} beside records of {cut}"
            found.repo.forget_records(version.entry.digest)


@pytest.mark.parametrize("name", tiers("digits", "spam", "mlp"))
def test_float16_records_are_no_cut(name: str, tmp_path: Path) -> None:
    """A rounded record answers for its own layer; what follows is computed from numbers that were not rounded."""
    with world(tmp_path, name) as found:
        version = found.version
        positions = [*range(5), 70, 71]
        expected = hooked(version, found.dataset, positions)
        neural = [layer for layer in expected if layer in dict(version.live.network.walk())]
        version.evaluate(split="all", record={"keep": "all", "layers": neural[:1], "dtype": "float16"})
        opened = found.version
        wrong = {layer: differ(opened.layer(layer).record(positions), value) for layer, value in expected.items()
                 if layer.partition(":")[0] != neural[0]}  # fmt: skip
        assert {layer: how for layer, how in wrong.items() if how} == {}
        assert differ(opened.layer(neural[0]).record(positions), half(expected[neural[0]])) == ""


def test_the_source_is_said_and_kept_records_are_read(trained: Trained) -> None:
    found = trained("mlp")
    view = found.version.layer("stack.3")
    kept = view.look()
    assert (kept.source, len(kept.ids)) == ("kept", len(as_tensor(kept.values)))
    other = [one for one in found.dataset.ids.to_pylist() if one not in kept.ids][:2]
    computed = view.look(other)
    assert (computed.source, list(computed.ids)) == ("computed", other)
