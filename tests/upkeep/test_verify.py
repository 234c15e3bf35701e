"""Verify: what is damaged is found, named by model, version and layer, set aside, never served, never deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from layerwise import canonical
from layerwise.errors import Damaged, LayerwiseError
from layerwise.repo import Repository
from layerwise.store.packs import damaged_name, pack_name
from layerwise.words import Digest
from tests.support.counts import report
from tests.support.repositories import LAYERS, commit


def flip(path: Path, pack: Digest, position: int) -> None:
    file = path / pack_name(pack)
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)


def state_of(repo: Repository, address: str, layer: str) -> Digest:
    state = repo.manifest(repo.find(address)).layers[layer].state
    assert state is not None
    return state


def test_a_sound_repository_is_said_to_be_sound_and_left_alone(path: Path) -> None:
    before = {file: file.read_bytes() for file in path.glob("packs/*/*.pack")}
    with Repository(path) as repo:
        found = repo.verify()
    assert found.sound
    assert (found.versions, found.packs) == (6, len(before))
    assert found.bytes == sum(len(data) for data in before.values())
    assert {file: file.read_bytes() for file in path.glob("packs/*/*.pack")} == before


def test_one_flipped_bit_of_weights_is_named_by_model_version_and_layer(path: Path) -> None:
    with Repository(path) as repo:
        state = state_of(repo, "digits@3", "edges")
        at = repo.store.catalog.packs.locate(state)
        assert at is not None
    flip(path, at.pack, at.position + at.length // 2)
    with Repository(path) as repo:
        found = repo.verify()
        assert [finding.what for finding in found.findings] == [f"pack {at.pack}"]
        assert found.findings[0].hurts == ("the state of digits@3/edges",)
        assert (path / damaged_name(at.pack)).exists()
        assert not (path / pack_name(at.pack)).exists()
        with pytest.raises(Damaged, match=r"the state of digits@3/edges: .*set aside"):
            repo.layer_state(state, "the state of digits@3/edges")
        # Everything else of the same pack is served.
        assert len(repo.layer_state(state_of(repo, "digits@3", "shapes"), "it")) == 1
        assert repo.manifest(repo.find("digits@3")).message == "seed 3"


def test_a_shared_layer_hurts_every_version_that_names_it(path: Path) -> None:
    with Repository(path) as repo:
        state = state_of(repo, "digits@1", "scores")
        at = repo.store.catalog.packs.locate(state)
        assert at is not None
    flip(path, at.pack, at.position + 100)
    with Repository(path) as repo:
        assert repo.verify().findings[0].hurts == tuple(f"the state of digits@{n}/scores" for n in range(1, 5))


def test_a_second_look_still_names_what_is_lost_and_changes_nothing_more(path: Path) -> None:
    with Repository(path) as repo:
        at = repo.store.catalog.packs.locate(state_of(repo, "digits@3", "edges"))
        assert at is not None
    flip(path, at.pack, at.position)
    with Repository(path) as repo:
        repo.verify()
    files = sorted(file.relative_to(path) for file in path.glob("*/**/*.pack"))
    with Repository(path) as repo:
        (finding,) = repo.verify().findings
    assert finding.what == "digits@3"
    assert "the state of digits@3/edges" in finding.found
    assert sorted(file.relative_to(path) for file in path.glob("*/**/*.pack")) == files


def test_training_the_same_again_heals_what_was_damaged(path: Path) -> None:
    with Repository(path) as repo:
        at = repo.store.catalog.packs.locate(state_of(repo, "digits@3", "edges"))
        assert at is not None
    flip(path, at.pack, at.position)
    with Repository(path) as repo:
        repo.verify()
        commit(repo, 3, model="again")
        assert repo.verify().sound


def test_a_pack_put_back_from_a_copy_is_in_use_again_after_a_repair(path: Path, filled: Path) -> None:
    with Repository(path) as repo:
        state = state_of(repo, "digits@3", "edges")
        at = repo.store.catalog.packs.locate(state)
        assert at is not None
    flip(path, at.pack, at.position)
    with Repository(path) as repo:
        repo.verify()
    shutil.copy(filled / pack_name(at.pack), path / pack_name(at.pack))
    with Repository(path) as repo:
        repo.repair()
        assert repo.verify().sound
        assert canonical.digest_bytes([repo.store.objects.get(state)]) == state


def test_a_pack_that_is_gone_is_found(path: Path) -> None:
    with Repository(path) as repo:
        at = repo.store.catalog.packs.locate(state_of(repo, "digits@2", "edges"))
        assert at is not None
        (path / pack_name(at.pack)).unlink()
        found = repo.verify()
    assert found.findings[0].found == "it is not there"
    # What a manifest names cannot be said any more when it is gone itself.
    assert found.findings[0].hurts == ("the manifest of digits@2",)


def test_a_version_that_the_log_of_names_has_and_the_catalog_lost_is_found(path: Path) -> None:
    """As after a damaged write-ahead log, whose last transactions SQLite leaves out without a word."""
    shutil.copytree(path, path.parent / "older")
    with Repository(path) as repo:
        commit(repo, 9)
    shutil.copy(path.parent / "older" / "catalog.sqlite", path / "catalog.sqlite")
    with Repository(path) as repo:
        with pytest.raises(Damaged, match=r"the catalog has lost its last 2 changes.*`layerwise repair`"):
            repo.versions("digits")
        found = " ".join(finding.found for finding in repo.verify().findings)
        assert "model digits@5 is not in it, and the log of names has it" in found
        assert repo.repair().versions == 7
        assert repo.verify().sound
        assert repo.manifest(repo.find("digits@5")).message == "seed 9"


class Rotten:
    """A repository whose files are changed and put back as they were."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
        self.truth = answers(path)
        self.restore()

    def restore(self) -> None:
        for file in [file for file in self.path.rglob("*") if file.is_file() and file not in self.files]:
            file.unlink(missing_ok=True)  # A connection that broke is closed when it is collected.
        for file, data in self.files.items():
            if not file.exists() or file.read_bytes() != data:
                file.write_bytes(data)

    def flip(self, file: Path, position: int, bits: int) -> None:
        data = bytearray(file.read_bytes())
        data[position] ^= bits
        file.write_bytes(data)

    def served_wrong(self) -> list[str]:
        """Return the questions that are answered, and not with the truth."""
        found = answers(self.path)
        return [
            what
            for what, truth in self.truth.items()
            if not isinstance(found[what], LayerwiseError) and found[what] != truth
        ]

    def is_found(self) -> bool:
        """Tell whether verify finds something, or nothing is changed: the byte was of no use to anybody."""
        try:
            with Repository(self.path) as repo:
                if not repo.verify().sound:
                    return True
        except LayerwiseError:
            return True
        return all(answer == self.truth[what] for what, answer in answers(self.path).items())


