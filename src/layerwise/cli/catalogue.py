"""Every kind as plain data: its role, what it does, its options with types, defaults and meanings."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerwise.errors import InvalidLayer, nearest
from layerwise.words import shorten

if TYPE_CHECKING:
    from layerwise.graph.kinds import Kind

GIVEN = "follows from the input"
"""What is said of a size that nobody has to write."""

_ROLE_WORD = re.compile(r":[a-z:]+:`~?([^`<]*?)(?: <[^`]*>)?`|``([^`]*)``|`([^`]*)`|:math:`[^`]*`")
_ENTRY = re.compile(r"([a-z_]\w*(?:, [a-z_]\w*)*)(?: \([^)]*\))?: (.*)\Z")


@dataclass(frozen=True)
class Option:
    """One option of a kind. ``default`` is its text; empty where the option must be given."""

    name: str
    type: str
    default: str
    meaning: str = ""


@dataclass(frozen=True)
class About:
    """One kind: ``scale`` or ``torch.nn.Conv2d``. ``group`` is the file family of torch's own."""

    name: str
    title: str
    role: str
    group: str
    does: str
    options: tuple[Option, ...]


def every_kind() -> list[About]:
    """Return every registered kind and every class of ``torch.nn`` that is a layer."""
    from layerwise.graph import kinds
    from layerwise.layers.classes import torch_classes

    registered = [_registered(name, kind) for name, kind in kinds.registered().items()]
    return [*registered, *(_torch(title, cls) for title, cls in torch_classes().items())]


def one_kind(name: str) -> About:
    """Return the kind called ``name``: ``scale``, ``scale.v1``, ``torch.nn.Conv2d``, ``Conv2d`` or an own class.

    Raises:
        InvalidLayer: with the nearest name.
    """
    from layerwise.layers.classes import find_class

    known = {about.name: about for about in every_kind()}
    names = {**{about.name.rpartition(".")[2]: about for about in known.values()}, **known}
    names |= {about.title: about for about in known.values()}
    if name in names:
        return names[name]
    own = find_class(name)
    if own is not None:
        return _torch(name, own)
    raise InvalidLayer(f"there is no kind {shorten(name)}.{nearest(name, names)}")


def _registered(name: str, kind: type[Kind]) -> About:
    from layerwise.graph.kinds import describe_type

    meanings = {name: said for base in reversed(kind.__mro__) for name, said in _meanings(base).items()}
    hints = typing.get_type_hints(kind)
    options = tuple(
        Option(
            field.name,
            describe_type(hints[field.name]),
            _default(field),
            meanings.get(field.name, "").replace("``", "").removesuffix("."),
        )
        for field in dataclasses.fields(kind)
    )
    return About(name, f"{name}.v{kind.version}", kind.role, "", _first_line(kind), options)


def _torch(title: str, cls: type[Any]) -> About:
    from layerwise.graph.kinds import describe_type
    from layerwise.layers.arguments import FIXED, SIZES, arguments_of

    options = tuple(
        Option(name, describe_type(argument.hint) if argument.hint is not Any else "a value",
               GIVEN if name in SIZES else "" if argument.required else _shown(argument.default))
        for name, argument in arguments_of(cls).items()
        if argument.hint is not None and name not in FIXED and not name.startswith("_")
    )  # fmt: skip
    activation = Option("activation", "a function of torch by name", "nothing")
    named = any(option.name == "activation" for option in options)
    family = cls.__module__.rpartition(".")[2] if title.startswith("torch.") else ""
    return About(title, title, "neural", family, _first_line(cls), options if named else (*options, activation))


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return _shown(field.default)
    return _shown(field.default_factory()) if field.default_factory is not dataclasses.MISSING else ""


def _shown(value: Any) -> str:
    from layerwise.graph.kinds import plain
    from layerwise.graph.scalars import write_flow

    try:
        return "nothing" if value is None else str(write_flow(plain(value)))
    except Exception:  # a class of one's own may have any default; it is only shown
        return repr(value)[:60]


def _first_line(cls: type[Any]) -> str:
    paragraph = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    plain = _ROLE_WORD.sub(lambda found: next((part for part in found.groups() if part), ""), paragraph)
    sentence = re.split(r"(?<!e\.g)(?<!i\.e)\.(?:\s|$)", plain, maxsplit=1)[0]
    return re.sub(r"\s+", " ", sentence).strip()


def _meanings(cls: type[Any]) -> dict[str, str]:
    """Return what the ``Args:`` of a docstring say of each name."""
    found: dict[str, str] = {}
    names: list[str] = []
    for text in _arguments(inspect.cleandoc(cls.__doc__ or "")):
        entry = _ENTRY.match(text) if not text.startswith(" ") else None
        if entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        else:
            found |= {name: f"{found[name]} {text.strip()}" for name in names}
    return found


def _arguments(doc: str) -> Iterator[str]:
    _, _, rest = doc.partition("\nArgs:\n")
    for text in rest.splitlines():
        if text and not text.startswith(" "):
            return
        if text.strip():
            yield text.removeprefix("    ")


def by_group(found: list[About]) -> Mapping[str, list[About]]:
    """Return torch's own kinds by family, sorted."""
    groups: dict[str, list[About]] = {}
    for about in found:
        if about.group:
            groups.setdefault(about.group, []).append(about)
    return dict(sorted(groups.items()))
