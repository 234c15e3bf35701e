"""Layerwise: a workbench for neural networks built as named layers. Every public name is on this page.

Names are loaded when first used: ``import layerwise`` loads neither torch nor anything else that is heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from layerwise.data.reading import Dataset as Dataset
    from layerwise.data.split import Split as Split
    from layerwise.engine.keep import keep as keep
    from layerwise.engine.model import Model as Model
    from layerwise.engine.model import wrap as wrap
    from layerwise.engine.recording.asked import Recording as Recording
    from layerwise.engine.recording.recorded import recorded as recorded
    from layerwise.engine.reproduce import reproduce as reproduce
    from layerwise.engine.run import Run as Run
    from layerwise.engine.run import train as train
    from layerwise.engine.version import Version as Version
    from layerwise.engine.version import load as load
    from layerwise.graph.kinds import Kind as Kind
    from layerwise.graph.kinds import register as register
    from layerwise.graph.layer import Layer as Layer
    from layerwise.graph.ports import Port as Port
    from layerwise.layers.answers import Classes as Classes
    from layerwise.layers.attention import Attention as Attention
    from layerwise.layers.attention import Positions as Positions
    from layerwise.layers.attention import Transformer as Transformer
    from layerwise.layers.augment import Augment as Augment
    from layerwise.layers.base import AnswerKind as AnswerKind
    from layerwise.layers.base import DataKind as DataKind
    from layerwise.layers.base import NeuralKind as NeuralKind
    from layerwise.layers.base import Padded as Padded
    from layerwise.layers.blocks import Block as Block
    from layerwise.layers.blocks import Residual as Residual
    from layerwise.layers.buckets import Bucket as Bucket
    from layerwise.layers.categories import Category as Category
    from layerwise.layers.categories import OneHot as OneHot
    from layerwise.layers.columns import Column as Column
    from layerwise.layers.combine import Add as Add
    from layerwise.layers.combine import Concatenate as Concatenate
    from layerwise.layers.combine import Multiply as Multiply
    from layerwise.layers.combine import Permute as Permute
    from layerwise.layers.estimator import estimator as estimator
    from layerwise.layers.filling import Fill as Fill
    from layerwise.layers.functions import function as function
    from layerwise.layers.images import Image as Image
    from layerwise.layers.join import Join as Join
    from layerwise.layers.labels import Labels as Labels
    from layerwise.layers.padding import Lengths as Lengths
    from layerwise.layers.padding import Pad as Pad
    from layerwise.layers.ranking import Ranking as Ranking
    from layerwise.layers.records import Columns as Columns
    from layerwise.layers.recurrent import PoolOverTime as PoolOverTime
    from layerwise.layers.scaling import Clip as Clip
    from layerwise.layers.scaling import Log as Log
    from layerwise.layers.scaling import Scale as Scale
    from layerwise.layers.scaling import Standardize as Standardize
    from layerwise.layers.sequences import Sequence as Sequence
    from layerwise.layers.sequences import Window as Window
    from layerwise.layers.text import Tokens as Tokens
    from layerwise.layers.values import Value as Value
    from layerwise.layers.vocabulary import Vocabulary as Vocabulary
    from layerwise.layers.wrap import wrapped as wrapped
    from layerwise.repo import Repository as Repository
    from layerwise.repo import dataset as dataset

# The same page for the running program: which module holds which names.
_PAGES = {
    "layerwise.data.reading": ("Dataset",),
    "layerwise.data.split": ("Split",),
    "layerwise.engine.keep": ("keep",),
    "layerwise.engine.model": ("Model", "wrap"),
    "layerwise.engine.recording.asked": ("Recording",),
    "layerwise.engine.recording.recorded": ("recorded",),
    "layerwise.engine.reproduce": ("reproduce",),
    "layerwise.engine.run": ("Run", "train"),
    "layerwise.engine.version": ("Version", "load"),
    "layerwise.graph.kinds": ("Kind", "register"),
    "layerwise.graph.layer": ("Layer",),
    "layerwise.graph.ports": ("Port",),
    "layerwise.layers.answers": ("Classes",),
    "layerwise.layers.attention": ("Attention", "Positions", "Transformer"),
    "layerwise.layers.augment": ("Augment",),
    "layerwise.layers.base": ("AnswerKind", "DataKind", "NeuralKind", "Padded"),
    "layerwise.layers.blocks": ("Block", "Residual"),
    "layerwise.layers.buckets": ("Bucket",),
    "layerwise.layers.categories": ("Category", "OneHot"),
    "layerwise.layers.columns": ("Column",),
    "layerwise.layers.combine": ("Add", "Concatenate", "Multiply", "Permute"),
    "layerwise.layers.estimator": ("estimator",),
    "layerwise.layers.filling": ("Fill",),
    "layerwise.layers.functions": ("function",),
    "layerwise.layers.images": ("Image",),
    "layerwise.layers.join": ("Join",),
    "layerwise.layers.labels": ("Labels",),
    "layerwise.layers.ranking": ("Ranking",),
    "layerwise.layers.records": ("Columns",),
    "layerwise.layers.recurrent": ("PoolOverTime",),
    "layerwise.layers.scaling": ("Clip", "Log", "Scale", "Standardize"),
    "layerwise.layers.padding": ("Lengths", "Pad"),
    "layerwise.layers.sequences": ("Sequence", "Window"),
    "layerwise.layers.wrap": ("wrapped",),
    "layerwise.layers.text": ("Tokens",),
    "layerwise.layers.values": ("Value",),
    "layerwise.layers.vocabulary": ("Vocabulary",),
    "layerwise.repo": ("Repository", "dataset"),
}
_HOMES = {name: module for module, names in _PAGES.items() for name in names}

__all__ = sorted(["__version__", *_HOMES])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'layerwise' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
