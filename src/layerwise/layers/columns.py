"""Columns: where a dataset's values enter the graph, and which port each Arrow type has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import torch
from torch import Tensor

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape
from layerwise.graph.kinds import register
from layerwise.graph.ports import BYTES, RECORD, TEXT, Port
from layerwise.layers.base import DataKind, State, Value


def port_of(kind: pa.DataType) -> Port:
    """Return the port of a column of this Arrow type: what a layer that takes it will find.

    Numbers are called as ``as_tensor`` makes them (float32, int64, bool); tensors keep their dtype, except that
    float64 becomes float32.

    Example:
        >>> port_of(pa.float64())
        Port(dtype='float32', shape=(), padded=False, size=None)
        >>> str(port_of(pa.list_(pa.string())))
        'list<string>'
    """
    item, shape = _tensor_of(kind)
    if shape:
        return Port(_kept(item), shape)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return Port(f"list<{port_of(kind.value_type).dtype}>")
    for matches, dtype in _DTYPES:
        if matches(kind):
            return Port(dtype)
    return Port(str(kind))


_DTYPES = (
    (pa.types.is_boolean, "bool"),
    (pa.types.is_integer, "int64"),
    (pa.types.is_floating, "float32"),
    (pa.types.is_decimal, "decimal"),
    (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), TEXT),
    (lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind), BYTES),
    (pa.types.is_timestamp, "timestamp"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_duration, "duration"),
    (pa.types.is_struct, RECORD),
)


def _tensor_of(kind: pa.DataType) -> tuple[pa.DataType, tuple[int, ...]]:
    # The type of one number and the shape of a row; no shape where the rows are no tensors.
    if isinstance(kind, pa.FixedShapeTensorType):
        return kind.value_type, tuple(kind.shape)
    shape: list[int] = []
    while pa.types.is_fixed_size_list(kind):
        shape.append(kind.list_size)
        kind = kind.value_type
    return kind, tuple(shape) if _is_number(kind) else ()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _kept(item: pa.DataType) -> str:
    names = {"halffloat": "float16", "float": "float32", "double": "float32"}
    return names.get(str(item), str(item))


@register("column")
@dataclass(frozen=True)
class Column(DataKind):
    """A column of the dataset: numbers, text, bytes and lists as Arrow arrays, tensors as torch tensors.

    Args:
        column: the column's name.
        shape: the shape of one row, without the batch. A tensor column has its own and is reshaped to this one; a
            column of lists becomes tensors of this shape.

    Raises:
        InvalidShape: a shape that does not hold as many numbers as a row has.

    Tensors share memory with the table: nothing may write into them.

    Example:
        >>> Column("image", shape=(1, 8, 8)).infer((Port("uint8", (8, 8)),))
        Port(dtype='uint8', shape=(1, 8, 8), padded=False, size=None)
    """

    column: str
    shape: tuple[int, ...] | None = None

    arity: ClassVar[tuple[int, int | None]] = (0, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shape is not None and any(size < 1 for size in self.shape):
            raise InvalidLayer(f"the option 'shape' is {list(self.shape)}; every size must be 1 or more")

    @property
    def reads(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the column's port, reshaped; without a dataset the word of ``shape`` is taken, with float32."""
        (port,) = inputs
        if self.shape is None:
            return port
        if port.dtype == "unknown":
            return Port("float32", self.shape)
        if port.dtype.startswith("list<"):
            return Port(_float32(port.dtype[5:-1]), self.shape)
        if not port.numeric:
            raise InvalidShape(f"the column {self.column!r} is {port} and has no shape; take `shape` away")
        if None not in port.shape:
            self._hold_size(math.prod(size or 0 for size in port.shape), list(port.shape))
        return Port(port.dtype, self.shape, size=port.size)

    def run(self, *inputs: Value, state: State) -> Value:
        """Return the column's values: [batch] Arrow, or a tensor [batch, *shape]."""
        (array,) = inputs
        if not isinstance(array, pa.Array):
            raise InvalidData(f"the column {self.column!r} must come as an Arrow array, found {type(array).__name__}")
        _, shape = _tensor_of(array.type)
        if shape:
            return self._shaped(_flat(array, self.column), len(array), shape)
        if self.shape is None:
            return array
        if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)) and not _is_number(array.type):
            raise InvalidShape(f"the column {self.column!r} is {array.type} and has no shape; take `shape` away")
        return self._shaped(self._same(array), len(array), self.shape)

    def _same(self, array: pa.Array) -> pa.Array:
        # Lists that all hold as many numbers as the shape says, one after the other.
        if _is_number(array.type):
            return array
        lengths, wanted = array.value_lengths(), math.prod(self.shape or ())
        for position, length in enumerate(lengths.to_pylist()):
            if length != wanted:
                found = "nothing" if length is None else f"{length} values"
                raise InvalidShape(f"row {position} of {self.column!r} holds {found}; {self._wants()}")
        return array.flatten()

    def _shaped(self, flat: pa.Array, rows: int, shape: tuple[int, ...]) -> Tensor:
        if self.shape is not None:
            self._hold_size(math.prod(shape), list(shape))
        return _numbers(flat, self.column).reshape(rows, *(shape if self.shape is None else self.shape))

    def _hold_size(self, found: int, shape: list[int | None]) -> None:
        if found != math.prod(self.shape or ()):
            raise InvalidShape(
                f"a row of the column {self.column!r} is of shape {shape}, that is {found} values; {self._wants()}"
            )

    def _wants(self) -> str:
        return f"shape: {list(self.shape or ())} wants {math.prod(self.shape or ())}. Set `shape` to fit the data"


def _float32(dtype: str) -> str:
    return "float32" if dtype == "float64" else dtype


def _flat(array: pa.Array, column: str) -> pa.Array:
    if array.null_count:
        raise InvalidData(
            f"{array.null_count:,} rows of {len(array):,} hold no tensor in the column {column!r}; leave these rows out"
        )
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    while pa.types.is_fixed_size_list(storage.type):
        storage = storage.flatten()
    return storage


def _numbers(flat: pa.Array, column: str) -> Tensor:
    # No copy where Arrow's memory can be a tensor as it is.
    if flat.null_count and not pa.types.is_floating(flat.type):
        raise InvalidData(
            f"{flat.null_count:,} numbers in the tensors of {column!r} are missing; fill them in the table"
        )
    if flat.null_count or pa.types.is_boolean(flat.type):
        tensor = torch.from_numpy(flat.to_numpy(zero_copy_only=False).copy())
    else:
        tensor = torch.utils.dlpack.from_dlpack(flat)
    return tensor.float() if tensor.dtype == torch.float64 else tensor
