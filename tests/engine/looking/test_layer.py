"""What left a layer: kept and computed are the same to the bit, whatever is asked; and it is said which it was."""

from __future__ import annotations

import warnings
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
from layerwise.engine.looking import asking
from layerwise.engine.looking.computing import PIECE
from layerwise.engine.recording.asked import Recording
from layerwise.engine.recording.keeping import record_rows
from layerwise.engine.version import Version
from layerwise.errors import InvalidData, NotFound
from layerwise.layers.base import Padded
from layerwise.repo import Repository
from tests.engine.looking.conftest import ROWS
from tests.support.any_modules import KINDS
from tests.support.flowers import flowers, small
from tests.support.hooked import hooked
from tests.support.same import differ


def kept_of(version: Version, data: Dataset, positions: Any, **asked: Any) -> Version:
    """Return another version, equal to the given one, of which the rows at ``positions`` are kept."""
    again = lw.load(version.address, repo=version.repo)
    record_rows(again, data, None if positions is None else np.asarray(positions), Recording(keep="all", **asked))
    return again


@pytest.fixture
def other(repo: Repository, data: Dataset, trained: Version) -> Version:
    """Return a version of its own, of which nothing is kept."""
    seed = len(repo.versions("flower")) + 100
    return lw.train(small(epochs=1, seed=seed), data, repo=repo, record="off").version


def test_every_layer_of_every_row_is_what_a_plain_hook_sees(version: Version, data: Dataset) -> None:
    positions = [0, 7, 64, 149]
    expected = hooked(version, data, positions)
    for path in expected:
        looked = version.layer(path).look(positions)
        assert differ(looked.values, expected[path]) == "", path
        assert looked.source == "computed"
        assert looked.ids == [data.ids[at].as_py() for at in positions]


@pytest.mark.parametrize("name", KINDS)
def test_every_part_of_any_module_is_what_a_plain_hook_sees(wrapped: Callable[[str], Version], name: str) -> None:
    version = wrapped(name)
    positions = [0, 7, 64, 149]
    expected = hooked(version, version.repo.dataset(version.data_address), positions)
    paths = [path for path in expected if path in dict(version.model.walk()) or ":" in path]
    assert KINDS[name].layer in paths
    for path in [*paths[:6], KINDS[name].layer, *(f"{part}:{times}" for part, times in KINDS[name].passes)]:
        assert differ(version.layer(path).record(positions), expected[path]) == "", path


def test_what_torch_runs_fused_shows_when_it_is_asked_for(wrapped: Callable[[str], Version]) -> None:
    version = wrapped("encoder")
    seen: list[torch.Tensor] = []
    module = KINDS["encoder"].module()
    module.load_state_dict(version.module().state_dict())
    part = module.eval().get_submodule("encoder.layers.0.linear1")
    handle = part.register_forward_hook(lambda *call: seen.append(call[2]))
    rows = np.stack(
        version.repo.dataset(version.data_address).table(["x"]).column(0).combine_chunks().to_numpy_ndarray()
    )
    with torch.inference_mode():
        module(torch.from_numpy(rows[:64]))
    handle.remove()
    assert differ(version.layer("encoder.layers.0.linear1").record(slice(0, 64)), seen[0]) == ""


def test_kept_and_computed_are_the_same_to_the_bit(other: Version, data: Dataset) -> None:
    fresh = lw.load(other.address, repo=other.repo)
    paths = ["length", "colour", "coloured", "row", "hidden", "scores"]
    computed = {path: fresh.layer(path).look(slice(None)) for path in paths}
    kept = kept_of(other, data, range(0, ROWS, 2))
    for path in paths:
        view = kept.layer(path)
        for rows in ([2, 0, 148], slice(0, 10, 2), 64, -2, data.ids[4].as_py(), data[6]):
            looked = view.look(rows)
            assert looked.source == "kept"
            assert looked.kept == len(looked)
            assert differ(looked.values, _rows(computed[path].values, looked.positions)) == "", path
        mixed = view.look([1, 2, 3, 3, 0])
        assert (mixed.source, mixed.kept) == ("computed", 2)
        assert differ(mixed.values, _rows(computed[path].values, mixed.positions)) == "", path
    assert "kept" in str(kept.layer("row").look(2))
    assert "2 of them kept" in str(kept.layer("row").look([1, 2, 3, 3, 0]))


