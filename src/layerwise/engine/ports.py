"""Ports of a dataset's columns."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from layerwise.graph.ports import Port
from layerwise.layers.columns import port_of


def ports_of(columns: pa.Schema | Mapping[str, pa.DataType]) -> dict[str, Port]:
    """Return the port of every column, by name."""
    types = columns if isinstance(columns, Mapping) else dict(zip(columns.names, columns.types, strict=True))
    return {name: port_of(found) for name, found in types.items()}
