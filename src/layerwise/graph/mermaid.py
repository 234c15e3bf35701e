"""A model as a Mermaid flowchart: text that GitHub, GitLab and many editors draw."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from layerwise.graph.graph import INPUT, Graph
from layerwise.graph.ports import Port
from layerwise.graph.rows import LayerRow, rows

# Fill, border and ink are all said, so that a node reads the same on a light and on a dark page.
CLASSES = {
    "data": "fill:#d7f0ee,stroke:#0f766e,color:#0b3b38",
    "neural": "fill:#e6e2fb,stroke:#6d5bd0,color:#2a1f66",
    "answer": "fill:#fdebc8,stroke:#b45309,color:#5a2c06",
    "block": "fill:#88888820,stroke:#8a8a94,color:#81818c",
    "frozen": "stroke-dasharray:5 4",
}
SHAPES = {"data": ("([", "])"), "neural": ("[", "]"), "answer": ("{{", "}}")}
_RAW = frozenset(" ._-,[]()")


def mermaid(graph: Graph, ports: Mapping[str, Port] | None = None) -> str:
    """Return the model as a flowchart from left to right: a node a layer, a frame a block, an arrow an input.

    Args:
        graph: the model.
        ports: what leaves each layer, by path, as ``shapes.check`` returns it.
    """
    found = rows(graph, ports)
    names = {row.path: f"n{number}" for number, row in enumerate(found)}
    nodes = _draw(found, "", names, "  ")
    classes = [f"  classDef {name} {look}" for name, look in CLASSES.items()]
    return "\n".join(["flowchart LR", *nodes, *_arrows(found, names), *classes, *_classed(found, names)]) + "\n"


def escape(shown: str) -> str:
    """Return ``shown`` as a label in quotes can hold it: no quote, tag, entity or directive begins in it.

    >>> escape('a "b" <i>')
    'a #34;b#34; #60;i#62;'
    """
    return "".join(c if c.isalnum() or c in _RAW else f"#{ord(c)};" for c in shown)


def _draw(found: list[LayerRow], parent: str, names: Mapping[str, str], indent: str) -> Iterator[str]:
    for row in found:
        if row.parent != parent:
            continue
        node = names[row.path]
        if not row.block:
            begin, end = SHAPES[row.role]
            yield f'{indent}{node}{begin}"{_label(row)}"{end}'
            continue
        inner = [other for other in found if other.path.startswith(f"{row.path}.")]
        yield f'{indent}subgraph {node}["{_label(row)}"]'
        yield f"{indent}  direction LR"
        if row.path in _shared(found):
            yield f'{indent}  {node}i(("{INPUT}"))'
        yield from _draw(inner, row.path, names, f"{indent}  ")
        yield f"{indent}end"


def _shared(found: list[LayerRow]) -> set[str]:
    # That a block's first layer takes the block's input goes without saying; where others do too, it gets a node.
    return {row.parent for row in found if row.parent and INPUT in row.inputs and not row.straight}


def _label(row: LayerRow) -> str:
    parts = [row.name, row.kind, row.output, "frozen" if row.frozen else ""]
    if row.block:
        return " · ".join(escape(part) for part in parts if part)
    return "<br/>".join(escape(part) for part in parts if part)


def _arrows(found: list[LayerRow], names: Mapping[str, str]) -> Iterator[str]:
    shared = _shared(found)
    for row in found:
        for source in dict.fromkeys(row.inputs):
            if source != INPUT or not row.parent:
                beside = f"{row.parent}.{source}" if row.parent else source
                yield f"  {names[beside]} --> {names[row.path]}"
            elif row.parent in shared:
                yield f"  {names[row.parent]}i --> {names[row.path]}"


def _classed(found: list[LayerRow], names: Mapping[str, str]) -> Iterator[str]:
    groups: list[tuple[str, str]] = [("block" if row.block else row.role, names[row.path]) for row in found]
    groups += [("frozen", names[row.path]) for row in found if row.frozen]
    for name, group in itertools.groupby(sorted(groups, key=lambda pair: list(CLASSES).index(pair[0])), lambda p: p[0]):
        yield f"  class {','.join(node for _, node in group)} {name}"