def _rows(value: Any, positions: Any) -> Any:
    places = np.asarray(positions)
    return value.take(pa.array(places)) if isinstance(value, pa.Array) else value[torch.from_numpy(places)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_kept_the_answer_is_the_same(blocks: Version, data: Dataset, drawn: st.DataObject) -> None:
    everything = _everything(blocks)
    path = drawn.draw(st.sampled_from(sorted(everything)))
    rows = drawn.draw(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=70))
    assert differ(blocks.layer(path).record(rows), everything[path][torch.tensor(rows)]) == ""


def _everything(version: Version) -> dict[str, Any]:
    if "everything" not in _CACHE:
        fresh = lw.load(version.address, repo=version.repo)
        paths = ["row", "added", "added.one", "added.two", "plain", "plain.in", "plain.act", "both", "scores"]
        chosen = fresh._looking.choose(slice(None))
        _CACHE["everything"] = fresh._looking.computer.values(chosen, paths)
    found: dict[str, Any] = _CACHE["everything"]
    return found


_CACHE: dict[str, Any] = {}


def test_what_is_not_kept_is_computed_from_the_nearest_cut(other: Version, data: Dataset) -> None:
    whole = lw.load(other.address, repo=other.repo).layer("scores").record(slice(0, 30))
    again = kept_of(other, data, None, layers=("hidden", "row"))
    looked = again.layer("scores").look(slice(0, 30))
    assert looked.cut == ("hidden",)
    assert looked.source == "computed"
    assert "computed from hidden" in str(looked)
    assert differ(looked.values, whole) == ""
    # Rows that are not kept at the cut are computed from themselves.
    assert again.layer("scores").look(flowers(3)).cut == ()


def test_a_cut_in_a_block_and_through_a_chain_gives_the_same_bits(blocks: Version, repo: Repository) -> None:
    fresh = lw.load(blocks.address, repo=repo)
    paths = ["added.one", "added.two", "plain.in", "both", "scores", "row"]
    chosen = fresh._looking.choose(slice(0, ROWS, 3))
    everything = fresh._looking.computer.passed(chosen)
    for path in paths:
        found = fresh._looking.computer.values(chosen, ["scores"], {path: everything[path]})
        assert differ(found["scores"], everything["scores"]) == "", path


def test_records_rounded_to_half_are_given_as_kept_and_never_computed_from(other: Version, data: Dataset) -> None:
    exact = lw.load(other.address, repo=other.repo)
    rows = [0, 1, 2, 3]
    values = {path: exact.layer(path).record(rows) for path in ("hidden", "scores")}
    again = kept_of(other, data, [0, 1, 2], dtype="float16", layers=("hidden",))
    view = again.layer("hidden")
    assert view.record(1).dtype == torch.float16
    assert differ(view.record(rows), values["hidden"].half()) == ""
    assert differ(view.look(rows, exact=True).values, values["hidden"]) == ""
    assert differ(again.layer("scores").record(rows), values["scores"]) == ""
    assert again.layer("scores").look([0, 1, 2]).cut == ()


def test_without_rows_those_that_are_kept_are_meant_else_a_sample(other: Version, data: Dataset) -> None:
    view = lw.load(other.address, repo=other.repo).layer("scores")
    sample = view.look()
    assert sample.source == "computed"
    assert 0 < len(sample) <= asking.SAMPLE
    again = kept_of(other, data, [3, 5, 8]).layer("scores").look()
    assert (again.source, again.positions.tolist() if again.positions is not None else None) == ("kept", [3, 5, 8])
    # One row that was kept later does not stand for the layer.
    assert len(kept_of(other, data, [6]).layer("scores").look()) == 3


