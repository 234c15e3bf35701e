"""What is kept of a version: what it answers, for the rows that are asked for, of the layers that may be recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import _global_forward_hooks

import layerwise as lw
from layerwise.data.dataset import Dataset
from layerwise.data.split import split_rows
from layerwise.engine.evaluate import CANONICAL
from layerwise.engine.events import Event, RecordsLost
from layerwise.engine.recording.keeping import record_rows, sample_of
from layerwise.engine.tensors import from_raw
from layerwise.engine.version import Version
from layerwise.errors import NotFound
from layerwise.repo import Repository
from tests.support.flowers import flowers, small


def kept(version: Version, layer: str, what: str = "output") -> Any:
    """Return all that is kept of a layer, in the newest set."""
    record = version.repo.records(version.entry.digest).find(layer, what)[0]
    raw = record.take(np.arange(len(record)))
    return from_raw(raw)["values"] if isinstance(raw, dict) else raw


def test_a_run_keeps_validation_rows_as_the_version_answers_them(repo: Repository, data: Dataset) -> None:
    run = lw.train(small(), data, repo=repo)
    records = repo.records(run.version.entry.digest)
    assert set(records.layers()) == {path for path, _ in small().walk()} - {"kind"}
    record = records.find("scores")[0]
    assert record.kept.about.run == run.id
    assert record.kept.about.made == "train"
    validation = split_rows(lw.Split(), data)["validation"]
    assert (record.slots(validation) == np.arange(len(validation))).all()
    table = data.table().take(validation)
    assert torch.equal(kept(run.version, "scores"), run.version.outputs(table))
    assert kept(run.version, "colour").to_pylist() == table["colour"].to_pylist()


def test_a_sample_is_the_same_rows_again_and_few_move_when_rows_are_added(repo: Repository, data: Dataset) -> None:
    positions = np.arange(0, 400, 2)
    first = sample_of(data, positions, 50)
    assert np.array_equal(first, sample_of(data, positions, 50))
    assert (np.diff(first) > 0).all()
    assert set(first) <= set(positions)
    assert np.array_equal(sample_of(data, positions, 200), positions)
    more = repo.add_dataset("flowers", {
        name: [*column, *other] for (name, column), other in zip(
            flowers().to_pydict().items(), flowers(40, seed=9).to_pydict().values(), strict=True)
    }).dataset  # fmt: skip
    ids = [set(np.array(one.ids.to_pylist())[sample_of(one, np.arange(len(one)), 50)]) for one in (data, more)]
    assert len(ids[0] & ids[1]) >= 40


def test_evaluating_keeps_a_split_in_the_type_and_the_layers_that_are_asked_for(
    repo: Repository, data: Dataset
) -> None:
    version = lw.train(small(), data, repo=repo, record="off").version
    expected = version.evaluate()
    asked = {"keep": "all", "layers": "hid*,long", "dtype": "float16"}
    assert version.evaluate(record=asked) == expected
    assert repo.records(version.entry.digest).layers() == ["hidden", "long"]
    test = split_rows(lw.Split(), data)["test"]
    hidden = kept(version, "hidden")
    assert hidden.dtype == torch.float16
    assert len(hidden) == len(test)
    assert version.evaluate(record="stats") == expected
    assert version.evaluate(split="all", record="sample:9")["loss"] > 0
    assert len(kept(version, "scores")) == 9


def test_nothing_but_statistics_is_kept_of_a_guarded_layer(repo: Repository, data: Dataset) -> None:
    layers = [
        lw.Layer(one.name, one.action, inputs=one.inputs, sensitivity="patient")
        if one.name in ("hidden", "colour") else one
        for one in small().layers
    ]  # fmt: skip
    model = lw.Model("flower", layers, train=small().train)
    run = lw.train(model, data, repo=repo, record={"keep": "all", "gradients": True})
    records = repo.records(run.version.entry.digest)
    assert {"hidden", "colour"}.isdisjoint(records.layers())
    assert records.layers("gradient") == ["dropped", "scores"]
    assert "layers/hidden/mean" in [found.key for found in repo.metric_keys(run.id, "layers/")]
    with pytest.raises(NotFound):
        run.recorded("hidden")


def test_gradients_are_those_of_each_rows_own_loss(repo: Repository, data: Dataset) -> None:
    version = lw.train(small(), data, repo=repo, record="off").version
    before = {name: one.grad for name, one in version.module().named_parameters()}
    record_rows(version, data, np.arange(5, 75), lw.Recording.parse("all", gradients=True))
    assert {name: one.grad for name, one in version.module().named_parameters()} == before
    hidden, gradient = kept(version, "hidden"), kept(version, "hidden", "gradient")
    weight, bias = version.states["scores"]["weight"], version.states["scores"]["bias"]
    truth = torch.tensor([kind == "rose" for kind in data.table()["kind"].to_pylist()[5:75]]).long()
    for at in (0, 1, 63, 64, 69):
        row = hidden[at : at + 1].clone().requires_grad_(True)
        nn.functional.cross_entropy(row @ weight.T + bias, truth[at : at + 1]).backward()  # type: ignore[no-untyped-call]
        assert row.grad is not None
        torch.testing.assert_close(gradient[at], row.grad[0], atol=1e-6, rtol=1e-5)


class InPlace(nn.Module):
    """A layer that writes into what it gets, and one that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.two(self.relu(self.one(self.relu(self.one(x)))))
        return out


