"""What is recorded while a model trains: each row's own, as it left the layer in training; read while it is written."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

import layerwise as lw
from layerwise.data.split import Split, split_rows
from layerwise.engine.learner import derived, steps_of
from layerwise.engine.recording.recorded import LiveLayer
from layerwise.errors import NotFound
from layerwise.records.live import LiveFile, LiveHeader, live_files, make_live
from layerwise.repo import Repository
from layerwise.store.disk import Disk
from tests.support import worlds
from tests.support.hooked import hooked
from tests.support.live_children import ROWS
from tests.support.same import differ
from tests.support.worlds import World, world

ROOT = Path(__file__).parents[2]
SECONDS = 240.0


def train_rows(found: World) -> Tensor:
    """Return the positions of the rows that it learns from."""
    split = Split.from_json(found.run.version.manifest.data["split"])
    return torch.from_numpy(split_rows(split, found.dataset)["train"])


def order(found: World, epoch: int) -> list[Tensor]:
    """Return the rows of each step of an epoch, drawn again by the rule that makes a run the same again."""
    rows = train_rows(found)
    drawn = torch.Generator().manual_seed(derived(3, "order", epoch))
    return list(steps_of(rows[torch.randperm(len(rows), generator=drawn)], 32))


@contextmanager
def listening(module_type: type[nn.Module], wanted: Any) -> Iterator[list[Tensor]]:
    """Keep what leaves modules of a type, while they learn, by a hook of torch's own."""
    heard: list[Tensor] = []

    def hook(part: nn.Module, _: Any, output: Any) -> None:
        if part.training and isinstance(part, module_type) and wanted(part) and torch.is_grad_enabled():
            heard.append((output if isinstance(output, Tensor) else output[0]).detach().clone())

    handle = register_module_forward_hook(hook)
    try:
        yield heard
    finally:
        handle.remove()


def test_a_live_record_is_what_a_hook_sees_in_training(tmp_path: Path) -> None:
    """Dropout on, weights moving: the row's value in the last epoch, in the step in which the row was."""
    with listening(nn.Dropout, lambda part: True) as heard, world(tmp_path, "mlp", record="all", epochs=3) as found:
        steps = order(found, 3)
        last = heard[-len(steps) :]
        assert [len(values) for values in last] == [len(rows) for rows in steps]
        expected = {int(row): one for rows, values in zip(steps, last, strict=True)
                    for row, one in zip(rows, values, strict=True)}  # fmt: skip
        rows = train_rows(found)
        want = torch.stack([expected[int(row)] for row in rows])
        lived = found.run.recorded("stack.2").take(rows.numpy())
        assert differ(lived.values, want) == ""
        assert set(lived.epochs.tolist()) == {3}
        assert bool((want == 0).any()), "dropout was on"
        again = found.run.recorded("stack.2").take(rows.flip(0)[:7].numpy())
        assert differ(again.values, want.flip(0)[:7]) == ""


def test_a_live_record_is_not_taken_for_the_versions(tmp_path: Path) -> None:
    with world(tmp_path, "mlp", record="all", epochs=2) as found:
        rows = train_rows(found)[:40].tolist()
        answered = found.version.layer("stack.2").record(rows)
        assert differ(answered, hooked(found.version, found.dataset, rows)["stack.2"]) == ""
        assert differ(answered, found.run.recorded("stack.2").take(rows).values) != ""


def start(*words: str) -> subprocess.Popen[str]:
    """Start a child that trains."""
    command = [sys.executable, "-m", "tests.support.live_children", *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    "record", ["all", *(pytest.param(one, marks=pytest.mark.slow) for one in ("sample:24", "off"))]
)
def test_a_run_that_was_killed_goes_on_and_records_as_an_unbroken_one(record: str, tmp_path: Path) -> None:
    """kill -9 in the middle of an epoch after a checkpoint; weights, records and answers are those of one piece."""
    child = start("killed", str(tmp_path / "killed"), record)
    out, error = child.communicate(timeout=SECONDS)
    assert child.returncode == -signal.SIGKILL, (out, error)
    settings = {"epochs": 4, "checkpoint": 0}
    with Repository(tmp_path / "killed") as repo, world(tmp_path / "whole", "mlp", record=record, **settings) as whole:
        again = worlds.train(repo, "mlp", record=record, **settings)
        assert again.run.resumed == 2
        one, other = again.version, whole.version
        assert {path: {n: t.tolist() for n, t in state.items()} for path, state in one.states.items()} == {
            path: {n: t.tolist() for n, t in state.items()} for path, state in other.states.items()
        }
        everything = list(range(worlds.ROWS))
        for layer in again.layers:
            expected = hooked(other, whole.dataset, everything)[layer]
            assert differ(one.layer(layer).record(everything), expected) == ""
            if record != "off":
                assert one.layer(layer).look().ids == other.layer(layer).look().ids
        if record == "all":
            rows = train_rows(again).numpy()
            left, right = (run.recorded("stack.2").take(rows).values for run in (again.run, whole.run))
            assert differ(left, right) == ""


