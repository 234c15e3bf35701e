"""What the examples reach on the rows that no training saw, with the seed that is in the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.examples.conftest import example

LEAST: dict[str, Mapping[str, float]] = {
    "digits": {"test/accuracy": 0.98},
    "credit": {"test/auc": 0.77, "test/balanced_accuracy": 0.68},
    "sunspots": {"test/r2": 0.75},
    "xrays": {"test/accuracy": 0.90, "test/auc": 0.96},
    "spam": {"test/f1": 0.95},
}


@pytest.mark.parametrize(
    "name",
    ["digits", "credit", "sunspots", *(pytest.param(name, marks=pytest.mark.slow) for name in ("xrays", "spam"))],
)
def test_an_example_reaches_what_its_readme_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = example(name, tmp_path / name, monkeypatch).train(capsys)
    found = made["metrics"]
    assert {metric: value for metric, value in LEAST[name].items() if not found[metric] >= value} == {}
