"""A layer: one named step of a model, as pure data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from layerwise.errors import Invalid, InvalidGraph, InvalidLayer, nearest
from layerwise.graph import kinds
from layerwise.graph.kinds import Kind
from layerwise.words import parse_layer_name, shorten

FIELDS = ("kind", "inputs", "owner", "sensitivity", "frozen", "layers")
"""What a layer's description may say beside the options of its kind."""


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
            parts = {
                "name": parse_layer_name(name),
                "action": _action(kind, options),
                "inputs": _inputs(inputs),
                "owner": _text("owner", owner),
                "sensitivity": _text("sensitivity", sensitivity),
                "frozen": kinds.fit_type(frozen, bool, "frozen"),
                "layers": tuple(layers),
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
                raise InvalidLayer(f"expected a mapping with a kind, found {shorten(description)}")
            said = dict(description)
            if not isinstance(said.get("kind"), str):
                raise InvalidLayer("the kind is missing: write kind: NAME (`layerwise kinds` lists them)")
            children = said.pop("layers", None) or {}
            if not isinstance(children, Mapping):
                raise InvalidLayer(f"layers must be a mapping of names, found {shorten(children)}")
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
        named = type(error)(f"layer {path!r}{f' ({kind})' if kind else ''}: {error}")
        named.layer = path
        raise named from None


@contextmanager
def in_block(path: str) -> Iterator[None]:
    """Put the block's path in front of the layer that an error of ours names."""
    try:
        yield
    except Invalid as error:
        if error.layer is None:
            raise
        full = f"{path}.{error.layer}"
        named = type(error)(f"layer {full!r}{str(error).removeprefix(f'layer {error.layer!r}')}")
        named.layer = full
        raise named from None


def _called(name: object) -> str:
    return shorten(name).strip("'")


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
    raise InvalidLayer(
        f"a kind is a class, a kind with options or a name; found {shorten(kind)}"
        f"{'. Use lw.wrap(module, example) for a module that exists' if hasattr(kind, 'forward') else ''}"
    )


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
    raise InvalidLayer(f"the {what} must be a short text, found {shorten(value)}")


def unknown_input(name: str, known: Iterable[str]) -> str:
    """Return what to say of an input that is not there."""
    return f"the input {shorten(name)} is no layer here.{nearest(name, known)}"