def answers(path: Path) -> dict[str, object]:
    """Return all that a repository serves: each answer, or the error that stood in its place."""
    found: dict[str, object] = {}

    def ask(what: str, question: Callable[[], object]) -> None:
        try:
            found[what] = question()
        except LayerwiseError as error:
            found[what] = error

    def state(number: int, layer: str) -> bytes:
        entry = repo.find(f"digits@{number}")
        digest = repo.manifest(entry).layers[layer].state
        assert digest is not None
        return bytes(repo.layer_state(digest, layer)["weight"].data)

    with Repository(path) as repo:
        ask("models", repo.models)
        ask("people", lambda: [row["age"] for row in repo.dataset("people")])
        ask("aliases", lambda: repo.aliases("digits"))
        ask("log", lambda: repo.versions("digits"))
        ask("runs", repo.runs)
        for number in range(1, 5):
            ask(f"metrics {number}", partial(repo.metrics, f"r-digits-{number}"))
            for layer in LAYERS:
                ask(f"state {number}/{layer}", partial(state, number, layer))
    return found


def test_a_byte_flipped_in_every_object_is_found_and_never_served(path: Path) -> None:
    """Every round flips one byte in every object at once; each object must be named."""
    rotten, draw, rounds = Rotten(path), Random(11), int(os.environ.get("LAYERWISE_FLIPS", "1000")) // 17
    with Repository(path) as repo:
        packs = repo.store.catalog.check().packs
    tried = bad = 0
    for _ in range(rounds):
        for pack, objects in packs.items():
            for at in objects.values():
                rotten.flip(path / pack_name(pack), at.position + draw.randrange(at.length), 1 << draw.randrange(8))
                tried += 1
        bad += len([what for what in rotten.served_wrong() if what.startswith(("state", "people"))])
        with Repository(path) as repo:
            found = repo.verify()
            bad += sum(len(objects) for pack, objects in packs.items() if f"pack {pack}" not in
                       {finding.what for finding in found.findings})  # fmt: skip
            assert found.objects == 0
        rotten.restore()
    report("bytes flipped in objects, not found or served", tried, bad, seed=11)
    assert bad == 0


@pytest.mark.parametrize("part", ["headers and padding", "catalog", "log of the catalog"])
def test_any_flipped_byte_is_found_or_was_of_no_use(path: Path, part: str) -> None:
    if part == "log of the catalog":
        with_log(path)
    rotten, draw = Rotten(path), Random(12)
    tries = int(os.environ.get("LAYERWISE_FLIPS", "1000")) // 17
    missed, wrong = [], []
    for _ in range(tries):
        file, position = somewhere(path, part, draw)
        rotten.flip(file, position, 1 << draw.randrange(8))
        wrong += [(file.name, position, what) for what in rotten.served_wrong()]
        missed += [] if rotten.is_found() else [(file.name, position)]
        rotten.restore()
    report(f"bytes flipped in {part}, not found or served", tries, len(missed) + len(wrong), seed=12)
    assert (missed, wrong) == ([], [])


def somewhere(path: Path, part: str, draw: Random) -> tuple[Path, int]:
    """Return a file and a byte of it."""
    if part == "headers and padding":
        file = draw.choice(sorted(path.glob("packs/*/*.pack")))
        return file, draw.randrange(8 + int.from_bytes(file.read_bytes()[:8], "little"))
    file = path / ("catalog.sqlite" if part == "catalog" else "catalog.sqlite-wal")
    return file, draw.randrange(file.stat().st_size)


def with_log(path: Path) -> None:
    """Leave the repository as a killed process does: its last changes are in SQLite's log alone."""
    with Repository(path) as repo:
        repo.versions("digits")
        repo.set_alias("digits@3", "challenger")
        repo.log_metrics("r-digits-4", {6: {"train/loss": 0.1}})
        shutil.copytree(path, path.parent / "killed")
    shutil.rmtree(path)
    (path.parent / "killed").rename(path)
    assert (path / "catalog.sqlite-wal").stat().st_size > 0
