"""How much of an answer rests on each number that leaves a layer, by Captum.

Integrated gradients: M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, section 3;
the path here is that of the layer's output, from a baseline to what it is, with all else as it is, so that the
attributions of a row add up to how far its score is from the score at the baseline. Internal influence: K. Leino
et al., "Influence-Directed Explanations for Deep Convolutional Networks", ITC 2018. DeepLIFT: A. Shrikumar,
P. Greenside, A. Kundaje, "Learning Important Features Through Propagating Activation Differences", ICML 2017.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layerwise.engine.cells import aligned, as_html
from layerwise.engine.evaluate import CANONICAL
from layerwise.engine.looking.asking import Looking
from layerwise.engine.looking.rows import Chosen
from layerwise.engine.looking.tail import Tail, Whole
from layerwise.engine.settle import index
from layerwise.errors import InvalidData, InvalidShape, Missing, NotFound, nearest
from layerwise.layers.base import Padded, Value, as_tensor, rows_of
from layerwise.layers.probe import first_line
from layerwise.layers.targets import kept_labels, label_text
from layerwise.words import shorten, visible

STEPS = 64
"""Points on the path from the baseline; Gauss-Legendre, so that few are enough."""

TOGETHER = 256
"""Rows, times points on the path, that run together."""

SHOWN = 10
"""Numbers that an attribution prints of a row: those on which most rests."""


@dataclass(frozen=True)
class Attribution:
    """How much of the answer rests on each number that leaves a layer.

    Attributes:
        layer: the layer's path.
        method: which method.
        ids: the rows' ids.
        targets: what is explained of each row: its class, or the number's place.
        values: [rows, ...], in the shape of what leaves the layer; what speaks for the target is positive.
        scores: of the target, [rows].
        baseline: of the target where the baseline leaves the layer, [rows].
    """

    layer: str
    method: str
    ids: tuple[str, ...]
    targets: tuple[str, ...]
    values: Tensor
    scores: Tensor
    baseline: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def gap(self) -> Tensor:
        """What is left over of each row's score less that of the baseline, [rows]: about 0 for a complete method."""
        return self.values.flatten(1).sum(1) - (self.scores - self.baseline)

    @property
    def cells(self) -> list[list[str]]:
        """The head and, for each row, the numbers of the layer on which most rests, as text."""
        found = [["row", "for", "score", "rests on"]]
        for at, name in enumerate(self.ids):
            row = self.values[at].flatten()
            most = row.abs().argsort(descending=True, stable=True)[:SHOWN].tolist()
            places = [torch.unravel_index(torch.tensor(place), self.values.shape[1:]) for place in most]
            said = [
                f"[{','.join(str(int(one)) for one in place)}] {row[i]:+.3g}"
                for place, i in zip(places, most, strict=True)
            ]
            found.append([visible(name), visible(self.targets[at]), f"{self.scores[at]:.4g}", "  ".join(said)])
        return found

    def __str__(self) -> str:
        return f"{self.method.replace('_', ' ')} of {self.layer}\n{aligned(self.cells)}"

    def _repr_html_(self) -> str:
        return as_html(self.cells)


def _place_of(place: int, shape: Sequence[int]) -> str:
    return f"[{','.join(str(int(one)) for one in np.unravel_index(place, shape))}]" if shape else ""


def attribute(
    looking: Looking, path: str, rows: Any, target: Any = None, *, method: str = "integrated_gradients",
    baseline: Any = 0.0, steps: int = STEPS,
) -> Attribution:  # fmt: skip
    """Return how much of the answer of rows rests on each number that leaves a layer.

    Raises:
        Missing: Captum is not installed.
        NotFound: no such method, class or place.
        InvalidData: the layer gives whole numbers, or text.
        InvalidShape: a baseline of another shape.
    """
    captum = _captum()
    if method not in METHODS:
        raise NotFound(f"there is no method {shorten(method)}.{nearest(str(method), METHODS)}")
    chosen = looking.rows(path) if rows is None else looking.choose(rows)
    whole = looking.look(path, chosen, exact=True).values
    _hold_floats(looking, path, whole, chosen)
    asked = Asked(looking, path, chosen, captum, method, target, baseline, steps)
    parts = [
        _some(replace(asked, chosen=chosen.part(at, at + CANONICAL)), _rows(whole, at))
        for at in range(0, len(chosen), CANONICAL)
    ]
    names = tuple(name for part in parts for name in part[0])
    found = [torch.cat(tensors) for tensors in zip(*(part[1] for part in parts), strict=True)]
    return Attribution(path, method, tuple(chosen.ids), names, *found)


