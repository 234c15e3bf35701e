"""Which layers were not written to since they were kept, by PyTorch's own count of writes: nothing is read."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

States = Mapping[str, Mapping[str, Tensor]]
"""The tensors of layers, by path and name."""

Mark = tuple[int, int, tuple[int, ...]]
"""Where a tensor lies, how often it was written to, and its shape."""


class Tracker:
    """Remembers tensors as they are, and tells later which layers have others, or were written to.

    PyTorch counts writes in place by operations of its own, optimizers among them. It does not count what is written
    through ``tensor.data``, through a NumPy array that shares the memory, or by other programs: whoever does that must
    not track.

    Example:
        >>> import torch
        >>> weight = torch.zeros(3)
        >>> tracker = Tracker({"edges": {"weight": weight}})
        >>> tracker.unchanged({"edges": {"weight": weight}})
        {'edges'}
        >>> _ = weight.add_(1)
        >>> tracker.unchanged({"edges": {"weight": weight}})
        set()
    """

    def __init__(self, states: States) -> None:
        self._marks = {path: _marks(tensors) for path, tensors in states.items()}
        # Held, so that nothing else can come to lie at their addresses.
        self._held = [tensor.untyped_storage() for tensors in states.values() for tensor in tensors.values()]

    def unchanged(self, states: States) -> set[str]:
        """Return the paths of the layers that have the same tensors as then, not written to."""
        return {path for path, tensors in states.items() if self._marks.get(path) == _marks(tensors)}


def _marks(tensors: Mapping[str, Tensor]) -> dict[str, Mark]:
    return {name: (tensor.data_ptr(), tensor._version, tuple(tensor.shape)) for name, tensor in tensors.items()}
