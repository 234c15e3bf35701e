"""The settings of a training, held to their grammar before anything runs."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from layerwise.data.split import Split
from layerwise.engine.recording.asked import Recording
from layerwise.errors import InvalidConfig, InvalidLayer, nearest
from layerwise.graph.kinds import fit_type
from layerwise.words import shorten

RECORD = "record"
"""What stands beside the settings under ``train:`` and says what is to be recorded (``Recording``)."""

_POSITIVE = ("epochs", "batch", "lr", "clip", "patience", "threads")


@dataclass(frozen=True)
class Training:
    """How a model is trained. Every field can stand under ``train:`` in a model's file.

    Attributes:
        epochs: passes over the training rows.
        batch: rows a step.
        optimizer: one of torch.optim by name, or ``{kind: adamw, weight_decay: 0.01}``.
        lr: learning rate.
        schedule: one of torch.optim.lr_scheduler by name, or ``{kind: CosineAnnealingLR, ...}``.
        clip: largest norm of all gradients together; larger ones are scaled down to it.
        seed: from which every draw follows: weights, order of rows, dropout, augmentation.
        split: which rows train, validate and test.
        monitor: the metric on the validation rows that decides which epoch is best; the answer's own if not given.
        patience: epochs without a better one after which training stops early.
        keep: the weights that the version gets: of the best epoch, or of the last.
        sampling: ``balanced`` draws every class equally often.
        device: ``auto`` (CUDA, then MPS, then CPU) or one of torch's names.
        threads: threads of one operation on the CPU; as torch has it where not given. Bits depend on it.
        deterministic: whether torch may use only algorithms that give the same bits again.
        checkpoint: seconds between two savings from which a killed run goes on.
    """

    epochs: int = 10
    batch: int = 64
    optimizer: str | Mapping[str, Any] = "adam"
    lr: float = 1e-3
    schedule: str | Mapping[str, Any] | None = None
    clip: float | None = None
    seed: int = 0
    split: Split = field(default_factory=Split)
    monitor: str | None = None
    patience: int | None = None
    keep: Literal["best", "last"] = "best"
    sampling: Literal["balanced"] | None = None
    device: str = "auto"
    threads: int | None = None
    deterministic: bool = True
    checkpoint: float = 30.0

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Return the settings, or raise InvalidConfig that names the wrong one, the nearest right one and the cure.

        >>> Training.from_mapping({"epochs": 3, "lr": 0.01}).epochs
        3
        """
        hints = typing.get_type_hints(cls)
        found: dict[str, Any] = {}
        for key, value in settings.items():
            if key == RECORD:
                # What is recorded changes no bit of a run: it is said here, and is no setting of the training.
                Recording.parse(value)
                continue
            if key not in hints:
                raise InvalidConfig(
                    f"there is no training setting {shorten(str(key))}.{nearest(str(key), [*hints, RECORD])}"
                )
            found[key] = _split(value) if key == "split" else _fitted(key, value, hints[key])
        return cls(**found)

    def to_json(self) -> dict[str, Any]:
        """Return every setting as JSON, defaults too: what ran is what is kept."""
        return {
            item.name: value.to_json() if isinstance(value := getattr(self, item.name), Split) else value
            for item in dataclasses.fields(self)
        }


@contextmanager
def at_setting(name: str) -> Iterator[None]:
    """Name the training setting in front of an InvalidConfig that is raised inside.

    >>> with at_setting("optimizer"):
    ...     raise InvalidConfig("there is no optimizer 'adamm'")
    Traceback (most recent call last):
    layerwise.errors.InvalidConfig: train: optimizer: there is no optimizer 'adamm'
    """
    try:
        yield
    except InvalidConfig as error:
        raise InvalidConfig(f"train: {name}: {error}") from error.__cause__


def _split(value: Any) -> Split:
    with at_setting("split"):
        return value if isinstance(value, Split) else Split.from_json(value)


def _fitted(key: str, value: Any, hint: Any) -> Any:
    try:
        fitted = fit_type(value, hint, key)
    except InvalidLayer as error:
        raise InvalidConfig(f"train: {error}") from None
    if key in _POSITIVE and fitted is not None and fitted <= 0:
        raise InvalidConfig(f"train: the setting {key!r} is {fitted}; expected more than 0")
    if key == "checkpoint" and fitted < 0:
        raise InvalidConfig(f"train: the setting 'checkpoint' is {fitted}; expected 0 or more seconds")
    if key == "seed" and not 0 <= fitted < 2**63:
        raise InvalidConfig(f"train: the setting 'seed' is {fitted}; expected 0 to 2**63 - 1")
    return fitted
