"""What is cheaper: to read what is kept of a layer, or to run the layers before it. Measured, not guessed.

>>> paces = Paces()
>>> paces.note("edges", 0.004, batches=2)
>>> paces.of("edges", batches=10), paces.of("never ran", batches=10)
(0.02, inf)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from layerwise.graph.graph import Graph
from layerwise.layers.cut import inside_of
from layerwise.layers.parts import chain
from layerwise.layers.steps import Network

READ_BYTES = 4e9
"""Bytes a second that rows are gathered with from memory that is mapped, …"""

CHECK_BYTES = 1.5e9
"""… that a chunk is compared with its digest with, the first time, …"""

READ_ONCE = 30e-6
"""… and the seconds that a question costs whatever it reads."""


@dataclass
class Paces:
    """How long layers take: seconds a canonical batch, by path; of data layers by name. The least that was measured."""

    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, path: str, seconds: float, *, batches: float) -> None:
        """Take it that a layer took so long for so many batches."""
        self.seconds[path] = min(seconds / batches, self.seconds.get(path, math.inf))

    def of(self, path: str, *, batches: float) -> float:
        """Return how long a layer takes for so many batches: infinitely long where it never ran."""
        return self.seconds.get(path, math.inf) * batches


def reading(rows: int, row_bytes: int, cold_bytes: int) -> float:
    """Return about how long it takes to read rows that are kept, in seconds.

    Args:
        rows: how many.
        row_bytes: bytes of one.
        cold_bytes: bytes of the chunks that were not compared with their digests yet.
    """
    return READ_ONCE + rows * row_bytes / READ_BYTES + cold_bytes / CHECK_BYTES


def cheapest(
    graph: Graph, network: Callable[[], Network], kept: Mapping[str, float], paces: Paces, *, batches: float
) -> frozenset[str]:  # fmt: skip
    """Return the layers whose records are read sooner than they are computed, of those that are kept for all rows.

    Each layer costs what it takes and what the layers before it cost, or what reading it takes where that is less;
    what two layers share is counted twice, so that a cut close to the layer is favoured.

    Args:
        graph: the model.
        network: gives its neural part, where a layer of it is kept.
        kept: the seconds that reading each layer takes, by path.
        paces: what was measured.
        batches: how many canonical batches the rows are.
    """
    costs: dict[str, float] = {}
    found: set[str] = set()

    def reach(path: str, before: float) -> float:
        computed = before + paces.of(path, batches=batches)
        if path in kept and kept[path] < computed:
            found.add(path)
            computed = kept[path]
        return computed

    for name, inputs in graph.wiring.items():
        if graph.by_name[name].action.role == "data":
            costs[name] = reach(name, sum(costs[source] for source in inputs))
    if any(path not in costs for path in kept):
        whole = network()
        _walk(whole, "", [costs[name] for name in whole.entries], reach)
    return frozenset(found)


def _walk(network: Network, prefix: str, entering: list[float], reach: Callable[[str, float], float]) -> float:
    costs = list(entering)
    for step in network._steps:
        path, module = prefix + step.name, network._module(step.name)
        before = sum(costs[slot] for slot in step.takes)
        if step.block:
            assert isinstance(module, Network)
            before += _walk(module, f"{path}.", [costs[slot] for slot in step.takes], reach)
        elif step.kind.described:
            # A chain can go on from any of its parts; of what other modules do inside, only the whole counts.
            inside, along = inside_of(step, path, prefix), before
            for name in chain(module):
                along = reach(f"{inside}{name}", along)
            before = along if chain(module) else before
        costs.append(reach(path, before))
    return costs[network._leaves]
