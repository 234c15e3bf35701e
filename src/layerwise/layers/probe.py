"""Finds what leaves a module by running it on tensors that hold nothing: shapes and dtypes, no numbers."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from layerwise.errors import Invalid, InvalidShape
from layerwise.graph.ports import Port
from layerwise.layers.base import Padded, Value

BATCH = 2
"""Rows of the batch that a module is tried on: the fewest with which batch normalisation trains."""

STAND_INS = (96, 144)
"""Sizes that stand in for one that is not known yet. What differs between the two is not known either."""

Build = Callable[[tuple[Port, ...]], nn.Module]
Call = Callable[..., Any]


def probe(build: Build, call: Call, inputs: tuple[Port, ...], *, cpu: bool = False) -> Port:
    """Return the port of what leaves ``call(build(inputs), *values)``.

    Args:
        build: makes the module for ports whose sizes are all known.
        call: runs it on values [2, ...] and returns a tensor [2, ...] or a Padded.
        inputs: the ports of what arrives; sizes that are None in them are tried with two stand-ins.
        cpu: try again on real tensors of zeros where the module cannot run without numbers.

    Raises:
        InvalidShape: what the module said, in words that name no stand-in.

    Example:
        >>> str(probe(lambda ports: nn.Flatten(), lambda module, x: module(x), (Port("float32", (3, 4)),)))
        'float32[batch, 12]'
    """
    tries = STAND_INS if any(None in port.shape for port in inputs) else STAND_INS[:1]
    found = [_once(build, call, tuple(fill(port, size) for port in inputs), cpu) for size in tries]
    first, last = found[0], found[-1]
    if len(first.shape) != len(last.shape):
        raise InvalidShape("how many dimensions leave it depends on a size that is not known yet")
    same = (a if a == b else None for a, b in zip(first.shape, last.shape, strict=True))
    return replace(first, shape=tuple(same))


def fill(port: Port, size: int) -> Port:
    """Return ``port`` with ``size`` for every size that is not known."""
    return replace(port, shape=tuple(size if known is None else known for known in port.shape))


def _once(build: Build, call: Call, inputs: tuple[Port, ...], cpu: bool) -> Port:
    try:
        return _run(build, call, inputs, "meta")
    except Invalid:
        raise
    except Exception:
        if not cpu:
            raise
    return _run(build, call, inputs, "cpu")


def _run(build: Build, call: Call, inputs: tuple[Port, ...], device: str) -> Port:
    with quiet(), torch.device(device), torch.no_grad():
        module = build(inputs).eval()
        return port_of(call(module, *(sample(port, device) for port in inputs)))


@contextmanager
def quiet() -> Iterator[None]:
    """Leave the random numbers as they are and say no warning: nothing is computed here."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sample(port: Port, device: str) -> Tensor:
    """Return a tensor of zeros [2, ...] of the port's dtype and shape, all of whose sizes are known."""
    return torch.zeros((BATCH, *(size or 0 for size in port.shape)), dtype=getattr(torch, port.dtype), device=device)


def port_of(value: Value | object, batch: int = BATCH) -> Port:
    """Return the port of a value [batch, ...], or raise InvalidShape where it is nothing that travels on a wire.

    Example:
        >>> str(port_of(torch.zeros(2, 3)))
        'float32[batch, 3]'
    """
    padded = isinstance(value, Padded)
    tensor = value.values if isinstance(value, Padded) else value
    if isinstance(tensor, tuple | list | dict):
        raise InvalidShape(
            f"it answers with a {type(tensor).__name__} of {len(tensor)}, and what leaves a layer is one tensor"
        )
    if not isinstance(tensor, Tensor):
        raise InvalidShape(f"it answers with {type(tensor).__name__}, and what leaves a layer is one tensor")
    if not tensor.ndim or len(tensor) != batch:
        rows = f"{len(tensor)} rows" if tensor.ndim else "a single number"
        raise InvalidShape(f"it answers with {rows} for {batch}; the first dimension must stay the batch")
    return Port(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape[1:]), padded=padded)


def where_raised(error: BaseException, file: str) -> str:
    """Return `` (net.py:12)`` for the last line of ``file`` on the way to ``error``, or nothing."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({file.rpartition('/')[2]}:{lines[-1]})" if lines else ""


_NO_MEMORY = re.compile(r"tried to allocate (?P<bytes>[0-9]+) bytes|out of memory", re.IGNORECASE)


def memory_asked(error: BaseException) -> str | None:
    """Return `` (it asks for 8,000 bytes)`` of an error that means that memory is full, or None for any other."""
    found = _NO_MEMORY.search(str(error))
    if found is None and not isinstance(error, MemoryError):
        return None
    return f" (it asks for {int(found['bytes']):,} bytes)" if found is not None and found["bytes"] else ""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its type where it says nothing."""
    said = str(error).strip().splitlines()
    return said[0][:300] if said else type(error).__name__