def test_what_was_kept_meanwhile_is_read(other: Version, data: Dataset) -> None:
    view = lw.load(other.address, repo=other.repo).layer("scores")
    before = view.look([4])
    kept_of(other, data, None)
    after = view.look([4])
    assert (before.source, after.source) == ("computed", "kept")
    assert differ(before.values, after.values) == ""
    other.repo.forget_records(other.entry.digest)
    assert lw.load(other.address, repo=other.repo).layer("scores").look([4]).source == "computed"


def test_one_row_comes_without_the_dimension_of_rows(version: Version, data: Dataset) -> None:
    hidden = version.layer("hidden")
    many = hidden.record([5])
    assert many.shape == (1, 8)
    for row in (5, np.int64(5), 5 - ROWS, data.ids[5].as_py(), data[5]):
        assert differ(hidden.record(row), many[0]) == ""
    elsewhere = flowers(1, seed=3).to_pylist()[0]
    assert hidden.record(elsewhere).shape == (8,)
    assert hidden.record([elsewhere]).shape == (1, 8)
    assert version.layer("colour").record(5) == data[5]["colour"]


def test_a_row_that_was_read_is_the_callers_own(blocks: Version) -> None:
    view = lw.load(blocks.address, repo=blocks.repo).layer("scores")
    first = view.record(3).clone()
    for _ in range(2):
        taken = view.record(3)
        assert differ(taken, first) == ""
        taken.zero_()
    view.record([0, 3]).zero_()
    assert differ(view.record(3), first) == ""


def test_rows_from_elsewhere_have_the_bits_of_the_same_rows_in_the_dataset(version: Version, data: Dataset) -> None:
    table = data.table()
    for rows in (table.slice(3, 70), table.slice(3, 70).to_pandas()):
        looked = version.layer("scores").look(rows)
        assert looked.source == "computed"
        assert differ(looked.values, version.layer("scores").record(slice(3, 73))) == ""


def test_more_rows_than_run_at_a_time_come_in_their_order(version: Version) -> None:
    rows = np.random.default_rng(1).integers(0, ROWS, PIECE + 70)
    found = version.layer("scores").record(rows)
    assert differ(found, version.layer("scores").record(slice(None))[torch.from_numpy(rows)]) == ""


