"""What is asked for and is not there, or does not fit, is told in one line that names it and the nearest right name."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import layerwise as lw
from layerwise.engine.events import Event, RecordsLost
from layerwise.engine.version import Version
from layerwise.errors import Damaged, Invalid, InvalidConfig, InvalidData, LayerwiseError, NotFound
from layerwise.records.recordset import About, RecordSet
from layerwise.repo import Repository
from layerwise.store.disk import Disk
from layerwise.store.tensors import RawTensor
from tests.support import worlds
from tests.support.any_modules import KINDS
from tests.support.hooked import hooked
from tests.support.same import differ
from tests.support.worlds import World, world

LONGEST = 500
"""Characters that a person reads in one go."""


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give an MLP of which all rows are kept."""
    with world(tmp_path_factory.mktemp("mlp") / "repo", "mlp") as found:
        found.version.evaluate(split="all", record="all")
        yield found


X = [0.0] * 6
BAD: list[tuple[str, Callable[[Version], object], type[LayerwiseError], list[str]]] = [
    ("a layer", lambda v: v.layer("stack.33"), NotFound, ["stack.33", "Did you mean 'stack.3'?"]),
    ("a layer in nearest", lambda v: v.nearest(0, layer="haed"), NotFound, ["haed", "Did you mean 'head'?"]),
    ("a layer in patch", lambda v: v.trace(0).patch("stack.33", 0.0), NotFound, ["Did you mean 'stack.3'?"]),
    ("a layer of a trace", lambda v: v.trace(0)["stack.33"], NotFound, ["stack.33", "'stack.3'"]),
    ("a pass", lambda v: v.layer("stack.3:2").record(0), NotFound, ["stack.3"]),
    ("the answer", lambda v: v.layer("label").record(0), NotFound, ["label", "body"]),
    ("a position", lambda v: v.layer("head").record(150), NotFound, ["150", "149"]),
    ("a position before the first", lambda v: v.layer("head").record([0, -151]), NotFound, ["-151"]),
    ("a key", lambda v: v.layer("head").record("row15O"), NotFound, ["row15O", "Did you mean 'row"]),
    ("a key of several", lambda v: v.layer("head").record(["row001", "rov002"]), NotFound,
     ["rov002", "Did you mean 'row002'?"]),
    ("no rows", lambda v: v.layer("head").record([]), InvalidData, ["no rows"]),
    ("a mask of another length", lambda v: v.layer("head").record(np.array([True])), InvalidData, ["150"]),
    ("no rows at all", lambda v: v.layer("head").record({"x": []}), InvalidData, ["no rows"]),
    ("a column that is missing", lambda v: v.layer("head").record({"y": X}), InvalidData, ["'x'"]),
    ("a column of text", lambda v: v.layer("head").record({"x": "six"}), Invalid, ["'x'", "string"]),
    ("a row too short", lambda v: v.layer("head").record({"x": [[1.0, 2.0]]}), Invalid, ["'x'", "6"]),
    ("a row with NaN", lambda v: v.layer("head").record({"x": [[float("nan")] * 6]}), InvalidData, ["'x'", "NaN"]),
    ("a fraction as a row", lambda v: v.layer("head").record(1.5), InvalidData, ["float"]),
    ("a truth as a row", lambda v: v.layer("head").record(True), InvalidData, ["True"]),
    ("a unit", lambda v: v.layer("stack.3").top(unit=7), NotFound, ["7", "6"]),
    ("a unit of a scalar", lambda v: v.layer("stack.3").top(unit=(0, 0)), NotFound, ["stack.3", "[0, 0]", "[7]"]),
    ("a unit by name", lambda v: v.layer("label").top(unit="x"), LayerwiseError, ["label"]),
    ("no nearest", lambda v: v.nearest(0, layer="head", k=0), Invalid, ["k", "0"]),
    ("no top", lambda v: v.layer("head").top(unit=0, k=-1), Invalid, ["k", "-1"]),
    ("a patch of another shape", lambda v: v.trace(0).patch("head", torch.zeros(3)), Invalid, ["head", "3", "2"]),
    ("a patch of text", lambda v: v.trace(0).patch("head", "zero"), Invalid, ["head"]),
    ("a method", lambda v: v.layer("head").attribute(0, method="integrated_gradient"), NotFound,
     ["Did you mean 'integrated_gradients'?"]),
    ("a target", lambda v: v.layer("stack.3").attribute(0, target=9), LayerwiseError, ["9"]),
    ("a version", lambda v: lw.load("mlp@7", repo=v.repo), NotFound, ["'mlp'", "'7'", "newest is 1"]),
    ("a model", lambda v: lw.load("mpl", repo=v.repo), NotFound, ["Did you mean 'mlp'?"]),
    ("a run", lambda v: lw.recorded("r-000000000000", "head"), LayerwiseError, ["r-000000000000"]),
    ("what to record", lambda v: v.evaluate(record="sampel:5"), InvalidConfig, ["sampel:5", "sample"]),
    ("a layer to record", lambda v: v.evaluate(record={"keep": "all", "layers": "stak.*"}), InvalidConfig,
     ["stak.*", "stack"]),
    ("a key of record", lambda v: v.evaluate(record={"keeps": "all"}), InvalidConfig, ["keeps", "keep"]),
    ("a dtype to record", lambda v: v.evaluate(record={"dtype": "float8"}), InvalidConfig, ["float8", "float16"]),
    ("a cap", lambda v: v.evaluate(record={"cap": "much"}), InvalidConfig, ["much", "2GiB"]),
    ("an age", lambda v: v.evaluate(record={"age": "0d"}), InvalidConfig, ["0d", "90d"]),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "error", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_not_there_is_told(
    ask: Callable[[Version], object], error: type[LayerwiseError], words: list[str], mlp: World
) -> None:
    with pytest.raises(error) as caught:
        ask(mlp.version)
    said = str(caught.value)
    assert [word for word in words if word not in said] == [], said
    assert "\n" not in said
    assert len(said) <= LONGEST


def test_a_row_of_another_schema_names_column_and_type(tmp_path: Path) -> None:
    with world(tmp_path, "credit") as found:
        row = {name: values[0] for name, values in worlds.table("credit").items()}
        view = found.version.layer("weighed")
        assert view.record(row).shape == (32,)
        for name, value, words in (
            ("amount", "a lot", ["amount"]), ("purpose", 17, ["purpose"]), ("amount", None, ["missing"]),
        ):  # fmt: skip
            with pytest.raises(LayerwiseError) as caught:
                view.record({**row, name: value})
            assert all(word in str(caught.value) for word in words), str(caught.value)
        with pytest.raises(InvalidData, match="amount"):
            view.record({name: value for name, value in row.items() if name != "amount"})


# Records that are damaged.


def chunk_places(folder: Path, version: Version, layer: str) -> tuple[Path, int, int]:
    """Return where the first chunk of a layer's record lies: pack, position, length."""
    digest = version.repo.records(version.entry.digest).find(layer)[0].track.chunks[0]
    with sqlite3.connect(folder / "catalog.sqlite") as catalog:
        pack, position, length = catalog.execute(
            "select pack, position, length from object where digest = ?", (digest,)
        ).fetchone()
    return next(path for path in (folder / "packs").rglob("*") if pack in path.name), position, length


def damaged_copy(found: World, folder: Path, damage: Callable[[bytearray, int, int], bytearray]) -> Path:
    """Copy a repository and change bytes of a chunk of ``head`` in the copy."""
    source = found.repo.path
    shutil.copytree(source, folder)
    with Repository(folder) as repo:
        version = lw.load("mlp@1", repo=repo, module=found.module)
        pack, position, length = chunk_places(folder, version, "head")
    pack.chmod(0o644)
    pack.write_bytes(damage(bytearray(pack.read_bytes()), position, length))
    return folder


def flip(data: bytearray, position: int, length: int) -> bytearray:
    """Change a bit in the middle."""
    data[position + length // 2] ^= 4
    return data


def cut(data: bytearray, position: int, length: int) -> bytearray:
    """Cut the pack off in the middle of the chunk."""
    return data[: position + length // 2]


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_record_that_is_not_what_it_was_is_told_and_never_answered(
    damage: Callable[[bytearray, int, int], bytearray], mlp: World, tmp_path: Path
) -> None:
    folder = damaged_copy(mlp, tmp_path / "copy", damage)
    with Repository(folder) as repo:
        version = lw.load("mlp@1", repo=repo, module=mlp.module)
        for rows in (0, [0, 5], None):
            with pytest.raises(Damaged) as caught:
                version.layer("head").record(rows)
            assert "packs/" in str(caught.value)
            if damage is flip:
                assert "mlp@1/head" in str(caught.value), "version and layer are named"
                assert version.layer("stack.3").look([0]).source == "kept", "others are read as before"
        # Once it is forgotten it is computed.
        repo.forget_records(version.entry.digest)
        again = lw.load("mlp@1", repo=repo, module=mlp.module)
        assert differ(again.layer("head").record([0, 5]), hooked(mlp.version, mlp.dataset, [0, 5])["head"]) == ""


def test_records_of_another_version_are_not_taken_for_this_ones(tmp_path: Path) -> None:
    with world(tmp_path, "mlp") as found:
        first = found.version
        second = worlds.train(found.repo, "mlp", seed=4).version
        assert second.address == "mlp@2"
        first.evaluate(split="all", record="all")
        looked = second.layer("head").look([0, 1])
        assert looked.source == "computed"
        assert differ(looked.values, hooked(second, found.dataset, [0, 1])["head"]) == ""
        # The catalog says so of a set, and the set says otherwise.
        with sqlite3.connect(tmp_path / "catalog.sqlite") as catalog:
            catalog.execute("update recording set version = ?", (second.entry.digest,))
        opened = lw.load("mlp@2", repo=found.repo, module=found.module)
        with pytest.raises(Damaged, match=r"recording|mlp@1"):
            opened.layer("head").record([0, 1])


def test_a_writer_for_another_version_is_refused(mlp: World) -> None:
    entry = mlp.version.entry
    about = About("mlp", 1, type(entry.digest)("0" * 64), None, "look")
    with pytest.raises(InvalidData, match="mlp@1"):
        mlp.repo.recording(about, rows=1)


def test_a_wrong_shape_in_the_middle_is_left_out_and_noted(mlp: World) -> None:
    entry = mlp.version.entry
    about = About("mlp", 1, entry.digest, None, "look")
    with mlp.repo.recording(about, rows=4) as writer:
        assert writer.add("head", {"values": RawTensor("F32", (2, 2), bytes(16))})
        assert not writer.add("head", {"values": RawTensor("F32", (2, 3), bytes(24))})
        assert writer.add("stack.3", {"values": RawTensor("F32", (4, 1), bytes(16))})
    assert writer.kept is not None
    assert [track.layer for track in writer.kept.tracks] == ["stack.3"]
    assert any("head" in note for note in writer.kept.notes)


# A full disk.


def full_after(monkeypatch: pytest.MonkeyPatch, name: str, allowed: int) -> list[int]:
    """Have the disk be full after so many effects of a sort; return how often it was asked."""
    asked: list[int] = []
    real = getattr(Disk, name)

    def effect(self: Disk, *args: Any, **kwargs: Any) -> Any:
        asked.append(1)
        if len(asked) > allowed:
            raise OSError(28, "No space left on device")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Disk, name, effect)
    return asked


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_a_full_disk_under_a_live_recording_ends_the_recording_and_not_the_run(
    allowed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path / "off", "mlp", record="off", epochs=2) as whole:
        expected = {path: {n: t.tolist() for n, t in s.items()} for path, s in whole.version.states.items()}
    events: list[Event] = []
    with monkeypatch.context() as patch, Repository(tmp_path / "full") as repo:
        asked = full_after(patch, "allocate", allowed)
        found = worlds.train(repo, "mlp", record="all", epochs=2, observers=[events.append])
        assert len(asked) > allowed
    with Repository(tmp_path / "full") as repo:
        version = lw.load("mlp@1", repo=repo, module=found.module)
        assert {path: {n: t.tolist() for n, t in s.items()} for path, s in version.states.items()} == expected
        lost = [event.text for event in events if isinstance(event, RecordsLost)]
        assert len(lost) == 1, "said once"
        assert "No space left" in lost[0]
        assert repo.verify().sound


def test_a_full_disk_while_the_sample_is_kept_leaves_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is committed, and what it left in layers is not: it is computed when it is asked for."""
    events: list[Event] = []
    with Repository(tmp_path / "repo") as repo:
        with monkeypatch.context() as patch:
            patch.setattr("layerwise.records.writing.RecordWriter.add", _full)
            found = worlds.train(repo, "mlp", record="sample:24", observers=[events.append])
        version = lw.load("mlp@1", repo=repo, module=found.module)
        lost = [event.text for event in events if isinstance(event, RecordsLost)]
        assert len(lost) == 1, "said once"
        assert version.layer("head").look().source == "computed"
        assert repo.verify().sound


def _full(*_: Any, **__: Any) -> bool:
    raise OSError(28, "No space left on device")


def test_an_evaluation_on_a_full_disk_gives_its_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, "mlp") as found:
        expected = found.version.evaluate(split="all")
        monkeypatch.setattr("layerwise.records.writing.RecordWriter.add", _full)
        try:
            assert found.version.evaluate(split="all", record="all") == expected
        except OSError as error:
            # Nobody trains here: what was asked for cannot be done, and that may be said as an error.
            assert "No space left" in str(error)  # noqa: PT017


# Networks whose way depends on all rows together.


class _Branch(torch.nn.Module):
    """Goes one way or the other by what the whole batch says: a row's way depends on its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = torch.nn.Linear(6, 2), torch.nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.left(x) if x[:, 0].mean() > 0 else self.right(x)
        return out


def test_a_layer_that_runs_for_some_batches_only_is_told_of(tmp_path: Path) -> None:
    """There is no right record of it for all rows, so none is made up."""
    table = KINDS["mlp"].table(150, 3)
    table["x"][:75, 0], table["x"][75:, 0] = 5.0, -5.0
    module = _Branch()
    answer = lw.Layer("label", lw.Classes(target="label"))
    made = lw.wrap(module, torch.zeros(2, 6), name="branch", answer=answer)
    with Repository(tmp_path / "repo") as repo:
        dataset = repo.add_dataset("branch-data", table, key="name").dataset
        run = lw.train(made, dataset, repo=repo, epochs=1, device="cpu", record="all")
        version = run.version
        assert version.layer("left").record([0, 1]).shape == (2, 2)
        assert version.layer("right").record([100]).shape == (1, 2)
        with pytest.raises(LayerwiseError, match="right"):
            version.layer("right").record([0, 1])
        with pytest.raises(LayerwiseError, match="left"):
            version.layer("left").record(list(range(150)))
        version.evaluate(split="all", record="all")
        assert version.layer("body").record(list(range(150))).shape == (150, 2)


def test_json_of_a_damaged_set_is_refused(mlp: World, tmp_path: Path) -> None:
    """The set's own object: another format, a track too long; strict, and by name."""
    kept = mlp.repo.records(mlp.version.entry.digest).sets()[-1][1]
    good = json.loads(json.dumps(kept.to_json()))
    assert RecordSet.from_json(good, "it").rows == 150
    changes: tuple[dict[str, Any], ...] = (
        {"record": 99}, {"rows": -1}, {"rows": True}, {"tracks": []}, {"more": 1}, {"positions": "../x"},
        {"notes": [1]}, {"created": "yesterday"}, {"tracks": [*good["tracks"], good["tracks"][0]]},
    )  # fmt: skip
    for change in changes:
        with pytest.raises(LayerwiseError):
            RecordSet.from_json({**good, **change}, "it")
