"""Rows keep their identity: in whatever order, of whatever version of the dataset, however asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerwise.layers.base import Value
from tests.support import worlds
from tests.support.hooked import hooked, take
from tests.support.same import differ
from tests.support.worlds import World, world

Trained = Callable[[str], World]

SLOW_FIXTURE = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


def rows_of_table(found: World, positions: list[int]) -> pa.Table:
    """Return rows as a table that knows nothing of positions or ids."""
    return found.dataset.take(positions)


@pytest.mark.parametrize(("name", "layer"), [
    ("mlp", "stack.3"), ("spam", "both"), ("spam", "reader.heard"), ("digits", "shapes_norm"), ("credit", "even"),
    ("encoder", "encoder"), ("resnet", "layer2.0.conv2"), ("gru", "memory"), ("xrays", "fine"),
])  # fmt: skip
@settings(max_examples=4, suppress_health_check=SLOW_FIXTURE)
@given(data=st.data())
def test_a_row_alone_is_the_row_among_others_is_the_row_kept(
    name: str, layer: str, trained: Trained, data: st.DataObject
) -> None:
    found = trained(name)
    view = found.version.layer(layer)
    last = len(found.dataset) - 1
    positions = data.draw(st.lists(st.integers(0, last), min_size=1, max_size=70), label="positions")
    place = data.draw(st.integers(0, len(positions) - 1), label="place")
    among = view.record(positions)
    wanted = torch.tensor([place])
    alone = view.record([positions[place]])
    assert differ(take(among, wanted), alone) == ""
    handed = view.record(rows_of_table(found, positions))
    assert differ(handed, among) == "", "rows handed over as a table are computed, and are the same"
    kept = view.look()
    ids = found.dataset.ids.to_pylist()
    at = data.draw(st.integers(0, len(kept.ids) - 1), label="kept row")
    assert differ(take(kept.values, torch.tensor([at])), view.record([ids.index(kept.ids[at])])) == ""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give an MLP of which every row is kept, in the order of the dataset."""
    with world(tmp_path_factory.mktemp("everything"), "mlp") as found:
        found.version.evaluate(split="all", record="all")
        yield found


@settings(max_examples=20, suppress_health_check=SLOW_FIXTURE)
@given(data=st.data())
def test_each_row_has_its_own_record(everything: World, data: st.DataObject) -> None:
    """Any order, with rows twice, by position, by key and as rows; each compared with the row's hook."""
    expected = hooked_rows(everything)
    positions = data.draw(st.lists(st.integers(-150, 149), min_size=1, max_size=40))
    view = everything.version.layer("stack.3")
    want = take(expected, torch.tensor(positions) % 150)
    assert differ(view.record(positions), want) == ""
    assert differ(view.record([f"row{at % 150:03}" for at in positions]), want) == ""
    assert view.look(positions).source == "kept"
    low, high, step = data.draw(st.tuples(st.integers(0, 149), st.integers(1, 150), st.integers(1, 9)))
    if range(150)[low:high:step]:
        assert differ(view.record(slice(low, high, step)), expected[low:high:step]) == ""


_HOOKED: dict[str, Value] = {}


def hooked_rows(found: World) -> Value:
    """Return what a hook sees of all rows at ``stack.3``, computed once."""
    if "stack.3" not in _HOOKED:
        _HOOKED["stack.3"] = hooked(found.version, found.dataset, list(range(150)))["stack.3"]
    return _HOOKED["stack.3"]


def test_a_subset_that_is_kept_answers_only_for_its_rows(tmp_path: Path) -> None:
    with world(tmp_path, "mlp", record="sample:24") as found:
        view = found.version.layer("stack.3")
        kept = view.look()
        ids = found.dataset.ids.to_pylist()
        inside = sorted(ids.index(one) for one in kept.ids)
        outside = [at for at in range(150) if at not in inside]
        assert view.look(inside).source == "kept"
        assert view.look(outside[:3]).source == "computed"
        expected = hooked(found.version, found.dataset, [*outside[:3], *inside, outside[3]])["stack.3"]
        assert differ(view.record([*outside[:3], *inside, outside[3]]), expected) == ""


