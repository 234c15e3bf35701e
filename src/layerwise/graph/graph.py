"""A graph: named layers, how they are wired, in which order they run, and the digest of it all."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Self

from layerwise.canonical import digest_value, encode
from layerwise.errors import InvalidConfig, InvalidGraph, InvalidName, nearest
from layerwise.graph.layer import Layer, at_layer, hold_layers, unknown_input
from layerwise.words import Digest, Name, parse_name, parse_version, shorten

INPUT = "input"
"""What the layers inside a block call the block's own input."""

KEYS = ("model", "data", "layers", "train")
"""What a model's description holds."""

_NEEDED = {"model": (str, "model: NAME"), "layers": (Mapping, "layers: {NAME: {kind: …}, …}")}


@dataclass(frozen=True, init=False)
class Graph:
    """A model as pure data: one graph of layers from the raw row to the answer.

    Args:
        name: the model's name.
        layers: the layers, in the order in which people read them.
        data: the dataset that the model is for, e.g. ``digits-data`` or ``digits-data@2``.
        train: settings of the training, held to their grammar when a run begins.

    Raises:
        InvalidName, InvalidGraph: a name given twice, an input that is not there, a cycle (with the way round it).
    """

    name: Name
    layers: tuple[Layer, ...]
    data: str | None = None
    train: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self, name: str, layers: Iterable[Layer], *, data: str | None = None, train: Mapping[str, Any] | None = None
    ) -> None:
        object.__setattr__(self, "name", parse_name(name, "a model's name"))
        object.__setattr__(self, "layers", hold_layers(layers))
        object.__setattr__(self, "data", _hold_data(data))
        object.__setattr__(self, "train", _hold_train(train))
        if not self.layers:
            raise InvalidGraph(f"the model {self.name!r} has no layers; give it at least a column and an answer")
        for path, layer in self.walk():
            if layer.layers and not layer.action.described:
                wire(layer.layers, inside=path)
                _hold_inner_roles(layer, path)
        hold_roles(self)

    def __hash__(self) -> int:
        return int(self.digest[:15], 16)

    @functools.cached_property
    def wiring(self) -> dict[str, tuple[str, ...]]:
        """The inputs of every layer by name, in the order in which they run. Layers that read columns have none."""
        return wire(self.layers)

    @functools.cached_property
    def by_name(self) -> dict[str, Layer]:
        """The outermost layers by name, in the order in which they run."""
        named = {layer.name: layer for layer in self.layers}
        return {name: named[name] for name in self.wiring}

    def walk(self) -> Iterator[tuple[str, Layer]]:
        """Yield every layer with its path, outer before inner, as written."""
        for layer in self.layers:
            yield from layer.walk()

    def layer(self, path: str) -> Layer:
        """Return the layer at ``path`` (``encoder.block0.conv1``), or raise InvalidGraph with the nearest."""
        known = dict(self.walk())
        if path not in known:
            raise InvalidGraph(f"the model {self.name!r} has no layer {shorten(path)}.{nearest(path, known)}")
        return known[path]

    @property
    def answer(self) -> Layer | None:
        """The answer layer, or None for a model that has none."""
        return next((layer for layer in self.layers if layer.action.role == "answer"), None)

    def describe(self) -> dict[str, Any]:
        """Return the graph as JSON; ``from_description`` takes it back without loss."""
        found: dict[str, Any] = {"model": self.name}
        if self.data is not None:
            found["data"] = self.data
        found["layers"] = {layer.name: layer.describe() for layer in self.layers}
        if self.train:
            found["train"] = dict(self.train)
        return found

    @classmethod
    def from_description(cls, description: Any) -> Self:
        """Return the graph that ``describe`` described.

        The order of layers counts (a layer takes the previous one), so a description that went through JSON with
        sorted keys must carry it: see ``to_json``.
        """
        if not isinstance(description, Mapping):
            raise InvalidGraph(
                f"a model is a mapping with the keys {', '.join(KEYS)}; found {type(description).__name__}"
            )
        for key in description:
            if key not in KEYS:
                raise InvalidGraph(f"a model has no key {shorten(str(key))}.{nearest(str(key), KEYS)}")
        for key, (kind, shape) in _NEEDED.items():
            if not isinstance(description.get(key), kind):
                found = shorten(description.get(key))
                raise InvalidGraph(f"a model needs the key {key!r}; found {found}: write {shape}")
        layers = [Layer.from_description(name, said) for name, said in description["layers"].items()]
        return cls(description["model"], layers, data=description.get("data"), train=description.get("train"))

    def to_json(self) -> dict[str, Any]:
        """Return the graph as JSON in which layers are lists, so that their order outlives sorted keys."""
        found = self.describe()
        found["layers"] = _listed(found["layers"])
        return found

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the graph that ``to_json`` wrote."""
        if not isinstance(value, Mapping) or not isinstance(value.get("layers"), list):
            raise InvalidGraph("a model's description needs a list of layers")
        return cls.from_description({**value, "layers": _unlisted(value["layers"])})

    @functools.cached_property
    def digest(self) -> Digest:
        """The digest of what the model is: its name, data and training settings are not part of it."""
        return digest_value("graph.v1", self.to_json()["layers"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and encode(self.to_json()) == encode(other.to_json())


def _hold_data(data: object) -> str | None:
    if data is None:
        return None
    try:
        return str(parse_version(data))
    except InvalidName:
        raise InvalidName(
            f"data must be a dataset's name, found {shorten(data)}; write data: NAME or data: NAME@N"
        ) from None


def _hold_train(train: object) -> dict[str, Any]:
    if train is not None and not isinstance(train, Mapping):
        raise InvalidConfig(f"train must be a mapping of settings, found {shorten(train)}; write train: {{epochs: 3}}")
    return dict(train or {})


def _listed(layers: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, **said, **({"layers": _listed(said["layers"])} if "layers" in said else {})}
        for name, said in layers.items()
    ]


def _unlisted(layers: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for said in layers:
        if not isinstance(said, Mapping) or not isinstance(said.get("name"), str) or said["name"] in found:
            raise InvalidGraph(f"a layer of a description needs a name of its own, found {shorten(said)}")
        inner = {"layers": _unlisted(said["layers"])} if isinstance(said.get("layers"), list) else {}
        found[said["name"]] = {**{key: value for key, value in said.items() if key != "name"}, **inner}
    return found


def wire(layers: tuple[Layer, ...], *, inside: str = "") -> dict[str, tuple[str, ...]]:
    """Return each layer's inputs by name, in an order in which they can run.

    Args:
        layers: siblings: the outermost layers, or those inside a block.
        inside: the block's path; its layers may take ``input``, and the first one does.
    """
    names = [layer.name for layer in layers]
    taken: dict[str, tuple[str, ...]] = {}
    previous = (INPUT,) if inside else ()
    for layer in layers:
        with at_layer(f"{inside}.{layer.name}" if inside else layer.name, layer.kind):
            if layer.name in taken:
                raise InvalidGraph("the name is given twice; layers beside each other need different names")
            if inside and layer.name == INPUT:
                raise InvalidGraph(f"{INPUT!r} is what layers in a block call the block's input; choose another name")
            taken[layer.name] = _inputs_of(layer, previous, known={*names, INPUT} if inside else set(names))
        previous = (layer.name,)
    return _sorted(taken, inside)


def _inputs_of(layer: Layer, previous: tuple[str, ...], known: set[str]) -> tuple[str, ...]:
    if layer.action.reads and layer.action.role == "data":
        if layer.inputs is not None:
            named = ", ".join(layer.inputs)
            raise InvalidGraph(f"it reads the dataset and takes no inputs, found {named}; take them away")
        return ()
    inputs = previous if layer.inputs is None else layer.inputs
    for name in inputs:
        if name not in known:
            raise InvalidGraph(unknown_input(name, known - {layer.name}))
    fewest, most = layer.action.arity
    # Of a block's `input` there may be several, which only the ports tell.
    too_few = len(inputs) < fewest and INPUT not in inputs
    if too_few or (most is not None and len(inputs) > most):
        count = len(inputs)
        raise InvalidGraph(f"it has {count_inputs(count)} and takes {wanted_inputs(layer)}; {_cure(layer, count)}")
    return inputs


def count_inputs(number: int) -> str:
    """Return a number of inputs in words: ``1 input``, ``2 inputs``."""
    return f"{number} input{'' if number == 1 else 's'}"


def wanted_inputs(layer: Layer) -> str:
    """Return how many inputs a layer takes, in words: ``1``, ``at least 2``, ``1 to 3``."""
    fewest, most = layer.action.arity
    return f"{fewest}" if fewest == most else f"at least {fewest}" if most is None else f"{fewest} to {most}"


def _cure(layer: Layer, found: int) -> str:
    if not found:
        return "put a layer before it (a column reads the dataset)"
    if found < layer.action.arity[0]:
        return "name them with inputs: [a, b]"
    joining = "`join`" if layer.action.role == "data" else "`concatenate` or `add`"
    return f"put a {joining} before it, which makes one of several"


def _sorted(taken: dict[str, tuple[str, ...]], inside: str) -> dict[str, tuple[str, ...]]:
    # Kahn's order with the written order as the tie-break: what people read is what runs.
    position = {name: index for index, name in enumerate(taken)}
    sorter = TopologicalSorter({name: [i for i in inputs if i in taken] for name, inputs in taken.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        way = " → ".join(error.args[1])
        where = f"in the block {inside!r}" if inside else "in the model"
        cycle = InvalidGraph(f"there is a cycle {where}: {way}. Take one of these inputs away")
        cycle.layer = f"{inside}.{error.args[1][0]}" if inside else error.args[1][0]
        raise cycle from None
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=position.__getitem__)
        order.append(ready[0])
        sorter.done(ready.pop(0))
    return {name: taken[name] for name in order}


def hold_roles(graph: Graph) -> None:
    """Raise InvalidGraph where data comes after a neural layer, something follows the answer, or there are two."""
    roles = {name: layer.action.role for name, layer in graph.by_name.items()}
    for name, inputs in graph.wiring.items():
        with at_layer(name, graph.by_name[name].kind):
            for source in inputs:
                if roles[source] == "answer":
                    raise InvalidGraph(f"it takes the answer layer {source!r}; nothing comes after an answer")
                if roles[name] == "data" and roles[source] == "neural":
                    raise InvalidGraph(f"a data layer cannot take the neural layer {source!r}; put it before")
    answers = [name for name, role in roles.items() if role == "answer"]
    if len(answers) > 1:
        with at_layer(answers[1], graph.by_name[answers[1]].kind):
            raise InvalidGraph(f"the model has {len(answers)} answer layers ({', '.join(answers)}); keep one")


def _hold_inner_roles(block: Layer, path: str) -> None:
    for child in block.layers:
        if child.action.role != "neural":
            with at_layer(f"{path}.{child.name}", child.kind):
                what, where = ("a data", "before") if child.action.role == "data" else ("an answer", "behind")
                raise InvalidGraph(f"{what} layer cannot stand inside a block; put it {where} the block")
