"""Running a network from a cut: what left some layers is given, and only what the wanted layers need runs.

The bits are those of a whole run. In a module that runs by its own ``forward`` a given value takes the place of what
its part made, and all of the module runs; where that module is torch's own ``Sequential``, what stands before the value
does not run.

>>> from layerwise.graph import shapes
>>> from layerwise.graph.graph import Graph
>>> from layerwise.graph.layer import Layer
>>> from layerwise.layers.network import build
>>> graph = Graph("tiny", [
...     Layer("x", "column", column="x", shape=(4,)),
...     Layer("hidden", "torch.nn.Linear", out_features=3),
...     Layer("scores", "torch.nn.Linear", out_features=2),
... ])
>>> part = route(build(graph, shapes.check(graph, None)), given=frozenset({"hidden"}), wanted=frozenset({"scores"}))
>>> sorted(part.runs), sorted(part.entries)
(['scores'], [])
"""

# Steps and slots are read from networks by names with an underscore: a public name would hide a layer that has it.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from layerwise.layers.base import Value, rows_of
from layerwise.layers.blocks import Block
from layerwise.layers.observed import Observe
from layerwise.layers.parts import Inside, owned, run_inside
from layerwise.layers.steps import Network, Step


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of one layer: it runs, or its value is given, or neither where nobody needs it.

    Attributes:
        step: the layer's step.
        path: its path.
        runs: whether it, or something inside it, runs.
        given: whether what leaves it is given, and something needs it.
        inner: of a block, what becomes of the layers inside.
        inside: of a module that runs by its own ``forward``, what is given and wanted of its parts.
    """

    step: Step
    path: str
    runs: bool
    given: bool
    inner: Route | None = None
    inside: Inside | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """What becomes of every layer of a network, and what has to enter it.

    Attributes:
        network: the network, or what is in a block.
        turns: one a layer, in the order in which they run.
        entries: names of the entries that are needed.
        leaves: whether what leaves the network is needed.
    """

    network: Network
    turns: tuple[Turn, ...]
    entries: frozenset[str]
    leaves: bool

    @property
    def runs(self) -> frozenset[str]:
        """The paths of the layers that run, those in blocks among them."""
        inner = (path for turn in self.turns if turn.inner is not None for path in turn.inner.runs)
        return frozenset([*(turn.path for turn in self.turns if turn.runs), *inner])

    @property
    def uses(self) -> frozenset[str]:
        """The paths of the given values that are read."""
        found = {turn.path for turn in self.turns if turn.given}
        for turn in self.turns:
            found |= turn.inner.uses if turn.inner is not None else frozenset()
            found |= turn.inside.given if turn.inside is not None and turn.runs else frozenset()
        return frozenset(found)

    def run(self, inputs: Mapping[str, Value], given: Mapping[str, Value], observe: Observe) -> Value | None:
        """Return what leaves the network, None where that is not needed; what runs is told to ``observe``.

        Args:
            inputs: what enters, by name; what is not in ``entries`` may be left out.
            given: what left the layers that the route was made for, [batch, ...], by path. It is not written to.
            observe: called with what left each layer that runs; what it returns, where it does, takes its place.
        """
        values: list[Any] = [inputs.get(name) for name in self.network.entries]
        for turn in self.turns:
            taken = [values[slot] for slot in turn.step.takes]
            made = self._made(turn, taken, given, observe) if turn.runs else None
            values.append(owned(given[turn.path]) if turn.given else made)
            for slot in turn.step.drops:
                values[slot] = None
        left: Value | None = values[self.network._leaves]
        return left

    def _made(self, turn: Turn, taken: list[Any], given: Mapping[str, Value], observe: Observe) -> Value | None:
        module, kind = self.network._module(turn.step.name), turn.step.kind
        if turn.inner is not None:
            named = zip(turn.inner.network.entries, taken, strict=True)
            inputs = {name: value for name, value in named if value is not None}
            # What a plain block got is not there where its layers did not need it, nor does the block.
            taken = [turn.inner.run(inputs, given, observe), *inputs.values()]
            if not turn.inner.leaves:
                return None
        if turn.inside is not None:
            rows = next((rows_of(value) for value in [*taken, *given.values()] if value is not None), 0)
            # From a given part on, nobody looks at what enters the module.
            taken = [torch.empty(0) if value is None else value for value in taken]
            value = run_inside(turn.inside, module, lambda one: kind.call(one, *taken), given, observe, rows)
            if value is None:
                return None
        else:
            value = kind.call(module, *taken)
        if turn.given:
            return None
        changed = observe(turn.path, value)
        return value if changed is None else changed


def route(
    network: Network, *, given: frozenset[str], wanted: frozenset[str], prefix: str = "", leaves: bool | None = None,
    shows: bool = False,
) -> Route:  # fmt: skip
    """Return what has to run where the values of some layers are given.

    Args:
        network: the network, or what is in a block.
        given: paths of the layers whose values are given (``name:2`` for a later pass of a part).
        wanted: paths of the layers that are asked for; what is given need not be asked for.
        prefix: what stands before the paths of the network's layers.
        leaves: whether what leaves the network is needed; where not given, it is unless layers are wanted.
        shows: whether ``observe`` is to be told of every part of a module, wanted or not.
    """
    exits = not wanted if leaves is None else leaves
    first = len(network.entries)
    needed = {network._leaves} if exits else set()
    turns = []
    for place, step in reversed(list(enumerate(network._steps, start=first))):
        turn = _turn(network, step, given, wanted, prefix, needed=place in needed, shows=shows)
        turns.append(turn)
        needed.update(_takes(turn))
    entries = frozenset(network.entries[slot] for slot in needed if slot < first)
    return Route(network, tuple(reversed(turns)), entries, exits)


def _turn(
    network: Network, step: Step, given: frozenset[str], wanted: frozenset[str], prefix: str, *, needed: bool,
    shows: bool,
) -> Turn:  # fmt: skip
    path, module = prefix + step.name, network._module(step.name)
    is_given = path in given and needed
    leaves = path not in given and (needed or path in wanted)
    if step.block:
        assert isinstance(module, Network)
        inner = route(module, given=given, wanted=wanted, prefix=f"{path}.", leaves=leaves, shows=shows)
        return Turn(step, path, leaves or bool(inner.runs), is_given, inner=inner)
    if not step.kind.described:
        return Turn(step, path, leaves, is_given)
    inside = Inside.of(module, inside_of(step, path, prefix), given, wanted, leaves=leaves)
    runs = leaves or bool(inside.wanted)
    # Nobody watches a module of whose parts nothing is asked: a hook on every part costs more than small parts do.
    watched = inside if shows or inside.wanted or inside.given else None
    return Turn(step, path, runs, is_given, inside=watched)


def _takes(turn: Turn) -> tuple[int, ...]:
    if not turn.runs:
        return ()
    step, inner = turn.step, turn.inner
    if turn.inside is not None and turn.inside.start:
        return ()
    # A plain block gives on what its layers made; others join it with what the block got, and a module takes all.
    if inner is None or (inner.leaves and not isinstance(step.kind, Block)):
        return step.takes
    names = zip(step.takes, inner.network.entries, strict=True)
    return tuple(slot for slot, name in names if name in inner.entries)


def inside_of(step: Step, path: str, prefix: str) -> str:
    """Return what stands before the paths of what is inside a step: nothing where a wrapped model is all there is."""
    return prefix if step.kind.transparent else f"{path}."


def every_layer(network: Network, prefix: str = "") -> Iterator[str]:
    """Yield the path of each layer that the network itself runs, those in blocks among them."""
    for step in network._steps:
        yield prefix + step.name
        module = network._module(step.name)
        if step.block and isinstance(module, Network):
            yield from every_layer(module, f"{prefix}{step.name}.")
