"""What torch's own modules want to get, said before torch is asked, and what torch says in words with a cure."""

from __future__ import annotations

import re

from torch import nn

from layerwise.errors import InvalidLayer, InvalidShape
from layerwise.graph.ports import Port
from layerwise.layers.probe import first_line, memory_asked

INDEX_TAKERS = frozenset({"Embedding", "EmbeddingBag"})
"""They look rows up by whole numbers."""

MOVERS = frozenset({"ChannelShuffle", "Flatten", "Identity", "PixelShuffle", "PixelUnshuffle", "Unflatten"})
"""They move values and compute nothing, so every dtype is right."""

INTEGERS = frozenset({"uint8", "int8", "int16", "int32", "int64"})

COUNTS = frozenset(
    {"in_features", "out_features", "in_channels", "out_channels", "num_channels", "num_features", "num_groups",
     "num_embeddings", "embedding_dim", "kernel_size", "stride", "dilation", "groups", "nhead", "dim_feedforward",
     "upscale_factor", "downscale_factor", "normalized_shape"}
)  # fmt: skip
"""Options of which there must be one at least; torch takes 0 and fails later, or makes a layer of nothing."""

_SPACE = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_TOO_SMALL = re.compile(r"Kernel size can't be greater|Output size is too small|is too large relative to input")


def spatial(cls: type[nn.Module]) -> int | None:
    """Return over how many dimensions beside the channels a module works, by its name; None where over none.

    Example:
        >>> spatial(nn.Conv2d)
        2
    """
    found = re.search(r"(\d)d\Z", cls.__name__)
    return int(found.group(1)) if found else None


def hold_count(name: str, value: object) -> None:
    """Raise InvalidLayer where a count, or one of several, is below 1.

    Example:
        >>> hold_count("kernel_size", (3, 3))
    """
    sizes = value if isinstance(value, tuple) else (value,)
    if any(isinstance(size, int) and size < 1 for size in sizes):
        shown = list(value) if isinstance(value, tuple) else value
        raise InvalidLayer(f"the option {name!r} is {shown}; expected 1 or more")


def hold_inputs(cls: type[nn.Module], inputs: tuple[Port, ...]) -> None:
    """Raise InvalidShape where the dtype or the number of dimensions is not what a class of ``torch.nn`` wants."""
    for port in inputs:
        _hold_dtype(cls.__name__, port)
    if inputs:
        _hold_dimensions(cls, inputs[0])


def _hold_dtype(name: str, port: Port) -> None:
    if name in MOVERS:
        return
    if name in INDEX_TAKERS:
        if port.dtype not in ("int32", "int64"):
            raise InvalidShape(
                f"it gets {port} and wants whole numbers (int64); put `category` or `vocabulary` before it"
            )
    elif port.dtype in INTEGERS or port.dtype == "bool":
        raise InvalidShape(f"it gets {port} and wants float32; put a `scale` layer before it")
    elif port.dtype != "float32":
        raise InvalidShape(f"it gets {port} and its weights are float32; put a `scale` layer before it")


def _hold_dimensions(cls: type[nn.Module], port: Port) -> None:
    space = spatial(cls)
    if space is None:
        return
    wanted = ("channels", *_SPACE[space])
    rank = len(port.shape)
    if rank == len(wanted) or (cls.__name__ in ("BatchNorm1d",) and rank == 1):
        return
    said = f"it gets {port} and wants [batch, {', '.join(wanted)}]"
    if rank == space:
        shape = ["?" if size is None else size for size in (1, *port.shape)]
        whole = ", ".join(map(str, shape))
        cure = f"say the channels at the column, shape: [{whole}], or put torch.nn.Unflatten before it"
        first = f" (dim: 1, unflattened_size: [1, {shape[1]}])" if shape[1:] and shape[1] != "?" else ""
        raise InvalidShape(f"{said}; {cure}{first}")
    if rank > len(wanted):
        better = cls.__name__.replace(f"{space}d", f"{rank - 1}d")
        cure = f"use torch.nn.{better}" if hasattr(nn, better) else "put a torch.nn.Flatten before it"
        raise InvalidShape(f"{said}; {cure}")
    raise InvalidShape(f"{said}; put torch.nn.Unflatten before it, or say the shape at the column")


def explain(cls: type[nn.Module], module: nn.Module | None, inputs: tuple[Port, ...], error: Exception) -> Exception:
    """Return what torch raised in our words: InvalidLayer where the module could not be made, else InvalidShape."""
    said = first_line(error)
    asked = memory_asked(error)
    if asked is not None:
        return InvalidLayer(f"its weights do not fit in memory{asked}; make it smaller")
    if module is None:
        return InvalidLayer(f"torch.nn.{cls.__name__} says: {said}")
    got = " and ".join(map(str, inputs))
    if _TOO_SMALL.search(said) and hasattr(module, "kernel_size"):
        space = spatial(cls) or 1
        kernel, size = _times(module.kernel_size, space), _times(inputs[0].shape[-space:], space)
        padding = getattr(module, "padding", 0)
        beside = f" with padding {_times(padding, space)}" if padding not in (0, (0,) * space) else ""
        return InvalidShape(
            f"the kernel {kernel} is larger than the input {size}{beside}; "
            f"use a smaller kernel_size, more padding, or pool less before it (it gets {got})"
        )
    return InvalidShape(f"it gets {got}, and torch.nn.{cls.__name__} says: {said}")


def _times(sizes: object, space: int) -> str:
    values = sizes if isinstance(sizes, tuple) else (sizes,) * space
    return "×".join("?" if size is None else str(size) for size in values)
