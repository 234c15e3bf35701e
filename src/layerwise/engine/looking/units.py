"""A layer's units: their numbers and names, and which rows excite one most.

A *unit* is one number of a vector, one feature of a sequence [steps, units] and one map of maps [maps, height, width]:
of the last two a row's value is its largest over steps and places. Padding does not count, nor does NaN.

>>> by_unit(torch.tensor([[[[1.0, 5.0], [2.0, 3.0]], [[0.0, 0.0], [0.0, 9.0]]]])).tolist()
[[5.0, 9.0]]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.engine.cells import aligned, as_html
from layerwise.engine.looking.asking import Looking
from layerwise.engine.looking.names import column_names
from layerwise.engine.looking.opened import Opened
from layerwise.engine.looking.rows import Chosen, Positions
from layerwise.engine.looking.truth import truth_of
from layerwise.errors import InvalidData, NotFound, nearest
from layerwise.layers.answers import Classes
from layerwise.layers.base import Padded, Value, as_tensor
from layerwise.layers.targets import kept_labels, label_text
from layerwise.records.units import unit_index
from layerwise.words import shorten, visible

Unit: TypeAlias = int | str | Sequence[int]
"""A unit by its number or name, or one place of what leaves a layer."""

MAPS = 3
"""From so many dimensions of a row on, its first one counts units; below, its last one."""


@dataclass(frozen=True)
class TopRows:
    """The rows that excite a unit most, the first first; of equals the one that comes first in the dataset.

    Attributes:
        layer: the layer's path.
        unit: which unit.
        ids: the rows' ids.
        values: their values at the unit, [k].
        positions: where they are in the dataset, [k]; None for rows from elsewhere.
        truth: their true answers, where they are known.
        among: how many rows were looked through.
        source: ``kept``, where an index of what is kept answered, or ``computed``.
    """

    layer: str
    unit: str
    ids: tuple[str, ...]
    values: tuple[float, ...]
    positions: Positions | None
    truth: tuple[str, ...]
    among: int
    source: str

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def cells(self) -> list[list[str]]:
        """The head and one line a row, as text."""
        return ranked_cells(self.ids, self.values, self.truth, f"{self.layer}[{self.unit}]")

    def __str__(self) -> str:
        return aligned(self.cells)

    def _repr_html_(self) -> str:
        return as_html(self.cells)


def ranked_cells(ids: Sequence[str], values: Sequence[float], truth: Sequence[str], what: str) -> list[list[str]]:
    """Return rows with a number each as a table of text, with their truth where it is known."""
    head = ["row", visible(what), *(["truth"] if truth else [])]
    lines = [[visible(name), f"{value:.6g}"] for name, value in zip(ids, values, strict=True)]
    return [head, *([*line, visible(truth[at])] if truth else line for at, line in enumerate(lines))]


def top_rows(looking: Looking, path: str, unit: Unit, k: int, *, lowest: bool = False, among: Any = None) -> TopRows:
    """Return the ``k`` rows whose values at a unit are largest, or lowest.

    Raises:
        NotFound: no such unit.
        InvalidData: the layer gives no numbers; ``k`` is not 1 or more.
    """
    if not isinstance(k, int) or k < 1:
        raise InvalidData(f"{shorten(k)} rows were asked for; expected 1 or more")
    looking.refresh()
    record = looking.widest(path) if among is None else None
    if record is not None and record.track.type != "arrow" and isinstance(unit, int | str):
        index = unit_index(looking.opened.repo.store, record)
        number = unit_number(looking.opened, path, unit, index.units)
        found = index.top(number, k, lowest=lowest)
        chosen, values = looking.of_record(record, found.slots), found.values.tolist()
        return _top(looking, path, _name(looking.opened, path, unit), chosen, values, record.rows, "kept")
    looked = looking.look(path, looking.rows(path) if among is None else looking.choose(among))
    numbers = _at_unit(looking.opened, path, looked.values, unit).numpy()
    there = np.flatnonzero(~np.isnan(numbers))
    order = there[np.argsort(numbers[there] if lowest else -numbers[there], kind="stable")[:k]]
    chosen, values = looked.chosen.at(order), numbers[order].tolist()
    return _top(looking, path, _name(looking.opened, path, unit), chosen, values, len(looked), looked.source)


def _top(
    looking: Looking, path: str, unit: str, chosen: Chosen, values: list[float], among: int, source: str
) -> TopRows:  # fmt: skip
    ids, truth = tuple(chosen.ids), tuple(truth_of(looking.opened, chosen))
    return TopRows(path, unit, ids, tuple(float(value) for value in values), chosen.positions, truth, among, source)


def unit_names(opened: Opened, path: str) -> tuple[str, ...]:
    """Return the names of a layer's units where they have any: the classes that are scored, the columns of a table."""
    layer = opened.model.answer
    if layer is not None and isinstance(layer.action, Classes) and opened.model.wiring[layer.name] == (path,):
        return tuple(label_text(label) for label in kept_labels(opened.answer_state["labels"]))
    return column_names(opened.model, opened.states, path)


