"""Optimizers and schedules come by name, say what is wrong with an option, and go on to the bit after a checkpoint."""

from __future__ import annotations

import json
import math
from collections import deque
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from layerwise.canonical import encode
from layerwise.errors import InvalidConfig
from layerwise.layers.choices import optimizers, options_of, schedules
from layerwise.layers.optimizers import load_optimizer, make_optimizer, optimizer_tensors
from layerwise.layers.schedules import Schedule, load_schedule, make_schedule, schedule_state

Settings = str | dict[str, Any]


class Run:
    """A small training, by hand: a network, an optimizer, perhaps a schedule, and a step that a seed decides."""

    def __init__(self, optimizer: Settings, schedule: Settings | None = None, *, named: bool = True) -> None:
        torch.manual_seed(0)
        # No bias: Muon takes matrices only.
        self.network = nn.Sequential(nn.Linear(3, 8, bias=False), nn.Tanh(), nn.Linear(8, 1, bias=False))
        parameters: Any = self.network.named_parameters() if named else self.network.parameters()
        self.optimizer = make_optimizer(optimizer, parameters, lr=0.05)
        self.schedule = make_schedule(schedule, self.optimizer, epochs=8, steps=2)

    def epoch(self, number: int) -> None:
        """Take two steps."""
        for step in range(2):
            rows = torch.randn(4, 3, generator=torch.Generator().manual_seed(10 * number + step))
            self.optimizer.zero_grad()
            self.network(rows).square().mean().backward()
            self.optimizer.step()
            if self.schedule:
                self.schedule.after_step()
        if self.schedule:
            self.schedule.after_epoch(1.0 / (1 + number % 3))

    def rates(self) -> list[float]:
        """Return the learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]


def resumed(run: Run, optimizer: Settings, schedule: Settings | None, *, named: bool = True) -> Run:
    """Return a new run that takes up where ``run`` is, through the bytes of a checkpoint."""
    tensors, scalars = optimizer_tensors(run.optimizer)
    written = save(tensors), encode(scalars), save(run.network.state_dict())
    state = None if run.schedule is None else encode(schedule_state(run.schedule))
    other = Run(optimizer, schedule, named=named)
    other.network.load_state_dict(load(written[2]))
    load_optimizer(other.optimizer, load(written[0]), json.loads(written[1]))
    if other.schedule is not None and state is not None:
        load_schedule(other.schedule, json.loads(state))
    return other


OPTIMIZERS: tuple[Settings, ...] = (
    {"kind": "SGD", "momentum": 0.9, "nesterov": True},
    {"kind": "adam", "amsgrad": True},
    {"kind": "AdamW", "betas": [0.8, 0.99], "fused": True},
    {"kind": "rmsprop", "momentum": 0.5, "centered": True},
    {"kind": "Adagrad", "lr_decay": 0.1},
    *sorted(optimizers()),
)

SCHEDULES: tuple[Settings, ...] = (
    "OneCycleLR",
    "CosineAnnealingLR",
    {"kind": "CosineAnnealingLR", "every": "step"},
    {"kind": "StepLR", "step_size": 2},
    {"kind": "ReduceLROnPlateau", "patience": 0, "factor": 0.5},
    {"kind": "MultiStepLR", "milestones": [1, 3, 5], "gamma": 0.5},
    {"kind": "ExponentialLR", "gamma": 0.9},
    {"kind": "CyclicLR", "base_lr": 0.001, "step_size_up": 3},
    {"kind": "CosineAnnealingWarmRestarts", "T_0": 2, "T_mult": 2},
    "LinearLR",
    "ConstantLR",
    {"kind": "PolynomialLR", "total_iters": 6},
)


def same(one: Run, two: Run) -> bool:
    """Tell whether two runs have equal bits in weights and rates."""
    weights = zip(one.network.parameters(), two.network.parameters(), strict=True)
    return all(torch.equal(left, right) for left, right in weights) and one.rates() == two.rates()


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("named", [True, False], ids=["named", "placed"])
def test_an_optimizer_goes_on_to_the_bit(settings: Settings, named: bool) -> None:
    run = Run(settings, named=named)
    for number in range(3):
        run.epoch(number)
    other = resumed(run, settings, None, named=named)
    assert same(run, other)
    for number in range(3, 6):
        run.epoch(number)
        other.epoch(number)
    assert same(run, other)
    kinds = [{key: type(value) for key, value in group.items()} for group in run.optimizer.param_groups]
    assert kinds == [{key: type(value) for key, value in group.items()} for group in other.optimizer.param_groups]


@pytest.mark.parametrize("settings", SCHEDULES, ids=str)
@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_schedule_goes_on_to_the_bit(settings: Settings, after: int) -> None:
    optimizer: Settings = {"kind": "SGD", "momentum": 0.9}
    run = Run(optimizer, settings)
    for number in range(after):
        run.epoch(number)
    other = resumed(run, optimizer, settings)
    for number in range(after, 8):
        run.epoch(number)
        other.epoch(number)
        assert same(run, other)


def test_every_schedule_of_torch_is_tried_or_refused() -> None:
    tried = {settings if isinstance(settings, str) else settings["kind"] for settings in SCHEDULES}
    assert tried == set(schedules())


def test_a_checkpoint_is_not_changed_by_the_step_after_it() -> None:
    run = Run("adam")
    run.epoch(0)
    tensors = optimizer_tensors(run.optimizer)[0]
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    run.epoch(1)
    assert all(torch.equal(before[name], tensor) for name, tensor in tensors.items())
    assert sorted(tensors)[0] == "0.weight/exp_avg"


def test_a_checkpoint_of_something_else_is_refused() -> None:
    run = Run("adam", "OneCycleLR")
    run.epoch(0)
    tensors, scalars = optimizer_tensors(run.optimizer)
    with pytest.raises(InvalidConfig, match="the checkpoint's optimizer is 'Adam', the run's 'SGD'"):
        load_optimizer(Run("sgd").optimizer, tensors, scalars)
    with pytest.raises(InvalidConfig, match=r"the checkpoint's parameters is \['0.weight', '2.weight'\]"):
        load_optimizer(Run("adam", named=False).optimizer, tensors, scalars)
    with pytest.raises(InvalidConfig, match=r"shape of '0.weight/exp_avg' is \[2\], the run's \[8, 3\]"):
        load_optimizer(run.optimizer, {**tensors, "0.weight/exp_avg": torch.zeros(2)}, scalars)
    with pytest.raises(InvalidConfig, match=r"the model no such weights. Did you mean '0.weight'"):
        load_optimizer(run.optimizer, {"0.weigth/exp_avg": torch.zeros(2)}, scalars)
    with pytest.raises(InvalidConfig, match="no groups or no state"):
        load_optimizer(run.optimizer, tensors, {**scalars, "groups": None})
    assert run.schedule
    with pytest.raises(InvalidConfig, match="the checkpoint's schedule is 'StepLR', the run's 'OneCycleLR'"):
        load_schedule(run.schedule, {"schedule": "StepLR", "state": {}})
    with pytest.raises(InvalidConfig, match="schedule's state is"):
        load_schedule(run.schedule, {"schedule": "OneCycleLR", "state": {}})


def weights() -> list[nn.Parameter]:
    """Return something to train."""
    return [nn.Parameter(torch.ones(2, 2))]


def test_options_reach_the_optimizer() -> None:
    made = make_optimizer({"kind": "ADAMW", "betas": [0.5, 0.6], "weight_decay": 0}, weights(), lr=1.0)
    assert isinstance(made, torch.optim.AdamW)
    assert (made.defaults["betas"], made.defaults["weight_decay"], made.defaults["lr"]) == ((0.5, 0.6), 0, 1)


BAD_OPTIMIZERS: tuple[tuple[Any, str], ...] = (
    ("adan", "there is no optimizer 'adan'. Did you mean 'Adam'?"),
    ("Optimizer", "there is no optimizer 'Optimizer'"),
    ("lr_scheduler", "there is no optimizer"),
    ("lbfgs", "LBFGS is not taken: it runs the model several times a step (a closure)"),
    ("SparseAdam", "SparseAdam is not taken: it takes sparse gradients only"),
    ({"momentum": 0.9}, "expected a name, or a mapping with kind: NAME"),
    ({"kind": 3}, "expected a name, or a mapping with kind: NAME"),
    ({"kind": "sgd", "momentun": 0.9}, "SGD has no option 'momentun'. Did you mean 'momentum'?"),
    ({"kind": "sgd", "lr": 0.9}, "SGD has no option 'lr' (the run sets it itself)"),
    ({"kind": "sgd", "params": []}, "SGD has no option 'params' (the run sets it itself)"),
    ({"kind": "sgd", "differentiable": True}, "SGD has no option 'differentiable'"),
    ({"kind": "sgd", "momentum": "0.9"}, "SGD: the option 'momentum' is '0.9'; expected a number"),
    ({"kind": "sgd", "momentum": float("nan")}, "SGD: the option 'momentum' is nan; expected a number"),
    ({"kind": "sgd", "nesterov": 1}, "SGD: the option 'nesterov' is 1; expected true or false"),
    ({"kind": "sgd", "nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ({"kind": "sgd", "momentum": -1}, "Invalid momentum value: -1"),
    ({"kind": "adam", "betas": [0.9]}, "Adam: the option 'betas' is [0.9]; expected a list of 2 numbers"),
    ({"kind": "adam", "betas": [0.9, 2]}, "Invalid beta parameter at index 1: 2"),
    ({"kind": "adam", "foreach": True, "fused": True}, "`fused` and `foreach` cannot be `True` together"),
)


@pytest.mark.parametrize(("settings", "words"), BAD_OPTIMIZERS)
def test_an_optimizer_that_cannot_be_made_is_refused(settings: Any, words: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        make_optimizer(settings, weights(), lr=0.1)
    assert words in str(caught.value)


@pytest.mark.parametrize("lr", [0.0, -1.0, math.nan, math.inf])
def test_a_learning_rate_is_above_nought(lr: float) -> None:
    with pytest.raises(InvalidConfig, match=r"lr is .*; expected a number above 0"):
        make_optimizer("adam", weights(), lr=lr)


def test_no_parameters_and_parameters_of_the_wrong_form_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="there is nothing to train"):
        make_optimizer("adam", [], lr=0.1)
    with pytest.raises(InvalidConfig, match="Muon only supports 2D parameters"):
        make_optimizer("muon", [nn.Parameter(torch.ones(2))], lr=0.1)


BAD_SCHEDULES: tuple[tuple[Any, str], ...] = (
    ("CosineLR", "there is no schedule 'CosineLR'. Did you mean"),
    ("LambdaLR", "LambdaLR is not taken: it takes a function"),
    ("SequentialLR", "SequentialLR is not taken: it takes other schedules"),
    ("StepLR", "StepLR needs the option 'step_size': a whole number"),
    ({"kind": "StepLR", "step_size": 2.5}, "StepLR: the option 'step_size' is 2.5; expected a whole number"),
    ({"kind": "StepLR", "step": 2}, "StepLR has no option 'step'. Did you mean 'step_size'?"),
    ({"kind": "StepLR", "step_size": 2, "every": "row"}, "'every' is 'row'; expected 'step' or 'epoch'"),
    ({"kind": "MultiStepLR", "milestones": 3}, "expected a list of whole numbers"),
    ({"kind": "CyclicLR", "base_lr": 0.1, "scale_fn": "x"}, "CyclicLR has no option 'scale_fn'"),
    ({"kind": "ReduceLROnPlateau", "every": "step"}, "once an epoch; set every: epoch"),
    ({"kind": "ReduceLROnPlateau", "factor": 1.5}, "Factor should be < 1.0"),
    ({"kind": "OneCycleLR", "pct_start": 2}, "between 0 and 1"),
    ({"kind": "OneCycleLR", "epochs": 3}, "OneCycleLR has no option 'epochs' (the run sets it itself)"),
)


@pytest.mark.parametrize(("settings", "words"), BAD_SCHEDULES)
def test_a_schedule_that_cannot_be_made_is_refused(settings: Any, words: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        make_schedule(settings, torch.optim.SGD(weights(), momentum=0.9), epochs=5, steps=10)
    assert words in str(caught.value)


def made(settings: Settings, **options: bool) -> Schedule:
    """Return a schedule of 5 epochs of 10 steps."""
    schedule = make_schedule(settings, torch.optim.SGD(weights(), lr=0.5, momentum=0.9), epochs=5, steps=10, **options)
    assert schedule
    return schedule


def test_the_length_of_the_run_is_the_schedules_unless_said() -> None:
    assert made("CosineAnnealingLR").scheduler.state_dict()["T_max"] == 5
    assert made({"kind": "CosineAnnealingLR", "every": "step"}).scheduler.state_dict()["T_max"] == 50
    assert made({"kind": "CosineAnnealingLR", "T_max": 3}).scheduler.state_dict()["T_max"] == 3
    cycle = made("onecyclelr")
    assert (cycle.every, cycle.scheduler.state_dict()["total_steps"]) == ("step", 50)
    assert cycle.scheduler.optimizer.param_groups[0]["max_lr"] == 0.5
    assert make_schedule(None, torch.optim.SGD(weights()), epochs=5, steps=10) is None


def test_a_plateau_follows_the_metrics_direction_and_needs_one() -> None:
    assert made("ReduceLROnPlateau").scheduler.state_dict()["mode"] == "min"
    assert made("ReduceLROnPlateau", higher_is_better=True).scheduler.state_dict()["mode"] == "max"
    with pytest.raises(InvalidConfig, match="train with validation rows"):
        made("ReduceLROnPlateau").after_epoch()


@pytest.mark.parametrize("settings", ["OneCycleLR", {"kind": "CosineAnnealingLR", "T_max": 0, "every": "step"}])
def test_a_schedule_that_cannot_go_on_says_so(settings: Settings) -> None:
    schedule = made(settings)
    schedule.scheduler.optimizer.step()
    with pytest.raises(InvalidConfig, match="cannot go on"):
        deque(iter(schedule.after_step, "never"), maxlen=0)


def test_options_are_told_in_words() -> None:
    assert options_of(torch.optim.SGD)["nesterov"] == "true or false"
    for cls in (*optimizers().values(), *schedules().values()):
        assert all(options_of(cls).values())
