"""``layerwise gc``: what it says, what it does, and that a version answers the same to the bit after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerwise.cli.reference import keys_of
from layerwise.repo import Repository
from tests.cli.conftest import Command

ROW = '{"a": 1.0, "b": 2.0}'


def litter(folder: Path) -> None:
    """Put what no version names."""
    with Repository(folder / ".layerwise") as repo, repo.store.objects.writing() as writer:
        writer.put([b"garbage" * 10_000])


def test_a_look_says_what_can_be_freed_and_frees_nothing(run: Command, own: Path) -> None:
    litter(own)
    first, second = run("gc"), run("gc")
    assert first.out == second.out
    assert "no version needs them" in first.out
    assert "70.2 KB of" in first.out
    assert "Do it: layerwise gc --yes" in first.out


def test_with_yes_it_is_freed_and_then_nothing_is_left_to_do(run: Command, own: Path) -> None:
    litter(own)
    assert "70.2 KB freed: " in run("gc", "--yes").out
    done = run("gc", "--yes")
    assert done.out.startswith("nothing to do: all of ")
    found = run("gc", "--json").json
    assert set(found) == keys_of("gc")
    assert (found["done"], found["freed"]) == (False, 0)


def test_what_waits_for_a_writer_is_said(run: Command, own: Path) -> None:
    litter(own)
    with Repository(own / ".layerwise") as repo, repo.store.objects.writing():
        said = run("gc", "--yes").out
        assert "1 pack (70.2 KB) in the trash waits for 1 writer at work; a later" in said
    assert "70.2 KB freed" in run("gc", "--yes").out


def test_a_version_that_was_coded_answers_the_same_to_the_bit(run: Command, own: Path) -> None:
    commands = (
        ["predict", "flowers", "--data", "flowers-data", "--json"], ["evaluate", "flowers", "--json"],
        ["trace", "flowers", "--row", ROW, "--json"], ["data", "show", "flowers-data", "--json"],
    )  # fmt: skip
    before = [run(*words).out for words in commands]
    done = run("gc", "--yes", "--cold-after", "0d", "--json").json
    assert done["found"]["cold"]["packs"] > 0
    assert done["after"] < done["before"]
    assert [run(*words).out for words in commands] == before
    assert run("verify").code == 0


@pytest.mark.parametrize("age", ["x", "30", "-1d", "1w", ""])
def test_an_age_that_is_none_is_refused_with_a_sentence(run: Command, own: Path, age: str) -> None:
    done = run("gc", "--cold-after", age)
    assert (done.code, done.out) == (2, "")
    assert "write 30d, 12h, 5m, 0d or never" in done.err
