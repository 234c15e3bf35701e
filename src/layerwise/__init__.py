"""Layerwise: a workbench for neural networks built as named layers. Every public name is on this page.

Names are loaded when first used: ``import layerwise`` loads neither torch nor anything else that is heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from layerwise.data.dataset import Dataset as Dataset
    from layerwise.data.split import Split as Split
    from layerwise.engine.model import Model as Model
    from layerwise.engine.run import Run as Run
    from layerwise.engine.run import train as train
    from layerwise.engine.version import Version as Version
    from layerwise.engine.version import load as load
    from layerwise.graph.layer import Layer as Layer
    from layerwise.layers.scaling import Scale as Scale
    from layerwise.repo import Repository as Repository

_HOMES = {}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'layerwise' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
