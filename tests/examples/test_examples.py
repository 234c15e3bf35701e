"""Each example is one model said twice, and its README can be followed to the end."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

import layerwise as lw
from layerwise.engine.model import Model
from tests.examples.conftest import EXAMPLES, FILES, example, sample, twin

LARGE = {"spam", "xrays"}
"""Examples of which a part of the data is enough to see that the commands run."""


def test_every_folder_is_tested() -> None:
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert folders == set(FILES)
    for name in folders:
        assert f"]({name}/" in (EXAMPLES / "README.md").read_text(), "the overview has a link to each"


@pytest.mark.parametrize("name", FILES)
def test_the_file_and_its_twin_are_one_model(name: str) -> None:
    written, said = Model.from_yaml(EXAMPLES / name / f"{name}.yaml"), twin(name)
    assert written == said
    assert written.digest == said.digest


@pytest.mark.parametrize("name", FILES)
def test_the_readme_can_be_followed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command runs, one after the other, and the twin makes the next version; one epoch on few rows here."""
    here = example(name, tmp_path / name, monkeypatch)
    if name in LARGE:
        sample(here)
    monkeypatch.setattr(lw, "train", functools.partial(lw.train, epochs=1))
    assert [words[1] for words in here.commands if words[0] == "layerwise"][:2] == ["data", "train"]
    for words in here.commands:
        capsys.readouterr()
        here.run([*words, "--set", "train.epochs=1"] if words[:2] == ["layerwise", "train"] else words)
    assert here.commands[-1] == ["python", f"{name}.py", FILES[name]]
    assert capsys.readouterr().out.startswith(f"{name}@")
