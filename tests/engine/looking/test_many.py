"""Questions about many rows: the nearest, those that excite a unit most, frames, statistics, two beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.engine.looking import tables
from layerwise.engine.looking.comparing import between
from layerwise.engine.looking.neighbours import flat
from layerwise.engine.looking.tables import unit_stats
from layerwise.engine.looking.units import by_unit
from layerwise.engine.version import Version
from layerwise.errors import InvalidData, NotFound
from layerwise.layers.base import Padded
from tests.engine.looking.conftest import ROWS
from tests.support.flowers import flowers


@pytest.fixture(params=["kept", "computed"])
def asked(request: pytest.FixtureRequest, blocks: Version) -> tuple[Version, dict[str, Any], np.ndarray[Any, Any]]:
    """Return a version, how every third row is named, and these rows' positions: once kept, once not."""
    positions = np.arange(0, ROWS, 3)
    if request.param == "kept":
        return lw.load(blocks.address, repo=blocks.repo), {}, positions
    return lw.load(blocks.address, repo=blocks.repo), {"rows": positions}, positions


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_nearest_rows_are_those_that_a_sort_of_all_gives(asked: Any, metric: str) -> None:
    version, rows, positions = asked
    values = version.layer("both").record(positions).double()
    for row in (3, 4, flowers(1, seed=2).to_pylist()[0]):
        point = version.layer("both").record([row] if isinstance(row, int) else row).double().reshape(-1)
        if metric == "euclidean":
            expected = (values - point).square().sum(1).sqrt().numpy()
        else:
            expected = (1 - (values @ point) / (values.norm(dim=1) * point.norm())).numpy()
        others = positions != row if isinstance(row, int) else positions >= 0
        order = np.argsort(expected[others], kind="stable")[:7]
        found = version.layer("both").nearest(row, 7, metric=metric, **rows)
        assert found.positions.tolist() == positions[others][order].tolist()
        assert np.allclose(found.distances, expected[others][order], rtol=1e-12, atol=1e-12)
        assert found.source == ("computed" if rows and metric == "never" else found.source)
        assert found.among == len(positions)
        assert len(found.truth) == len(found.ids) == len(found) == 7


def test_a_version_gives_the_nearest_rows_by_a_layer(blocks: Version) -> None:
    found = blocks.nearest(3, layer="scores", k=4)
    assert found.ids == blocks.layer("scores").nearest(3, 4).ids
    assert found.ids[0] in str(found)
    assert "<table>" in found._repr_html_()


def test_fewer_rows_than_were_asked_for_are_all_there_are(blocks: Version) -> None:
    assert len(blocks.layer("scores").nearest(0, 1000)) == ROWS // 3 - 1
    assert len(blocks.layer("scores").top(0, 1000)) == ROWS // 3


WRONG: list[tuple[str, Callable[[Version], Any], type[Exception], str]] = [
    ("no such metric", lambda v: v.layer("both").nearest(0, metric="cosin"), InvalidData, "Did you mean 'cosine'"),
    ("no rows", lambda v: v.layer("both").nearest(0, 0), InvalidData, "expected 1 or more"),
    ("two rows", lambda v: v.layer("both").nearest([0, 1]), InvalidData, "of one row; found 2"),
    ("text", lambda v: v.layer("colour").nearest(0), InvalidData, "gives string, which has no distances"),
    ("no such unit", lambda v: v.layer("both").top(9), NotFound, "has 9 units, 0 to 8; there is no unit 9"),
    ("no such unit below", lambda v: v.layer("both").top(-10), NotFound, "there is no unit -10"),
    ("no such name", lambda v: v.layer("scores").top("irsi"), NotFound, "Did you mean 'iris'"),
    ("no names", lambda v: v.layer("both").top("iris"), NotFound, "have no names: take 0 to 8"),
    (
        "no such place",
        lambda v: v.layer("both").top((9,)),
        NotFound,
        r"gives \[9\] numbers.*no place \[9\]",
    ),
    ("too deep", lambda v: v.layer("both").top((1, 1)), NotFound, r"no place \[1, 1\]"),
    ("a truth value", lambda v: v.layer("both").top(True), NotFound, "no unit True"),
    ("units of text", lambda v: v.layer("colour").top(0), InvalidData, "gives string, which has no units"),
    ("no rows of a unit", lambda v: v.layer("both").top(0, 0), InvalidData, "expected 1 or more"),
    ("statistics of text", lambda v: v.layer("colour").stats().units, InvalidData, "gives string"),
    ("three rows compared", lambda v: v.compare([0, 1], 2), InvalidData, "found 2"),
]


