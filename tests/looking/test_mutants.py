"""The tests see: each fault that would break a promise is put into the code by hand, and the check of it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from layerwise.engine.evaluate import CANONICAL, Live
from layerwise.engine.looking.asking import Looking
from layerwise.engine.looking.computing import _Found
from layerwise.engine.looking.kept import Kept
from layerwise.engine.recording.watch import Watch
from layerwise.errors import LayerwiseError
from layerwise.layers.base import as_tensor
from layerwise.pictures import Shown, draw_html, draw_text
from layerwise.records.keys import Positions
from layerwise.records.live import LiveFile
from tests.looking.test_live import live_file, write_row
from tests.support import worlds
from tests.support.hooked import hooked
from tests.support.hostile import TEXTS, faults_of_html, faults_of_terminal
from tests.support.same import bits, differ
from tests.support.worlds import World, world

Patch = pytest.MonkeyPatch


def kept_rows(found: World) -> None:
    """Every row that is kept is the row that a hook sees."""
    found.version.evaluate(split="all", record="all")
    positions = [9, 3, 140, 64]
    expected = hooked(found.version, found.dataset, positions)["stack.2"]
    looked = found.version.layer("stack.2").look(positions)
    assert looked.source == "kept"
    assert differ(looked.values, expected) == ""


def computed_rows(found: World) -> None:
    """A row alone is what a hook sees of it among others."""
    expected = hooked(found.version, found.dataset, [3, 9])["head"]
    view = found.version.layer("head")
    assert differ(view.record([3, 9]), expected) == ""
    assert differ(view.record(9), as_tensor(expected)[1]) == ""


def alone(found: World) -> None:
    """A row alone is what a hook sees of it in a full batch, at every layer."""
    for position in (3, 9, 77):
        expected = hooked(found.version, found.dataset, [position])
        wrong = [layer for layer, value in expected.items()
                 if differ(found.version.layer(layer).record([position]), value)]  # fmt: skip
        assert wrong == []


def mixed_rows(found: World) -> None:
    """Kept and computed rows in one answer, out of order."""
    view = found.version.layer("stack.3")
    kept = found.dataset.ids.to_pylist().index(view.look().ids[3])
    positions = [149, kept, 0, kept + 1 if kept < 149 else 1]
    assert differ(view.record(positions), hooked(found.version, found.dataset, positions)["stack.3"]) == ""


def sampled_rows(found: World) -> None:
    """What a training keeps is what a hook sees of these rows, dropout off."""
    looked = found.version.layer("stack.2").look()
    ids = found.dataset.ids.to_pylist()
    positions = [ids.index(one) for one in looked.ids]
    assert looked.source == "kept"
    assert differ(looked.values, hooked(found.version, found.dataset, positions)["stack.2"]) == ""


def later_data(found: World) -> None:
    """Rows of a second version of the dataset are not taken for those of the first."""
    table = worlds.table("mlp")
    turned = {name: np.asarray(values)[::-1] for name, values in table.items()}
    second = found.repo.add_dataset("mlp-data", turned, key="name").dataset
    found.version.evaluate(second, split="all", record="all")
    assert differ(found.version.layer("head").record([2]), hooked(found.version, found.dataset, [2])["head"]) == ""


def forgotten(found: World) -> None:
    """What was kept as float16 and forgotten is computed, and not rounded."""
    version = found.version
    version.evaluate(split="all", record={"keep": "all", "dtype": "float16"})
    view = version.layer("head")
    assert as_tensor(view.record([1])).dtype == torch.float16
    found.repo.forget_records(version.entry.digest)
    view.look()
    looked = view.look([1])
    assert looked.source == "computed"
    assert differ(looked.values, hooked(version, found.dataset, [1])["head"]) == ""


def passes(found: World) -> None:
    """Each pass of a layer has a record of its own."""
    expected = hooked(found.version, found.dataset, [1, 2])
    for path in ("step", "step:2", "step:3"):
        assert differ(found.version.layer(path).record([1, 2]), expected[path]) == "", path


def unchanged(found: World) -> None:
    """Weights are those of a run without records."""
    with world(found.repo.path.parent / "off", found.name, record="off") as other:
        assert _weights(found) == _weights(other)


def _weights(found: World) -> dict[str, bytes]:
    return {f"{path}/{name}": bits(tensor) for path, state in found.version.states.items()
            for name, tensor in state.items()}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A fault, and the check that must see it.

    Attributes:
        harm: puts the fault into the code.
        check: asserts the promise, of a world that was trained under the fault.
        name: which world.
    """

    harm: Callable[[Patch], None]
    check: Callable[[World], None]
    name: str = "mlp"


def slot_beside(patch: Patch) -> None:
    real = Positions.slots
    patch.setattr(Positions, "slots", lambda self, places: (real(self, places) + 1) % self.rows)


def order_lost(patch: Patch) -> None:
    def filled(count: int, parts: list[tuple[torch.Tensor, Any]]) -> torch.Tensor:
        return torch.cat([tensor for tensor, _ in parts])

    patch.setattr("layerwise.engine.looking.kept._filled", filled)


def still_learning(patch: Patch) -> None:
    @contextmanager
    def learning(live: Live) -> Iterator[None]:
        live.network.train()
        yield

    patch.setattr("layerwise.engine.recording.keeping.answering", learning)