def _rows(value: Value, start: int) -> Value:
    return index(value, torch.arange(start, min(start + CANONICAL, rows_of(value))))


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError:
        raise Missing("attribution needs Captum: pip install 'layerwise[attribution]'") from None
    return captum.attr


def _hold_floats(looking: Looking, path: str, value: Value, chosen: Chosen) -> None:
    if isinstance(value, Tensor | Padded) and as_tensor(value).is_floating_point():
        return
    computer = looking.computer
    seen = computer.passed(chosen.part(0, 1))
    entries = computer.live.network.entries
    floats = [
        name for name, one in seen.items()
        if isinstance(one, Tensor | Padded) and as_tensor(one).is_floating_point()
        and (name not in computer.data_names or name in entries)
    ]  # fmt: skip
    first = min(floats, key=lambda name: (name in computer.data_names, list(seen).index(name)), default="")
    cure = f"; the first layer after it that can be asked is {first!r}" if first else ""
    found = (
        str(as_tensor(value).dtype).removeprefix("torch.") if isinstance(value, Tensor | Padded) else str(value.type)
    )
    raise InvalidData(f"layer {path!r} gives {found}, and only of floats is there a gradient{cure}")


@dataclass(frozen=True)
class Asked:
    """What is asked of a layer, of which rows: by which method, for what, from which baseline, in how many steps."""

    looking: Looking
    path: str
    chosen: Chosen
    captum: Any
    method: str
    target: Any
    baseline: Any
    steps: int


def _some(asked: Asked, value: Value) -> tuple[list[str], tuple[Tensor, Tensor, Tensor]]:
    """Return names of targets; attributions, scores, and scores at the baseline, for at most a batch of rows."""
    tail = Tail(asked.looking, asked.path, value, asked.chosen)
    given, more = as_tensor(value).detach().clone(), tail.extra
    below = _baseline(asked.path, given, asked.baseline)
    with torch.no_grad():
        outputs = tail.outputs(given, *more).flatten(1)
        names, places, signs = _targets(asked.looking, outputs, asked.target)
        extra = (*more, places, signs)
        scores, low = tail(given, *extra), tail(below, *extra)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = METHODS[asked.method](asked, tail, given, below, extra)
        except (RuntimeError, AssertionError) as error:
            raise InvalidData(
                f"{asked.method} cannot go through what follows layer {asked.path!r}: {first_line(error)[:200]}; "
                f"use integrated_gradients"
            ) from error
    return names, (found.detach().reshape(given.shape), scores, low)


def _baseline(path: str, given: Tensor, baseline: Any) -> Tensor:
    found = torch.as_tensor(baseline, dtype=given.dtype)
    if found.ndim and found.shape not in (given.shape, given.shape[1:]):
        raise InvalidShape(
            f"layer {path!r} gives {list(given.shape[1:])} and the baseline is {list(found.shape)}; give a number, or "
            f"one value for all rows"
        )
    return found.expand_as(given).clone()


