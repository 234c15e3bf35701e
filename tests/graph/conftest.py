"""Small kinds for the tests of graphs, in a registry of their own: no kind that ships is needed, none is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest

from layerwise.errors import InvalidShape
from layerwise.graph import kinds
from layerwise.graph.kinds import Kind, Role
from layerwise.graph.ports import Port


@dataclass(frozen=True)
class Column(Kind):
    """Reads one column."""

    column: str
    shape: tuple[int, ...] = ()
    arity: ClassVar[tuple[int, int | None]] = (0, 0)

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        return Port(inputs[0].dtype, self.shape) if inputs[0].dtype != "unknown" else Port("float32", self.shape)


@dataclass(frozen=True)
class Scale(Kind):
    """Divides by a number."""

    by: float = 1.0

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        return Port("float32", inputs[0].shape)


@dataclass(frozen=True)
class Dense(Kind):
    """Multiplies by a matrix."""

    role: ClassVar[Role] = "neural"
    units: int
    activation: Literal["relu", "gelu"] | None = None

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        if len(inputs[0].shape) != 1:
            raise InvalidShape(f"it gets {inputs[0]} and takes one dimension; flatten it first")
        return Port("float32", (self.units,))


@dataclass(frozen=True)
class Join(Kind):
    """Adds its inputs up."""

    role: ClassVar[Role] = "neural"
    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        if len({port.shape for port in inputs}) > 1:
            raise InvalidShape(f"it gets {' and '.join(map(str, inputs))}; give it one shape")
        return inputs[0]


@dataclass(frozen=True)
class Anything(Kind):
    """Holds options of every JSON type."""

    role: ClassVar[Role] = "neural"
    arity: ClassVar[tuple[int, int | None]] = (0, None)
    nests: ClassVar[bool] = True
    value: Any = None
    options_by_name: Mapping[str, Any] = field(default_factory=dict)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        return Port("float32")


@dataclass(frozen=True)
class Classes(Kind):
    """Answers with a class."""

    role: ClassVar[Role] = "answer"
    target: str

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.target,)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        return Port("string")


@dataclass(frozen=True)
class TorchClass(Kind):
    """Stands for a family that is found by rule: any class of ``torch.nn``, with any options."""

    role: ClassVar[Role] = "neural"
    called: str
    said: Mapping[str, Any]

    @property
    def title(self) -> str:
        return self.called

    def options(self) -> dict[str, Any]:
        return dict(self.said)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        return inputs[0]


def find_torch(kind: str, options: Mapping[str, Any]) -> Kind | None:
    """Return a kind for any name below ``torch.nn``."""
    return TorchClass(kind, options) if kind.startswith("torch.nn.") else None


NAMED: dict[str, type[Kind]] = {
    "column": Column,
    "scale": Scale,
    "dense": Dense,
    "join": Join,
    "block": Join,
    "anything": Anything,
    "classes": Classes,
}


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a registry with the small kinds alone, and put the real one back."""
    monkeypatch.setattr(kinds, "_kinds", {})
    monkeypatch.setattr(kinds, "_resolvers", [])
    monkeypatch.setattr(kinds, "_synonyms", {})
    monkeypatch.setattr(kinds, "_loaded", True)
    for name, kind in NAMED.items():
        # A class has one name: `block` is a class of its own.
        kinds.register(name)(type(kind.__name__, (kind,), {"nests": True}) if name == "block" else kind)
    kinds.register_resolver(find_torch, {"conv": "torch.nn.Conv2d"})
