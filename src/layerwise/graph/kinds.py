"""Kinds: what a layer does, and the registry in which built-in kinds and a user's stand side by side.

A kind is a frozen dataclass; its fields are the layer's options. It enters by the decorator, and a package offers
its kinds by an entry point in the group ``layerwise.kinds`` that names a module. Layerwise's own enter so too.

>>> @register("double")
... @dataclass(frozen=True)
... class Double(Kind):
...     role = "data"
...     def infer(self, inputs, state=None):
...         return inputs[0]
>>> make("double", {}).title
'double.v1'
"""

from __future__ import annotations

import abc
import dataclasses
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal, Self, TypeVar

from layerwise.errors import InvalidLayer, nearest
from layerwise.graph.ports import Port
from layerwise.words import MAX_NAME, shorten

Role = Literal["data", "neural", "answer"]

ENTRY_POINTS = "layerwise.kinds"

FIELDS = ("kind", "inputs", "owner", "sensitivity", "frozen", "layers")
"""What a layer's description may say beside the options of its kind: no option can be called so."""

MAX_VERSION = 10_000
"""Versions of a kind count from 1 to below this."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\Z")


@dataclass(frozen=True)
class Kind(abc.ABC):
    """What a layer does: abstract. A subclass is a frozen dataclass whose fields are the options.

    Class attributes:
        name, version: set by ``register``; ``standardize.v1`` in descriptions.
        role: ``data`` (runs on rows before anything learns by gradient), ``neural``, or ``answer``.
        arity: fewest and most inputs; None is any number.
        nests: layers may stand inside, and run as part of this one.
        described: the layers inside are told of, not wired: the layer's module runs them itself.

    Example:
        >>> make("scale", {"by": 16}).title
        'scale.v1'
        >>> make("scale", {"by": 16}).options()
        {'by': 16.0}
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    role: ClassVar[Role] = "data"
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    nests: ClassVar[bool] = False
    described: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """The kind as descriptions write it, e.g. ``scale.v1``."""
        return f"{self.name}.v{self.version}"

    @property
    def reads(self) -> tuple[str, ...]:
        """The dataset's columns that the layer takes as its inputs, in place of other layers."""
        return ()

    @property
    def transparent(self) -> bool:
        """Whether the paths of the layers inside leave this layer's own name out."""
        return False

    @property
    def code(self) -> dict[str, str]:
        """The user's source that the layer runs, by qualified name: kept to be read, compared and put in keys."""
        return {}

    @abc.abstractmethod
    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the port of what leaves the layer.

        Args:
            inputs: the ports of the inputs (of the columns read, where ``reads`` names any).
            state: what the layer has learned, once it has; sizes that follow from it are None before.

        Raises:
            InvalidShape: what was found, what was expected, the cure. The caller adds the layer's name.
        """

    def options(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, as JSON values."""
        found = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != _default(field):
                found[field.name] = plain(value)
        return found

    def fitted(self) -> Self:
        """Return the kind with each option as its field's type wants it, as a file would give it: 16 becomes 16.0.

        Raises:
            InvalidLayer: an option that does not fit its type.
        """
        hints = typing.get_type_hints(type(self))
        changed = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            fits = fit_type(value, hints[field.name], field.name)
            # By their text, since 16 == 16.0; a mapping keeps its own type.
            if not isinstance(value, Mapping) and repr(fits) != repr(value):
                changed[field.name] = fits
        return dataclasses.replace(self, **changed) if changed else self

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Kind:
        """Return the kind with these options, each held to its field's type, or raise InvalidLayer."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        hints = typing.get_type_hints(cls)
        for key in options:
            if key not in fields:
                raise InvalidLayer(f"there is no option {shorten(key)}.{nearest(key, fields) or ' It takes none.'}")
        for name, field in fields.items():
            if name not in options and _default(field) is dataclasses.MISSING:
                raise InvalidLayer(f"the option {name!r} ({describe_type(hints[name])}) is missing: write {name}: …")
        return cls(**{key: fit_type(value, hints[key], key) for key, value in options.items()})


def _default(field: dataclasses.Field[Any]) -> Any:
    """Return an option's default, or MISSING where it has none."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


K = TypeVar("K", bound=Kind)

Resolver = Callable[[str, Mapping[str, Any]], Kind | None]

_kinds: dict[str, dict[int, type[Kind]]] = {}
_resolvers: list[Resolver] = []
_synonyms: dict[str, str] = {}
_admitted: set[str] = set()
_loaded = False


def register(name: str, version: int = 1) -> Callable[[type[K]], type[K]]:
    """Return a decorator that enters a Kind under ``name``. A better one is a new version; old ones still load.

    Args:
        name: what descriptions call the kind, e.g. ``bottleneck``; it becomes ``bottleneck.v1``.
        version: the kind's version, from 1. A kind that is in use never changes what it computes.

    Raises:
        InvalidLayer: the name breaks the grammar or is taken at that version by another class; an option has a name
            that every layer has.

    Example:
        >>> @register("same")
        ... @dataclass(frozen=True)
        ... class Same(Kind):
        ...     def infer(self, inputs, state=None):
        ...         return inputs[0]
        >>> make("same.v1", {}) == Same()
        True
    """
    _hold_title(name, version)

    def enter(cls: type[K]) -> type[K]:
        _hold_fields(name, cls)
        versions = _kinds.setdefault(name, {})
        taken = versions.get(version)
        if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise InvalidLayer(
                f"the kind {name}.v{version} is {taken.__qualname__} already; use another name or version"
            )
        cls.name, cls.version = name, version
        versions[version] = cls
        return cls

    return enter


