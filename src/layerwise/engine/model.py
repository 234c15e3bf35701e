"""A model: a graph that can be written, drawn, checked against data and built."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from layerwise.data.dataset import Dataset
from layerwise.engine.ports import ports_of
from layerwise.errors import InvalidShape, LayerwiseError
from layerwise.graph import draw, shapes, yaml
from layerwise.graph.graph import Graph
from layerwise.graph.layer import Layer
from layerwise.graph.ports import Port
from layerwise.layers.network import build
from layerwise.layers.wrap import layers_of, with_instance
from layerwise.store.disk import write_file


class Model(Graph):
    """A model of named layers: one graph from the raw row to the answer.

    Args:
        name: the model's name.
        layers: its layers; each takes the previous one unless it says otherwise.
        data: the dataset that the model is for.
        train: settings of the training (see ``Training``).

    Raises:
        InvalidGraph: a name given twice, an input that is not there, a cycle.

    Example:
        >>> from torch import nn
        >>> model = Model("tiny", [
        ...     Layer("x", Column("x", shape=(4,))),
        ...     Layer("scores", nn.Linear, out_features=2, activation="relu"),
        ... ])  # doctest: +SKIP
    """

    @classmethod
    def from_yaml(cls, source: str | os.PathLike[str]) -> Self:
        """Return the model in a YAML file, or in text that holds more than one line.

        Raises:
            InvalidFile and every error of a model, naming the file and the line.
        """
        text = isinstance(source, str) and "\n" in source
        description, marks = yaml.read(source if text else Path(source))
        with yaml.in_file(marks):
            return cls.from_description(description)

    def to_yaml(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the model as YAML, one block a layer, and write it to ``path`` where given. Nothing is lost."""
        text = yaml.write(self)
        if path is not None:
            write_file(Path(path), [text.encode()])
        return text

    def check(self, data: Dataset | Mapping[str, Port] | None = None) -> dict[str, Port]:
        """Return what leaves every layer, by path, without reading a row; see ``graph.shapes.check``.

        Args:
            data: the dataset, or ports of its columns; without it, layers that say their own shape are believed.
        """
        return shapes.check(self, ports_of(data.schema) if isinstance(data, Dataset) else data)

    def module(self, data: Dataset | Mapping[str, Port] | None = None, *, seed: int | None = None) -> nn.Module:
        """Return the neural part as a plain ``nn.Module`` with new weights and ordinary ``state_dict`` keys.

        Args:
            data: where sizes follow from the dataset's columns.
            seed: draws the weights; torch's own generator goes on where not given.

        Raises:
            InvalidShape: a size that only fitting on rows can tell (train, then take ``version.module()``).
        """
        ports = self.check(data)
        with torch.random.fork_rng(enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            return build(self, ports).plain

    def table(self, data: Dataset | Mapping[str, Port] | None = None) -> str:
        """Return the model as a text table: layers, kinds, options, shapes."""
        return draw.text(self, self._ports(data))

    def mermaid(self, data: Dataset | Mapping[str, Port] | None = None) -> str:
        """Return the model as a Mermaid flowchart."""
        return draw.mermaid(self, self._ports(data))

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Model {self.name!r}, {len(self.layers)} layers>"

    def _repr_html_(self) -> str:
        return draw.card(self, self._ports(None))

    def _ports(self, data: Dataset | Mapping[str, Port] | None) -> dict[str, Port] | None:
        try:
            return self.check(data)
        except LayerwiseError as error:
            # A drawing without data shows what is known; with data, what is wrong must be said.
            if data is not None or not isinstance(error, InvalidShape):
                raise
            return None

    def with_module(self, module: nn.Module | Mapping[str, nn.Module]) -> Self:
        """Return the model with ``module`` as the instance of its wrapped layer.

        Raises:
            InvalidLayer: no layer is wrapped, or the module is of another class.
        """
        return type(self)(self.name, with_instance(self.layers, module), data=self.data, train=self.train)


def wrap(
    module: nn.Module,
    example: Any,
    *,
    name: str | None = None,
    before: Sequence[Layer] | None = None,
    answer: Layer | None = None,
    output: int | str | None = None,
) -> Model:
    """Return a model whose neural part is a module that exists, every submodule a layer under its own path.

    Args:
        module: the instance. It keeps its ``state_dict`` keys, and its ``forward`` runs as it is.
        example: what ``forward`` takes, [batch, ...]: a tensor, an array, or a tuple of them.
        name: the model's name; the class's in small letters where not given.
        before: the data layers; the module takes the last ones. Columns by the names of ``forward`` where not given.
        answer: the answer layer.
        output: what to take of a tuple (a position) or a mapping (a key) that the module answers with.

    Raises:
        InvalidLayer, InvalidShape, InvalidGraph: what the example or the module says, naming the layer.

    Example:
        >>> model = lw.wrap(resnet, torch.zeros(2, 3, 32, 32), answer=lw.Layer("label", lw.Classes(target="label")))
        ... # doctest: +SKIP
    """
    layers = layers_of(module, example, before=before, answer=answer, output=output)
    return Model(name or type(module).__name__.lower(), layers)
