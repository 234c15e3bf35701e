"""A network: layers as the children of one ``nn.Module``, run one after the other in the graph's order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from layerwise.errors import InvalidShape
from layerwise.graph.layer import Layer
from layerwise.layers.base import NeuralKind, Value, rows_of
from layerwise.layers.blocks import BlockKind
from layerwise.layers.observed import Observe, observed


@dataclass(frozen=True, slots=True)
class Step:
    """One layer's turn: which slots it takes, and which nobody needs after it. Its own slot follows the entries'."""

    name: str
    kind: NeuralKind
    takes: tuple[int, ...]
    drops: tuple[int, ...]
    call: Callable[..., Value]
    block: bool


class Network(nn.Module):
    """The neural layers of a graph, or of a block.

    Attributes:
        entries: names of the layers whose outputs enter, in the order in which ``forward`` takes them.
        exit: name of the layer whose output leaves.
    """

    def __init__(
        self, layers: tuple[Layer, ...], modules: tuple[nn.Module, ...], takes: Mapping[str, tuple[str, ...]],
        *, entries: tuple[str, ...], exit: str,
    ) -> None:  # fmt: skip
        """Take the layers in the order in which they run, each with its module and the names of what it takes."""
        super().__init__()
        self.entries = entries
        self.exit = exit
        self._layers = {layer.name: layer for layer in layers}
        # Not add_module: it refuses what nn.Module uses itself, and a layer may be called "output" or "type".
        self._modules.update(zip(self._layers, modules, strict=True))
        self._steps, self._leaves = _plan(self._layers, takes, entries, exit)
        for module in self._frozen():
            module.requires_grad_(False)
        self.train()

    def forward(self, *inputs: Value | Mapping[str, Value], observe: Observe | None = None, prefix: str = "") -> Value:
        """Return what leaves ``exit``, [batch, ...].

        Args:
            inputs: the values that enter, in the order of ``entries``, or one mapping of them by name.
            observe: called with what left each layer, by its path; it costs nothing where not given.
            prefix: what stands before the paths that ``observe`` gets.
        """
        values = self._entering(inputs)
        for step in self._steps:
            taken = [values[slot] for slot in step.takes]
            if observe is not None:
                values.append(self._show(step, taken, observe, prefix))
            else:
                module = self._module(step.name)
                # A block's kind gets what the layers inside made, then what they got.
                values.append(step.call(module, *([module(*taken), *taken] if step.block else taken)))
            for slot in step.drops:
                values[slot] = None
        left: Value = values[self._leaves]
        return left

    def walk(self) -> Iterator[tuple[str, Layer]]:
        """Yield every layer in the network with its path, those in blocks and wrapped modules among them."""
        for layer in self._layers.values():
            yield from layer.walk()

    def _entering(self, inputs: tuple[Value | Mapping[str, Value], ...]) -> list[Any]:
        given = list(inputs)
        if len(given) == 1 and isinstance(given[0], Mapping):
            named = given[0]
            given = [named[name] for name in self.entries if name in named]
        if len(given) != len(self.entries):
            raise InvalidShape(
                f"the network takes {len(self.entries)} inputs ({', '.join(self.entries)}) and got {len(given)}"
            )
        return given

    def _module(self, name: str) -> nn.Module:
        return self._modules[name]  # type: ignore[return-value]

    def _show(self, step: Step, taken: list[Value], observe: Observe, prefix: str) -> Value:
        module, path = self._module(step.name), prefix + step.name
        inside = prefix if step.kind.transparent else f"{path}."
        if step.block:
            taken = [module(*taken, observe=observe, prefix=inside), *taken]
        if step.kind.described:
            with observed(module, observe, inside, rows_of(taken[0])):
                value = step.kind.call(module, *taken)
        else:
            value = step.kind.call(module, *taken)
        changed = observe(path, value)
        return value if changed is None else changed

    def train(self, mode: bool = True) -> Network:
        """Switch to training, all but frozen layers: those go on as they answer."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def _frozen(self) -> Iterator[nn.Module]:
        for name, layer in self._layers.items():
            yield from _frozen(layer, self._module(name))

    @property
    def plain(self) -> nn.Module:
        """The network as its users know it: itself, or the module that ``wrap`` was given (a copy of it)."""
        return self


class WrappedNetwork(Network):
    """The network of a wrapped model: a thin coat around one module, whose parameters and keys are its own."""

    def __init__(self, layer: Layer, module: nn.Module, entries: tuple[str, ...]) -> None:
        """Take the layer with the module, and the names of what enters it."""
        # In a tuple, so that nn.Module does not take it for a child with a name in front of its keys.
        object.__setattr__(self, "_held", (module,))
        super().__init__((layer,), (module,), {layer.name: entries}, entries=entries, exit=layer.name)
        self.__dict__.update(
            {
                name: module.__dict__[name]
                for name in ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set")
            }
        )

    @property
    def plain(self) -> nn.Module:
        """The module itself."""
        held: tuple[nn.Module] = self.__dict__["_held"]
        return held[0]

    def _module(self, name: str) -> nn.Module:
        return self.plain

    def _apply(self, fn: Any, recurse: bool = True) -> WrappedNetwork:
        # Moving to a device is the module's own affair: recurrent ones keep flat copies of their weights.
        self.plain._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the module's own ``state_dict``."""
        return self.plain.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load the module's own ``state_dict``."""
        return self.plain.load_state_dict(*args, **kwargs)

    def train(self, mode: bool = True) -> WrappedNetwork:
        """Switch the module to training, all but its frozen parts."""
        self.training = mode
        self.plain.train(mode)
        for module in self._frozen():
            module.eval()
        return self


def _frozen(layer: Layer, module: nn.Module) -> Iterator[nn.Module]:
    if layer.frozen:
        yield module
    elif layer.action.described:
        for child in layer.layers:
            yield from _frozen(child, module.get_submodule(child.name))


def _plan(
    layers: Mapping[str, Layer], takes: Mapping[str, tuple[str, ...]], entries: tuple[str, ...], exit: str
) -> tuple[tuple[Step, ...], int]:
    """Return the steps and the slot that leaves."""
    slots = {name: slot for slot, name in enumerate([*entries, *layers])}
    taken = {name: tuple(slots[source] for source in takes[name]) for name in layers}
    last = {slot: name for name, inputs in taken.items() for slot in inputs}
    last.pop(slots[exit], None)
    steps = []
    for name, layer in layers.items():
        drops = tuple(slot for slot, user in last.items() if user == name)
        kind = layer.action
        assert isinstance(kind, NeuralKind)
        steps.append(Step(name, kind, taken[name], drops, kind.call, isinstance(kind, BlockKind)))
    return tuple(steps), slots[exit]
