"""Each example is one model said twice, and its README can be followed to the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerwise.engine.model import Model
from tests.examples.conftest import EXAMPLES, FILES, example, twin

SLOW = {"xrays", "spam"}
"""Examples that train for longer than an ordinary test may take; in a quick one they train for one epoch."""


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
def test_the_readme_can_be_followed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = example(name, tmp_path / name, monkeypatch)
    assert [words[1] for words in here.commands if words[0] == "layerwise"][:2] == ["data", "train"]
    for words in here.commands:
        if words[:2] == ["layerwise", "train"]:
            here.run([*words, "--set", "train.epochs=1"])
        elif words[:2] != ["python", f"{name}.py"]:
            here.run(words)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in FILES])
def test_the_twin_trains_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = example(name, tmp_path / name, monkeypatch)
    made = here.train(capsys, *(["--set", "train.epochs=1"] if name in SLOW else []))
    capsys.readouterr()
    here.run(["python", f"{name}.py", FILES[name]])
    said = capsys.readouterr().out
    assert said.startswith(f"{name}@2 ")
    if name not in SLOW:
        assert f"'test/loss': {made['metrics']['test/loss']:.2f}"[:-1] in said
