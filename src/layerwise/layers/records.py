"""Several columns in one layer: numbers side by side in a vector, texts as a record.

>>> Columns(("height", "weight")).infer((Port("int64"), Port("float32")))
Port(dtype='float32', shape=(2,), padded=False, size=None)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import RECORD, TEXT, Port
from layerwise.layers.base import DataKind, State, Value
from layerwise.layers.columns import port_of
from layerwise.layers.join import Join
from layerwise.words import shorten


@register("columns")
@dataclass(frozen=True)
class Columns(DataKind):
    """Several columns of the dataset: numbers side by side [batch, columns], float32; texts as a record.

    A record is what ``one_hot`` makes a vector of, each column by its own values. Missing numbers stay NaN, missing
    texts stay missing.

    Args:
        columns: the columns' names, in the order of their places.

    Raises:
        InvalidShape: numbers and texts together, images, lists, dates.

    Example:
        >>> Columns(("a", "b")).run(pa.array([1, 2]), pa.array([0.5, None]), state={})
        tensor([[1.0000, 0.5000],
                [2.0000,    nan]])
    """

    arity: ClassVar[tuple[int, int | None]] = (0, 0)

    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise InvalidLayer(f"the option 'columns' is {list(self.columns)[:10]}; expected one or more, none twice")

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns."""
        return self.columns

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return a float32 vector, one place a column, or the port of a record."""
        if any(port.dtype == "unknown" for port in inputs):
            return Port("unknown")
        ports = dict(zip(self.columns, inputs, strict=True))
        for name, port in ports.items():
            if port.shape or not (port.numeric or port.dtype == TEXT):
                raise InvalidShape(
                    f"the column {shorten(name)} is {port}, and several columns are numbers or texts; give it a "
                    f"`column` layer of its own"
                )
        texts = [name for name, port in ports.items() if port.dtype == TEXT]
        if texts and len(texts) < len(ports):
            number = next(name for name in ports if name not in texts)
            raise InvalidShape(
                f"the column {shorten(texts[0])} is text and {shorten(number)} is numbers; make a layer of the texts "
                f"and one of the numbers"
            )
        return Port(RECORD) if texts else Port("float32", (len(ports),))

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the numbers, [batch, columns], float32, or the texts as an Arrow struct, [batch]."""
        arrays = [array for array in inputs if isinstance(array, pa.Array)]
        if self.infer(tuple(port_of(array.type) for array in arrays)).dtype == RECORD:
            return pa.StructArray.from_arrays(arrays, names=list(self.columns))
        return Join().run(*arrays, state=state)
