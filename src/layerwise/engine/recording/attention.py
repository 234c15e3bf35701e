"""Attention weights, computed beside a network that answers: from its own projections, and nothing of it changes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from layerwise.engine.evaluate import Live

Attended = Callable[[str, Tensor], None]
"""Called with a path and the attention weights, [batch, heads, asks, answers]."""


@contextmanager
def attention_of(live: Live, chosen: Collection[str], attended: Attended) -> Iterator[None]:
    """Call ``attended`` with the weights of each attention that runs while the block does, in this thread.

    Args:
        live: the live part, answering: dropout is off.
        chosen: the paths of the layers to be looked at; where empty, nothing is done.
        attended: called with the path of the layer that the attention is (or is in), and a row's weights by head. A
            second one in the layer (a decoder's), or a second pass, is ``path:2``.

    Modules are ``torch.nn.MultiheadAttention``, alone or in torch's transformer layers, which run it fused.
    """
    paths = {part: path for part, path in attention_paths(live).items() if path in chosen}
    if not paths:
        yield
        return
    beside, mine, seen = _Beside(paths, attended), threading.get_ident(), set[nn.Module]()

    def after(part: nn.Module, given: tuple[Any, ...], named: dict[str, Any], _output: Any) -> None:
        if threading.get_ident() != mine or beside.busy:
            return
        if isinstance(part, nn.MultiheadAttention) and part in paths:
            seen.add(part)
            beside.told(part, given, named)
        elif isinstance(part, nn.TransformerEncoderLayer) and part.self_attn in paths:
            # Where torch runs the layer fused, its attention is never called.
            if part.self_attn not in seen:
                beside.fused(part, given, named)
            seen.discard(part.self_attn)

    # One hook for all modules: torch leaves its fused kernels where a module has hooks of its own.
    handle = register_module_forward_hook(after, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def attention_paths(live: Live) -> dict[nn.Module, str]:
    """Return the attention modules of a network and the path of the layer that each is, or is in."""
    layers = {path for path, _ in live.network.walk()}
    found: dict[nn.Module, str] = {}
    for name, part in live.network.plain.named_modules():
        if isinstance(part, nn.MultiheadAttention):
            owner = name
            while owner and owner not in layers:
                owner = owner.rpartition(".")[0]
            found[part] = owner
    return found


class _Beside:
    """Runs attention modules once more, for their weights."""

    def __init__(self, paths: dict[nn.Module, str], attended: Attended) -> None:
        self._paths, self._attended = paths, attended
        self._visits: Counter[str] = Counter()
        self.busy = False

    def told(self, module: nn.MultiheadAttention, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Tell the weights of an attention that was called so."""
        keys = ("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask", "average_attn_weights")
        said = {**dict(zip(keys, given, strict=False)), **named}
        said |= {"need_weights": True, "average_attn_weights": False}
        # Only a hint that the mask is causal, which torch may take only where no weights are wanted.
        said.pop("is_causal", None)
        if any(isinstance(value, Tensor) and value.is_nested for value in said.values()):
            return
        self.busy = True
        try:
            with torch.no_grad():
                weights = module(**said)[1]
        finally:
            self.busy = False
        if isinstance(weights, Tensor) and weights.ndim == 4:
            path = self._paths[module]
            self._visits[path] += 1
            self._attended(path if self._visits[path] == 1 else f"{path}:{self._visits[path]}", weights)

    def fused(self, layer: nn.TransformerEncoderLayer, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Tell the weights of a transformer layer that ran fused."""
        said = {**dict(zip(("src", "src_mask", "src_key_padding_mask", "is_causal"), given, strict=False)), **named}
        source = said["src"]
        if source.is_nested:
            return
        self.busy = True
        try:
            with torch.no_grad():
                asked = layer.norm1(source) if layer.norm_first else source
        finally:
            self.busy = False
        masks = {"attn_mask": said.get("src_mask"), "key_padding_mask": said.get("src_key_padding_mask")}
        self.told(layer.self_attn, (asked, asked, asked), masks)
