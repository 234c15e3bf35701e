"""What the dataset says is true of rows, in a person's words."""

from __future__ import annotations

from layerwise.engine.answers import cell
from layerwise.engine.looking.opened import Opened
from layerwise.engine.looking.rows import Chosen
from layerwise.layers.base import AnswerKind


def truth_of(opened: Opened, chosen: Chosen) -> list[str]:
    """Return the true answer of each row as text; nothing where there is none to be had."""
    layer = opened.model.answer
    if layer is None or not isinstance(layer.action, AnswerKind):
        return []
    targets = layer.action.targets
    table = chosen.table
    if chosen.positions is not None and chosen.source is not None:
        known = set(targets) <= set(chosen.source.dataset.schema.names)
        table = chosen.source.read(chosen.positions, tuple(targets)) if known else None
    if table is None or not set(targets) <= set(table.schema.names):
        return []
    columns = [table.column(name).to_pylist() for name in targets]
    return [", ".join(cell(value) for value in row) for row in zip(*columns, strict=True)]
