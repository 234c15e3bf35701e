"""What leaves the commonest modules, by arithmetic.

Running a module without numbers tells the same, but the first such run loads the half of torch that is written in
Python, which takes seconds; a program that only opens a model should not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from torch import nn

Shape: TypeAlias = tuple[int | None, ...]
"""The sizes of one row, without the batch; None is not known yet."""

_SAME = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Softplus, nn.LogSigmoid, nn.Identity),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm),
)


def shape_of(module: nn.Module, shape: Shape) -> Shape | None:
    """Return what leaves ``module`` for a row of ``shape``, or None where no formula says it.

    Example:
        >>> shape_of(nn.Conv2d(1, 8, 3, stride=2), (1, 9, None))
        (8, 4, None)
    """
    if type(module) in _SAME:
        return shape
    formula = _FORMULAS.get(type(module))
    return None if formula is None else formula(module, shape)


def _linear(module: Any, shape: Shape) -> Shape:
    return (*shape[:-1], module.out_features)


def _embedding(module: Any, shape: Shape) -> Shape:
    return (*shape, module.embedding_dim)


def _flatten(module: Any, shape: Shape) -> Shape | None:
    # Counted with the batch, as torch counts.
    rank = len(shape) + 1
    start, end = (dim + rank if dim < 0 else dim for dim in (module.start_dim, module.end_dim))
    if not 1 <= start <= end < rank:
        return None
    inner = shape[start - 1 : end]
    whole = None if None in inner else math.prod(size or 0 for size in inner)
    return (*shape[: start - 1], whole, *shape[end:])


def _conv(module: Any, shape: Shape) -> Shape | None:
    if module.padding_mode != "zeros":
        return None
    if module.padding == "same":
        return (module.out_channels, *shape[1:])
    padding = (0,) * len(module.kernel_size) if module.padding == "valid" else module.padding
    return _windows(module, module.out_channels, shape, padding)


def _pool(module: Any, shape: Shape) -> Shape | None:
    space = len(shape) - 1
    if module.ceil_mode or any(
        2 * p > k for p, k in zip(_each(module.padding, space), _each(module.kernel_size, space), strict=True)
    ):
        return None
    return _windows(module, shape[0], shape, module.padding)


def _windows(module: Any, channels: int | None, shape: Shape, padding: Any) -> Shape | None:
    space = len(shape) - 1
    said = (module.kernel_size, module.stride, padding, getattr(module, "dilation", 1))
    sizes: list[int | None] = []
    for size, kernel, stride, pad, dilation in zip(shape[1:], *(_each(value, space) for value in said), strict=True):
        left = None if size is None else (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        if left is not None and left < 1:
            return None
        sizes.append(left)
    return (channels, *sizes)


def _adaptive(module: Any, shape: Shape) -> Shape:
    wanted = _each(module.output_size, len(shape) - 1)
    return (shape[0], *(size if want is None else want for size, want in zip(shape[1:], wanted, strict=True)))


def _each(value: Any, space: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * space


_FORMULAS: dict[type[nn.Module], Callable[[Any, Shape], Shape | None]] = {
    nn.Linear: _linear,
    nn.Embedding: _embedding,
    nn.Flatten: _flatten,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _conv),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _pool),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _adaptive),
    **dict.fromkeys((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d), _adaptive),
}
