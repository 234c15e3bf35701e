"""What a network raised while it ran, told as ours: which layer, what it says, what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from layerwise.errors import Invalid, InvalidConfig, InvalidData, InvalidShape
from layerwise.graph.layer import Layer, at_layer
from layerwise.layers.arguments import is_torch
from layerwise.layers.base import Value
from layerwise.layers.classes import file_of
from layerwise.layers.modules import TorchModule
from layerwise.layers.network import Network
from layerwise.layers.probe import first_line, memory_asked, where_raised

# Sizes are checked before anything runs; these follow from values, or from how many rows a step has.
_KNOWN: tuple[tuple[str, type[Invalid], str], ...] = (
    (
        "index out of range in self",
        InvalidData,
        "it gets a number for which it has no row; set num_embeddings above the largest, or put `category` before it",
    ),
    (
        "Expected more than 1 value per channel when training",
        InvalidConfig,
        "it gets one row, and it needs two or more to train; use a larger batch",
    ),
)


def explained(network: Network, inputs: Sequence[Value], error: Exception) -> Invalid:
    """Return what ``network`` raised for ``inputs`` as an error of ours that names the layer.

    The pass itself keeps no names, which would cost every step: it is run once more, observed.

    Example:
        >>> explained(network, [rows], IndexError("index out of range in self"))  # doctest: +SKIP
        InvalidData("layer 'words' (torch.nn.Embedding): it gets a number for which it has no row; …")
    """
    layers = dict(network.walk())
    path = None if "device-side assert" in str(error) else _failing(network, list(layers), inputs)
    told = _told(error, layers.get(path or ""))
    if path is None:
        return told
    try:
        with at_layer(path, layers[path].kind):
            raise told
    except Invalid as named:
        return named


@contextlib.contextmanager
def enough_memory(rows: int) -> Iterator[None]:
    """Say InvalidConfig with the cure where memory is full in a step of ``rows`` rows."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        asked = memory_asked(error)
        if asked is None:
            raise
        raise InvalidConfig(
            f"there is not enough memory for a step of {rows:,} rows{asked}; use a smaller batch or smaller layers"
        ) from error


def _failing(network: Network, paths: list[str], inputs: Sequence[Value]) -> str | None:
    """Return the path of the innermost layer that nothing leaves, or None where something leaves every one."""
    seen: set[str] = set()

    def observe(path: str, value: Value) -> None:
        seen.add(path)

    with contextlib.suppress(Exception):
        network(*inputs, observe=observe)
    missing = [path for path in paths if path not in seen]
    found = missing[0] if missing else None
    while inner := [path for path in missing if path.startswith(f"{found}.")]:
        found = inner[0]
    return found


def _told(error: Exception, layer: Layer | None) -> Invalid:
    asked = memory_asked(error)
    if asked is not None:
        return InvalidConfig(f"there is not enough memory{asked}; use a smaller batch or smaller layers")
    for sign, kind, said in _KNOWN:
        if sign in str(error):
            return kind(said)
    of = layer.action.of if layer is not None and isinstance(layer.action, TorchModule) else None
    where = where_raised(error, file_of(of)) if of is not None and not is_torch(of) else ""
    return InvalidShape(f"it raised {type(error).__name__}: {first_line(error)}{where}")
