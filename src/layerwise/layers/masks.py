"""Where a padded value's rows are true and where they are padding."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from layerwise.layers.base import Padded


def inside(padded: Padded) -> Bool[Tensor, "batch longest"]:
    """Return [batch, longest], true where a position is within its row's length.

    Example:
        >>> inside(Padded(torch.zeros(2, 3), torch.tensor([1, 3])))
        tensor([[ True, False, False],
                [ True,  True,  True]])
    """
    positions = torch.arange(padded.values.shape[1], device=padded.values.device)
    return positions < padded.lengths.to(positions.device)[:, None]


def fill_padding(padded: Padded, value: float = 0.0) -> Tensor:
    """Return the values [batch, longest, ...] with ``value`` wherever there is padding.

    Example:
        >>> fill_padding(Padded(torch.ones(1, 3), torch.tensor([2])))
        tensor([[1., 1., 0.]])
    """
    mask = inside(padded)
    return padded.values.masked_fill(~mask.view(*mask.shape, *(1,) * (padded.values.ndim - 2)), value)
