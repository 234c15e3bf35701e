"""A version as files that any tool reads: safetensors for what was learned, YAML for what it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from layerwise.engine.tensors import to_raw
from layerwise.engine.version import Version
from layerwise.errors import InvalidFile
from layerwise.layers.base import State
from layerwise.store.disk import Buffer, Disk, write_file
from layerwise.store.tensors import HARD_MAX_HEADER, frame
from layerwise.words import shorten

WEIGHTS = "weights.safetensors"
"""The neural part: the keys of ``Version.module().state_dict()``, for ``module.load_state_dict``."""

STATE = "state.safetensors"
"""What the data and answer layers have learned: ``layer/tensor``."""

DESCRIPTION = "model.yaml"
"""The model, as ``layerwise train`` takes it."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        version: the version's address.
        folder: where.
        files: the bytes of each file, by name.
        tensors: how many tensors the weights and the state have, by file name.
    """

    version: str
    folder: Path
    files: Mapping[str, int]
    tensors: Mapping[str, int]


def export(version: Version, folder: str | os.PathLike[str], *, force: bool = False) -> Exported:
    """Write a version into ``folder``, which is made if it is not there.

    Args:
        version: what to write.
        folder: where; its parent must be there.
        force: whether files of an earlier export may be replaced.

    Raises:
        InvalidFile: something is in the folder already, or it cannot be made.

    Example:
        >>> export(lw.load("digits@1"), "digits-1").files  # doctest: +SKIP
        {'weights.safetensors': 20544, 'state.safetensors': 192, 'model.yaml': 512}
    """
    target = Path(folder)
    _hold_free(target, force=force)
    network = version.live.network
    neural = {path for path, _ in network.walk()}
    weights = dict(version.module().state_dict())
    state = named({path: found for path, found in version.states.items() if path not in neural})
    chunks: dict[str, list[Buffer]] = {
        WEIGHTS: _framed(weights, version, format="pt"),
        STATE: _framed(state, version),
        DESCRIPTION: [version.model.to_yaml().encode()],
    }
    Disk(target).make_root()
    for name, found in chunks.items():
        write_file(target / name, found)
    sizes = {name: sum(memoryview(chunk).nbytes for chunk in found) for name, found in chunks.items()}
    return Exported(version.address, target, sizes, {WEIGHTS: len(weights), STATE: len(state)})


def named(states: Mapping[str, State]) -> dict[str, Tensor]:
    """Return the tensors of several layers under ``layer/tensor``.

    >>> list(named({"scaled": {"mean": Tensor([0.0])}}))
    ['scaled/mean']
    """
    return {f"{path}/{name}": tensor for path, state in states.items() for name, tensor in state.items()}


def _framed(tensors: Mapping[str, Tensor], version: Version, **metadata: str) -> list[Buffer]:
    said = {"layerwise.version": version.address, "layerwise.manifest": version.entry.digest, **metadata}
    return frame(to_raw(tensors), said, header_limit=HARD_MAX_HEADER)


def _hold_free(folder: Path, *, force: bool) -> None:
    if not folder.exists():
        if not folder.absolute().parent.is_dir():
            raise InvalidFile(
                f"there is no folder {str(folder.absolute().parent)!r} to make {folder.name!r} in; make it first"
            )
        return
    if not folder.is_dir():
        raise InvalidFile(f"{folder} is there and is not a folder; choose another name")
    found = sorted(path.name for path in folder.iterdir())
    if found and not force:
        raise InvalidFile(
            f"the folder {folder} holds {shorten(found[0])}; choose an empty one, or replace files with force"
        )
