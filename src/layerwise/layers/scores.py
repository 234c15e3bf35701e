"""What arrives at an answer layer: is it of the right form, is it finite.

>>> hold_width((Port("float32", (11,)),), {11}, "the column 'digit' has 11 classes", say=11)
"""

from __future__ import annotations

import math
from collections.abc import Set

import torch
from torch import Tensor

from layerwise.errors import InvalidData, InvalidShape
from layerwise.graph.ports import Port


def hold_width(inputs: tuple[Port, ...], widths: Set[int], wanted: str, say: int | None = None) -> None:
    """Raise InvalidShape where a row of the input is not one of ``widths`` numbers in a line.

    Args:
        inputs: the one input's port.
        widths: how many numbers a row may be; empty where that is not learned yet. ``[batch]`` counts as one.
        wanted: what the dataset has, for the message: ``"the column 'digit' has 11 classes"``.
        say: the number to set in the layer before.
    """
    port = inputs[0]
    if port.padded or len(port.shape) > 1:
        cure = "pool it over the sequence first" if port.padded else "put torch.nn.Flatten and torch.nn.Linear before"
        line = f"[batch, {say}]" if say else "one line of numbers a row, [batch, values]"
        raise InvalidShape(f"input is {port}; expected {line}: {cure}")
    width = port.shape[0] if port.shape else 1
    if widths and width is not None and width not in widths:
        raise InvalidShape(
            f"input has {_counted(width, 'value')}, {wanted}; set out_features to {say} in the layer before"
        )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def finite(outputs: Tensor) -> Tensor:
    """Return the outputs on the processor without their gradients, or raise InvalidData where one is not finite."""
    outputs = outputs.detach().cpu()
    # The sum of finite numbers is finite in float64, and costs no second table as large as the scores.
    if math.isfinite(outputs.sum(dtype=torch.float64)):
        return outputs
    wrong = int((~torch.isfinite(outputs)).sum())
    if wrong:
        raise InvalidData(
            f"{wrong:,} of {outputs.numel():,} scores are NaN or infinite: training diverged, or the "
            "data holds such values. Lower lr, clip the gradients, or standardise the inputs"
        )
    return outputs


def flat(outputs: Tensor) -> Tensor:
    """Return ``[batch]`` as ``[batch, 1]`` and ``[batch, values]`` as it is."""
    return outputs[:, None] if outputs.ndim == 1 else outputs
