"""The parts of a module that runs by its own ``forward``: some given, some wanted, and no more run than has to.

>>> import torch
>>> body = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
>>> inside = Inside.of(body, "body.", frozenset({"body.1"}), frozenset(), leaves=True)
>>> given = {"body.1": torch.ones(4, 3)}
>>> run_inside(inside, body, lambda module: module(None), given, lambda path, value: None, 4).shape
torch.Size([4, 1])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from layerwise.layers.base import Value
from layerwise.layers.observed import Observe, observed


class _Enough(BaseException):
    """All that was wanted has been seen. It is no Exception: no module of a user's catches it by accident."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What is given and wanted of a module's parts.

    Attributes:
        prefix: what stands before the paths of the parts.
        given, wanted: paths of parts, ``name:2`` for a later pass.
        leaves: whether what leaves the module is needed.
        start: the part from which on the module runs, its path within; empty where all of it runs.
    """

    prefix: str
    given: frozenset[str]
    wanted: frozenset[str]
    leaves: bool
    start: str = ""

    @classmethod
    def of(
        cls, module: nn.Module, prefix: str, given: frozenset[str], wanted: frozenset[str], *, leaves: bool
    ) -> Inside:  # fmt: skip
        """Return what of ``given`` and ``wanted`` belongs to a module whose parts' paths begin with ``prefix``."""
        names = [name for name, _ in module.named_modules() if name]
        known = {f"{prefix}{name}" for name in names}
        ours, asked = ({path for path in paths if path.partition(":")[0] in known} for paths in (given, wanted))
        asked -= ours
        start = _start(module, names, {path[len(prefix) :] for path in ours}, {path[len(prefix) :] for path in asked})
        if start:
            # What is given of the parts before it is of no use.
            ours &= {f"{prefix}{name}" for name in [*names[names.index(start) :], *_around(start)]}
        return cls(prefix, frozenset(ours), frozenset(asked), leaves, start)


def _start(module: nn.Module, names: list[str], given: set[str], asked: set[str]) -> str:
    """Return the last given part of a chain of chains before which nothing is asked for; empty where there is none."""
    order = {name: place for place, name in enumerate(names)}
    for name in reversed(chain(module)):
        if name in given:
            around = _around(name)
            if all(path in around or order.get(path.partition(":")[0], 0) > order[name] for path in asked):
                return name
    return ""


def chain(module: nn.Module) -> list[str]:
    """Return the parts from whose output the module can go on, in order: those of a ``Sequential``, and of those in it.

    >>> chain(nn.Sequential(nn.Flatten(), nn.Sequential(nn.ReLU())))
    ['0', '1', '1.0']
    """
    parts = [(name, part) for name, part in module.named_modules(remove_duplicate=False) if name]
    if len({id(part) for _, part in parts}) != len(parts) or not _is_chain(module):
        return []
    chains = {"", *(name for name, part in parts if _is_chain(part))}
    return [name for name, _ in parts if all(around in chains for around in _around(name))]


def _around(name: str) -> list[str]:
    return ["", *(name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1))]


def _is_chain(module: nn.Module) -> bool:
    return type(module).forward is nn.Sequential.forward and not (module._forward_hooks or module._forward_pre_hooks)


def run_inside(
    inside: Inside, module: nn.Module, call: Callable[[nn.Module], Value], given: Mapping[str, Value], observe: Observe,
    rows: int,
) -> Value | None:  # fmt: skip
    """Return what leaves ``call(module)``; None where it was not needed and stopped once all wanted was seen.

    Args:
        inside: what is given and wanted of the module's parts.
        module: the module.
        call: runs it, or what stands for it.
        given: values by path, [batch, ...].
        observe: told of every part that runs.
        rows: how many rows go through.
    """
    watch = _Watch(inside, given, observe, set(inside.wanted))
    try:
        with observed(module, watch, inside.prefix, rows):
            return call(_Rest(module, inside, given, watch) if inside.start else module)
    except _Enough:
        return None


@dataclass
class _Watch:
    """Puts given values in their places, tells of all others, and stops where nothing more is needed."""

    inside: Inside
    given: Mapping[str, Value]
    observe: Observe
    waiting: set[str] = field(default_factory=set)

    def __call__(self, path: str, value: Value) -> Value | None:
        if path in self.inside.given:
            return owned(self.given[path])
        changed = self.observe(path, value)
        self.waiting.discard(path)
        if not self.waiting and not self.inside.leaves:
            raise _Enough
        return changed


class _Rest(nn.Module):
    """Stands for a chain from a given part on; what it is called with is not looked at."""

    def __init__(self, module: nn.Module, inside: Inside, given: Mapping[str, Value], watch: _Watch) -> None:
        super().__init__()
        # In a tuple: a module in an attribute would become a part of this one.
        self._held: tuple[nn.Module, Inside, Mapping[str, Value], _Watch] = (module, inside, given, watch)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Return what leaves the chain."""
        module, inside, given, watch = self._held
        value: Any = owned(given[f"{inside.prefix}{inside.start}"])
        path = inside.start
        while path:
            around, _, name = path.rpartition(".")
            children = module.get_submodule(around)._modules
            behind = list(children)[list(children).index(name) + 1 :]
            for child in behind:
                value = children[child](value)  # type: ignore[misc]
            if around and (changed := watch(f"{inside.prefix}{around}", value)) is not None:
                value = changed
            path = around
        return value


def owned(value: Value) -> Value:
    """Return a value that a layer may write to (a ReLU in place does): a copy of a tensor."""
    return value.clone() if isinstance(value, Tensor) else value
