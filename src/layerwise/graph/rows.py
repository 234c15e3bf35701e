"""What a drawing of a model says of each layer: plain data, which the table, the flowchart and the card draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from layerwise.graph import kinds
from layerwise.graph.graph import Graph, wire
from layerwise.graph.kinds import Role
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port
from layerwise.graph.scalars import write_flow, write_key
from layerwise.words import visible


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer as a drawing shows it. Texts are free of control characters.

    Attributes:
        path: the layer's path, ``encoder.conv1``.
        role: ``data``, ``neural`` or ``answer``; of a layer in a block, the block's.
        kind: the kind, without its version where that is the newest.
        options: the options as a file writes them, ``("out_channels: 16", "padding: 1")``.
        inputs: the names of the layers that it takes, as its siblings call them; ``input`` is the block's own.
        straight: whether it takes just the layer written before it, or, first in a block, the block's input.
        output: the port of what leaves it, ``float32[batch, 16, 8, 8]``; empty where unknown.
        parameters: how many numbers it learns; None where unknown.
        owner, sensitivity, frozen: as they were said.
        block: whether there are layers inside.
        last: for the layer and each block around it, outermost first, whether it is the last of its siblings.
    """

    path: str
    role: Role
    kind: str
    options: tuple[str, ...]
    inputs: tuple[str, ...]
    straight: bool
    output: str = ""
    parameters: int | None = None
    owner: str = ""
    sensitivity: str = ""
    frozen: bool = False
    block: bool = False
    last: tuple[bool, ...] = (False,)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def parent(self) -> str:
        """The path of the block around it; empty for an outermost layer."""
        return self.path.rpartition(".")[0]


def rows(
    graph: Graph, ports: Mapping[str, Port] | None = None, parameters: Mapping[str, int] | None = None
) -> list[LayerRow]:
    """Return one row a layer, outer before inner, as written.

    Args:
        graph: the model.
        ports: what leaves each layer, by path, as ``shapes.check`` returns it.
        parameters: how many numbers each layer learns, by path.
    """
    return list(_rows(graph.layers, "", graph.wiring, ports or {}, parameters or {}))


def _rows(
    layers: tuple[Layer, ...],
    prefix: str,
    wiring: Mapping[str, tuple[str, ...]],
    ports: Mapping[str, Port],
    parameters: Mapping[str, int],
    *,
    around: tuple[bool, ...] = (),
    role: Role | None = None,
) -> Iterator[LayerRow]:
    previous = ("input",) if prefix else ()
    for layer in layers:
        path, inputs = f"{prefix}{layer.name}", wiring[layer.name]
        last = (*around, layer is layers[-1])
        yield LayerRow(
            path=path,
            role=role or layer.action.role,
            kind=visible(kinds.shortest(layer.kind)),
            options=tuple(visible(f"{write_key(key)}: {write_flow(value)}") for key, value in layer.options.items()),
            inputs=inputs,
            straight=inputs in ((), previous),
            output=visible(str(ports[path])) if path in ports else "",
            parameters=parameters.get(path),
            owner=visible(layer.owner or ""),
            sensitivity=visible(layer.sensitivity or ""),
            frozen=layer.frozen,
            block=bool(layer.layers),
            last=last,
        )
        if layer.layers:
            inner, below = wire(layer.layers, inside=path), role or layer.action.role
            yield from _rows(layer.layers, f"{path}.", inner, ports, parameters, around=last, role=below)
        previous = (layer.name,)