def read_beside(folder: Path, width: int, epochs: int) -> tuple[int, int]:
    """Read live records while another process writes them; return how many rows were read and how many changed."""
    child = start("broad", str(folder), str(width), str(epochs))
    read, seen = 0, set[tuple[int, float]]()
    give_up = time.monotonic() + SECONDS
    try:
        while child.poll() is None and time.monotonic() < give_up:
            time.sleep(0.002)
            for layer in layers_there(folder):
                values, epochs_of = layer.take().values, layer.take().epochs
                assert isinstance(values, Tensor)
                assert len(values) == len(epochs_of) == ROWS
                assert bool((values == values[:, :1]).all()), "a row was read while it was written"
                read += int((values[:, 0] != 0).sum())
                seen.update((at, float(one)) for at, one in enumerate(values[:, 0]) if one != 0)
    finally:
        if child.poll() is None:
            child.kill()
        out, error = child.communicate(timeout=SECONDS)
    assert child.returncode == 0, error
    assert out.split().count("epoch") == epochs
    return read, len(seen)


def layers_there(folder: Path) -> list[LiveLayer]:
    """Return the live layer that is to be read, where it is there already; nothing is there that cannot be read."""
    if not (folder / "catalog.sqlite").exists():
        return []
    with Repository(folder) as repo:
        found = []
        for run in live_files(repo.store.disk):
            with suppress(NotFound):
                found.append(lw.recorded(run, "wide", repo=repo))
        return found


def test_a_reader_never_sees_half_a_row(tmp_path: Path) -> None:
    read, changed = read_beside(tmp_path / "repo", 20_000, 6)
    print(f"\n{read:,} rows were read beside the writer, {changed:,} different ones")


@pytest.mark.slow
def test_a_reader_never_sees_half_a_row_for_long(tmp_path: Path) -> None:
    read, changed = read_beside(tmp_path / "repo", 200_000, 60)
    print(f"\n{read:,} rows were read beside the writer, {changed:,} different ones")
    assert changed > ROWS


class _Moment(np.ndarray[Any, Any]):
    """Stamps, whose reader is held up once, in which time a writer writes."""

    meanwhile: Callable[[], None] | None = None

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if (work := type(self).meanwhile) is not None:
            type(self).meanwhile = None
            found = np.array(found)
            work()
        return found


def live_file(tmp_path: Path) -> LiveFile:
    """Make a live file of three rows, each of one number said four times."""
    header = LiveHeader("r-000000000001", "edges", "F32", (4,), 3, False, "", "2026-01-31T09:30:00+00:00", None)
    (tmp_path / "repo").mkdir()
    made = make_live(Disk(tmp_path / "repo"), 1, header)
    write_row(made, 1, 1.0)
    return made


def write_row(made: LiveFile, row: int, value: float, *, half: bool = False) -> None:
    """Write a row as its writer does; half of it where it is held up in the middle."""
    made.stamps[row] = 0
    numbers = made.values.view("<f4").reshape(3, 4)
    numbers[row, : 2 if half else 4] = value
    if not half:
        made.stamps[row] = int(value)


@pytest.mark.parametrize("half", [False, True])
def test_a_row_that_changes_while_it_is_read_is_read_again_or_not_at_all(half: bool, tmp_path: Path) -> None:
    made = live_file(tmp_path)
    stamps = made.stamps.view(_Moment)
    object.__setattr__(made, "stamps", stamps)
    _Moment.meanwhile = lambda: write_row(made, 1, 2.0, half=half)
    values, _, found = made.take(np.array([1, 0]))
    assert values.view("<f4").tolist() == [[0.0] * 4 if half else [2.0] * 4, [0.0] * 4]
    assert found.tolist() == [0 if half else 2, 0]
