"""Which layers differ: what a comparison of every field of every layer says, by comparing names only."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from layerwise.versions.changes import changed_layers
from layerwise.versions.manifest import LayerEntry, Manifest
from layerwise.words import Digest

DIGESTS = st.sampled_from([Digest(letter * 64) for letter in "0123"])
# Texts that read like what may stand beside them.
TEXTS = (
    st.sampled_from(["x", "y", "x None", f"x {'0' * 64}", "None", "f", "", " ", f"f {'1' * 64} g", "ä\n"]) | st.text()
)
ENTRIES = st.builds(LayerEntry, TEXTS, st.none() | DIGESTS, st.dictionaries(TEXTS, DIGESTS, max_size=3))
LAYERS = st.dictionaries(st.sampled_from([f"layer-{at}" for at in range(6)]), ENTRIES)


def version(layers: Mapping[str, LayerEntry]) -> Manifest:
    return Manifest("digits", 1, {}, layers)


def naive(old: Mapping[str, LayerEntry], new: Mapping[str, LayerEntry]) -> list[str]:
    """Return the layers of the new version that are not the same in the old, then those that are gone."""
    found = []
    for path, layer in new.items():
        before = old.get(path)
        if before is None or (layer.kind, layer.state, layer.code) != (before.kind, before.state, before.code):
            found.append(path)
    return found + [path for path in old if path not in new]


@given(LAYERS, LAYERS)
def test_it_is_what_a_comparison_of_everything_says(old: dict[str, LayerEntry], new: dict[str, LayerEntry]) -> None:
    assert changed_layers(version(old), version(new)) == naive(old, new)


@given(LAYERS, st.data())
def test_of_a_few_changes_exactly_those_are_found(layers: dict[str, LayerEntry], data: st.DataObject) -> None:
    changes = data.draw(st.dictionaries(st.sampled_from(sorted(layers)), ENTRIES)) if layers else {}
    new = {**layers, **changes}
    assert changed_layers(version(layers), version(new)) == naive(layers, new)
    assert changed_layers(version(layers), version(layers)) == []


@given(ENTRIES, ENTRIES)
def test_two_layers_have_one_mark_only_if_they_are_equal(one: LayerEntry, other: LayerEntry) -> None:
    assert (one.mark == other.mark) == (one == other)


def test_a_kind_that_reads_like_a_state_is_another_layer() -> None:
    digest = Digest("1" * 64)
    one, other = LayerEntry("a", None, {"f": digest}), LayerEntry("a None f", digest)
    assert changed_layers(version({"edges": one}), version({"edges": other})) == ["edges"]


def test_the_order_of_a_layers_code_does_not_matter() -> None:
    one, two = Digest("1" * 64), Digest("2" * 64)
    before, after = LayerEntry("a", None, {"f": one, "g": two}), LayerEntry("a", None, {"g": two, "f": one})
    assert changed_layers(version({"edges": before}), version({"edges": after})) == []


def test_ten_thousand_layers_are_compared_by_name() -> None:
    def many(changed: set[int]) -> Manifest:
        return version({f"layer-{at}": LayerEntry("x", Digest(f"{at + (at in changed):064x}")) for at in range(10_000)})

    assert changed_layers(many(set()), many({0, 77, 9_999})) == ["layer-0", "layer-77", "layer-9999"]
