"""The neural part of a graph as one plain ``nn.Module``, and its weights layer by layer.

>>> from layerwise.graph import shapes
>>> graph = Graph("tiny", [
...     Layer("x", "column", column="x", shape=(4,)),
...     Layer("scores", "torch.nn.Linear", out_features=2),
... ])
>>> network = build(graph, shapes.check(graph, None))
>>> network.entries, list(network.state_dict())
(('x',), ['scores.weight', 'scores.bias'])
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from layerwise.errors import InvalidGraph, InvalidLayer, InvalidShape, nearest
from layerwise.graph.graph import INPUT, Graph, wire
from layerwise.graph.layer import Layer, at_layer
from layerwise.graph.ports import Port
from layerwise.layers.base import NeuralKind
from layerwise.layers.blocks import BlockKind
from layerwise.layers.steps import Network as Network
from layerwise.layers.steps import WrappedNetwork


def build(graph: Graph, ports: Mapping[str, Port]) -> Network:
    """Return the neural part of ``graph`` with new weights, drawn in the graph's order.

    Args:
        graph: the model.
        ports: what leaves every layer, by path: ``shapes.check`` with what the data layers have learned.

    Raises:
        InvalidGraph, InvalidLayer, InvalidShape: naming the layer.
    """
    neural = tuple(layer for layer in graph.by_name.values() if layer.action.role == "neural")
    names = {layer.name for layer in neural}
    takes = {name: graph.wiring[name] for name in graph.by_name if name in names}
    answer = graph.answer
    exit = graph.wiring[answer.name][0] if answer is not None else list(graph.by_name)[-1]
    entering = {source for inputs in takes.values() for source in inputs} | {exit}
    entries = tuple(name for name in graph.by_name if name in entering - names)
    modules = tuple(_build(layer, layer.name, tuple(ports[n] for n in takes[layer.name]), ports) for layer in neural)
    clear = [layer.name for layer in neural if layer.action.transparent]
    if clear and len(neural) > 1:
        raise InvalidGraph(
            f"layer {clear[0]!r} is a whole wrapped model and stands beside other neural layers; "
            f"make it one layer among them: lw.wrapped(module)"
        )
    if clear:
        return WrappedNetwork(neural[0], modules[0], takes[clear[0]])
    return Network(neural, modules, takes, entries=entries, exit=exit)


def _build(layer: Layer, path: str, inputs: tuple[Port, ...], ports: Mapping[str, Port]) -> nn.Module:
    with at_layer(path, layer.kind):
        kind = layer.action
        if not isinstance(kind, NeuralKind):
            raise InvalidGraph(f"a {kind.role} layer cannot stand inside a block; put it before")
        if isinstance(kind, BlockKind) and layer.layers:
            return _build_block(layer, path, inputs, ports)
        return kind.build(inputs)


def _build_block(layer: Layer, path: str, inputs: tuple[Port, ...], ports: Mapping[str, Port]) -> Network:
    wiring = wire(layer.layers, inside=path)
    named = {child.name: child for child in layer.layers}
    # `input` is all that the block gets, so one name may stand for several slots.
    entries = tuple(f"{INPUT}{at or ''}" if len(inputs) == 1 else f"{INPUT}:{at}" for at in range(len(inputs)))
    takes, modules = {}, []
    for name, sources in wiring.items():
        takes[name] = tuple(one for source in sources for one in (entries if source == INPUT else (source,)))
        found = [port for source in sources for port in (inputs if source == INPUT else (ports[f"{path}.{source}"],))]
        modules.append(_build(named[name], f"{path}.{name}", tuple(found), ports))
    children = tuple(named[name] for name in wiring)
    return Network(children, tuple(modules), takes, entries=entries, exit=layer.layers[-1].name)


def layer_states(network: Network) -> dict[str, dict[str, Tensor]]:
    """Return what each layer has learned: by the layer's path, then by the tensor's name in it.

    Layers that learn nothing are left out. The tensors are the network's own, not copies.

    Raises:
        InvalidLayer: a module keeps something in its state that is no tensor.
    """
    paths = [path for path, _ in network.walk()]
    known, whole = set(paths), paths[0] if paths else ""
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in network.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise InvalidLayer(f"the state {key!r} is {type(tensor).__name__}; only tensors can be kept")
        owner, name = _owner(key, known, whole)
        found.setdefault(owner, {})[name] = tensor
    return found


def layer_parameters(network: Network) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of each layer by its path, in the network's order; layers that have none are left out."""
    paths = [path for path, _ in network.walk()]
    known, whole = set(paths), paths[0] if paths else ""
    found: dict[str, list[nn.Parameter]] = {}
    for key, parameter in network.named_parameters():
        found.setdefault(_owner(key, known, whole)[0], []).append(parameter)
    return found


def _owner(key: str, paths: set[str], whole: str) -> tuple[str, str]:
    # The longest path in front of the key; a wrapped module's own tensors have none and belong to the layer itself.
    owner = key.rpartition(".")[0]
    while owner and owner not in paths:
        owner = owner.rpartition(".")[0]
    return (owner, key[len(owner) + 1 :]) if owner else (whole, key)


def load_layer_states(network: Network, states: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Load what each layer has learned into ``network``: every layer and tensor, no other, in the same shapes.

    Raises:
        InvalidLayer: a layer or tensor is missing or too many.
        InvalidShape: a tensor of another shape or dtype, with both.
    """
    wanted = layer_states(network)
    _hold_same("layer", "the network", states, wanted)
    for path, tensors in wanted.items():
        _hold_same("tensor", f"layer {path!r}", states[path], tensors)
        for name, tensor in tensors.items():
            given = states[path][name]
            if given.shape != tensor.shape or given.dtype != tensor.dtype:
                raise InvalidShape(
                    f"layer {path!r}: {name!r} is {_said(given)} in the state and {_said(tensor)} in the model; "
                    f"the state is of a layer with other options"
                )
    known, whole = {path for path, _ in network.walk()}, next((path for path, _ in network.walk()), "")
    network.load_state_dict({key: states[o][n] for key in network.state_dict() for o, n in [_owner(key, known, whole)]})


def _hold_same(what: str, where: str, given: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    for name in wanted:
        if name not in given:
            raise InvalidLayer(f"{where} has the {what} {name!r} and the state does not.{nearest(name, given)}")
    for name in given:
        if name not in wanted:
            raise InvalidLayer(f"the state has the {what} {name!r} and {where} does not.{nearest(name, wanted)}")


def _said(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"
