"""How much of an answer rests on a layer's numbers: complete where the method is, on every sort of network."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import pytest
import torch

from layerwise.engine.looking.attribution import METHODS
from layerwise.engine.version import Version
from layerwise.errors import InvalidData, InvalidShape, Missing, NotFound
from tests.support.any_modules import KINDS


@pytest.mark.parametrize("layer", ["hidden", "dropped", "scores", "row"])
@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_integrated_gradients_add_up_to_the_difference_to_the_baseline(
    version: Version, layer: str, baseline: float
) -> None:
    found = version.layer(layer).attribute([1, 2, 70], baseline=baseline, steps=200)
    assert torch.allclose(found.gap, torch.zeros(3), atol=5e-3)
    scores = version.layer("scores").record([1, 2, 70])
    assert torch.allclose(found.scores, scores.max(1).values, atol=1e-6)
    assert found.targets == tuple(
        answer["kind"] for answer in version.predict(version.repo.dataset("flowers").take([1, 2, 70]))
    )
    assert found.values.shape == version.layer(layer).record([1, 2, 70]).shape


@pytest.mark.parametrize("name", KINDS)
def test_they_add_up_on_networks_that_know_nothing_of_layerwise(wrapped: Callable[[str], Version], name: str) -> None:
    found = wrapped(name).layer(KINDS[name].layer).attribute([1, 2], steps=128)
    assert torch.allclose(found.gap, torch.zeros(2), atol=5e-3)
    assert found.values.abs().sum() > 0


def test_of_a_linear_layer_every_method_gives_what_follows_from_its_weights(version: Version) -> None:
    values, module = version.layer("dropped").record([1, 2]), version.module()
    weight = dict(module.named_parameters())["scores.weight"].detach()
    for method in ("integrated_gradients", "gradient_x_activation", "deeplift", "ablation"):
        found = version.layer("dropped").attribute([1, 2], target="rose", method=method)
        assert torch.allclose(found.values, values * weight[1], atol=1e-5), method
        assert found.targets == ("rose", "rose")
    gradient = version.layer("dropped").attribute([1, 2], target="iris", method="gradient")
    assert torch.allclose(gradient.values, weight[0].expand(2, -1), atol=1e-6)


def test_internal_influence_is_the_mean_gradient_on_the_way_from_nothing(version: Version) -> None:
    found = version.layer("dropped").attribute([1], target="rose", method="internal_influence")
    weight = dict(version.module().named_parameters())["scores.weight"].detach()
    assert torch.allclose(found.values[0], weight[1], atol=1e-5)


def test_rows_are_explained_one_by_one_whatever_their_number(version: Version) -> None:
    many = version.layer("hidden").attribute(list(range(70)))
    one = version.layer("hidden").attribute(66)
    assert len(many) == 70
    assert torch.allclose(many.values[66], one.values[0], atol=1e-6)
    assert many.ids[66] == one.ids[0]
    assert one.ids[0] in str(one)
    assert "<table>" in one._repr_html_()


def test_maps_are_taken_away_one_at_a_time(wrapped: Callable[[str], Version]) -> None:
    first = wrapped("resnet").layer("maxpool").attribute([1], method="ablation").values[0]
    assert first[0].numel() > 1
    assert torch.equal(first.amax((1, 2)), first.amin((1, 2)))


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("hidden", {"method": "integrated_gradient"}, NotFound, "Did you mean 'integrated_gradients'"),
    ("hidden", {"target": "irsi"}, NotFound, "no class 'irsi'. Did you mean 'iris'"),
    ("hidden", {"target": 7}, NotFound, "no class 7"),
    ("hidden", {"baseline": [1.0, 2.0]}, InvalidShape, r"'hidden' gives \[8\] and the baseline is \[2\]"),
    ("colour", {}, InvalidData, r"'colour' gives string.*first layer after it that can be asked is 'row'|'hidden'"),
    ("long", {}, InvalidData, "data layers have no gradients; ask one that enters the network: row"),
]


@pytest.mark.parametrize(("layer", "asked", "error", "says"), WRONG)
def test_what_cannot_be_explained_is_said(
    version: Version, layer: str, asked: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        version.layer(layer).attribute([1], **asked)


def test_of_whole_numbers_the_first_layer_of_floats_is_named(wrapped: Callable[[str], Version]) -> None:
    version = wrapped("gru")
    with pytest.raises(InvalidData, match=r"'tokens' gives int64.*can be asked is 'embed'"):
        version.layer("tokens").attribute([1])
    with pytest.raises(InvalidData, match="'tokens' enters as whole numbers; use integrated_gradients"):
        version.layer("embed").attribute([1], method="internal_influence")


def test_a_method_that_cannot_go_through_a_module_says_so(wrapped: Callable[[str], Version]) -> None:
    with pytest.raises(InvalidData, match="deeplift cannot go through what follows layer 'step'"):
        wrapped("twice").layer("step").attribute([1], method="deeplift")
    assert set(METHODS) >= {"integrated_gradients", "gradient_x_activation", "internal_influence", "deeplift"}


def test_without_captum_the_cure_is_said(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fake(name: str, *args: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "captum":
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(Missing, match=r"pip install 'layerwise\[attribution\]'"):
        version.layer("hidden").attribute([1])


def test_explaining_leaves_the_versions_weights_and_answers(version: Version) -> None:
    before = version.layer("scores").record([1, 2])
    for method in METHODS:
        version.layer("hidden").attribute([1], method=method)
    assert torch.equal(version.layer("scores").record([1, 2]), before)
    assert all(parameter.grad is None for parameter in version.live.network.parameters())
    assert not any(part._forward_hooks or part._backward_hooks for part in version.live.network.modules())
