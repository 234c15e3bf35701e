"""Ports of a dataset's columns, and ports as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from layerwise.graph.ports import Port
from layerwise.layers.columns import port_of


def ports_of(schema: pa.Schema) -> dict[str, Port]:
    """Return the port of every column, by name."""
    return {field.name: port_of(field.type) for field in schema}


def port_to_json(port: Port) -> dict[str, Any]:
    """Return a port as JSON."""
    return dataclasses.asdict(port)


def port_from_json(said: Mapping[str, Any]) -> Port:
    """Return the port that ``port_to_json`` wrote."""
    return Port(**{**said, "shape": tuple(said["shape"])})