def unit_number(opened: Opened, path: str, unit: int | str, count: int) -> int:
    """Return the number of a unit, or raise NotFound with the range or the nearest name."""
    if isinstance(unit, str):
        names = unit_names(opened, path)
        if unit in names and len(names) == count:
            return names.index(unit)
        if not unit.isdecimal():
            said = (
                nearest(unit, names) if len(names) == count else f" Its units have no names: take 0 to {count - 1:,}."
            )
            raise NotFound(f"{opened.address}/{path} has no unit {shorten(unit)}.{said}")
        unit = int(unit)
    if isinstance(unit, bool) or not -count <= unit < count:
        raise NotFound(f"{opened.address}/{path} has {count:,} units, 0 to {count - 1:,}; there is no unit {unit}")
    return unit % count


def _name(opened: Opened, path: str, unit: Unit) -> str:
    return unit if isinstance(unit, str) else str(unit) if isinstance(unit, int) else ",".join(map(str, unit))


def _at_unit(opened: Opened, path: str, value: Value, unit: Unit) -> Tensor:
    if isinstance(value, pa.Array):
        value = _numbers(opened, path, value)
    if isinstance(unit, int | str):
        units = by_unit(value)
        return _double(units[:, unit_number(opened, path, unit, units.shape[1])])
    tensor, place = as_tensor(value), tuple(int(at) for at in unit)
    sizes = list(tensor.shape[1:])
    if len(place) != len(sizes) or any(not -size <= at < size for at, size in zip(place, sizes, strict=True)):
        raise NotFound(f"{opened.address}/{path} gives {sizes} numbers a row; there is no place {list(place)}")
    return _double(tensor.movedim(0, -1)[place])


def _numbers(opened: Opened, path: str, value: pa.Array) -> Tensor:
    if isinstance(value.type, pa.FixedShapeTensorType):
        return torch.from_numpy(np.array(value.to_numpy_ndarray()))
    if not (pa.types.is_floating(value.type) or pa.types.is_integer(value.type) or pa.types.is_boolean(value.type)):
        raise InvalidData(
            f"{opened.address}/{path} gives {value.type}, which has no units; ask a layer that gives numbers"
        )
    return torch.from_numpy(value.cast(pa.float64()).to_numpy(zero_copy_only=False).copy())


def _double(values: Tensor) -> Tensor:
    return values.to(torch.float64)


def by_unit(value: Value) -> Tensor:
    """Return the value of each row at each unit, [rows, units]: NaN where a row has none."""
    tensor = as_tensor(value)
    if tensor.ndim == 1:
        return tensor[:, None]
    wide = tensor.to(torch.float64) if not tensor.is_floating_point() else tensor
    if isinstance(value, Padded):
        behind = torch.arange(wide.shape[1]) >= value.lengths[:, None]
        wide = wide.masked_fill(behind.reshape(*behind.shape, *[1] * (wide.ndim - 2)), torch.nan)
        wide = wide[..., None] if wide.ndim == 2 else wide
    if wide.ndim == 2:
        return wide
    if wide.ndim > MAPS and not isinstance(value, Padded):
        flat = wide.flatten(2)
    else:
        flat = wide.flatten(1, -2).transpose(1, 2)
    most = flat.nan_to_num(-torch.inf, torch.inf, -torch.inf).amax(2)
    return torch.where(flat.isnan().all(2), torch.nan, most)
