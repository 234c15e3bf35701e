"""A layer: one named step of a model, as pure data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from layerwise.errors import Invalid, InvalidGraph, InvalidLayer, nearest
from layerwise.graph import kinds
from layerwise.graph.kinds import FIELDS, Kind
from layerwise.words import MAX_NAME, parse_layer_name, shorten

LONGEST_PATH = 300
"""Longest path of a layer that a message shows, in characters."""


@dataclass(frozen=True, init=False)
class Layer:
    """One named step of a model.

    Args:
        name: the name, unique among its siblings; with its parents' names and dots it is the layer's path.
        kind: a kind with its options (``lw.Scale(by=16)``), a ``torch.nn`` class or one of your own, or a kind's name.
        inputs: names of the layers whose outputs this one takes; the previous layer where not given.
        owner: who looks after the layer.
        sensitivity: how guarded the data at this layer is.
        frozen: whether training leaves the layer's weights as they are.
        layers: the layers inside, where the kind is a block.
        **options: the kind's options, where ``kind`` is a class or a name.

    Raises:
        InvalidName, InvalidLayer: naming the layer, what was found, what is expected.

    Example:
        >>> Layer("edges", "torch.nn.Conv2d", out_channels=16, kernel_size=3, owner="maria").options["out_channels"]
        16
    """

    name: str
    action: Kind = field(repr=False)
    inputs: tuple[str, ...] | None = None
    owner: str | None = None
    sensitivity: str | None = None
    frozen: bool = False
    layers: tuple[Layer, ...] = ()

    def __init__(
        self,
        name: str,
        kind: Kind | type | str,
        *,
        inputs: Sequence[str] | str | None = None,
        owner: str | None = None,
        sensitivity: str | None = None,
        frozen: bool = False,
        layers: Iterable[Layer] = (),
        **options: Any,
    ) -> None:
        with at_layer(_called(name)):
            action = _action(kind, options)
            parts = {
                "name": parse_layer_name(name),
                "action": action,
                "inputs": _inputs(inputs),
                "owner": _text("owner", owner),
                "sensitivity": _text("sensitivity", sensitivity),
                "frozen": kinds.fit_type(frozen, bool, "frozen"),
                "layers": _inside(action, layers),
            }
        for key, value in parts.items():
            object.__setattr__(self, key, value)

    @property
    def kind(self) -> str:
        """The kind's title, e.g. ``scale.v1`` or ``torch.nn.Conv2d``."""
        return self.action.title

    @property
    def options(self) -> dict[str, Any]:
        """The kind's options that differ from their defaults, as JSON values."""
        return self.action.options()

    def describe(self) -> dict[str, Any]:
        """Return the layer as JSON: its kind, options and the rest that was said of it, without its name."""
        found: dict[str, Any] = {"kind": self.kind, **self.options}
        if self.inputs is not None:
            found["inputs"] = list(self.inputs)
        said = {"owner": self.owner, "sensitivity": self.sensitivity, "frozen": self.frozen or None}
        found.update({key: value for key, value in said.items() if value is not None})
        if self.layers:
            found["layers"] = {child.name: child.describe() for child in self.layers}
        return found

    @classmethod
    def from_description(cls, name: str, description: Any) -> Layer:
        """Return the layer that ``describe`` described, or raise an error that names it."""
        with at_layer(_called(name)):
            if not isinstance(description, Mapping):
                found = shorten(description)
                raise InvalidLayer(f"expected a mapping with a kind, found {found}; write {{kind: NAME}}")
            said = dict(description)
            if not isinstance(said.get("kind"), str):
                state = f"is {shorten(said['kind'])}" if "kind" in said else "is missing"
                raise InvalidLayer(f"the kind {state}: write kind: NAME (`layerwise kinds` lists them)")
            children = said.pop("layers", {})
            if not isinstance(children, Mapping):
                raise InvalidLayer(f"layers must be a mapping, NAME: {{kind: …}}; found {shorten(children)}")
            with in_block(_called(name)):
                inner = [cls.from_description(child, text) for child, text in children.items()]
            options = {key: said.pop(key) for key in list(said) if key not in FIELDS}
            action = kinds.make(said.pop("kind"), options)
        return cls(name, action, layers=inner, **said)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield the layer and all inside it, each with its path."""
        path = f"{prefix}{self.name}"
        yield path, self
        inside = prefix if self.action.transparent else f"{path}."
        for child in self.layers:
            yield from child.walk(inside)


@contextmanager
def at_layer(path: str, kind: str = "") -> Iterator[None]:
    """Name the layer in front of an error of ours that is raised inside, once."""
    try:
        yield
    except Invalid as error:
        if error.layer is not None:
            raise
        named = type(error)(f"{_titled(path)}{f' ({kind})' if kind else ''}: {error}")
        named.layer = path
        raise named from error.__cause__


@contextmanager
def in_block(path: str) -> Iterator[None]:
    """Put the block's path in front of the layer that an error of ours names."""
    try:
        yield
    except Invalid as error:
        if error.layer is None:
            raise
        full = f"{path}.{error.layer}"
        named = type(error)(f"{_titled(full)}{str(error).removeprefix(_titled(error.layer))}")
        named.layer = full
        raise named from error.__cause__


