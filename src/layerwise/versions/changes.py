"""Which layers differ between two versions: a comparison of names, however large the layers are."""

from __future__ import annotations

from layerwise.versions.manifest import Manifest


def changed_layers(old: Manifest, new: Manifest) -> list[str]:
    """Return the paths of the layers that are added, removed, or of another kind, state or code, in order.

    What they are connected to and their options are in the graph, not here: `layerwise.graph` compares that.

    >>> from layerwise.versions.manifest import LayerEntry
    >>> from layerwise.words import Digest
    >>> one = Manifest("m", 1, {}, {"a": LayerEntry("x", Digest("0" * 64)), "b": LayerEntry("x")})
    >>> two = Manifest("m", 2, {}, {"a": LayerEntry("x", Digest("1" * 64)), "b": LayerEntry("x"), "c": LayerEntry("x")})
    >>> changed_layers(one, two)
    ['a', 'c']
    """
    before, after = old.marks, new.marks
    changed = [path for path, mark in after.items() if before.get(path) != mark]
    if len(before) + sum(path not in before for path in changed) > len(after):
        changed += [path for path in before if path not in after]
    return changed
