"""Fitted scikit-learn estimators as bytes, by skops: the same estimator is the same bytes, and loading runs no code."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from layerwise.errors import Damaged, InvalidData, InvalidLayer, Missing
from layerwise.layers.fitted import SCHEMA, hold_archive, hold_fitted
from layerwise.words import shorten

TRUSTED = frozenset({"numpy.dtype", "sklearn.tree._tree.Tree"})
"""Types beside skops' own list (scikit-learn's estimators, NumPy's and SciPy's arrays) that a state may hold."""


def need_skops() -> Any:
    """Return the module ``skops.io``, or raise Missing with the extra that brings it."""
    try:
        import skops.io
    except ImportError:
        raise Missing("scikit-learn layers need scikit-learn and skops: pip install 'layerwise[sklearn]'") from None
    return skops.io


def dump(estimator: Any) -> bytes:
    """Return a fitted estimator as skops bytes, the same for the same estimator.

    Raises:
        InvalidLayer: it holds types that are not known to be safe to load.
    """
    skops = need_skops()
    data = _settled(skops.dumps(estimator))
    unknown = sorted(set(skops.get_untrusted_types(data=data)) - TRUSTED)
    if unknown:
        raise InvalidLayer(
            f"{type(estimator).__name__} holds {', '.join(unknown)[:200]} once it is fitted, which cannot be kept "
            f"safely; take another estimator"
        )
    return data


def load(data: bytes) -> Any:
    """Return the estimator of these bytes. No pickle, and no type outside skops' list and ``TRUSTED``.

    Raises:
        InvalidData: types that are not trusted.
        Damaged: bytes that ``dump`` did not make.
    """
    skops = need_skops()
    try:
        hold_archive(data)
        unknown = sorted(set(skops.get_untrusted_types(data=data)) - TRUSTED)
        if unknown:
            raise InvalidData(
                f"a scikit-learn state holds the types {shorten(', '.join(unknown))}, which are not trusted"
            )
        fitted = skops.loads(data, trusted=sorted(TRUSTED))
        hold_fitted(fitted)
    except (InvalidData, MemoryError):
        raise
    except Exception as error:
        raise Damaged(f"a scikit-learn state cannot be read: {str(error)[:200]}") from error
    return fitted


def _settled(data: bytes) -> bytes:
    # skops writes the time and addresses of memory, which differ each time: addresses become numbers in order.
    numbers, files, target = itertools.count(1), dict[str, str](), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as settled:
        schema = json.loads(source.read(SCHEMA))
        _renumber(schema, {}, files, numbers)
        content = {new: _without_gaps(source.read(old)) for old, new in files.items()}
        content[SCHEMA] = json.dumps(schema).encode()
        for name in sorted(content):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            settled.writestr(entry, content[name])
    return target.getvalue()


def _without_gaps(data: bytes) -> bytes:
    # Between the fields of a record (a tree's nodes) lies whatever the memory held before: it becomes zeros.
    if not data.startswith(np.lib.format.MAGIC_PREFIX):
        return data
    array = np.load(io.BytesIO(data))
    if array.dtype.names is None:
        return data
    # zeros and not zeros_like, which writes the fields and leaves the gaps.
    clean, target = np.zeros(array.shape, array.dtype), io.BytesIO()
    for name in array.dtype.names:
        clean[name] = array[name]
    np.lib.format.write_array(target, clean)
    return target.getvalue()


def _renumber(node: Any, seen: dict[int, int], files: dict[str, str], numbers: Iterator[int]) -> None:
    for inner in node if isinstance(node, list) else ():
        _renumber(inner, seen, files, numbers)
    if not isinstance(node, dict):
        return
    if isinstance(address := node.get("__id__"), int):
        # Whether two equal constants share memory is chance; arrays that are shared stay so.
        shared = node.get("__loader__") != "JsonNode" and address in seen
        node["__id__"] = seen[address] if shared else next(numbers)
        seen.setdefault(address, node["__id__"])
        if isinstance(name := node.get("file"), str):
            node["file"] = files.setdefault(name, f"{node['__id__']}.{name.rpartition('.')[2]}")
    for inner in node.values():
        _renumber(inner, seen, files, numbers)
