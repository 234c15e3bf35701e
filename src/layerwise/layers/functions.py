"""A user's own function as a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from layerwise.errors import InvalidData, InvalidLayer, InvalidShape, LayerwiseError, nearest
from layerwise.graph.kinds import register
from layerwise.graph.ports import BYTES, NUMBERS, TEXT, Port
from layerwise.layers.base import DataKind, Padded, State, Value, as_tensor, rows_of
from layerwise.layers.columns import port_of
from layerwise.layers.sources import find_function, name_of, sources

_EXAMPLES: dict[str, list[Any]] = {
    TEXT: ["a", "b"],
    BYTES: [b"a", b"b"],
    "list<string>": [["a"], ["b"]],
    "list<int64>": [[1], [1]],
    "list<float32>": [[1.0], [1.0]],
}


@register("function")
@dataclass(frozen=True)
class Function(DataKind):
    """A function of yours as a layer, made by ``lw.function(f)``.

    It takes a batch of each input, NumPy arrays [batch, ...] of numbers and Arrow arrays of all else, and returns one
    NumPy, torch or Arrow array with as many rows. A row's result may not depend on its neighbours, nor on chance or
    time: it is computed once and kept. It may not write into what it is given. float64 becomes float32.

    Args:
        function: the qualified name, ``MODULE.FUNCTION``, of a function of your own in the running program.
        dtype: what comes out, in a port's words (``float32``, ``int64``, ``string`` …). Where it is not given, the
            function is tried on two rows of ones to find it.
        shape: the shape of a row that comes out, without the batch; () where ``dtype`` alone is given.

    Raises:
        InvalidLayer: the function is not in the program; a lambda, a nested function.
        InvalidData: the function fails, or returns something else than an array of as many rows.
    """

    function: str
    dtype: str | None = None
    shape: tuple[int, ...] | None = None

    arity: ClassVar[tuple[int, int | None]] = (1, None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype is None and self.shape is not None:
            raise InvalidLayer("the option 'shape' is given without 'dtype'; say both")
        known = {*NUMBERS, *_EXAMPLES}
        if self.dtype is not None and self.dtype not in known:
            raise InvalidLayer(f"the option 'dtype' is {self.dtype!r}.{nearest(self.dtype, known)}")
        find_function(self.function)

    @property
    def code(self) -> dict[str, str]:
        """The source of the function and of the functions, classes and constants of yours that it uses, by name."""
        return sources(find_function(self.function))

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return the port that ``dtype`` and ``shape`` say, or the one of the result on two rows of ones."""
        for port in inputs:
            if port.padded:
                raise InvalidShape(f"its input is {port}, and it takes no padded rows; put it before the pad")
        if self.dtype is not None:
            return Port(self.dtype, self.shape or ())
        examples = [_example(port) for port in inputs]
        if any(example is None for example in examples):
            return Port("unknown")
        try:
            found = self.run(*[example for example in examples if example is not None], state={})
        except InvalidData as error:
            raise InvalidShape(
                f"{error} (on two rows of ones, tried to learn its shape). If it is right on your data, say what it "
                f"returns: lw.function({self.function.rpartition('.')[2]}, dtype='float32', shape=(3,))"
            ) from error.__cause__
        if isinstance(found, pa.Array):
            return port_of(found.type)
        assert isinstance(found, Tensor)
        return Port(str(found.dtype).removeprefix("torch."), tuple(found.shape[1:]))

    def run(self, *inputs: Value, state: State) -> Value:
        """Return what the function returns for the batch."""
        function = find_function(self.function)
        given = [self._given(value) for value in inputs]
        try:
            with np.errstate(all="ignore"):
                result = function(*given)
            found = _value(result)
        except LayerwiseError:
            raise
        except Exception as error:
            raise InvalidData(
                f"the function {self.function} failed: {type(error).__name__}: {str(error)[:300]}"
            ) from error
        if found is None or rows_of(found) != rows_of(inputs[0]):
            what = f"{type(result).__name__}" if found is None else f"{rows_of(found):,} rows"
            raise InvalidData(
                f"the function {self.function} returned {what} for {rows_of(inputs[0]):,} rows; expected a NumPy, "
                f"torch or Arrow array with one row for each"
            )
        return found

    def _given(self, value: Value) -> Any:
        if isinstance(value, Padded):
            raise InvalidShape("it takes no padded rows; put it before the pad")
        if isinstance(value, pa.Array) and not port_of(value.type).numeric:
            return value
        array = as_tensor(value).numpy().view()
        # The memory may be the dataset's own.
        array.flags.writeable = False
        return array


def function(f: Callable[..., Any], *, dtype: str | None = None, shape: tuple[int, ...] | None = None) -> Function:
    """Return a layer's kind that runs ``f``, a function of your own at the top level of a module.

    Args:
        f: takes arrays of a batch, returns an array with as many rows; see ``Function``.
        dtype, shape: what a row of the result is, where trying ``f`` on ones cannot tell.

    Raises:
        InvalidLayer: a lambda, a nested function, or one whose source cannot be read, with the cure.

    Example:
        >>> function(lambda x: x)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        layerwise.errors.InvalidLayer: ... write it with `def` and a name at the top level of a module
    """
    return Function(name_of(f), dtype, shape)


def _example(port: Port) -> Value | None:
    if port.numeric and None not in port.shape:
        shape = [size or 0 for size in port.shape]
        return torch.ones(2, *shape, dtype=getattr(torch, port.dtype))
    return pa.array(_EXAMPLES[port.dtype]) if port.dtype in _EXAMPLES else None


def _value(result: Any) -> Value | None:
    if isinstance(result, pa.ChunkedArray):
        return result.combine_chunks()
    if isinstance(result, pa.Array):
        return result
    if isinstance(result, np.ndarray) and result.ndim:
        if result.dtype.kind in "OUS":
            return pa.array(result)
        wide = result.astype(np.int64) if result.dtype.kind == "u" and result.itemsize > 1 else result
        return _value(torch.from_numpy(np.array(wide, order="C")))
    if isinstance(result, Tensor) and result.dim():
        plain = result.detach()
        return plain.float() if plain.dtype == torch.float64 else plain
    return None
