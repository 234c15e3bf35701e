"""Shapes and dtypes through the whole graph, before any row is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from layerwise.errors import InvalidData, InvalidGraph, InvalidShape, nearest
from layerwise.graph.graph import INPUT, Graph, count_inputs, wanted_inputs, wire
from layerwise.graph.layer import Layer, at_layer
from layerwise.graph.ports import Port
from layerwise.words import shorten

States = Mapping[str, Mapping[str, Any]]


def check(graph: Graph, columns: Mapping[str, Port] | None, states: States | None = None) -> dict[str, Port]:
    """Return the port of what leaves every layer, by path.

    Args:
        graph: the model.
        columns: the ports of the dataset's columns; None where no dataset is at hand (layers that say their own
            shape are then taken at their word).
        states: what data layers have learned, by path, where they have: sizes that follow are then known.

    Raises:
        InvalidShape, InvalidData: naming the layer, what it gets, what it wants, and the cure.
    """
    found: dict[str, Port] = {}
    for name, inputs in graph.wiring.items():
        layer = graph.by_name[name]
        with at_layer(name, layer.kind):
            sources = _columns(layer, columns) if layer.action.reads else tuple(found[source] for source in inputs)
            if layer.action.role == "answer":
                _columns(layer, columns)
                sources = tuple(found[source] for source in inputs)
            _hold_numeric(layer, dict(zip(inputs, sources, strict=False)))
            found.update(infer(layer, name, sources, states or {}))
    return found


def infer(layer: Layer, path: str, inputs: tuple[Port, ...], states: States) -> dict[str, Port]:
    """Return the ports of a layer and of all inside it, by path."""
    found: dict[str, Port] = {}
    if layer.layers and not layer.action.described:
        inner = {child.name: child for child in layer.layers}
        for name, sources in wire(layer.layers, inside=path).items():
            child, where = inner[name], f"{path}.{name}"
            ports = [port for source in sources for port in _ports(source, inputs, found, path)]
            with at_layer(where, child.kind):
                _hold_count(child, len(ports))
                found.update(infer(child, where, tuple(ports), states))
        inputs = (found[f"{path}.{layer.layers[-1].name}"], *inputs)
    with at_layer(path, layer.kind):
        found[path] = layer.action.infer(inputs, states.get(path))
    return found


def _hold_count(layer: Layer, count: int) -> None:
    fewest, most = layer.action.arity
    if count < fewest or (most is not None and count > most):
        raise InvalidGraph(
            f"it gets {count_inputs(count)} from the block around it and takes {wanted_inputs(layer)}; "
            f"name them with inputs: [a, b]"
        )


def _ports(source: str, inputs: tuple[Port, ...], found: Mapping[str, Port], path: str) -> tuple[Port, ...]:
    return inputs if source == INPUT else (found[f"{path}.{source}"],)


def _columns(layer: Layer, columns: Mapping[str, Port] | None) -> tuple[Port, ...]:
    if columns is None:
        return tuple(Port("unknown") for _ in layer.action.reads)
    for name in layer.action.reads:
        if name not in columns:
            raise InvalidData(f"the dataset has no column {shorten(name)}.{nearest(name, columns)}")
    return tuple(columns[name] for name in layer.action.reads)


def _hold_numeric(layer: Layer, inputs: Mapping[str, Port]) -> None:
    if layer.action.role == "data":
        return
    for name, port in inputs.items():
        if not port.numeric and port.dtype != "unknown":
            raise InvalidShape(
                f"the input {name!r} is {port}, and a {layer.action.role} layer takes numbers; "
                f"encode it first (category, one_hot, vocabulary, image …)"
            )
