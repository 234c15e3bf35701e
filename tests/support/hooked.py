"""What leaves every layer, found without Layerwise's own ways of looking: plain hooks on the plain module, torch alone.

The data layers are run one after the other over whole columns; the module is called in batches of the size that every
answer is computed in, filled up with the *first* row of the batch, where the engine takes the last: what stands beside
a row must not matter. Where a layer is no module of its own (rows joined, a pool over time, the function after a
module), its few lines of torch stand here a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from layerwise.data.dataset import Dataset
from layerwise.engine.version import Version
from layerwise.graph.layer import Layer
from layerwise.layers.base import DataKind, Padded, Value, as_tensor

BATCH = 64
"""Rows that answers are computed in; said here again, so that a change there is seen."""

Values = dict[str, Value]


def hooked(version: Version, dataset: Dataset, positions: Sequence[int]) -> Values:
    """Return what leaves each layer of a version for some rows of a dataset, [rows, ...], in the order given.

    A part that runs again is told as ``name:2``, ``name:3``; one of which torch shows nothing is left out.
    """
    data = chain(version, dataset, positions)
    module = version.module().eval()
    entries = [as_ready(data[name]) for name in entering(version)]
    pieces: list[Values] = []
    for start in range(0, len(positions), BATCH):
        rows = torch.arange(start, min(start + BATCH, len(positions)))
        filled = torch.cat([rows, rows[:1].expand(BATCH - len(rows))])
        found = _forward(version, module, [take(value, filled) for value in entries])
        pieces.append({name: take(value, torch.arange(len(rows))) for name, value in found.items()})
    return {**data, **joined(pieces)}


def chain(version: Version, dataset: Dataset, positions: Sequence[int]) -> Values:
    """Return what leaves each data layer, run by hand over all rows, one layer after the other."""
    table = dataset.table()
    found: Values = {}
    for name, inputs in version.model.wiring.items():
        layer = version.model.by_name[name]
        if isinstance(layer.action, DataKind):
            given = [table.column(read).combine_chunks() for read in layer.action.reads] or [found[i] for i in inputs]
            given = [one.chunk(0) if isinstance(one, pa.ChunkedArray) else one for one in given]
            found[name] = layer.action.run(*given, state=version.states.get(name, {}))
    wanted = torch.as_tensor(np.asarray(positions, dtype=np.int64))
    return {name: take(value, wanted) for name, value in found.items()}


def entering(version: Version) -> list[str]:
    """Return the data layers whose values enter the network, in the order in which it takes them."""
    graph = version.model
    data = [name for name in graph.by_name if isinstance(graph.by_name[name].action, DataKind)]
    takes = [source for name, inputs in graph.wiring.items() if graph.by_name[name].action.role == "neural"
             for source in inputs]  # fmt: skip
    return [name for name in data if name in takes]


def as_ready(value: Value) -> Value:
    """Return a value as a network takes it."""
    return as_tensor(value) if isinstance(value, pa.Array) else value


def take(value: Value, rows: Tensor) -> Value:
    """Return some rows of a value."""
    if isinstance(value, pa.Array):
        return value.take(pa.array(rows.numpy()))
    if isinstance(value, Padded):
        return Padded(value.values[rows], value.lengths[rows])
    return as_tensor(value)[rows]


def joined(pieces: Sequence[Values]) -> Values:
    """Return values given piece by piece as one each."""
    found: Values = {}
    for name in pieces[0]:
        parts = [piece[name] for piece in pieces]
        if isinstance(parts[0], Padded):
            padded = [part for part in parts if isinstance(part, Padded)]
            found[name] = Padded(torch.cat([p.values for p in padded]), torch.cat([p.lengths for p in padded]))
        else:
            found[name] = torch.cat([as_tensor(part) for part in parts])
    return found


def _forward(version: Version, module: nn.Module, given: list[Value]) -> Values:
    seen: dict[str, Any] = {}
    wrapped = version.model.layers
    transparent = [layer for layer in wrapped if layer.action.role == "neural" and _is_whole(layer)]
    with torch.inference_mode(), _watching(module, seen, whole=bool(transparent)):
        answered = module(*[as_tensor(value) for value in given] if transparent else given)
    if transparent:
        kind = transparent[0].action
        output = getattr(kind, "output", None)
        answered = answered if output is None else answered[output]
        return {**{name: one for name, one in seen.items() if _holds(one)}, transparent[0].name: answered}
    before = dict(zip(entering(version), given, strict=True))
    with torch.inference_mode():
        return _read(version, before, seen, module)


def _is_whole(layer: Layer) -> bool:
    return bool(getattr(layer.action, "transparent", False))


def _holds(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == BATCH


@contextmanager
def _watching(module: nn.Module, seen: dict[str, Any], *, whole: bool) -> Iterator[None]:
    """Keep a copy of what leaves each submodule: by a hook on each, or on all where hooks would change the way."""
    visits: Counter[str] = Counter()

    def keep(path: str, output: Any) -> None:
        visits[path] += 1
        name = path if visits[path] == 1 else f"{path}:{visits[path]}"
        first = output[0] if type(output) is tuple and output else output
        seen[name] = first.clone() if isinstance(first, Tensor) else first

    paths = {part: path for path, part in module.named_modules() if path}
    if whole:
        # Torch leaves its fused kernels where a module has hooks of its own; a hook on all modules leaves them on.
        handles = [register_module_forward_hook(lambda part, _, out: keep(paths[part], out) if part in paths else None)]
    else:
        handles = [part.register_forward_hook(lambda _, __, out, path=path: keep(path, out))
                   for part, path in paths.items()]  # fmt: skip
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _read(version: Version, before: Mapping[str, Value], seen: Mapping[str, Any], module: nn.Module) -> Values:
    """Return what left the named layers, given what left their modules."""
    found: Values = {}
    for name, inputs in version.model.wiring.items():
        layer = version.model.by_name[name]
        if layer.action.role == "neural":
            found.update(_layer(layer, name, [{**before, **found}[source] for source in inputs], seen, module))
    return found


def _layer(layer: Layer, path: str, given: list[Value], seen: Mapping[str, Any], module: nn.Module) -> Values:
    if layer.layers and layer.kind == "block.v1":
        inside: Values = {}
        previous = given
        for child in layer.layers:
            assert not child.inputs, "the examples' blocks are chains"
            inside.update(_layer(child, f"{path}.{child.name}", previous, seen, module))
            previous = [inside[f"{path}.{child.name}"]]
        return {**inside, path: previous[0]}
    return {path: _left(layer, given, seen.get(path), module.get_submodule(path))}


def _left(layer: Layer, given: list[Value], output: Any, module: nn.Module) -> Value:
    """Return what left a layer: what left its module, and what its kind does beside it."""
    kind, first = layer.kind, given[0]
    lengths = first.lengths if isinstance(first, Padded) else None
    if kind == "permute.v1":
        return as_tensor(first).transpose(1, 2)
    if kind == "concatenate.v1":
        return torch.cat([as_tensor(value) for value in given], dim=-1)
    if kind == "pool_over_time.v1":
        assert isinstance(first, Padded)
        rows = [row[:length].amax(0) for row, length in zip(first.values, first.lengths.tolist(), strict=True)]
        return torch.stack(rows)
    if kind == "torch.nn.GRU":
        if not isinstance(first, Padded):
            return output[:, -1]
        if layer.describe().get("returns") == "all":
            return _heard(module, first)
        return torch.stack([row[int(n) - 1] for row, n in zip(output, first.lengths, strict=True)])
    assert isinstance(output, Tensor), f"no hook fired for {layer.name} ({kind})"
    activation = layer.describe().get("activation")
    output = getattr(torch, activation)(output) if activation else output
    keeps = lengths is not None and kind in ("torch.nn.Embedding", "torch.nn.Dropout")
    return Padded(output, lengths) if keeps and lengths is not None else output


def _heard(module: nn.Module, rows: Padded) -> Padded:
    """Return what a GRU of two directions makes of rows of different lengths.

    Ahead, padding comes after everything that counts. For the way back every row is moved to the end, so that what
    the module reads first is the row's true last step.
    """
    width = rows.values.shape[1]
    half = module.hidden_size
    moved = torch.stack([row.roll(width - int(n), 0) for row, n in zip(rows.values, rows.lengths, strict=True)])
    back = module(moved)[0][:, :, half:]
    back = torch.stack([row.roll(int(n) - width, 0) for row, n in zip(back, rows.lengths, strict=True)])
    return Padded(torch.cat([module(rows.values)[0][:, :, :half], back], dim=2), rows.lengths)
