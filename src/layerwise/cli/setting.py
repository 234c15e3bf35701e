"""``--set PATH=VALUE``: one value of a model's file, said on the command line instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from layerwise.errors import InvalidConfig, nearest
from layerwise.words import shorten

SHAPE = "write --set train.epochs=3 or --set layers.NAME.OPTION=VALUE"


def apply(description: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Return a model's description with each setting in its place; the one given is left as it is.

    Args:
        description: what a model's file says (``graph.yaml.read``).
        settings: texts ``PATH=VALUE``: keys with dots between, and a value as it would stand in the file.

    Raises:
        InvalidConfig: no such place, with the nearest; or no value that YAML knows.

    Example:
        >>> apply({"model": "digits", "train": {"epochs": 10}}, ["train.epochs=3"])["train"]
        {'epochs': 3}
    """
    found = dict(description)
    for setting in settings:
        path, sign, text = setting.partition("=")
        keys = path.strip().split(".")
        if not sign or not all(keys):
            raise InvalidConfig(f"--set {shorten(setting)} is not PATH=VALUE; {SHAPE}")
        _hold_path(found, keys)
        found = _placed(found, keys, _value(path, text), keys)
    return found


def _value(path: str, text: str) -> Any:
    from layerwise.graph import yaml

    if "\n" in text:
        raise InvalidConfig(f"--set {path}: a value stands on one line, found {shorten(text)}")
    return yaml.read(f"value: {text}\n", what=f"--set {path}")[0]["value"]


def _hold_path(description: Mapping[str, Any], keys: list[str]) -> None:
    from layerwise.graph.graph import KEYS

    top, *rest = keys
    if top not in KEYS:
        raise InvalidConfig(f"--set {'.'.join(keys)}: a model has no key {shorten(top)}.{nearest(top, KEYS)}")
    if not rest and top in ("layers", "train"):
        raise InvalidConfig(f"--set {top} would replace all of it; {SHAPE}")
    if top == "train":
        _hold_known(keys, 1, "training setting", _training_settings())
    if top == "layers":
        _hold_layers(description.get("layers"), keys, at=1)


def _hold_layers(layers: Any, keys: list[str], *, at: int) -> None:
    known = layers if isinstance(layers, Mapping) else {}
    _hold_known(keys, at, "layer", known)
    if len(keys) == at + 1:
        raise InvalidConfig(f"--set {'.'.join(keys)} names a layer and none of its options; {SHAPE}")
    layer = known[keys[at]]
    if keys[at + 1] == "layers" and isinstance(layer, Mapping) and len(keys) > at + 2:
        _hold_layers(layer.get("layers"), keys, at=at + 2)


def _hold_known(keys: list[str], at: int, what: str, known: Iterable[str]) -> None:
    if keys[at] not in known:
        raise InvalidConfig(
            f"--set {'.'.join(keys)}: there is no {what} {shorten(keys[at])}.{nearest(keys[at], known)}"
        )


def _training_settings() -> list[str]:
    import dataclasses

    from layerwise.engine.training import RECORD, Training

    return [*(item.name for item in dataclasses.fields(Training)), RECORD]


def _placed(inside: Mapping[str, Any], keys: Sequence[str], value: Any, path: Sequence[str]) -> dict[str, Any]:
    first, *rest = keys
    if not rest:
        return {**inside, first: value}
    inner = inside.get(first)
    if inner is not None and not isinstance(inner, Mapping):
        place = ".".join(path[: len(path) - len(rest)])
        raise InvalidConfig(
            f"--set {'.'.join(path)}: {place} is {shorten(inner)} and has nothing inside; "
            f"write --set '{place}={{…}}' to give it all at once"
        )
    return {**inside, first: _placed(inner or {}, rest, value, path)}