@pytest.mark.parametrize(("ask", "error", "says"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_cannot_be_answered_is_said(blocks: Version, ask: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        ask(blocks)


@pytest.mark.parametrize("lowest", [False, True])
def test_the_top_rows_of_a_unit_are_those_that_a_sort_gives(asked: Any, lowest: bool) -> None:
    version, rows, positions = asked
    values = version.layer("both").record(positions)
    for unit in (0, 8, -1):
        column = values[:, unit].double().numpy()
        order = np.argsort(column if lowest else -column, kind="stable")[:6]
        found = version.layer("both").top(unit, 6, lowest=lowest, **rows)
        assert found.positions.tolist() == positions[order].tolist()
        assert list(found.values) == column[order].tolist()
        assert found.among == len(positions)
    assert version.layer("both").top((2,), 3, **rows).ids == version.layer("both").top(2, 3, **rows).ids


def test_units_have_the_names_of_classes_and_columns(asked: Any) -> None:
    version, rows, _ = asked
    named = version.layer("scores").top("rose", 5, **rows)
    assert named.ids == version.layer("scores").top(1, 5, **rows).ids
    assert "scores[rose]" in str(named)
    assert version.layer("row").top("width", 2, **rows).ids == version.layer("row").top(1, 2, **rows).ids


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_unit_is_a_number_a_feature_or_a_map(drawn: st.DataObject) -> None:
    shape = drawn.draw(st.sampled_from([(), (4,), (3, 4), (4, 2, 3), (4, 2, 2, 2)]))
    values = torch.from_numpy(
        np.random.default_rng(drawn.draw(st.integers(0, 99))).integers(-3, 4, (5, *shape))
    ).float()
    values[values == 3] = torch.nan
    found = by_unit(values)
    for row in range(5):
        units = [values[row]] if not shape else values[row] if len(shape) == 1 or len(shape) > 2 else values[row].T
        for at, one in enumerate(units):
            there = one[~one.isnan()]
            expected = there.max() if there.numel() else torch.tensor(torch.nan)
            assert torch.equal(found[row, at].nan_to_num(99), expected.nan_to_num(99))


def test_padding_is_no_part_of_a_unit_or_a_point() -> None:
    padded = Padded(torch.tensor([[[1.0, -5.0], [9.0, 9.0]], [[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([1, 2]))
    assert by_unit(padded).tolist() == [[1.0, -5.0], [3.0, 4.0]]
    assert flat(padded).tolist() == [[1.0, -5.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]]
    assert by_unit(Padded(torch.tensor([[4, 7]]), torch.tensor([1]))).tolist() == [[4.0]]


def test_a_frame_has_a_column_a_number_and_the_rows_ids(version: Version, data: Dataset) -> None:
    frame = version.layer("hidden").frame([4, 2])
    assert frame.columns.tolist() == [f"hidden[{at}]" for at in range(8)]
    assert frame.index.tolist() == [data.ids[4].as_py(), data.ids[2].as_py()]
    assert (frame.to_numpy() == version.layer("hidden").record([4, 2]).numpy()).all()
    assert version.layer("colour").frame([4])["colour"].tolist() == [data[4]["colour"]]


def test_maps_are_flattened_under_their_places(wrapped: Callable[[str], Version]) -> None:
    version = wrapped("resnet")
    frame = version.layer("layer4").frame([1])
    assert frame.columns[:2].tolist() == ["layer4[0,0,0]", "layer4[1,0,0]"]
    assert version.layer("image").frame([1]).shape == (1, version.layer("image").record(1).numel())


def test_a_frame_of_too_many_columns_is_refused(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "COLUMNS", 7)
    with pytest.raises(InvalidData, match=r"hidden gives \[8\], 8 numbers a row.*at most 7.*record\(rows\)"):
        version.layer("hidden").frame([1])


def test_statistics_of_units_are_those_of_numpy(blocks: Version, trained: Version) -> None:
    found = blocks.layer("both").stats()
    values = blocks.layer("both").record().double().numpy()
    assert found.looked.source == "kept"
    assert np.allclose(found.units.mean, values.mean(0))
    assert np.allclose(found.units.spread, values.std(0))
    assert np.array_equal(found.units.least, values.min(0))
    assert np.array_equal(found.units.most, values.max(0))
    assert np.array_equal(found.units.zeros, (values == 0).mean(0))
    assert not found.units.nonfinite.any()
    assert found.units.names[3] == "both[3]"
    assert "both[3]" in str(found)
    assert "<table>" in found._repr_html_()


def test_the_statistics_of_the_training_stand_beside_them(data: Dataset, trained: Version) -> None:
    run = lw.train(
        lw.Model("curves", trained.model.layers), data, repo=trained.repo, epochs=1, record="stats", lr=0.02, seed=5
    )
    found = run.version.layer("hidden").stats([1, 2])
    assert found.curves is not None
    assert found.curves.last["nonfinite"] == 0
    assert "mean" in str(found)


def test_numbers_that_are_not_finite_are_counted_and_left_out() -> None:
    found = unit_stats("x", torch.tensor([[1.0, torch.nan], [3.0, torch.nan], [torch.inf, torch.nan]]))
    assert found.nonfinite.tolist() == [1, 3]
    assert (found.mean[0], found.least[0], found.most[0]) == (2.0, 1.0, 3.0)
    assert np.isnan(found.mean[1])
    assert np.isnan(found.least[1])
    ends = unit_stats("x", Padded(torch.tensor([[1.0, 9.0]]), torch.tensor([1])))
    assert ends.nonfinite.tolist() == [0, 0]


def test_two_rows_are_compared_at_every_layer(version: Version, data: Dataset) -> None:
    found = version.compare(3, data[8])
    assert [one.layer for one in found.layers] == [passage.layer for passage in version.trace(3).passages]
    a, b = (version.layer("hidden").record(at).double() for at in (3, 8))
    assert found["hidden"].distance == pytest.approx(float((a - b).norm() / ((a.norm() + b.norm()) / 2)))
    assert found["hidden"].cosine == pytest.approx(float(torch.nn.functional.cosine_similarity(a, b, dim=0)))
    assert found.answers.table == version.predict(pa.concat_tables([data[3].table(), data[8].table()])).table
    assert found.ids == (data.ids[3].as_py(), data.ids[8].as_py())
    assert found.truth == (data[3]["kind"], data[8]["kind"])
    assert found.parted is not None
    assert found.parted.layer in str(found)
    assert "parts most" in str(found)


def test_a_row_does_not_part_from_itself(version: Version, wrapped: Callable[[str], Version]) -> None:
    for found in (version.compare(3, 3), wrapped("resnet").compare("row003", 3)):
        assert all(one.distance == 0 for one in found.layers)
        assert found.parted is None


def test_rows_from_elsewhere_are_compared_too(version: Version, data: Dataset) -> None:
    row = {name: data[3][name] for name in ("length", "width", "colour")}
    found = version.compare({**row, "colour": "red"}, {**row, "colour": "blue"})
    assert found.ids == ("a", "b")
    assert found["length"].distance == 0
    assert found["coloured"].distance > 0
    assert found["colour"].distance == 1


def test_distance_and_cosine_are_what_they_say() -> None:
    assert between(torch.tensor([[3.0, 4.0]]), torch.tensor([[-3.0, -4.0]])) == (2.0, -1.0)
    assert between(torch.zeros(1, 2), torch.zeros(1, 2))[0] == 0
    assert np.isnan(between(torch.zeros(1, 2), torch.ones(1, 2))[1])
    assert between(pa.array([2.0]), pa.array([1.0]))[0] == pytest.approx(2 / 3)
    short, long = (Padded(torch.ones(1, 3), torch.tensor([size])) for size in (1, 3))
    assert between(short, long)[0] > 0
    assert np.isnan(between(pa.array(["a"]), pa.array(["a"]))[1])
