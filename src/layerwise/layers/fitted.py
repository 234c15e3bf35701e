"""Fitted estimators from elsewhere, held to be what compiled code takes on trust.

scikit-learn checks rows, not itself: a tree whose child is the node itself never ends, and one that asks for feature
1,000 of 4 reads other memory. So the numbers that its compiled code follows are checked before it gets them: the
archive of a state before any of it is loaded, each tree before it is made, and what was loaded before it is asked.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from layerwise.canonical import decode
from layerwise.errors import Damaged, InvalidData
from layerwise.words import shorten

SCHEMA = "schema.json"
MOST_THREADS = 1024
"""Most threads that a state may ask for."""

Array = np.ndarray[Any, np.dtype[Any]]
_LEAF = -1


def hold_archive(data: bytes) -> None:
    """Raise where a state's archive is not what ``skopsfile.dump`` makes, before anything of it is loaded.

    Raises:
        InvalidData: packed members.
        Damaged: overlapping members, arrays of other sizes than they say, trees that cannot be walked.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise InvalidData("a scikit-learn state is packed; it was not made by Layerwise")
        if sum(entry.file_size for entry in entries) > len(data):
            raise Damaged("it says that it holds more bytes than it has")
        members = {entry.filename: archive.read(entry) for entry in entries}
    if len(members) != len(entries) or SCHEMA not in members:
        raise Damaged(f"a member is there twice, or there is no {SCHEMA}")
    nodes = list(_walk(decode(members.pop(SCHEMA), "its description")))
    arrays = {name: _array(content, name) for name, content in members.items()}
    _hold_once(nodes)
    known = {
        node["__id__"]: node for node in nodes if "content" in node or "file" in node if _is_id(node.get("__id__"))
    }
    for node in nodes:
        if node.get("__loader__") == "TreeNode":
            _hold_tree(_Tree(node, known, arrays))


def _is_id(value: Any) -> bool:
    return isinstance(value, int)


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _walk(inner)


def _array(content: bytes, name: str) -> Array:
    # NumPy makes room for what a header claims before it looks whether the bytes are there.
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    room = len(content) - file.tell()
    if dtype.hasobject or dtype.itemsize * math.prod(shape) != room or min(shape, default=0) < 0 or len(shape) > 32:
        raise Damaged(f"the array {shorten(name)} says it is {dtype} of shape {list(shape)}, in {room:,} bytes")
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order="F" if fortran else "C")


def _hold_once(nodes: list[dict[str, Any]]) -> None:
    # An array named by a thousand nodes would be read, and kept, a thousand times.
    places: dict[str, Any] = {}
    for node in nodes:
        name = node.get("file")
        if isinstance(name, str) and places.setdefault(name, node.get("__id__")) != node.get("__id__"):
            raise Damaged(f"two things are kept in {shorten(name)}")


class _Tree:
    """A tree as its description says it, not yet made."""

    def __init__(
        self, node: Mapping[str, Any], known: Mapping[int, Mapping[str, Any]], arrays: Mapping[str, Array]
    ) -> None:
        self._known, self._arrays = known, arrays
        features, classes, outputs = node["__reduce__"]["args"]["content"]
        state = node["content"]["content"]
        self.features, self.outputs = self._number(features), self._number(outputs)
        self.classes: Array = self._found(classes)
        self.depth, self.count = self._number(state["max_depth"]), self._number(state["node_count"])
        self.nodes: Array = self._found(state["nodes"])
        self.values: Array = self._found(state["values"])

    def _said(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._known[node["__id__"]] if node["__loader__"] == "CachedNode" else node

    def _number(self, node: Mapping[str, Any]) -> int:
        value = json.loads(self._said(node)["content"])
        if type(value) is not int:
            raise Damaged(f"a tree says {shorten(value)} where a whole number is expected")
        return value

    def _found(self, node: Mapping[str, Any]) -> Array:
        return self._arrays[self._said(node)["file"]]


def _hold_tree(tree: _Tree) -> None:
    count = len(tree.nodes)
    # Estimators without a target grow trees of one output and no classes.
    plain = tree.outputs == 1 and tree.classes.shape == (1,) and tree.classes[0] == 1 and tree.features >= 1
    if not plain or tree.count != count or not count or tree.values.shape != (count, 1, 1):
        raise Damaged(f"a tree of {count} nodes says it has {tree.count}, or not one output")
    left, right, feature = (tree.nodes[name].astype(np.int64) for name in ("left_child", "right_child", "feature"))
    here, leaf = np.arange(count), left == _LEAF
    # A child comes after its parent: so the way down ends.
    down = (
        (left > here) & (left < count) & (right > here) & (right < count) & (feature >= 0) & (feature < tree.features)
    )
    if not np.where(leaf, right == _LEAF, down).all():
        raise Damaged("a tree has a child or a feature that is not there")
    if tree.depth != _depth(left, right):
        raise Damaged("a tree is not as deep as it says")


def _depth(left: Array, right: Array) -> int:
    depth = [0] * len(left)
    for place, (one, other) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        for child in (one, other) if one != _LEAF else ():
            depth[child] = max(depth[child], depth[place] + 1)
    return max(depth)


def hold_fitted(fitted: Any) -> None:
    """Raise Damaged where a loaded estimator would lead compiled code astray.

    Its settings are the caller's to compare; here it is what fitting left behind.
    """
    from sklearn.tree import ExtraTreeRegressor

    hidden = [name for name in vars(fitted) if callable(getattr(type(fitted), name, None))]
    if hidden:
        raise Damaged(f"it has a value in the place of its method {shorten(hidden[0])}")
    width = _whole(getattr(fitted, "n_features_in_", 1))
    features = getattr(fitted, "estimators_features_", None)
    for place, inner in enumerate(getattr(fitted, "estimators_", ())):
        given = width if features is None else min(width, len(features[place]))
        if type(inner) is not ExtraTreeRegressor or inner.tree_.n_features > given:
            raise Damaged(f"its estimator {place} is no tree over {given} features")
    if hasattr(fitted, "_n_threads") and not 1 <= _whole(fitted._n_threads) <= MOST_THREADS:
        raise Damaged(f"it asks for {shorten(fitted._n_threads)} threads")
    for name, shape in _shapes(fitted, width).items():
        array = getattr(fitted, name)
        if not isinstance(array, np.ndarray) or array.shape != shape or not array.flags.c_contiguous:
            raise Damaged(f"its {name} is not of shape {list(shape)}")


def _whole(value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise Damaged(f"it says {shorten(value)} where a number from 1 is expected")
    return int(value)


def _shapes(fitted: Any, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays that compiled code takes as they are, by attribute."""
    if hasattr(fitted, "cluster_centers_"):
        return {"cluster_centers_": (len(fitted.cluster_centers_), width)}
    if hasattr(fitted, "support_vectors_"):
        count = len(fitted.support_vectors_)
        one = {"_dual_coef_": (1, count), "dual_coef_": (1, count), "_intercept_": (1,), "intercept_": (1,)}
        return {"support_vectors_": (count, width), "support_": (count,), "_n_support": (2,), **one}
    return {}
