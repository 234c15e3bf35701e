"""A version: what it answers does not depend on how it is asked, and what runs in training runs in serving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
from torch import nn

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.engine.run import Run
from layerwise.errors import Invalid, InvalidLayer, NotFound
from layerwise.repo import Repository
from tests.support.flowers import flowers, small


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    with Repository(tmp_path_factory.mktemp("versions") / "repo") as repository:
        yield repository


@pytest.fixture(scope="module")
def data(repo: Repository) -> Dataset:
    return repo.add_dataset("flowers", flowers()).dataset


@pytest.fixture(scope="module")
def run(repo: Repository, data: Dataset) -> Run:
    return lw.train(small(), data, repo=repo)


def test_a_loaded_version_answers_as_the_one_that_was_trained(run: Run, repo: Repository) -> None:
    rows = flowers(50, seed=5)
    for address in ("flower", "flower@1", f"flower@{run.version.entry.digest[:8]}"):
        assert lw.load(address, repo=repo).predict(rows).table == run.version.predict(rows).table


def test_an_alias_is_an_address(run: Run, repo: Repository) -> None:
    repo.set_alias("flower@1", "champion")
    assert str(lw.load("flower@champion", repo=repo)) == "flower@1"
    with pytest.raises(NotFound, match="champion"):
        lw.load("flower@chanpion", repo=repo)


def test_a_row_has_the_same_bits_alone_and_among_others(run: Run) -> None:
    rows = flowers(300, seed=6)
    together = run.version.outputs(rows)
    for at in (0, 1, 127, 128, 299):
        assert torch.equal(run.version.outputs(rows.slice(at, 1))[0], together[at])
    for at, count in ((5, 2), (0, 7), (100, 131)):
        assert torch.equal(run.version.outputs(rows.slice(at, count)), together[at : at + count])


def test_rows_are_answered_in_whatever_they_come(run: Run, tmp_path: Path, data: Dataset) -> None:
    rows = flowers(20, seed=7).select(["length", "width", "colour"])
    pa.csv.write_csv(rows, tmp_path / "rows.csv")
    answers = run.version.predict(rows)
    forms: list[Any] = [
        rows.to_pandas(), rows.to_pylist(), rows.to_pydict(), tmp_path / "rows.csv",
        {name: np.asarray(rows[name]) for name in rows.column_names},
    ]  # fmt: skip
    for form in forms:
        assert run.version.predict(form).table == answers.table
    assert run.version.predict(rows.to_pylist()[3])[0] == answers[3]
    assert run.version.predict(data[17])[0]["kind"] in ("iris", "rose")


def test_metrics_measured_again_are_those_of_the_run(run: Run) -> None:
    for split in ("validation", "test"):
        kept = {k.partition("/")[2]: v for k, v in run.metrics.items() if k.startswith(f"{split}/")}
        assert run.version.evaluate(split=split) == kept


def test_metrics_are_those_of_the_answers(run: Run, data: Dataset) -> None:
    said = [answer["kind"] for answer in run.version.predict(data)]
    right = np.mean(np.array(said) == np.asarray(data.table()["kind"]))
    assert run.version.evaluate(split="all")["accuracy"] == pytest.approx(right)


def test_the_module_is_plain_torch_and_gives_the_same_scores(run: Run, data: Dataset) -> None:
    module = run.version.module()
    assert isinstance(module, nn.Module)
    assert list(module.state_dict()) == ["hidden.weight", "hidden.bias", "scores.weight", "scores.bias"]
    trace = run.version.trace(data[3])
    joined = trace["row"]
    assert isinstance(joined, torch.Tensor)
    with torch.no_grad():
        torch.testing.assert_close(module(joined), run.version.outputs(data[3]))


def test_a_trace_shows_the_row_at_every_layer(run: Run, data: Dataset) -> None:
    trace = run.version.trace(data[3])
    assert [passage.layer for passage in trace.passages] == [layer.name for layer in run.version.model.layers[:-1]]
    colour = trace["colour"]
    assert isinstance(colour, pa.Array)
    assert colour.to_pylist() == [data[3]["colour"]]
    assert torch.equal(torch.as_tensor(trace["scores"]), run.version.outputs(data[3]))
    assert trace.answers.table == run.version.predict(data[3]).table
    assert "hidden" in str(trace)


def test_opening_and_answering_leave_torchs_generator_as_it_was(run: Run, repo: Repository) -> None:
    before = torch.get_rng_state()
    lw.load("flower", repo=repo).predict(flowers(3))
    assert torch.equal(torch.get_rng_state(), before)


BAD_ROWS: list[tuple[str, Any, str]] = [
    ("no rows", flowers(0), "no rows"),
    ("a column missing", {"length": [1.0], "width": [1.0]}, "no column 'colour'"),
    ("a label never seen", {"length": [1.0], "width": [1.0], "colour": ["green"]}, r"layer 'coloured'.*green"),
    (
        "text for a number",
        {"length": ["tall"], "width": [1.0], "colour": ["red"]},
        "'length' is string and was float64",
    ),
    ("a number missing", {"length": [None, 1.0], "width": [1.0, 1.0], "colour": ["red", "red"]}, "fill"),
    ("lengths differ", {"length": [1.0, 2.0], "width": [1.0], "colour": ["red"]}, "length"),
]


@pytest.mark.parametrize(("rows", "says"), [row[1:] for row in BAD_ROWS], ids=[row[0] for row in BAD_ROWS])
def test_rows_that_cannot_be_answered_are_named(run: Run, rows: Any, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        run.version.predict(rows)


def test_a_split_or_dataset_that_is_not_there_is_named(run: Run) -> None:
    with pytest.raises(NotFound, match="validation"):
        run.version.evaluate(split="validatoin")
    with pytest.raises(NotFound, match="flowers"):
        run.version.evaluate("flower-data")


class Twice(nn.Module):
    """A network that knows nothing of Layerwise, runs one layer twice and has a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.out = nn.Linear(2, 2)

    def forward(self, row: torch.Tensor) -> torch.Tensor:
        again = torch.relu(self.inner(torch.relu(self.inner(row))))
        return torch.as_tensor(self.out(again if row.shape[0] else row))


