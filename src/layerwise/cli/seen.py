"""What ``look`` found: one layer's values with what each row is called, to be listed, drawn, or written as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from layerwise.cli.asked import PLACE, Asked
from layerwise.data.schema import is_tensor
from layerwise.engine.looking.asking import Looked
from layerwise.engine.looking.layer import LayerView
from layerwise.engine.looking.shown import show_rows
from layerwise.engine.looking.tables import COLUMNS, names_of, numbers_of
from layerwise.engine.looking.trace import Passage
from layerwise.engine.looking.units import unit_names
from layerwise.engine.rows import pick
from layerwise.engine.version import Version
from layerwise.errors import InvalidData
from layerwise.layers.base import Padded, Value
from layerwise.pictures import Shown

GREATEST = 6
"""Numbers of a row that are named where an answer rests on them."""


@dataclass(frozen=True)
class Seen:
    """What left one layer for some rows.

    Attributes:
        version: whose layer it is.
        found: what the engine says of it: the values, and where they come from.
        asked: the rows as they were asked for; None where nobody said.
        more: how many rows there are beside these.
        targets: where the numbers say how much of an answer rests on the values: which answer of each row.
    """

    version: Version
    found: Looked
    asked: Asked | None = None
    more: int = 0
    targets: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The layer's address."""
        return f"{self.version.address}/{self.found.layer}"

    @property
    def title(self) -> str:
        """What stands above the values."""
        return f"what the answer rests on at {self.address}" if self.targets else self.address

    @property
    def kind(self) -> str:
        """What the layer does."""
        layers = dict(self.version.model.walk())
        name = self.found.layer.partition(":")[0]
        return layers[name].kind if name in layers else ""

    @property
    def places(self) -> list[int]:
        """Where the rows are: in their dataset, or among those given."""
        if self.found.positions is not None:
            return [int(place) for place in self.found.positions]
        given = self.asked.places if self.asked is not None else None
        return list(given) if given is not None else list(range(len(self.found)))

    @property
    def keys(self) -> list[str | None]:
        """The rows' keys; None for rows that are named by their content."""
        chosen = self.found.chosen
        keyed = chosen.source is not None and chosen.source.dataset.key is not None and chosen.positions is not None
        return list(self.found.ids) if keyed else [None] * len(self.found)

    @property
    def passages(self) -> list[Passage]:
        """What left the layer, row by row."""
        return [Passage(self.found.layer, self.kind, one(self.found.values, at)) for at in range(len(self.found))]

    @property
    def told(self) -> list[str]:
        """What is said of each row's values: the values or what they are like; of shares, the greatest."""
        if not self.targets:
            return [passage.summary for passage in self.passages]
        numbers, shape = numbers_of(self.found.values)
        names = unit_names(self.version, self.found.layer)
        return [_greatest(row.reshape(-1), shape, names) for row in numbers]

    def drawn(self) -> list[Shown]:
        """Return the rows' pictures."""
        version, found = self.version, self.found
        labels = [str(place if key is None else key) for place, key in zip(self.places, self.keys, strict=True)]
        shown = show_rows(version.model, version.states, found.layer, found.values, ids=labels, source=found.source)
        said = [f"for {target}" for target in self.targets] or [""] * len(labels)
        return [replace(one, note=text) if text else one for one, text in zip(shown, said, strict=False)]

    def lines(self) -> list[dict[str, Any]]:
        """Return one mapping a row: what it is called, and each of its numbers by its name, ``edges[3,0,7]``.

        Raises:
            InvalidData: a row has too many numbers for a table.
        """
        called = [
            {"row": place, **({} if key is None else {"key": key}), **self._target(at)}
            for at, (place, key) in enumerate(zip(self.places, self.keys, strict=True))
        ]
        values = self.found.values
        if isinstance(values, pa.Array) and not is_tensor(values.type):
            return [
                {**name, **_cells(self.found.layer, value)}
                for name, value in zip(called, values.to_pylist(), strict=True)
            ]
        numbers, shape = numbers_of(values)
        if math.prod(shape) > COLUMNS:
            raise InvalidData(
                f"--csv: {self.address} gives {math.prod(shape):,} numbers a row, more than a table has columns"
            )
        names = names_of(self.found.layer, shape)
        rows = numbers.reshape(len(numbers), -1).tolist()
        return [{**name, **dict(zip(names, row, strict=True))} for name, row in zip(called, rows, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON's types."""
        rows = [
            {"row": place, "key": key, "shape": passage.shape, "values": plain(passage.value), **self._target(at)}
            for at, (place, key, passage) in enumerate(zip(self.places, self.keys, self.passages, strict=True))
        ]
        return {
            "version": self.version.address, "layer": self.found.layer, "kind": self.kind,
            "source": self.found.source, "from": list(self.found.cut),
            "what": "attribution" if self.targets else "output", "rows": rows, "more": self.more,
        }  # fmt: skip

    def _target(self, at: int) -> dict[str, str]:
        return {"target": self.targets[at]} if self.targets else {}


def view_of(version: Version, layer: str, asked: Asked | None) -> LayerView:
    """Return a layer, whose rows by position are those of the dataset that is asked for."""
    elsewhere = asked is not None and asked.where not in ("", version.data_address)
    return version.layer(layer, data=asked.where if asked is not None and elsewhere else None)


def see(version: Version, layer: str, asked: Asked | None, count: int) -> Seen:
    """Return what left a layer for the rows that are asked for, at most ``count``.

    Args:
        version: the version.
        layer: the layer's path; ``name:2`` for a later pass.
        asked: the rows; None for those that are kept, else the first validation rows.
        count: how many at most.
    """
    view = view_of(version, layer, asked)
    if asked is None:
        chosen = view.looking.rows(view.path)
        found = view.looking.look(view.path, chosen.part(0, count))
        return Seen(version, found, None, max(0, len(chosen) - count))
    places = range(asked.table.num_rows) if asked.places is None else asked.places
    kept = list(places[:count])
    more = len(places) - len(kept)
    if asked.where:
        return Seen(version, view.look(kept), asked, more)
    if version.tables_whole:
        # A window over time looks at the rows before: these pass too, and are left out.
        return Seen(version, _only(view.look(asked.up_to(max(kept))), kept), asked, more)
    return Seen(version, view.look(asked.table.take(kept)), asked, more)


def attributed(seen: Seen, target: str | None) -> Seen:
    """Return how much of the answer rests on each of the values that are seen.

    Args:
        seen: the values of some rows.
        target: the class, or the number's place, that is explained; of each row what it answers where None.
    """
    version, found = seen.version, seen.found
    view = view_of(version, found.layer, seen.asked)
    chosen = found.chosen
    rows = chosen.positions if chosen.positions is not None else chosen.table
    number = target is not None and "labels" not in version.answer_state and PLACE.fullmatch(target) is not None
    made = view.attribute(rows, int(target) if number and target is not None else target)
    return replace(seen, found=replace(found, values=made.values, source="computed"), targets=made.targets)


def _only(found: Looked, places: Sequence[int]) -> Looked:
    rows = np.array(places, dtype=np.int64)
    return replace(found, values=pick(found.values, rows), chosen=found.chosen.at(rows))


def one(value: Value, at: int) -> Value:
    """Return one row of a value, [1, ...]; padding is cut off."""
    row = pick(value, np.array([at], dtype=np.int64))
    return Padded(row.values[:, : int(row.lengths[0])], row.lengths) if isinstance(row, Padded) else row


def plain(value: Value) -> Any:
    """Return the only row of a value as JSON's types."""
    if isinstance(value, pa.Array):
        return value.to_numpy_ndarray()[0].tolist() if is_tensor(value.type) else value[0].as_py()
    return (value.values if isinstance(value, Padded) else value)[0].tolist()


def _greatest(row: Any, shape: Sequence[int], names: Sequence[str]) -> str:
    """Return the numbers of a row that are farthest from 0, each with its name or place.

    >>> _greatest(np.array([0.1, -2.0, 0.0, 1.5]), (2, 2), ())
    '[0,1] -2  [1,1] +1.5  [0,0] +0.1  [1,0] +0'
    """
    order = np.argsort(-np.abs(row), kind="stable")[:GREATEST]
    if len(names) == len(row):
        return "  ".join(f"{names[at]} {row[at]:+.3g}" for at in order)
    places = ([str(int(part)) for part in np.unravel_index(at, shape)] for at in order)
    return "  ".join(f"[{','.join(place)}] {row[at]:+.3g}" for at, place in zip(order, places, strict=True))


def _cells(layer: str, value: Any) -> dict[str, Any]:
    return {f"{layer}[{name}]": inner for name, inner in value.items()} if isinstance(value, dict) else {layer: value}