def odd_batches(patch: Patch) -> None:
    patch.setattr("layerwise.engine.looking.computing.batches", lambda rows: torch.split(rows, CANONICAL))


def rounded(patch: Patch) -> None:
    real = Looking.compute

    def compute(self: Looking, path: str, chosen: Any) -> Any:
        value, cut = real(self, path, chosen)
        return (value.half().float() if isinstance(value, torch.Tensor) else value), cut

    patch.setattr(Looking, "compute", compute)


def stale(patch: Patch) -> None:
    patch.setattr(Looking, "refresh", lambda self: False)


def any_data(patch: Patch) -> None:
    real = Kept.__init__

    def anybodys(self: Kept, records: Any, layer: str, data: Any) -> None:
        newest = records.find(layer)
        real(self, records, layer, newest[0].kept.about.data if newest else data)

    patch.setattr(Kept, "__init__", anybodys)


def one_pass(patch: Patch) -> None:
    real = _Found.add

    def add(self: Any, path: str, value: Any, start: int, rows: int | None = None) -> None:
        for name in (path, f"{path.partition(':')[0]}:2", f"{path.partition(':')[0]}:3"):
            real(self, name, value, start, rows)

    patch.setattr(_Found, "add", add)


def turned_around(patch: Patch) -> None:
    patch.setattr("layerwise.engine.recording.keeping._first", lambda value, count: value.flip(0)[:count])


def drawing(patch: Patch) -> None:
    real = Watch.begin

    def begin(self: Watch, epoch: int, step: int, rows: torch.Tensor) -> Any:
        torch.rand(1)
        return real(self, epoch, step, rows)

    patch.setattr(Watch, "begin", begin)


def touching(patch: Patch) -> None:
    real = Watch._look

    def look(self: Watch, path: str, value: Any) -> Any:
        real(self, path, value)
        return value * (1 + 2**-23)

    patch.setattr(Watch, "_look", look)


MUTANTS: dict[str, Mutant] = {
    "a slot beside the right one": Mutant(slot_beside, kept_rows),
    "the order of rows lost where two sources meet": Mutant(order_lost, mixed_rows),
    "the network left learning while rows are kept": Mutant(still_learning, sampled_rows),
    "batches of another size": Mutant(odd_batches, alone, "digits"),
    "computed rows rounded": Mutant(rounded, computed_rows),
    "records remembered after they were forgotten": Mutant(stale, forgotten),
    "records of other data taken": Mutant(any_data, later_data),
    "the first pass for all": Mutant(one_pass, passes, "twice"),
    "the rows of a batch the other way round": Mutant(turned_around, sampled_rows),
    "an observer that draws": Mutant(drawing, unchanged),
    "an observer that changes what it sees": Mutant(touching, unchanged),
}


def tried(mutant: Mutant, folder: Path) -> None:
    """Train and check."""
    with world(folder / "on", mutant.name, record="sample:24") as found:
        mutant.check(found)


CHECKS = {one.check.__name__: one for one in MUTANTS.values()}


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_fault_the_check_passes(check: str, tmp_path: Path) -> None:
    tried(CHECKS[check], tmp_path)


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_is_seen(fault: str, tmp_path: Path, monkeypatch: Patch) -> None:
    MUTANTS[fault].harm(monkeypatch)
    with pytest.raises((AssertionError, LayerwiseError)):
        tried(MUTANTS[fault], tmp_path)


def test_a_text_that_is_not_escaped_is_seen(monkeypatch: Patch) -> None:
    shown = [Shown("layer", "kind", text, "text") for text in TEXTS]
    assert faults_of_html(draw_html(shown, title="t")) == []
    for module in ("svg", "page"):
        monkeypatch.setattr(f"layerwise.pictures.{module}.escape", lambda text, quote=True: text)
    assert faults_of_html(draw_html(shown, title="t")) != []


def test_a_text_that_is_not_cleaned_is_seen(monkeypatch: Patch) -> None:
    shown = Shown("layer", "kind", TEXTS[7], "text")
    assert [fault for line in draw_text(shown, 60) for fault in faults_of_terminal(line)] == []
    for module in ("terminal_lists", "terminal", "wording"):
        monkeypatch.setattr(f"layerwise.pictures.{module}.clean", lambda text, *_: str(text), raising=False)
    monkeypatch.setattr("layerwise.pictures.wording.visible", str, raising=False)
    assert [fault for line in draw_text(shown, 60) for fault in faults_of_terminal(line)] != []


def test_a_reader_that_does_not_look_at_stamps_is_seen(tmp_path: Path, monkeypatch: Patch) -> None:
    made = live_file(tmp_path)
    write_row(made, 1, 2.0, half=True)
    assert made.take(np.array([1]))[0].view("<f4").tolist() == [[0.0] * 4]

    def careless(self: LiveFile, slots: Any) -> Any:
        return self.values[slots].view("u1").reshape(len(slots), -1), None, self.stamps[slots]

    monkeypatch.setattr(LiveFile, "take", careless)
    row = made.take(np.array([1]))[0].view("<f4").tolist()[0]
    assert len(set(row)) > 1, "half of two numbers"
