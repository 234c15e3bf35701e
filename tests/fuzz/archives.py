"""Changes to archives of arrays beside a description: scikit-learn's states."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from tests.fuzz import octets, values

SCHEMA = "schema.json"


def changed(data: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """Return an archive after changes to its bytes, to its description, or to one of its arrays."""
    dice = draw.random()
    if dice < 0.15:
        return octets.changed(data, others, draw)
    members = opened(data)
    if dice < 0.4:
        members[SCHEMA] = values.changed(json.loads(members[SCHEMA]), draw)
        return packed(members)
    name = draw.choice([name for name in members if name != SCHEMA])
    dice = draw.random()
    if dice < 0.25:
        members[name] = octets.changed(members[name], list(members.values()), draw)
    elif dice < 0.35:
        members[name] = members[draw.choice(list(members))]
    elif dice < 0.4:
        del members[name]
    else:
        members[name] = saved(_changed_array(np.load(io.BytesIO(members[name])), draw))
    return packed(members, zipfile.ZIP_DEFLATED if draw.random() < 0.02 else zipfile.ZIP_STORED)


def opened(data: bytes) -> dict[str, bytes]:
    """Return the members of a whole archive by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of members."""
    target = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w", how) as archive:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, how)
    return target.getvalue()


def saved(array: np.ndarray[Any, Any]) -> bytes:
    """Return an array as the bytes of a .npy file."""
    target = io.BytesIO()
    np.lib.format.write_array(target, array, allow_pickle=False)
    return target.getvalue()


def _changed_array(array: np.ndarray[Any, Any], draw: Random) -> np.ndarray[Any, Any]:
    array = array.copy()
    match draw.randrange(6):
        case 0 if array.ndim and len(array):
            return array[: draw.randrange(len(array))]
        case 1 if array.ndim:
            return np.concatenate([array, array])
        case 2:
            return array.reshape(1, *array.shape) if draw.random() < 0.5 else array.T.reshape(-1)
        case 3 if array.dtype.names is None:
            return array.astype(draw.choice((np.float32, np.int64, np.uint8, np.float64, np.int32)))
        case _:
            return _with_value(array, draw)


def _with_value(array: np.ndarray[Any, Any], draw: Random) -> np.ndarray[Any, Any]:
    flat = array.reshape(-1)
    if not flat.size:
        return array
    field = flat if flat.dtype.names is None else flat[draw.choice(flat.dtype.names)]
    new = draw.choice((-1, -2, 0, 1, 2, 255, 2**31 - 1, -(2**31), 2**62, 1e308, float("nan"), float("inf"), len(flat)))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        field[draw.randrange(flat.size)] = np.array(new).astype(field.dtype)
    return array