def _titled(path: str) -> str:
    return f"layer {shorten(path, LONGEST_PATH)}"


def _called(name: object) -> str:
    said = name if isinstance(name, str) else shorten(name)
    return said if len(said) <= MAX_NAME else f"{said[:20]}…"


def _inside(action: Kind, layers: Iterable[Layer]) -> tuple[Layer, ...]:
    inner = hold_layers(layers)
    if inner and not (action.nests or action.described):
        raise InvalidLayer(f"{action.title} takes no layers inside; use a `block` or `residual`")
    return inner


def hold_layers(layers: object) -> tuple[Layer, ...]:
    """Return layers as a tuple, or raise InvalidGraph for what is no list of layers."""
    found = tuple(layers) if isinstance(layers, Iterable) and not isinstance(layers, Mapping | str) else None
    if found is None:
        raise InvalidGraph(f"layers are a list, [Layer(NAME, KIND), …]; found {shorten(layers)}")
    for thing in found:
        if not isinstance(thing, Layer):
            raise InvalidGraph(f"{shorten(thing)} is no layer; give it a name: Layer(NAME, KIND)")
    return found


def _action(kind: Kind | type | str, options: Mapping[str, Any]) -> Kind:
    if isinstance(kind, Kind):
        if options:
            raise InvalidLayer(f"the kind has its options already; found {shorten(', '.join(options))} beside it")
        return kind.fitted()
    if isinstance(kind, str):
        return kinds.make(kind, options)
    if isinstance(kind, type) and issubclass(kind, Kind):
        return kind.from_options({key: kinds.plain(value) for key, value in options.items()})
    if isinstance(kind, type):
        kinds.admit(qualified_name(kind))
        return kinds.make(qualified_name(kind), {key: kinds.plain(value) for key, value in options.items()})
    raise InvalidLayer(f"a kind is a class, a kind with options or a name; found {_shown(kind)}")


def _shown(thing: object) -> str:
    if hasattr(thing, "forward"):
        return f"an instance of {type(thing).__name__}. Use lw.wrap(module, example) for a module that exists"
    if callable(thing):
        return "a function. Write lw.function(…) for one of your own, or activation: NAME after a layer"
    return shorten(thing)


def qualified_name(thing: type) -> str:
    """Return how a description names a class or function; ``torch.nn``'s own by their public name.

    >>> import collections
    >>> qualified_name(collections.OrderedDict)
    'collections.OrderedDict'
    """
    if thing.__module__.startswith("torch.nn.modules."):
        return f"torch.nn.{thing.__qualname__}"
    return f"{thing.__module__}.{thing.__qualname__}"


def _inputs(inputs: Sequence[str] | str | None) -> tuple[str, ...] | None:
    if inputs is None:
        return None
    names = (inputs,) if isinstance(inputs, str) else inputs
    if not isinstance(names, list | tuple) or not names:
        raise InvalidGraph(f"inputs must be a list of layer names, found {shorten(inputs)}")
    return tuple(parse_layer_name(name) for name in names)


def _text(what: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()):
        return value
    raise InvalidLayer(
        f"the {what} must be a short text, found {shorten(value)}; write 1 to 200 characters on one line"
    )


def unknown_input(name: str, known: Iterable[str]) -> str:
    """Return what to say of an input that is not there."""
    return f"the input {shorten(name)} is no layer here.{nearest(name, known)}"