def _targets(looking: Looking, outputs: Tensor, target: Any) -> tuple[list[str], Tensor, Tensor]:
    """Return for each row what is explained: its name, its place in the outputs, and its sign there."""
    rows, count = outputs.shape
    state = looking.opened.answer_state
    labels = [label_text(label) for label in kept_labels(state["labels"])] if "labels" in state else []
    single = count == 1 and len(labels) == 2
    if target is None:
        places = (outputs[:, 0] > 0).long() if single else outputs.argmax(1)
    else:
        places = torch.full((rows,), _place(target, labels, 2 if single else count))
    names = [labels[at] if at < len(labels) else str(at) for at in places.tolist()]
    # One score of two classes is that of the second; of the first it is the same, turned round.
    signs = torch.where(places == 0, -1.0, 1.0) if single else torch.ones(rows)
    return names, torch.zeros_like(places) if single else places, signs.to(outputs.dtype)


def _place(target: Any, labels: Sequence[str], count: int) -> int:
    text = target if isinstance(target, str) else label_text(target) if labels else ""
    if labels:
        if text not in labels:
            raise NotFound(f"there is no class {shorten(target)}.{nearest(str(text), labels)}")
        return labels.index(text)
    if not isinstance(target, int) or not -count <= target < count:
        raise NotFound(f"the answer is {count:,} numbers, 0 to {count - 1:,}; there is no {shorten(target)}")
    return target % count


Method = Callable[[Asked, Tail, Tensor, Tensor, tuple[Tensor, ...]], Tensor]


def _integrated(asked: Asked, tail: Tail, given: Tensor, below: Tensor, extra: tuple[Tensor, ...]) -> Tensor:
    found: Tensor = asked.captum.IntegratedGradients(tail).attribute(
        given, below, additional_forward_args=extra, n_steps=asked.steps, internal_batch_size=max(TOGETHER, len(given))
    )
    return found


def _times(asked: Asked, tail: Tail, given: Tensor, below: Tensor, extra: tuple[Tensor, ...]) -> Tensor:
    found: Tensor = asked.captum.InputXGradient(tail).attribute(given, additional_forward_args=extra)
    return found


def _gradient(asked: Asked, tail: Tail, given: Tensor, below: Tensor, extra: tuple[Tensor, ...]) -> Tensor:
    found: Tensor = asked.captum.Saliency(tail).attribute(given, abs=False, additional_forward_args=extra)
    return found


def _deeplift(asked: Asked, tail: Tail, given: Tensor, below: Tensor, extra: tuple[Tensor, ...]) -> Tensor:
    # Captum hangs hooks on every module: those of the version stay as they are.
    found: Tensor = asked.captum.DeepLift(copy.deepcopy(tail)).attribute(given, below, additional_forward_args=extra)
    return found


def _influence(asked: Asked, tail: Tail, given: Tensor, below: Tensor, extra: tuple[Tensor, ...]) -> Tensor:
    whole = Whole(asked.looking, asked.path, asked.chosen)
    values = tuple(as_tensor(value) for value in whole.rest.values())
    lengths = tuple(value.lengths for value in whole.rest.values() if isinstance(value, Padded))
    found: Tensor = asked.captum.InternalInfluence(whole, whole.probe).attribute(
        values, additional_forward_args=(*lengths, *extra[-2:]), n_steps=asked.steps,
        internal_batch_size=max(TOGETHER, len(given)),
    )  # fmt: skip
    return found


def _ablation(asked: Asked, tail: Tail, given: Tensor, below: Tensor, extra: tuple[Tensor, ...]) -> Tensor:
    mask = torch.arange(given[0].numel()).reshape(1, *given.shape[1:])
    if given.ndim >= 4:
        # Of maps, one at a time.
        mask = torch.arange(given.shape[1]).reshape(1, -1, *[1] * (given.ndim - 2)).expand(1, *given.shape[1:])
    with torch.no_grad():
        found: Tensor = asked.captum.FeatureAblation(tail).attribute(
            given, below, additional_forward_args=extra, feature_mask=mask
        )
    return found


METHODS: Mapping[str, Method] = {
    "integrated_gradients": _integrated,
    "gradient_x_activation": _times,
    "gradient": _gradient,
    "deeplift": _deeplift,
    "internal_influence": _influence,
    "ablation": _ablation,
}
"""How the share of each number is found."""
