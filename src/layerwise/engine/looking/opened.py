"""What looking needs of a version: its description, what it learned, its records and its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import pyarrow as pa

from layerwise.data.dataset import Dataset
from layerwise.engine.model import Model
from layerwise.engine.recording.keeping import Answering
from layerwise.errors import InvalidData, NotFound, nearest
from layerwise.layers.base import State
from layerwise.layers.steps import WrappedNetwork
from layerwise.versions.manifest import Manifest
from layerwise.words import shorten


class Opened(Answering, Protocol):
    """A version, opened: ``engine.version.Version`` is one."""

    @property
    def manifest(self) -> Manifest:
        """What it is made of."""

    @property
    def address(self) -> str:
        """Its address, ``digits@3``."""

    @property
    def model(self) -> Model:
        """Its description."""

    @property
    def states(self) -> Mapping[str, State]:
        """What every layer has learned, by path."""

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """The types of the columns in training, by name."""

    @property
    def tables_whole(self) -> bool:
        """Whether rows are looked at beside each other, so that tables must be whole."""


def dataset_of(opened: Opened, data: Dataset | str | None = None) -> Dataset:
    """Return the dataset whose rows are meant by position or id: that of the training where none is named.

    Raises:
        NotFound: the version names none, or there is none of that name.
        InvalidData: what the name stands for today is not what the version was trained on.
    """
    if isinstance(data, Dataset):
        return data
    if data is not None:
        return opened.repo.dataset(data)
    known = opened.manifest.data
    if not known:
        raise NotFound(f"{opened.address} names no dataset; give the rows themselves, or data= and a dataset's name")
    address = f"{known['name']}@{known['number']}"
    found = opened.repo.dataset(address)
    if found.digest != known["digest"]:
        raise InvalidData(
            f"{address} is {found.digest[:12]} here and {opened.address} was trained on {known['digest'][:12]}: two "
            f"data versions of one name; give the one that is meant as data="
        )
    return found


def hold_layer(opened: Opened, path: str) -> str:
    """Return the path of a layer, ``name`` or ``name:2``, or raise NotFound with the nearest name.

    A later pass is known only once the module ran; its first pass is what is looked up here.
    """
    name, colon, visit = path.partition(":")
    known = {path: layer.action for path, layer in opened.model.walk()}
    if name not in known:
        raise NotFound(f"{opened.address} has no layer {shorten(path)}.{nearest(name, known)}")
    if known[name].role == "answer":
        raise NotFound(
            f"nothing leaves the answer layer {name!r} of {opened.address}: it reads what arrives; "
            f"look at {opened.model.wiring[name][0]!r}, or predict"
        )
    if colon and (not visit.isdecimal() or int(visit) < 1):
        raise NotFound(f"{shorten(path)} names no pass of the layer {name!r}; write {name}:2 for its second")
    return name if visit == "1" else path


def data_layers(model: Model) -> list[str]:
    """Return the names of the data layers, in the order in which they run."""
    return [name for name in model.wiring if model.by_name[name].action.role == "data"]


def not_seen(opened: Opened, path: str, seen: Iterable[str]) -> NotFound:
    """Return the error for a layer that is there and that nothing left when the row passed."""
    name, colon, _ = path.partition(":")
    passes = sum(one.partition(":")[0] == name for one in seen)
    if colon and passes:
        return NotFound(
            f"{opened.address}: the layer {name!r} runs {passes} times a row, and there is no pass {path!r}"
        )
    wrapped = isinstance(opened.untouched.network, WrappedNetwork)
    cure = "look at the layer around it" + (", or at another way through the module" if wrapped else "")
    return NotFound(
        f"{opened.address}: nothing that is a tensor with one entry a row leaves the layer {path!r} for these rows; "
        f"{cure}"
    )
