"""Watching the submodules of a module that runs by its own ``forward``, without changing a bit of what it answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from layerwise.layers.base import Value

Observe: TypeAlias = Callable[[str, Value], Value | None]
"""Called with a layer's path and what left it; what it returns, where it returns something, takes its place."""


@contextmanager
def observed(module: nn.Module, observe: Observe, prefix: str, batch: int) -> Iterator[None]:
    """Call ``observe`` with what leaves each submodule while the block runs, in this thread.

    Args:
        module: the module; its submodules are told by their paths in it. One that runs again is ``path:2``.
        observe: called with tensors [batch, ...]; of a tuple its first one. Anything else is passed over.
        prefix: what stands before each path.
        batch: how many rows go through.

    Parts that torch runs fused (inside a transformer layer that only answers) do not show.

    Example:
        >>> seen = []
        >>> body = nn.Sequential(nn.Flatten(), nn.ReLU())
        >>> with observed(body, lambda path, value: seen.append(path), "body.", 1):
        ...     _ = body(Tensor([[1.0]]))
        >>> seen
        ['body.0', 'body.1']
    """
    paths = {part: name for name, part in module.named_modules() if name}
    visits: Counter[str] = Counter()
    mine = threading.get_ident()

    def after(part: nn.Module, _inputs: Any, output: Any) -> Any:
        if part not in paths or threading.get_ident() != mine:
            return None
        value = output[0] if isinstance(output, tuple) and output else output
        if not isinstance(value, Tensor) or not value.ndim or len(value) != batch:
            return None
        visits[paths[part]] += 1
        visit = visits[paths[part]]
        changed = observe(f"{prefix}{paths[part]}{f':{visit}' if visit > 1 else ''}", value)
        if changed is None or value is output:
            return changed
        return (changed, *output[1:]) if type(output) is tuple else None

    # One hook for all modules instead of one on each: torch leaves its fused kernels where a module has hooks, and
    # looking must change no bit.
    handle = register_module_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()
