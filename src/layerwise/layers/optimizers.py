"""Optimizers, by torch's names, and their state for a checkpoint: tensors and JSON, exact to the bit.

>>> import torch
>>> weights = [("w", torch.nn.Parameter(torch.ones(2)))]
>>> optimizer = make_optimizer({"kind": "sgd", "momentum": 0.9}, weights, lr=0.1)
>>> weights[0][1].grad = torch.ones(2)
>>> optimizer.step()
>>> sorted(optimizer_tensors(optimizer)[0])
['w/momentum_buffer']
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from layerwise.errors import InvalidConfig, nearest
from layerwise.layers.choices import Settings, find, fitted, made, named, optimizers
from layerwise.layers.saved import from_json, hold_same, to_json
from layerwise.layers.schedules import Schedule as Schedule
from layerwise.layers.schedules import load_schedule as load_schedule
from layerwise.layers.schedules import make_schedule as make_schedule
from layerwise.layers.schedules import schedule_state as schedule_state
from layerwise.words import shorten


def make_optimizer(settings: Settings, parameters: Iterable[Any], lr: float) -> Optimizer:
    """Return a torch optimizer.

    Args:
        settings: a name of ``torch.optim``, upper or lower case, or ``{"kind": …}`` with options.
        parameters: parameters, pairs of a name and a parameter (checkpoints then go by name), or torch's groups.
        lr: the learning rate, above 0.

    Raises:
        InvalidConfig: unknown name or option, with the nearest; a value that the optimizer does not take.
    """
    name, options = named(settings, "optimizer")
    cls = find(name, optimizers(), "optimizer")
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr < math.inf:
        raise InvalidConfig(f"lr is {shorten(lr)}; expected a number above 0, such as 0.001")
    kept = list(parameters)
    if not kept:
        raise InvalidConfig("there is nothing to train: no layer has weights that are not frozen")
    optimizer: Optimizer = made(cls, {"params": kept, "lr": float(lr)}, fitted(cls, options), "optimizer")
    return optimizer


def optimizer_tensors(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what an optimizer has gathered: tensors by ``parameter/what``, and the rest as JSON.

    A parameter goes by its name where the optimizer was given names, else by its place. The tensors are copies on
    the processor.
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for name, parameter in _parameters(optimizer).items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{name}/{key}"] = value.detach().to("cpu", copy=True).contiguous()
            else:
                numbers[f"{name}/{key}"] = to_json(value)
    groups = [
        {key: to_json(value) for key, value in group.items() if key not in ("params", "param_names")}
        for group in optimizer.param_groups
    ]
    names = list(_parameters(optimizer))
    return tensors, {"optimizer": type(optimizer).__name__, "parameters": names, "groups": groups, "state": numbers}


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
    """Put back what ``optimizer_tensors`` returned, into a new optimizer over the same parameters.

    Raises:
        InvalidConfig: it is of another optimizer, of other parameters, or of other shapes.
    """
    parameters = _parameters(optimizer)
    hold_same("optimizer", scalars.get("optimizer"), type(optimizer).__name__)
    hold_same("parameters", scalars.get("parameters"), list(parameters))
    groups, numbers = scalars.get("groups"), scalars.get("state")
    if not isinstance(groups, list) or not isinstance(numbers, Mapping):
        raise InvalidConfig("the checkpoint has no groups or no state of the optimizer; start the run anew")
    hold_same("groups of parameters", len(groups), len(optimizer.param_groups))
    state: dict[str, dict[str, Any]] = {}
    group_of = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    for path, tensor in tensors.items():
        name, key = _split(path, parameters)
        state.setdefault(name, {})[key] = _placed(parameters[name], group_of[parameters[name]], path, tensor)
    for path, value in numbers.items():
        name, key = _split(path, parameters)
        state.setdefault(name, {})[key] = from_json(value, None)
    optimizer.state.clear()
    optimizer.state.update({parameters[name]: found for name, found in state.items()})
    for group, saved in zip(optimizer.param_groups, groups, strict=True):
        group.update({key: from_json(value, group.get(key)) for key, value in saved.items()})


def _parameters(optimizer: Optimizer) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for group in optimizer.param_groups:
        for place, parameter in enumerate(group["params"]):
            found[group["param_names"][place] if "param_names" in group else str(len(found))] = parameter
    return found


def _split(path: str, parameters: Mapping[str, Tensor]) -> tuple[str, str]:
    name, _, key = path.rpartition("/")
    if name not in parameters:
        raise InvalidConfig(f"the checkpoint has {path!r}, and the model no such weights.{nearest(name, parameters)}")
    return name, key


def _placed(parameter: Tensor, group: Mapping[str, Any], path: str, tensor: Tensor) -> Tensor:
    # Adafactor keeps rows and columns of a weight apart; all others keep the weight's shape, or one number.
    if "beta2_decay" not in group and tensor.ndim and tensor.shape != parameter.shape:
        hold_same(f"shape of {path!r}", list(tensor.shape), list(parameter.shape))
    # Where torch's own load_state_dict leaves it: a count of steps stays on the processor unless a kernel reads it.
    stays = path.endswith("/step") and not any(group.get(key) for key in ("fused", "capturable"))
    return tensor.detach().clone() if stays else tensor.detach().to(parameter.device, copy=True)
