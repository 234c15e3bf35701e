"""What left layers while a model trained: each row in its own place in any order; what cannot be kept is said."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.engine.events import Event, RecordsLost, Step
from layerwise.engine.recording.asked import Recording
from layerwise.engine.recording.live import LiveRecording, Whose
from layerwise.errors import InvalidData, InvalidName, NotFound
from layerwise.layers.base import Padded
from layerwise.records.live import EPOCH, forget_live, live_files, live_layers
from layerwise.repo import Repository
from layerwise.store.disk import Disk
from tests.support.flowers import small

WHOSE = Whose("r-0123456789ab", "d" * 64, "2026-01-31T09:30:00+00:00", None)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "live").mkdir()
    return Disk(tmp_path / "live")


def recording(
    disk: Disk, positions: list[int], said: list[str], *, repeats: bool = False, **asked: Any
) -> LiveRecording:
    return LiveRecording(
        disk, WHOSE, np.array(positions), Recording.parse("all", **asked), frozenset({"a", "b"}), batch=4,
        repeats=repeats, lost=said.append,
    )  # fmt: skip


def read(disk: Disk, layer: str = "a") -> tuple[np.ndarray[Any, Any], list[int]]:
    file = live_layers(disk, WHOSE.run)[layer]
    raw, _, stamps = file.take(np.arange(file.header.rows))
    return raw, [int(stamp) >> EPOCH for stamp in stamps]


@given(st.data())
def test_every_row_lands_in_its_own_place_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject
) -> None:
    disk = Disk(tmp_path_factory.mktemp("live"))
    positions = sorted(draw.draw(st.sets(st.integers(0, 99), min_size=1, max_size=12)))
    repeats = draw.draw(st.booleans())
    live = recording(disk, positions, [], repeats=repeats)
    expected: dict[int, tuple[float, int]] = {}
    order = st.lists(st.sampled_from(positions), min_size=1, max_size=4, unique=not repeats)
    for step in range(draw.draw(st.integers(1, 8))):
        rows, epoch = draw.draw(order), 1 + step // 3
        live.begin(epoch, step, torch.tensor(rows))
        live("a", torch.arange(len(rows) * 3, dtype=torch.float32).view(-1, 3) + 100 * step)
        expected |= {row: (100.0 * step + 3 * at, epoch) for at, row in enumerate(rows)}
    raw, epochs = read(disk)
    for slot, row in enumerate(positions):
        value, epoch = expected.get(row, (None, 0))
        assert epochs[slot] == epoch
        first = [] if value is None else [value, value + 1, value + 2]
        assert raw[slot].view("<f4").tolist() == (first or [0.0] * 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_what_is_kept_is_as_the_layer_made_it(disk: Disk, dtype: torch.dtype) -> None:
    live = recording(disk, [0, 1, 2], [])
    value = torch.tensor([[0.0, 1.0], [3.0, 0.1]]).to(dtype)
    live.begin(1, 1, torch.tensor([2, 0]))
    live("a", value)
    raw, epochs = read(disk)
    assert epochs == [1, 0, 1]
    assert torch.equal(torch.from_numpy(raw[[2, 0]].reshape(-1)).view(dtype).view(2, 2), value)


def test_lengths_and_later_passes_are_kept_and_other_layers_are_not(disk: Disk) -> None:
    live = recording(disk, [0, 1], [], dtype="float16")
    live.begin(1, 1, torch.tensor([1, 0]))
    live("b", Padded(torch.ones(2, 3), torch.tensor([3, 1])))
    live("a:2", torch.full((2, 1), 0.1))
    live("other", torch.ones(2, 1))
    files = live_layers(disk, WHOSE.run)
    assert sorted(files) == ["", "a:2", "b"]
    assert files["b"].take(np.array([0, 1]))[1].tolist() == [1, 3]
    assert files["a:2"].header.dtype == "F16"


def test_what_a_later_layer_writes_into_what_it_got_is_not_recorded(disk: Disk) -> None:
    live = recording(disk, [0], [])
    value = -torch.ones(1, 2)
    live.begin(1, 1, torch.tensor([0]))
    live("a", value)
    value.relu_()
    assert read(disk)[0].view("<f4").tolist() == [[-1.0, -1.0]]


def test_the_cap_is_said_once_and_what_fits_goes_on(disk: Disk) -> None:
    said: list[str] = []
    live = recording(disk, [0, 1], said, cap=40_000)
    for epoch in (1, 2):
        live.begin(epoch, epoch, torch.tensor([0, 1]))
        live("a", torch.ones(2, 3))
        live("b", torch.ones(2, 9_000))
    assert len(said) == 1
    assert "40,000" in said[0]
    assert read(disk)[1] == [2, 2]
    assert sorted(live_layers(disk, WHOSE.run)) == ["", "a"]


def test_a_layer_whose_rows_change_their_shape_is_left_with_what_it_has(disk: Disk) -> None:
    said: list[str] = []
    live = recording(disk, [0, 1], said)
    for width in (3, 4, 3):
        live.begin(width, 1, torch.tensor([0, 1]))
        live("a", torch.ones(2, width))
        live("b", torch.ones(2, 2))
    assert len(said) == 1
    assert "'a'" in said[0]
    assert read(disk)[1] == [3, 3]


class Full(Disk):
    """A disk that is full after some files."""

    room = 0

    def allocate(self, name: str, size: int) -> Any:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().allocate(name, size)


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_full_disk_is_said_once_and_never_raised(tmp_path: Path, room: int) -> None:
    disk, said = Full(tmp_path), list[str]()
    disk.room = room
    live = recording(disk, [0, 1], said)
    live.begin(1, 1, torch.tensor([0, 1]))
    live("a", torch.ones(2, 3))
    live("b", torch.ones(2, 3))
    assert len(said) == 1
    assert "No space left" in said[0]
    assert live.stopped == (room < 2)
    assert len(live_files(disk).get(WHOSE.run, [])) == room


@pytest.mark.parametrize("sampling", [None, "balanced"])
def test_a_run_records_what_a_hook_sees_also_where_rows_are_drawn_twice(
    repo: Repository, data: Dataset, sampling: str | None
) -> None:
    class Told(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                told.append(x.detach().clone())
            return x

    told: list[Tensor] = []
    model = small(epochs=2, sampling=sampling)
    layers = [*model.layers[:-2], lw.Layer("told", lw.wrapped(Told())), *model.layers[-2:]]
    layers[-2] = lw.Layer("scores", nn.Linear, out_features=2, inputs=["told"])
    run = lw.train(lw.Model("flower", layers, train=model.train), data, repo=repo, record="all")
    found = run.recorded("told").take()
    rows = {tuple(value.tolist()) for step in told for value in step}
    there = found.epochs > 0
    assert bool(there.all()) == (sampling is None)
    assert isinstance(found.values, Tensor)
    assert {tuple(value.tolist()) for value in found.values[there]} <= rows


class Killed(BaseException):
    pass


def kill(epoch: int) -> Callable[[Event], None]:
    def observe(event: Event) -> None:
        if isinstance(event, Step) and (event.epoch, event.step) == (epoch, 3):
            raise Killed

    return observe


def test_a_run_that_goes_on_records_its_own_epochs_and_ends_with_the_same_bits(repo: Repository, data: Dataset) -> None:
    model = small(epochs=4, checkpoint=0.0)
    whole = lw.train(model, data, repo=repo, record="off")
    with pytest.raises(Killed):
        lw.train(model, data, repo=repo, record="all", observers=[kill(3)])
    broken = repo.live_recordings()[0]
    assert set(lw.recorded(broken, "hidden", repo=repo).take().epochs.tolist()) == {2, 3}
    resumed = lw.train(model, data, repo=repo, record="all")
    assert resumed.resumed == 2
    assert set(resumed.recorded("hidden").take().epochs.tolist()) == {4}
    assert repo.live_recordings() == sorted([broken, resumed.id])
    states = [{path: entry.state for path, entry in run.version.manifest.layers.items()} for run in (whole, resumed)]
    assert states[0] == states[1]
    assert whole.history == resumed.history


def test_what_is_not_there_is_named(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(epochs=1), data, repo=repo, record="all")
    with pytest.raises(NotFound, match="hidden"):
        run.recorded("hiden")
    with pytest.raises(InvalidData, match="row at position 9,999"):
        run.recorded("hidden").take([9_999])
    with pytest.raises(NotFound, match=run.id):
        lw.recorded("r-" + "0" * 12, "hidden", repo=repo)
    with pytest.raises(InvalidName):
        lw.recorded("../../x", "hidden", repo=repo)


def test_what_is_past_its_time_goes_with_the_next_collection(repo: Repository, data: Dataset) -> None:
    old = lw.train(small(epochs=1), data, repo=repo, record={"keep": "all", "age": "1s"})
    new = lw.train(small(epochs=1, seed=4), data, repo=repo, record={"keep": "all", "age": "90d"})
    later = datetime.now(UTC) + timedelta(seconds=2)
    while datetime.now(UTC) < later and forget_live(repo.store.disk, "r-" + "0" * 12) == (0, 0):
        pass
    repo.gc(yes=True)
    assert repo.live_recordings() == [new.id]
    with pytest.raises(NotFound):
        old.recorded("hidden")
    files, size = repo.forget_live(new.id)
    assert files == 4
    assert size > 4 * 4096
    assert repo.live_recordings() == []


def test_losing_a_recording_is_told_to_the_observers_of_a_run(
    repo: Repository, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Disk, name: str, size: int) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = lw.train(small(epochs=1), data, repo=repo, record="off")
    monkeypatch.setattr(Disk, "allocate", full)
    seen: list[Event] = []
    run = lw.train(small(epochs=1), data, repo=repo, record="all", observers=[seen.append])
    assert len([event for event in seen if isinstance(event, RecordsLost)]) == 1
    assert run.history == expected.history