def sequence_data(repo: Repository, *shape: int) -> Dataset:
    draw = np.random.default_rng(0)
    x = draw.normal(0, 1, (90, int(np.prod(shape)))).astype(np.float32)
    return repo.add_dataset("d", {"x": list(x), "y": draw.integers(0, 2, 90)}).dataset


def test_records_are_what_a_plain_hook_sees_also_before_a_layer_that_writes_in_place(repo: Repository) -> None:
    data = sequence_data(repo, 6)
    columns = [lw.Layer("x", lw.Column("x", shape=(6,)))]
    model = lw.wrap(InPlace(), torch.zeros(2, 6), before=columns, answer=lw.Layer("y", lw.Classes(target="y")))
    version = lw.train(model, data, repo=repo, epochs=1, record="off").version
    everything = lw.Recording.parse("all", gradients=True)
    record_rows(version, data, np.arange(CANONICAL), everything)
    seen: dict[str, list[Tensor]] = {}
    module = version.module().eval()
    for name, part in module.named_children():

        def hook(_part: nn.Module, _given: Any, out: Tensor, name: str = name) -> None:
            seen.setdefault(name, []).append(out.clone())

        part.register_forward_hook(hook)
    with torch.inference_mode():
        module(torch.tensor(data.table()["x"].to_pylist()[:CANONICAL]))
    for name, values in seen.items():
        for at, value in enumerate(values):
            assert torch.equal(kept(version, name if at == 0 else f"{name}:{at + 1}"), value)
    # Before the function that clips, a gradient differs from the one behind it.
    first, behind, value = (kept(version, "one", "gradient"), kept(version, "relu", "gradient"), kept(version, "one"))
    assert torch.equal(first, torch.where(value > 0, behind, 0.0))


@pytest.mark.parametrize("what", ["attention", "transformer", "decoder"])
def test_attention_weights_are_those_of_the_modules_own_projections(repo: Repository, what: str) -> None:
    data = sequence_data(repo, 5, 8)
    kinds: dict[str, Any] = {
        "attention": lw.Attention(heads=2, causal=True), "transformer": lw.Transformer(heads=2, feedforward=16),
        "decoder": lw.wrapped(Decoder()),
    }  # fmt: skip
    model = lw.Model("m", [
        lw.Layer("x", lw.Column("x", shape=(5, 8))), lw.Layer("seen", kinds[what]), lw.Layer("flat", nn.Flatten),
        lw.Layer("scores", nn.Linear, out_features=2), lw.Layer("y", lw.Classes(target="y")),
    ])  # fmt: skip
    run = lw.train(model, data, repo=repo, epochs=1, record={"keep": "sample:70", "attention": True})
    layers = repo.records(run.version.entry.digest).layers("attention")
    # A decoder attends twice: to itself first.
    assert layers == (["seen", "seen:2"] if what == "decoder" else ["seen"])
    weights = kept(run.version, "seen", "attention")
    assert weights.shape[1:] == (2, 5, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    if what == "attention":
        assert bool((weights.triu(1) == 0).all())
    module = dict(run.version.untouched.network.named_modules())
    attention = next(part for part in module.values() if isinstance(part, nn.MultiheadAttention))
    x = kept(run.version, "x")
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1) if what == "attention" else None
    with torch.no_grad():
        expected = attention.eval()(x, x, x, attn_mask=mask, average_attn_weights=False)[1]
    torch.testing.assert_close(weights, expected)


class Decoder(nn.Module):
    """One of torch's decoder layers, which attends to itself and to what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block(x, x)
        return out


ASKED: tuple[Any, ...] = ("sample:20", "stats", "all", {"keep": "all", "gradients": True, "attention": True})


@pytest.mark.parametrize("asked", ASKED)
def test_recording_changes_nothing_draws_nothing_and_leaves_no_hook(
    repo: Repository, data: Dataset, asked: Any
) -> None:
    plain = lw.train(small(), data, repo=repo, record="off")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run = lw.train(small(), data, repo=repo, record=asked)
    assert torch.equal(torch.rand(3), expected)
    assert {p: e.state for p, e in run.version.manifest.layers.items()} == {
        p: e.state for p, e in plain.version.manifest.layers.items()
    }
    assert (run.history, dict(run.metrics)) == (plain.history, dict(plain.metrics))
    assert not _global_forward_hooks
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in run.version.module().modules())


def test_what_cannot_be_kept_at_the_end_is_said_and_the_version_stands(
    repo: Repository, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("layerwise.records.writing.RecordWriter.add", fail)
    seen: list[Event] = []
    run = lw.train(small(epochs=1), data, repo=repo, observers=[seen.append])
    told = [event.text for event in seen if isinstance(event, RecordsLost)]
    assert len(told) == 1
    assert "No space left" in told[0]
    assert repo.models() != []
    assert repo.records(run.version.entry.digest).layers() == []
