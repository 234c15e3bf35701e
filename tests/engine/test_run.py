"""A run: the same again to the bit, as plain torch would do it, broken off and gone on with, stopped and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.data.split import split_rows
from layerwise.engine.events import EpochEnded, Event, RunEnded, RunStarted, Step
from layerwise.engine.learner import derived, steps_of
from layerwise.engine.run import Run
from layerwise.engine.training import Training
from layerwise.errors import InvalidConfig, InvalidData, InvalidGraph, InvalidShape, NotFound
from layerwise.repo import Repository
from tests.support.flowers import flowers, small


def states(run: Run) -> dict[str, str | None]:
    return {path: entry.state for path, entry in run.version.manifest.layers.items()}


def test_a_run_makes_a_version_that_answers_rows_it_has_never_seen(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(epochs=15), data, repo=repo)
    assert str(run.version) == "flower@1"
    answers = run.version.predict({"length": [9.0, 3.0], "width": [0.5, 4.0], "colour": ["red", "blue"]})
    assert [answer["kind"] for answer in answers] == ["iris", "rose"]
    assert run.metrics["test/accuracy"] > 0.85


def test_the_same_run_gives_the_same_bits(repo: Repository, data: Dataset) -> None:
    first, second = (lw.train(small(), data, repo=repo) for _ in range(2))
    assert states(first) == states(second)
    assert first.history == second.history
    assert states(lw.train(small(seed=4), data, repo=repo))["scores"] != states(first)["scores"]


def test_looking_changes_nothing(repo: Repository, data: Dataset) -> None:
    seen: list[Event] = []
    watched = lw.train(small(), data, repo=repo, observers=[seen.append])
    assert states(watched) == states(lw.train(small(), data, repo=repo))
    assert isinstance(seen[2], RunStarted)
    assert isinstance(seen[-1], RunEnded)
    epochs = [event for event in seen if isinstance(event, EpochEnded)]
    assert [event.epoch for event in epochs] == [1, 2, 3, 4]
    rows = sum(event.rows for event in seen if isinstance(event, Step) and event.epoch == 1)
    assert rows == watched.version.manifest.data["rows"]["train"]


def test_the_loop_is_plain_torch_to_the_bit(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(keep="last", deterministic=True), data, repo=repo)
    table = data.table()
    train = split_rows(lw.Split(), data)["train"]
    columns = {name: np.asarray(table[name]) for name in ("length", "width")}
    x = torch.tensor(np.stack([
        *((values - values[train].mean()) / values[train].std() for values in columns.values()),
        *(np.asarray(table["colour"]) == colour for colour in ("blue", "red", "white")),
    ], axis=1).astype(np.float32))  # fmt: skip
    y = torch.tensor(np.asarray(table["kind"]) == "rose").long()

    torch.manual_seed(derived(3, "weights"))
    hidden, dropout, scores = torch.nn.Linear(5, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 2)
    optimizer = torch.optim.Adam([*hidden.parameters(), *scores.parameters()], lr=0.01)
    for epoch in range(1, 5):
        torch.manual_seed(derived(3, "epoch", epoch))
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(derived(3, "order", epoch)))
        for chunk in torch.split(torch.from_numpy(train)[order], 32):
            optimizer.zero_grad()
            functional.cross_entropy(scores(dropout(functional.relu(hidden(x[chunk])))), y[chunk]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    module = run.version.module()
    expected = {
        "hidden.weight": hidden.weight,
        "hidden.bias": hidden.bias,
        "scores.weight": scores.weight,
        "scores.bias": scores.bias,
    }
    assert set(module.state_dict()) == set(expected)
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, expected[name].detach(), rtol=0, atol=1e-6)


class Broken(Exception):
    pass


def break_after(epoch: int, error: type[BaseException] = Broken) -> Callable[[Event], None]:
    def observe(event: Event) -> None:
        if isinstance(event, Step) and event.epoch == epoch + 1 and event.step == 3:
            raise error

    return observe


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": {"kind": "sgd", "momentum": 0.9}, "schedule": "onecyclelr", "clip": 1.0},
        {"optimizer": "adamw", "schedule": {"kind": "cosineannealinglr"}},
        {"schedule": {"kind": "ReduceLROnPlateau", "patience": 0}, "sampling": "balanced"},
        {"optimizer": "rmsprop", "keep": "last"},
    ],
    ids=["sgd-onecycle", "adamw-cosine", "plateau-balanced", "rmsprop-last"],
)
def test_a_run_that_was_broken_off_ends_with_the_bits_of_an_unbroken_one(
    repo: Repository, data: Dataset, settings: dict[str, Any]
) -> None:
    model = small(epochs=6, checkpoint=0.0, **settings)
    with pytest.raises(Broken):
        lw.train(model, data, repo=repo, observers=[break_after(3)])
    assert not repo.models()
    resumed = lw.train(model, data, repo=repo)
    assert resumed.resumed == 3
    unbroken = lw.train(model, data, repo=repo)
    assert unbroken.resumed == 0
    assert states(resumed) == states(unbroken)
    assert resumed.history == unbroken.history


def test_a_checkpoint_of_another_run_is_not_gone_on_from(repo: Repository, data: Dataset) -> None:
    with pytest.raises(Broken):
        lw.train(small(epochs=6, checkpoint=0.0), data, repo=repo, observers=[break_after(3)])
    assert lw.train(small(epochs=6, checkpoint=0.0, lr=0.02), data, repo=repo).resumed == 0
    assert lw.train(small(epochs=6, checkpoint=0.0), data, repo=repo, resume=False).resumed == 0


def test_a_stop_keeps_the_best_so_far(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(epochs=50), data, repo=repo, observers=[break_after(2, KeyboardInterrupt)])
    assert run.outcome == "stopped"
    assert len(run.history) == 2
    assert run.version.predict(flowers(3, seed=9)).table.num_rows == 3
    assert repo.runs("flower")[0].status == "stopped"


def test_a_stop_before_the_first_epoch_keeps_nothing(repo: Repository, data: Dataset) -> None:
    with pytest.raises(KeyboardInterrupt):
        lw.train(small(), data, repo=repo, observers=[break_after(0, KeyboardInterrupt)])
    assert not repo.models()
    assert repo.runs("flower")[0].status == "failed"


def test_training_stops_early_and_keeps_the_best_epoch(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(epochs=200, patience=3, monitor="accuracy", lr=0.05), data, repo=repo)
    assert run.outcome == "stopped early"
    accuracies = [metrics["validation/accuracy"] for metrics in run.history]
    assert run.epoch == accuracies.index(max(accuracies)) + 1
    assert len(run.history) == run.epoch + 3
    assert run.metrics["validation/accuracy"] == max(accuracies)


def test_the_kept_weights_are_those_of_the_kept_epoch(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(epochs=8, lr=0.1), data, repo=repo)
    again = run.version.evaluate(data, split="validation")
    assert again == {
        name.removeprefix("validation/"): value for name, value in run.metrics.items() if "validation" in name
    }


def test_data_layers_learn_from_training_rows_only(repo: Repository) -> None:
    data = repo.add_dataset("flowers", flowers()).dataset
    before = lw.train(small(), data, repo=repo)
    table = data.table()
    rows = split_rows(lw.Split(), data)
    length = np.array(table["length"])
    assert float(before.version.states["long"]["mean"]) == pytest.approx(length[rows["train"]].mean())


def test_metrics_environment_and_settings_are_kept(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(), data, repo=repo, message="a first try")
    manifest = run.version.manifest
    assert manifest.message == "a first try"
    assert manifest.training["batch"] == 32
    assert manifest.training["optimizer"] == "adam"
    kept = {(epoch, name): value for epoch, name, value in repo.metrics(run.id)}
    assert kept[(4, "train/loss")] == run.history[3]["train/loss"]
    assert manifest.environment is not None
    environment = repo.json(manifest.environment, "the environment")
    assert environment["packages"]["torch"].startswith("2.")
    assert environment["threads"] == torch.get_num_threads()


def test_unchanged_layers_cost_nothing_more(repo: Repository, data: Dataset) -> None:
    first = lw.train(small(), data, repo=repo)
    second = lw.train(small(seed=9), data, repo=repo)
    same = {path for path, state in states(first).items() if state == states(second)[path]}
    assert {"long", "wide", "coloured", "kind"} <= same
    assert {"hidden", "scores"}.isdisjoint(same)
    assert (second.version.entry.number, second.version.entry.parent) == (2, 1)


def test_a_frozen_layer_keeps_its_first_weights(repo: Repository, data: Dataset) -> None:
    model = small()
    frozen = lw.Model("flower", [
        lw.Layer("hidden", layer.action, frozen=True) if layer.name == "hidden" else layer for layer in model.layers
    ], data="flowers", train=model.train)  # fmt: skip
    run = lw.train(frozen, data, repo=repo)
    torch.manual_seed(derived(3, "weights"))
    assert torch.equal(run.version.module().state_dict()["hidden.weight"], torch.nn.Linear(5, 8).weight)


@pytest.mark.parametrize(
    ("rows", "batch", "sizes"), [(10, 4, [4, 4, 2]), (9, 4, [4, 5]), (1, 4, [1]), (5, 4, [5]), (3, 1, [1, 1, 1])]
)
def test_no_step_has_a_single_row_left_over(rows: int, batch: int, sizes: list[int]) -> None:
    assert [len(chunk) for chunk in steps_of(torch.arange(rows), batch)] == sizes


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("unknown setting", {"epoch": 3}, InvalidConfig, "Did you mean 'epochs'"),
    ("text for a number", {"epochs": "three"}, InvalidConfig, "epochs"),
    ("none at all", {"epochs": 0}, InvalidConfig, "more than 0"),
    ("negative", {"lr": -1.0}, InvalidConfig, "lr"),
    ("unknown optimizer", {"optimizer": "adamm"}, InvalidConfig, "adam"),
    ("unknown schedule", {"schedule": "cosine"}, InvalidConfig, "schedule"),
    ("unknown metric", {"monitor": "acuracy"}, InvalidConfig, "accuracy"),
    ("unknown device", {"device": "tpu9"}, InvalidConfig, "device"),
    ("split by nothing", {"split": {"by": "colum"}}, InvalidConfig, "column"),
    ("shares over one", {"split": {"train": 0.9, "test": 0.9}}, InvalidConfig, "train"),
    ("seed of text", {"seed": "x"}, InvalidConfig, "seed"),
    ("diverges", {"lr": 1e30, "optimizer": "sgd", "epochs": 30}, InvalidData, "diverged"),
]


@pytest.mark.parametrize(("settings", "error", "says"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_setting_is_one_clear_error_and_nothing_is_kept(
    repo: Repository, data: Dataset, settings: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        lw.train(small(**settings), data, repo=repo)
    assert not repo.models()


def test_wrong_models_and_data_are_named(repo: Repository, data: Dataset) -> None:
    layers = {layer.name: layer for layer in small().layers}
    without = [layer for name, layer in layers.items() if name != "kind"]
    with pytest.raises(InvalidGraph, match="no answer layer"):
        lw.train(lw.Model("flower", without), data, repo=repo)
    three = [lw.Layer("scores", "torch.nn.Linear", out_features=3) if n == "scores" else x for n, x in layers.items()]
    with pytest.raises(InvalidShape, match=r"layer 'kind'.*3.*2 classes"):
        lw.train(lw.Model("flower", three), data, repo=repo)
    away = [lw.Layer("length", lw.Column("lenght")) if n == "length" else x for n, x in layers.items()]
    with pytest.raises(InvalidData, match=r"layer 'length'.*Did you mean 'length'"):
        lw.train(lw.Model("flower", away), data, repo=repo)
    with pytest.raises(NotFound, match="flowers"):
        lw.train(small(), "flower", repo=repo)
    with pytest.raises(InvalidConfig, match="names no dataset"):
        lw.train(lw.Model("flower", list(layers.values())), repo=repo)


def test_settings_go_to_json_and_back() -> None:
    training = Training.from_mapping(
        {"epochs": 3, "optimizer": {"kind": "sgd"}, "split": {"by": "time", "column": "t"}}
    )
    assert Training.from_mapping(training.to_json()) == training