def test_a_question_that_would_fill_the_memory_is_refused(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layerwise.engine.looking.computing.MOST_BYTES", 1000)
    with pytest.raises(InvalidData, match=r"'hidden': 150 rows take 4,800 bytes.*at most 1,000"):
        version.layer("hidden").record(slice(None))


NOT_THERE = [
    ("hiden", "no layer 'hiden'. Did you mean 'hidden'"),
    ("kind", "nothing leaves the answer layer 'kind'.*look at 'scores'"),
    ("hidden:0", "names no pass"),
    ("hidden:x", "names no pass"),
    ("", "no layer ''"),
    ("\x1b[2J", r"no layer '\\x1b\[2J'"),
]


@pytest.mark.parametrize(("path", "says"), NOT_THERE)
def test_a_layer_that_is_not_there_is_named_with_the_nearest(version: Version, path: str, says: str) -> None:
    with pytest.raises(NotFound, match=says):
        version.layer(path)


def test_a_pass_that_is_not_there_is_named_with_how_many_there_are(wrapped: Callable[[str], Version]) -> None:
    version = wrapped("twice")
    assert version.layer("step:1").path == "step"
    assert version.layer("step:3").record([1]).shape == (1, 6)
    with pytest.raises(NotFound, match="runs 3 times a row, and there is no pass 'step:4'"):
        version.layer("step:4").record(0)


def test_the_views_of_a_version_are_made_once(version: Version) -> None:
    assert version.layer("hidden") is version.layer("hidden")
    assert repr(version.layer("hidden")) == f"<Layer {version.address}/hidden>"


def test_rows_of_another_dataset_are_meant_where_it_is_named(version: Version, repo: Repository) -> None:
    other = repo.add_dataset("other-flowers", flowers(20, seed=12)).dataset
    found = version.layer("scores", data="other-flowers").record([3, 4])
    assert differ(found, version.layer("scores", data=other).record([3, 4])) == ""
    assert differ(found, version.outputs(other.take([3, 4]))) == ""
    with pytest.raises(NotFound, match="rows 0 to 19"):
        version.layer("scores", data=other).record(20)


def test_what_was_changed_in_the_module_changes_nothing_here(version: Version) -> None:
    before = version.layer("scores").record([1, 2])
    module = version.module()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    module.train()
    assert differ(lw.load(version.address, repo=version.repo).layer("scores").record([1, 2]), before) == ""
    assert differ(version.layer("scores").record([1, 2]), before) == ""
    assert module.training


def test_looking_leaves_answers_and_the_generator_as_they_were(version: Version, data: Dataset) -> None:
    answers, state = version.predict(data).table, torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        version.trace(3).patch("hidden", 1.0)
        version.layer("hidden").look(slice(None))
    assert torch.equal(torch.get_rng_state(), state)
    assert version.predict(data).table == answers


def test_a_window_over_time_sees_the_rows_before(repo: Repository) -> None:
    years = {"year": np.arange(60), "spots": np.abs(np.sin(np.arange(60.0)) * 50)}
    data = repo.add_dataset("years", years).dataset
    layers = [
        lw.Layer("spots", lw.Column("spots")),
        lw.Layer("before", lw.Window(length=5)),
        lw.Layer("next", torch.nn.GRU, hidden_size=1),
        lw.Layer("value", lw.Value("spots")),
    ]
    version = lw.train(lw.Model("years", layers), data, repo=repo, epochs=1, record="off").version
    together = version.outputs(data.table())
    assert differ(version.layer("next").record([50, 7, 59]), together[[50, 7, 59]]) == ""
    assert differ(version.layer("next").record(data.table()), together) == ""
    assert differ(torch.as_tensor(version.trace(50)["next"]), together[50:51]) == ""
    assert differ(torch.as_tensor(version.trace(data.table().slice(0, 51))["next"]), together[50:51]) == ""


def test_padded_rows_are_as_long_as_they_are(repo: Repository) -> None:
    rows = {"tokens": [[1, 2, 3], [4], [5, 6], [7, 1, 1, 2]] * 10, "label": [0, 1, 0, 1] * 10}
    data = repo.add_dataset("lists", rows).dataset
    layers = [
        lw.Layer("tokens", lw.Column("tokens")),
        lw.Layer("padded", lw.Pad(4)),
        lw.Layer("embedded", torch.nn.Embedding, num_embeddings=10, embedding_dim=3),
        lw.Layer("pooled", lw.PoolOverTime()),
        lw.Layer("scores", torch.nn.Linear, out_features=2),
        lw.Layer("answer", lw.Classes(target="label")),
    ]
    version = lw.train(lw.Model("lists", layers), data, repo=repo, epochs=1, record="off").version
    computed = version.layer("embedded").look([0, 1, 3])
    assert isinstance(computed.values, Padded)
    assert version.layer("embedded").record(1).shape == (1, 3)
    record_rows(version, data, None, Recording(keep="all", layers=("padded", "embedded")))
    kept = lw.load(version.address, repo=repo).layer("embedded").look([0, 1, 3])
    assert kept.source == "kept"
    assert differ(kept.values, computed.values) == ""
    assert (
        differ(
            lw.load(version.address, repo=repo).layer("scores").record([0, 1]), version.layer("scores").record([0, 1])
        )
        == ""
    )
    frame = version.layer("embedded").frame([1])
    assert frame.iloc[0].notna().sum() == 3
    found = version.layer("embedded").attribute([0, 1])
    assert torch.allclose(found.gap, torch.zeros(2), atol=1e-5)
