"""The names that belong to a value: of the columns that it was made of, of the tokens that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from layerwise.graph.graph import INPUT, Graph, wire
from layerwise.layers.answers import Classes
from layerwise.layers.base import State
from layerwise.layers.buckets import Bucket
from layerwise.layers.bytepairs import build_tokenizer
from layerwise.layers.categories import Category, OneHot
from layerwise.layers.columns import Column
from layerwise.layers.filling import Fill
from layerwise.layers.join import Join
from layerwise.layers.labels import Labels
from layerwise.layers.lookup import built, kept
from layerwise.layers.padding import Pad
from layerwise.layers.records import Columns
from layerwise.layers.scaling import Clip, Log, Scale, Standardize
from layerwise.layers.targets import kept_labels, label_text
from layerwise.layers.text import Tokens
from layerwise.layers.vocabulary import FIRST, PADDING, Vocabulary

ELEMENTWISE = (Scale, Clip, Log, Standardize, Fill, Bucket, Category)
"""Data layers after which each place of a row is of the column that it was of before."""

UNKNOWN = "?"
"""What stands for a token that the vocabulary does not have."""


def plain_path(path: str) -> str:
    """Return a layer's path without its pass: ``memory`` of ``memory:2``."""
    return path.partition(":")[0]


def inputs_of(graph: Graph, path: str) -> tuple[str, ...]:
    """Return the paths of the layers that a layer takes, through the walls of blocks; none where that is not known."""
    path = plain_path(path)
    outer, _, name = path.rpartition(".")
    if not outer:
        return graph.wiring.get(name, ())
    layers = dict(graph.walk())
    if outer not in layers or layers[outer].action.described:
        return ()
    inside = wire(layers[outer].layers, inside=outer).get(name, ())
    taken = [inputs_of(graph, outer) if source == INPUT else (f"{outer}.{source}",) for source in inside]
    return tuple(source for sources in taken for source in sources)


def column_names(graph: Graph, states: Mapping[str, State], layer: str) -> tuple[str, ...]:
    """Return the name of each place of what leaves a data layer; none where places have no names.

    Example:
        >>> from layerwise.layers.join import Join
        >>> from layerwise.graph.layer import Layer
        >>> layers = [Layer("a", Columns(("x", "y"))), Layer("b", Column("z")), Layer("all", Join(), inputs=["a", "b"])]
        >>> column_names(Graph("m", layers), {}, "all")
        ('x', 'y', 'z')
    """
    if layer not in graph.by_name:
        return ()
    kind, inputs = graph.by_name[layer].action, graph.wiring[layer]
    if isinstance(kind, Column | Columns):
        return kind.reads
    before = [column_names(graph, states, name) for name in inputs]
    if isinstance(kind, Join):
        return tuple(name for names in before for name in names) if all(before) else ()
    if isinstance(kind, OneHot) and before and before[0]:
        return _hot_names(kind, before[0], states.get(layer, {}))
    return before[0] if isinstance(kind, ELEMENTWISE) and len(before) == 1 else ()


def _hot_names(kind: OneHot, columns: Sequence[str], state: State) -> tuple[str, ...]:
    first = ["other"] * (kind.unknown == "other") + ["missing"] * (kind.missing == "own")
    names: list[str] = []
    for place, column in enumerate(columns):
        own = {name.partition(".")[2]: tensor for name, tensor in state.items() if name.startswith(f"{place}.")}
        if kind.values is not None:
            known = [str(value).lower() if isinstance(value, bool) else str(value) for value in kind.values]
        elif own or state:
            known = [str(value) for value in kept(own or state)]
        else:
            return ()
        names += [f"{column} = {value}" for value in (*first, *known)]
    return tuple(names)


def class_names(graph: Graph, states: Mapping[str, State], layer: str) -> tuple[str, ...]:
    """Return the classes that a layer's scores are of, where it is what the answer layer takes; else none."""
    answer = graph.answer
    if answer is None or not isinstance(answer.action, Classes | Labels) or graph.wiring[answer.name] != (layer,):
        return ()
    state = states.get(answer.name, {})
    return tuple(label_text(label) for label in kept_labels(state["labels"])) if "labels" in state else ()


def decoded(graph: Graph, states: Mapping[str, State], layer: str, numbers: Sequence[int]) -> list[str]:
    """Return the tokens that a row's numbers stand for, by the vocabulary before the layer; none without one."""
    maker = _maker(graph, layer)
    kind = graph.by_name[maker].action if maker else None
    state = states.get(maker, {})
    if isinstance(kind, Vocabulary) and state:
        known = [str(value) for value in kept(state)]
        return [_token(known, int(number)) for number in numbers]
    if isinstance(kind, Tokens) and "merges" in state:
        tokenizer = built(state["merges"], build_tokenizer)
        return [tokenizer.decode([int(number)]) or UNKNOWN for number in numbers]
    return []


def _token(known: Sequence[str], number: int) -> str:
    if FIRST <= number < FIRST + len(known):
        return known[number - FIRST]
    return "" if number == PADDING else UNKNOWN


def _maker(graph: Graph, layer: str) -> str:
    """Return the layer that gave tokens their numbers, at or before a data layer; nothing where there is none."""
    while layer in graph.by_name:
        kind = graph.by_name[layer].action
        if isinstance(kind, Vocabulary) or (isinstance(kind, Tokens) and kind.learns):
            return layer
        if not isinstance(kind, Pad):
            return ""
        layer = next(iter(graph.wiring[layer]), "")
    return ""
