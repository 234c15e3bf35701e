"""What follows a layer, as a module of its own: from what left the layer to one score a row, so that gradients flow."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from layerwise.engine.looking.asking import Looking
from layerwise.engine.looking.rows import Chosen
from layerwise.engine.rows import ready
from layerwise.errors import InvalidData
from layerwise.layers.base import Padded, Value, as_tensor
from layerwise.layers.cut import Route
from layerwise.layers.steps import Network


class Tail(nn.Module):
    """What follows a layer: from what left it, and what else enters, to the score that is explained.

    Args:
        looking: what the views of the version share.
        path: the layer's path.
        value: what left it for the rows, [rows, ...].
        chosen: the rows.

    Raises:
        InvalidData: a data layer that does not enter the network.
    """

    def __init__(self, looking: Looking, path: str, value: Value, chosen: Chosen) -> None:
        super().__init__()
        computer = looking.computer
        self.network: Network = computer.live.network
        self._enters = path in computer.data_names
        if self._enters and path not in self.network.entries:
            raise InvalidData(
                f"layer {path!r}: data layers have no gradients; ask one that enters the network: "
                f"{', '.join(self.network.entries)}"
            )
        exit = self.network.exit
        way = computer.route([] if self._enters else [path], [exit] if exit != path else [])
        # In a tuple: what is in attributes of their own would be copied and moved as parts of this module.
        self._held = (way,)
        self._path = path
        self._lengths = value.lengths if isinstance(value, Padded) else None
        names = [name for name in self.network.entries if name in way.entries and name != path]
        self.rest = entering(looking, chosen, names)

    @property
    def _way(self) -> Route:
        return self._held[0]

    @property
    def extra(self) -> tuple[Tensor, ...]:
        """What else enters, as tensors, [rows, ...] each: of padded ones values, then lengths; last the layer's own."""
        return (*tensors_of(self.rest), *([self._lengths] if self._lengths is not None else []))

    def outputs(self, given: Tensor, *extra: Tensor) -> Tensor:
        """Return what reaches the answer, [rows, ...], where ``given`` leaves the layer."""
        inputs, left = values_of(self.rest, list(extra))
        value: Value = Padded(given, left[0]) if self._lengths is not None else given
        if self._enters:
            return _reaches(self._way, {**inputs, self._path: value}, {}, value)
        return _reaches(self._way, inputs, {self._path: value}, value)

    def forward(self, given: Tensor, *more: Tensor) -> Tensor:
        """Return the score of each row, [rows]: ``more`` ends with its place in the outputs, and its sign there."""
        *extra, places, signs = more
        return scores(self.outputs(given, *extra), places, signs)


class Whole(nn.Module):
    """All of a network, from what enters it; what leaves one layer goes through ``probe``."""

    def __init__(self, looking: Looking, path: str, chosen: Chosen) -> None:
        super().__init__()
        self.network: Network = looking.computer.live.network
        self.probe = nn.Identity()
        self._path = path
        self._held = (
            looking.computer.route([], [self.network.exit, path] if path not in looking.computer.data_names else []),
        )
        self.rest = entering(looking, chosen, self.network.entries)
        for name, value in self.rest.items():
            if not as_tensor(value).is_floating_point():
                raise InvalidData(
                    f"internal_influence goes from nothing to what enters, and {name!r} enters as whole numbers; "
                    f"use integrated_gradients"
                )

    def forward(self, *more: Tensor) -> Tensor:
        """Return the score of each row, [rows]: ``more`` is values, then lengths of padded ones, places and signs."""
        values, lengths = list(more[: len(self.rest)]), list(more[len(self.rest) : -2])
        inputs: dict[str, Value] = {}
        for (name, was), value in zip(self.rest.items(), values, strict=True):
            inputs[name] = Padded(value, lengths.pop(0)) if isinstance(was, Padded) else value
        if self._path in inputs:
            inputs[self._path] = self._probed(inputs[self._path])
        seen: list[Value] = []

        def observe(path: str, value: Value) -> Value | None:
            if path == self.network.exit:
                seen.append(value)
            return self._probed(value) if path == self._path else None

        left = self._held[0].run(inputs, {}, observe)
        return scores(as_tensor(seen[-1] if left is None else left), more[-2], more[-1])

    def _probed(self, value: Value) -> Value:
        left: Tensor = self.probe(as_tensor(value))
        return Padded(left, value.lengths) if isinstance(value, Padded) else left


def scores(outputs: Tensor, places: Tensor, signs: Tensor) -> Tensor:
    """Return one number of each row of outputs [rows, ...], [rows].

    >>> import torch
    >>> scores(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 0]), torch.tensor([1.0, -1.0])).tolist()
    [2.0, -3.0]
    """
    return outputs.flatten(1).gather(1, places[:, None])[:, 0] * signs


def entering(looking: Looking, chosen: Chosen, names: tuple[str, ...] | list[str]) -> dict[str, Value]:
    """Return what enters the network for rows, by name."""
    found = looking.computer.values(chosen, list(names)) if names else {}
    return {name: ready(looking.opened.model, name, found[name]) for name in names}


def tensors_of(values: Mapping[str, Value]) -> list[Tensor]:
    """Return values as tensors, [rows, ...] each: of padded ones their values, then their lengths."""
    return [part for value in values.values() for part in (value if isinstance(value, Padded) else (as_tensor(value),))]


def values_of(like: Mapping[str, Value], tensors: list[Tensor]) -> tuple[dict[str, Value], list[Tensor]]:
    """Return the values that ``tensors_of`` took apart, and the tensors that are left over."""
    found: dict[str, Value] = {}
    for name, was in like.items():
        found[name] = Padded(tensors.pop(0), tensors.pop(0)) if isinstance(was, Padded) else tensors.pop(0)
    return found, tensors


def _reaches(way: Route, inputs: Mapping[str, Value], given: Mapping[str, Value], value: Value) -> Tensor:
    seen: list[Value] = []
    exit = way.network.exit

    def observe(path: str, left: Value) -> None:
        if path == exit:
            seen.append(left)

    left = way.run(inputs, given, observe)
    return as_tensor(seen[-1] if seen else value if left is None else left)