def _hold_title(name: object, version: object) -> None:
    if not isinstance(name, str) or len(name) > MAX_NAME or not _NAME.match(name) or _split(name)[1] is not None:
        raise InvalidLayer(
            f"{shorten(name)} cannot name a kind: expected a letter, then letters, digits, '_', '-' and '.', at most "
            f"{MAX_NAME} characters, without its version"
        )
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version < MAX_VERSION:
        raise InvalidLayer(f"the version of the kind {name!r} is {shorten(version)}; expected a whole number from 1")


def _hold_fields(name: str, cls: type[Kind]) -> None:
    for field in dataclasses.fields(cls):
        if field.name in ("name", *FIELDS):
            raise InvalidLayer(
                f"the kind {name!r} has the option {field.name!r}, which every layer has; rename the field"
            )


def register_resolver(resolver: Resolver, synonyms: Mapping[str, str] = types.MappingProxyType({})) -> None:
    """Enter a family of kinds that is found by rule, such as every class of ``torch.nn``.

    Args:
        resolver: takes a kind's name and the options, returns the kind, or None where the name is not of its family.
        synonyms: other words that people use, to be answered with the right one.
    """
    _resolvers.append(resolver)
    _synonyms.update(synonyms)


def admit(title: str) -> None:
    """Note that the running program itself named a class: descriptions may name it too from now on."""
    _admitted.add(title)


def is_admitted(title: str) -> bool:
    """Tell whether the running program itself named the class called ``title``."""
    return title in _admitted


def load() -> None:
    """Load every module that an installed package offers under the entry point group, once."""
    global _loaded
    if _loaded:
        return
    _loaded = True
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            point.load()
        except Exception as error:
            _loaded = False
            raise InvalidLayer(
                f"the kinds of {point.value!r} (entry point {point.name!r}) do not load: {error}"
            ) from error


def registered() -> dict[str, type[Kind]]:
    """Return the newest version of every registered kind by name, sorted."""
    load()
    return {name: versions[max(versions)] for name, versions in sorted(_kinds.items())}


def make(kind: str, options: Mapping[str, Any]) -> Kind:
    """Return the kind called ``kind`` (``scale``, ``scale.v1``, ``torch.nn.Conv2d``) with ``options``.

    Raises:
        InvalidLayer: unknown kind, version or option, with the nearest right name.
    """
    load()
    name, version = _split(kind)
    versions = _kinds.get(name)
    if versions is not None:
        if version is not None and version not in versions:
            raise InvalidLayer(f"there is no version {version} of {name!r}; there is {_listed(versions)}")
        return versions[version or max(versions)].from_options(options)
    for resolver in _resolvers:
        found = resolver(kind, options)
        if found is not None:
            return found
    raise InvalidLayer(f"there is no kind {shorten(kind)}.{_suggest(kind)}")


def shortest(title: str) -> str:
    """Return a kind's title as people write it: without its version where that is the newest there is."""
    name, version = _split(title)
    newest = registered().get(name)
    return name if newest is not None and version == newest.version else title


def _split(kind: str) -> tuple[str, int | None]:
    stem, dot, tail = kind.rpartition(".v")
    number = tail.isascii() and tail.isdecimal() and len(tail) < 5
    return (stem, int(tail)) if dot and number else (kind, None)


def _listed(versions: Mapping[int, type[Kind]]) -> str:
    return ", ".join(f"v{number}" for number in sorted(versions))


def _suggest(kind: str) -> str:
    right = _synonyms.get(kind.lower())
    return f" Did you mean {right!r}?" if right else nearest(kind, [*_kinds, *_synonyms.values()])


def plain(value: Any) -> Any:
    """Return an option as a JSON value: tuples become lists, kinds in options become mappings."""
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return value


def describe_type(hint: Any) -> str:
    """Return a type as a person would say it, e.g. ``a list of whole numbers``."""
    if typing.get_origin(hint) is Literal:
        return " or ".join(repr(value) for value in typing.get_args(hint))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(describe_type(inner) for inner in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        first, *rest = typing.get_args(hint)
        count = "" if Ellipsis in rest else f"{1 + len(rest)} "
        inner = describe_type(first)
        return f"a list of {count}values, each {inner}" if " or " in inner else f"a list of {count}{inner[2:]}s"
    if typing.get_origin(hint) is not None and issubclass(typing.get_origin(hint), Mapping):
        return "a mapping"
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "nothing"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def fit_type(value: Any, hint: Any, option: str) -> Any:
    """Return ``value`` as the option's type wants it (lists become tuples), or raise InvalidLayer."""
    fitted = _fitted(value, hint)
    if fitted is _NOT:
        raise InvalidLayer(f"the option {option!r} is {shorten(value)}; expected {describe_type(hint)}")
    return fitted


_NOT: Any = object()


def _fitted(value: Any, hint: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or origin is Callable:
        return value
    if origin is Literal:
        return value if any(value == known and type(value) is type(known) for known in arguments) else _NOT
    if origin in (typing.Union, types.UnionType):
        return next((found for inner in arguments if (found := _fitted(value, inner)) is not _NOT), _NOT)
    if origin is tuple:
        return _fitted_tuple(value, arguments)
    if origin is not None and issubclass(origin, Mapping):
        return dict(value) if isinstance(value, Mapping) else _NOT
    return _fitted_scalar(value, hint)


def _fitted_tuple(value: Any, arguments: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        return _NOT
    hints = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
    if len(hints) != len(value):
        return _NOT
    inner = [_fitted(item, hint) for item, hint in zip(value, hints, strict=True)]
    return _NOT if any(item is _NOT for item in inner) else tuple(inner)


def _fitted_scalar(value: Any, hint: Any) -> Any:
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number and abs(value) <= sys.float_info.max else _NOT
    if hint is int and isinstance(value, bool):
        return _NOT
    return value if isinstance(value, typing.get_origin(hint) or hint) else _NOT
