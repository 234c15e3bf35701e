"""``layerwise train``: what it keeps, what it says, and what it takes from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerwise.cli import setting
from layerwise.cli.progress import fitting, heads
from layerwise.cli.reference import keys_of
from layerwise.errors import Invalid
from tests.cli.conftest import Command

DESCRIPTION = {
    "model": "digits",
    "layers": {"edges": {"kind": "torch.nn.Conv2d"}, "body": {"kind": "block", "layers": {"one": {"kind": "x"}}}},
    "train": {"epochs": 10, "optimizer": "adam"},
}


def test_a_run_says_where_it_is_kept_and_what_to_try(run: Command, own: Path) -> None:
    done = run("train", own / "flowers.yaml", "--set", "train.epochs=3", "-m", "longer")
    assert done.code == 0
    assert "flowers@2 is kept in" in done.out
    assert "layerwise show flowers@2" in done.out
    assert "flowers@1" in done.out, "the version before stands beside, on the same test rows"
    lines = [line for line in done.err.splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert "best so far" in lines[0]


def test_the_best_epoch_is_said_whichever_is_kept(run: Command, own: Path) -> None:
    """``keep: last`` keeps the last weights; which epoch was best, and when training is over, goes by the metric."""
    words = [
        "train",
        own / "flowers.yaml",
        "--set",
        "train.epochs=30",
        "--set",
        "train.lr=0.5",
        "--no-resume",
        "--json",
    ]
    best = run(*words, "--set", "train.keep=best")
    last = run(*words, "--set", "train.keep=last")
    losses = [metrics["validation/loss"] for metrics in last.json["history"]]
    leading = [loss == min(losses[: at + 1]) and loss not in losses[:at] for at, loss in enumerate(losses)]
    lines = [line for line in last.err.splitlines() if line.startswith("epoch")]
    assert ["best so far" in line for line in lines] == leading
    assert not all(leading), "a rate this high makes some epochs worse"
    assert (last.json["epoch"], best.json["epoch"]) == (30, 1 + losses.index(min(losses)))
    tired = run(*words, "--set", "train.keep=last", "--set", "train.patience=2")
    assert tired.json["outcome"] == "stopped early"
    assert tired.json["epoch"] == tired.json["epochs"] < 30


def test_json_is_one_document_and_progress_goes_elsewhere(run: Command, own: Path) -> None:
    done = run("train", own / "flowers.yaml", "--json", "--set", "train.epochs=1")
    assert set(done.json) == keys_of("train")
    assert done.json["version"] == "flowers@2"
    assert done.json["epochs"] == len(done.json["history"]) == 1
    assert "epoch 1/1" in done.err


def test_values_of_the_command_line_are_kept_with_the_version(run: Command, own: Path) -> None:
    run("train", own / "flowers.yaml", "--set", "layers.hidden.out_features=3", "--set", "train.lr=1e-3")
    found = run("show", "flowers@2", "--json").json
    assert found["training"]["lr"] == 0.001
    assert next(layer for layer in found["layers"] if layer["layer"] == "hidden")["options"]["out_features"] == 3


def test_another_dataset_can_be_said(run: Command, own: Path) -> None:
    run("data", "add", "others", own / "flowers.csv")
    assert run("train", own / "flowers.yaml", "--data", "others", "--json").code == 0
    assert run("show", "flowers@2", "--json").json["data"]["name"] == "others"


def test_a_users_own_code_trains_and_answers(run: Command, own: Path) -> None:
    code = own / "my_trained_layers.py"
    code.write_text(
        "import torch\nfrom torch import nn\n\n\nclass Squash(nn.Module):\n    def forward(self, x):\n"
        "        return torch.tanh(x)\n"
    )
    (own / "flowers.yaml").write_text(
        (own / "flowers.yaml")
        .read_text()
        .replace("  scores:", "  squashed: {kind: my_trained_layers.Squash}\n  scores:")
    )
    missing = run("train", own / "flowers.yaml")
    assert missing.code == 2
    assert "--code FILE.py" in missing.err
    assert run("train", own / "flowers.yaml", "--code", code).code == 0
    assert run("predict", "flowers@2", "--row", '{"a": 1, "b": 2}', "--code", code).code == 0


def test_one_setting_is_placed_and_the_rest_stays() -> None:
    said = ["train.epochs=3", "train.lr=1e-2", "layers.edges.bias=false", "layers.body.layers.one.p=[1, 2]", "data=d"]
    found = setting.apply(DESCRIPTION, said)
    assert found["train"] == {"epochs": 3, "optimizer": "adam", "lr": 0.01}
    assert found["layers"]["edges"] == {"kind": "torch.nn.Conv2d", "bias": False}
    assert found["layers"]["body"]["layers"]["one"] == {"kind": "x", "p": [1, 2]}
    assert found["data"] == "d"
    assert DESCRIPTION["train"] == {"epochs": 10, "optimizer": "adam"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("train.epochs", "is not PATH=VALUE"),
        ("=3", "is not PATH=VALUE"),
        ("train..epochs=3", "is not PATH=VALUE"),
        ("trian.epochs=3", "Did you mean 'train'?"),
        ("train.epoch=3", "Did you mean 'epochs'?"),
        ("layers.edgs.bias=1", "Did you mean 'edges'?"),
        ("layers.body.layers.on.p=1", "Did you mean 'one'?"),
        ("layers.edges=3", "names a layer"),
        ("train=3", "would replace all of it"),
        ("train.optimizer.lr=3", "train.optimizer is 'adam'"),
        ("train.epochs=[1", "not YAML"),
        ("train.epochs=1\nmodel: x", "on one line"),
        ("train.epochs=!!python/object:os.system x", "tag"),
    ],
)
def test_a_setting_that_cannot_be_used_says_why(said: str, told: str) -> None:
    with pytest.raises(Invalid, match="--set") as raised:
        setting.apply(DESCRIPTION, [said])
    assert told in str(raised.value)


def test_the_table_of_epochs_fits_the_screen() -> None:
    metrics = {"train/loss": 1.0, "validation/accuracy": 0.5, "validation/loss": 1.0, "validation/macro_f1": 0.5}
    assert fitting(metrics, 200) == list(metrics)
    assert fitting(metrics, 60) == ["train/loss", "validation/loss"]
    assert fitting(metrics, 70) == ["train/loss", "validation/accuracy", "validation/loss"]
    above, below = heads(fitting(metrics, 70))
    assert above.plain.split() == ["train", "validation"]
    assert below.plain.split() == ["epoch", "loss", "accuracy", "loss", "time"]