def wrapped(module: nn.Module) -> lw.Model:
    before = [
        lw.Layer("length", lw.Column("length")),
        lw.Layer("width", lw.Column("width")),
        lw.Layer("row", lw.Join(), inputs=["length", "width"]),
    ]
    return lw.wrap(module, torch.zeros(3, 2), name="twice", before=before, answer=lw.Layer("kind", lw.Classes("kind")))


def test_a_wrapped_module_trains_is_kept_and_takes_its_weights_again(repo: Repository, data: Dataset) -> None:
    module = Twice()
    run = lw.train(wrapped(module), data, repo=repo, epochs=3, lr=0.01)
    assert [path for path, entry in run.version.manifest.layers.items() if entry.state] == ["inner", "kind", "out"]
    rows = flowers(9, seed=3)
    with pytest.raises(InvalidLayer, match="Twice"):
        lw.load("twice", repo=repo).predict(rows)
    again = lw.load("twice", repo=repo, module=Twice())
    assert again.predict(rows).table == lw.load("twice", repo=repo, module=Twice()).predict(rows).table
    assert run.version.predict(rows).table == again.predict(rows).table
    assert list(again.module().state_dict()) == list(module.state_dict())
    trace = again.trace(data[0])
    assert [p.layer for p in trace.passages if p.layer.startswith("inner")] == ["inner", "inner:2"]


def test_two_wrapped_modules_are_given_by_name(repo: Repository, data: Dataset) -> None:
    layers = [
        lw.Layer("length", lw.Column("length")),
        lw.Layer("width", lw.Column("width")),
        lw.Layer("row", lw.Join(), inputs=["length", "width"]),
        lw.Layer("first", lw.wrapped(nn.Linear(2, 3))),
        lw.Layer("second", lw.wrapped(nn.Linear(3, 2))),
        lw.Layer("kind", lw.Classes(target="kind")),
    ]
    run = lw.train(lw.Model("pair", layers), data, repo=repo, epochs=1)
    with pytest.raises(InvalidLayer, match="2 layers are wrapped"):
        lw.load("pair", repo=repo, module=nn.Linear(2, 3)).model  # noqa: B018
    again = lw.load("pair", repo=repo, module={"first": nn.Linear(2, 3), "second": nn.Linear(3, 2)})
    assert again.predict(flowers(5)).table == run.version.predict(flowers(5)).table