def test_a_balanced_run_keeps_each_row_once_and_its_own(tmp_path: Path) -> None:
    """Balanced sampling draws some rows again and again, and others never."""
    for record in ("sample:24", "all"):
        with world(tmp_path / record.replace(":", "-"), "digits", record=record, sampling="balanced") as found:
            kept = found.version.layer("flat").look()
            assert len(set(kept.ids)) == len(kept.ids)
            ids = found.dataset.ids.to_pylist()
            positions = [ids.index(one) for one in kept.ids]
            assert differ(kept.values, hooked(found.version, found.dataset, positions)["flat"]) == ""


def inserted(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table with three new rows in front, its old rows turned around, and every tenth taken away."""
    keep = [at for at in reversed(range(len(table["name"]))) if at % 10]
    new = {"name": [f"new{at}" for at in range(3)], "x": np.full((3, 6), 0.5, np.float32), "label": np.zeros(3, int)}
    return {name: np.concatenate([np.asarray(new[name]), np.asarray(table[name])[keep]]) for name in table}


def test_rows_of_a_later_version_of_the_dataset_keep_their_records(tmp_path: Path) -> None:
    """The same keys at other positions: a record follows the key, never the position."""
    with world(tmp_path, "mlp") as found:
        found.version.evaluate(split="all", record="all")
        second = found.repo.add_dataset("mlp-data", inserted(worlds.table("mlp")), key="name").dataset
        assert (second.number, len(second)) == (2, 3 + 135)
        version = found.version
        view = version.layer("stack.3")
        ids = second.ids.to_pylist()
        assert ids[0] == "new0"
        expected = hooked(version, second, list(range(len(second))))["stack.3"]
        assert differ(view.record(second), expected) == ""
        for key in ("row001", "row149", "row077"):
            at = ids.index(key)
            assert differ(view.record(second[at]), expected[at]) == ""
        # Kept of the second version too: the newest records are not taken for rows of the first.
        version.evaluate(second, split="all", record="all")
        view = found.version.layer("stack.3")
        first = hooked(version, found.dataset, list(range(150)))["stack.3"]
        assert differ(view.record(list(range(150))), first) == ""
        assert differ(view.record(second), expected) == ""
        assert differ(view.record("row000"), first[0]) == ""
        other = found.version.layer("stack.3", data=second)
        assert other.look([0, 5]).source == "kept"
        assert differ(other.record([0, 5]), take(expected, torch.tensor([0, 5]))) == ""
        assert differ(other.record("row077"), expected[ids.index("row077")]) == ""


def test_a_row_whose_content_changed_under_its_key_is_another_row(tmp_path: Path) -> None:
    """The key is the same, the numbers are not: what was kept of the old row must not answer for the new one."""
    with world(tmp_path, "mlp") as found:
        found.version.evaluate(split="all", record="all")
        table = worlds.table("mlp")
        table["x"] = table["x"].copy()
        table["x"][5] += 1
        second = found.repo.add_dataset("mlp-data", table, key="name").dataset
        expected = hooked(found.version, second, [5])["stack.3"]
        view = found.version.layer("stack.3")
        assert differ(view.record(second[5:6]), expected) == ""
        assert differ(view.record(second[5]), expected[0]) == ""
        assert differ(view.record([second[5], second[6]]), hooked(found.version, second, [5, 6])["stack.3"]) == ""
        assert differ(view.record(found.dataset[5:6]), hooked(found.version, found.dataset, [5])["stack.3"]) == ""


def test_equal_rows_are_rows_of_their_own(tmp_path: Path) -> None:
    """A dataset without a key, in which content comes twice."""
    with world(tmp_path, "digits") as found:
        columns = worlds.table("digits", 40)
        twice = {name: np.concatenate([values, values]) for name, values in columns.items()}
        second = found.repo.add_dataset("digits-data", twice).dataset
        version = found.version
        version.evaluate(second, split="all", record="all")
        found_all = version.layer("flat").record(second)
        expected = hooked(version, second, list(range(80)))["flat"]
        assert differ(found_all, expected) == ""
        assert len(set(second.ids.to_pylist())) == 80
