"""A scikit-learn estimator as a layer: transformers, and what scores or groups rows without a target."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from layerwise.canonical import encode
from layerwise.errors import Damaged, InvalidData, InvalidFile, InvalidLayer, InvalidShape, nearest
from layerwise.graph.kinds import register
from layerwise.graph.ports import Port
from layerwise.layers.base import DataKind, State, Value
from layerwise.layers.join import Join
from layerwise.layers.lookup import built
from layerwise.layers.numeric import Numbers, exact, learned, no_rows
from layerwise.layers.skopsfile import dump, load, need_skops
from layerwise.words import shorten

ROWS = 256
"""Rows go through an estimator in blocks of this size, the last one filled up: products of matrices of other sizes take
other paths, and a row's last bits would depend on how many came with it."""

_REFUSALS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What scikit-learn raises where rows, or a state from elsewhere, do not fit: IndexError, LinAlgError and the like."""

METHODS = ("transform", "score_samples", "predict")
"""What an estimator is asked for: the first of these that it has, unless ``method`` says otherwise."""


@register("estimator")
@dataclass(frozen=True)
class Estimator(DataKind):
    """A scikit-learn estimator that learns without a target, made by ``lw.estimator(PCA(5))``.

    The inputs, scalars and vectors, are put side by side. All training rows are held in memory as float64 to fit it.
    An estimator that needs a target (a classifier, a regressor, SelectKBest) is none: where a model answers there is
    no target. Put neural layers and an answer layer there.

    Args:
        estimator: the class by its public name, e.g. ``sklearn.decomposition.PCA``.
        settings: its parameters that are not at their defaults. A ``random_state`` that is None becomes 0.
        method: ``transform``, ``score_samples`` or ``predict``; the first of these that it has where not given.

    State ``skops``, the fitted estimator as skops bytes (never pickle), and ``width``, how many numbers come out a row.

    Raises:
        Missing: scikit-learn or skops is not installed.
        InvalidLayer: no such estimator, one that needs a target, or parameters that JSON cannot hold.
        InvalidData: missing values where it takes none; anything it refuses.
    """

    estimator: str
    settings: Mapping[str, Any] | None = None
    method: Literal["transform", "score_samples", "predict"] | None = None

    arity: ClassVar[tuple[int, int | None]] = (1, None)
    learns: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _hold_settings(self.settings or {})
        self._method(self._made())

    def __hash__(self) -> int:
        return hash((self.estimator, self.method, encode(self.settings)))

    def _made(self) -> Any:
        cls = _find(self.estimator)
        defaults = cls().get_params(deep=False)
        settings = dict(self.settings or {})
        for name, value in settings.items():
            if name not in defaults:
                raise InvalidLayer(f"{self.estimator} has no setting {shorten(name)}.{nearest(name, defaults)}")
            # JSON and YAML have lists only.
            if isinstance(value, list) and isinstance(defaults[name], tuple):
                settings[name] = tuple(value)
        if "random_state" in defaults and settings.get("random_state") is None:
            settings["random_state"] = 0
        return cls(**settings)

    def _method(self, made: Any) -> str:
        _hold_no_target(self.estimator, made)
        have = [name for name in METHODS if hasattr(made, name)]
        if not have or (self.method is not None and self.method not in have):
            raise InvalidLayer(
                f"{self.estimator} with these settings has no {self.method or ', '.join(METHODS)}"
                f"{nearest('', have) or ': it has nothing to say about rows it was not fitted on'}"
            )
        return self.method or have[0]

    def infer(self, inputs: tuple[Port, ...], state: Mapping[str, Any] | None = None) -> Port:
        """Return float32 [width] for a transform, a float32 scalar for scores, an int64 one for predictions."""
        Join().infer(inputs)
        method = self._method(self._made())
        width = int(state["width"]) if state else None
        dtype = "int64" if method == "predict" else "float32"
        return Port(dtype) if method != "transform" else Port(dtype, (width,))

    def fit(self, batches: Iterable[tuple[Value, ...]]) -> State:
        """Return the estimator fitted on all training rows."""
        parts = [_matrix(values) for values in batches]
        if not sum(map(len, parts)):
            raise no_rows()
        made, rows = self._made(), np.concatenate(parts)
        _hold_present(made, rows)
        try:
            made.fit(rows)
        except (ValueError, TypeError) as error:
            raise InvalidData(f"{self.estimator} refuses the training rows: {str(error)[:300]}") from error
        found = self._asked(made, rows[:1])
        width = found.shape[1] if found.ndim == 2 else 1
        data = np.frombuffer(dump(made), dtype=np.uint8).copy()
        return {"skops": torch.from_numpy(data), "width": torch.tensor(width)}

    def run(self, *inputs: Value, state: State) -> Value:
        """Return what the estimator makes of the rows: [batch, width] or [batch]."""
        fitted = built(learned(state, "skops"), self._loaded)
        rows = _matrix(inputs)
        _hold_present(fitted, rows)
        try:
            found = self._asked(fitted, rows)
        except _REFUSALS as error:
            raise InvalidData(f"{self.estimator} refuses the rows: {str(error)[:300]}") from error
        return torch.from_numpy(found)

    def _loaded(self, data: Tensor) -> Any:
        fitted = load(data.numpy().tobytes())
        if type(fitted) is not _find(self.estimator):
            raise InvalidData(f"the state is of {type(fitted).__name__}, and the layer is {self.estimator}")
        made = self._made().get_params(deep=False)
        # Not all: another scikit-learn has other defaults. How many processes it takes is never the state's to say.
        for name in {*(self.settings or {}), "n_jobs"} & made.keys():
            if repr(getattr(fitted, name, None)) != repr(made[name]):
                raise Damaged(f"the state's {name!r} is not the layer's: it is of another {self.estimator}")
        return fitted

    def _asked(self, fitted: Any, rows: Numbers) -> Numbers:
        method = self._method(fitted)
        ask = getattr(fitted, method)
        # No rows are asked for as one, to learn the width of what comes out.
        source = rows if len(rows) else np.zeros((1, rows.shape[1]))
        filled = np.concatenate([source, np.repeat(source[-1:], -len(source) % ROWS, axis=0)])
        parts = [ask(filled[start : start + ROWS]) for start in range(0, len(filled), ROWS)]
        dense = [_dense(part) for part in parts]
        dtype = np.int64 if method == "predict" else np.float32
        found: Numbers = np.concatenate(dense)[: len(rows)].astype(dtype)
        return found


def estimator(made: Any, *, method: Literal["transform", "score_samples", "predict"] | None = None) -> Estimator:
    """Return a layer's kind that fits and runs a scikit-learn estimator like ``made``.

    Args:
        made: an estimator, fitted or not: its class and parameters count.
        method: ``transform``, ``score_samples`` or ``predict``; the first of these that it has where not given.

    Raises:
        Missing, InvalidLayer: see ``Estimator``.

    Example:
        >>> from sklearn.decomposition import PCA
        >>> estimator(PCA(n_components=5)).settings
        {'n_components': 5, 'random_state': 0}
    """
    names = {cls: name for name, cls in _classes().items()}
    if type(made) not in names:
        _hold_no_target(type(made).__name__, made)
        raise InvalidLayer(
            f"{shorten(type(made).__name__)} is no estimator that can be a layer; expected an object of a class "
            f"such as sklearn.decomposition.PCA or sklearn.preprocessing.PowerTransformer"
        )
    defaults = type(made)().get_params(deep=False)
    settings: dict[str, Any] = {}
    for name, value in made.get_params(deep=False).items():
        plain = value.item() if isinstance(value, np.generic) else value
        plain = 0 if name == "random_state" and plain is None else plain
        if repr(plain) != repr(defaults[name]):
            settings[name] = list(plain) if isinstance(plain, tuple) else plain
    _hold_settings(settings)
    return Estimator(names[type(made)], settings or None, method)


def _hold_settings(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        try:
            encode(value)
        except InvalidFile:
            raise InvalidLayer(f"the setting {name!r} is {shorten(value)}; expected a JSON value") from None
        if name == "memory" and value is not None:
            raise InvalidLayer("the setting 'memory' names a folder, and no description names one; leave it out")


@functools.cache
def _classes() -> dict[str, type]:
    # A fixed list of modules: nothing is imported by a name that stands in a description.
    need_skops()
    from sklearn import (
        cluster,
        covariance,
        decomposition,
        ensemble,
        feature_selection,
        impute,
        kernel_approximation,
        mixture,
        preprocessing,
        random_projection,
        svm,
    )
    from sklearn.base import BaseEstimator

    modules: list[ModuleType] = [cluster, covariance, decomposition, ensemble, feature_selection, impute]
    modules += [kernel_approximation, mixture, preprocessing, random_projection, svm]
    return {
        f"{module.__name__}.{name}": cls
        for module in modules
        for name, cls in vars(module).items()
        if isinstance(cls, type) and issubclass(cls, BaseEstimator) and cls.__module__.startswith(module.__name__)
    }


def _find(name: str) -> Any:
    known = _classes()
    if name not in known:
        raise InvalidLayer(f"there is no estimator {shorten(name)}.{nearest(name, known)}")
    return known[name]


def _dense(part: Any) -> Numbers:
    if not hasattr(part, "toarray"):
        return np.asarray(part)
    # SciPy writes where the columns' numbers say, and a state from elsewhere may name columns that are not there.
    part.check_format(full_check=True)
    found: Numbers = part.toarray()
    return found


def _matrix(values: tuple[Value, ...]) -> Numbers:
    parts = [exact(value).double() for value in values]
    for part, value in zip(parts, values, strict=True):
        if isinstance(value, tuple) or part.dim() > 2:
            raise InvalidShape(f"an input is of shape {['batch', *part.shape[1:]]}; it takes scalars and vectors")
    return torch.cat([part if part.dim() == 2 else part[:, None] for part in parts], dim=1).numpy()


def _hold_no_target(name: str, made: Any) -> None:
    from sklearn.utils import get_tags

    if hasattr(made, "__sklearn_tags__") and get_tags(made).target_tags.required:
        raise InvalidLayer(
            f"{name} learns from a target, and where a model answers there is none; take neural layers and an answer "
            f"layer, or an estimator that learns without one"
        )


def _hold_present(made: Any, rows: Numbers) -> None:
    from sklearn.utils import get_tags

    missing = int(np.isnan(rows).sum())
    if missing and not get_tags(made).input_tags.allow_nan:
        raise InvalidData(f"{missing:,} values of {rows.size:,} are missing; put a `fill` layer before this one")
