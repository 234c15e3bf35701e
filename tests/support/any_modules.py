"""Networks that know nothing of Layerwise, written as anybody writes them, and rows for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import layerwise as lw
from layerwise.engine.model import Model


class BasicBlock(nn.Module):
    """The block of a ResNet-18: two convolutions, and what arrived added to what they made."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if stride != 1 or into != out:
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.downsample is None else self.downsample(x)
        left = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        left += kept
        out: Tensor = self.relu(left)
        return out


class ResNet18(nn.Module):
    """A ResNet-18 (He et al. 2016, table 1) in torchvision's names, of a width that a test can wait for.

    Its ReLUs work in place and run twice in each block, and ``flatten`` is no module: what every inspector meets.
    """

    def __init__(self, width: int = 4, classes: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._stage(width, width, 1)
        self.layer2 = self._stage(width, 2 * width, 2)
        self.layer3 = self._stage(2 * width, 4 * width, 2)
        self.layer4 = self._stage(4 * width, 8 * width, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, classes)

    def _stage(self, into: int, out: int, stride: int) -> nn.Sequential:
        return nn.Sequential(BasicBlock(into, out, stride), BasicBlock(out, out, 1))

    def forward(self, image: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        out: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return out


class Mlp(nn.Module):
    """A multilayer perceptron with dropout: what leaves it differs between learning and answering."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = nn.Sequential(nn.Linear(6, 13), nn.ReLU(), nn.Dropout(0.3), nn.Linear(13, 7), nn.Tanh())
        self.head = nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.stack(x))
        return out


class Memory(nn.Module):
    """A GRU over tokens, which answers with everything it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.memory = nn.GRU(6, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        outputs, state = self.memory(self.embed(tokens))
        return self.head(outputs[:, -1]), state


class Encoder(nn.Module):
    """A transformer encoder of torch's own layers, which it runs fused where nothing learns."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.encoder(x).mean(1))
        return out


class Twice(nn.Module):
    """One layer that runs three times."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(6, 6)
        self.act = nn.ReLU()
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.act(self.step(x)) + x
        out: Tensor = self.head(x)
        return out


class Ways(nn.Module):
    """The way depends on the numbers: row by row by a mask, and for the batch by what all of it says."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(6, 1)
        self.left = nn.Linear(6, 4)
        self.right = nn.Linear(6, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        way = self.gate(x) > 0
        mixed = torch.where(way, self.left(x), self.right(x))
        out: Tensor = self.head(mixed if mixed.ndim == 2 else mixed.flatten(1))
        if out.shape[-1] != 2:
            raise AssertionError("two numbers leave the head")
        return out


@dataclass(frozen=True)
class Kind:
    """A sort of network: how one is made, rows of what it takes, and how it is wrapped.

    Attributes:
        shape: of one row.
        whole: whether its numbers are whole ones, below 20.
        column: the name of its ``forward``'s argument, which is the name of the column.
        output: what to take of its answer.
        layer: a layer in it that is looked at when any will do.
        passes: layers that run more than once, with how often.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    column: str
    layer: str
    whole: bool = False
    output: int | None = None
    passes: tuple[tuple[str, int], ...] = ()

    def values(self, rows: int, seed: int = 5) -> np.ndarray[Any, Any]:
        """Return what enters, [rows, *shape]."""
        draw = np.random.default_rng(seed)
        if self.whole:
            return draw.integers(0, 20, (rows, *self.shape))
        return draw.normal(0, 1, (rows, *self.shape)).astype(np.float32)

    def table(self, rows: int, seed: int = 5) -> dict[str, Any]:
        """Return rows with a label that can be learned, and a name for each."""
        values = self.values(rows, seed)
        label = (values.reshape(rows, -1).sum(1) > values.sum() / rows).astype(np.int64)
        return {"name": [f"row{at:03}" for at in range(rows)], self.column: values, "label": label}

    def module(self, seed: int = 4) -> nn.Module:
        """Return a new network whose weights follow from the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.make()

    def model(self, module: nn.Module, name: str, **train: Any) -> Model:
        """Return ``module`` wrapped, with an answer after it."""
        example = torch.from_numpy(self.values(2))
        answer = lw.Layer("label", lw.Classes(target="label"))
        found = lw.wrap(module, example, name=name, answer=answer, output=self.output)
        settings = {"epochs": 1, "batch": 32, "lr": 0.01, "seed": 3, "device": "cpu", **train}
        return Model(name, found.layers, data=f"{name}-data", train=settings)


KINDS: Mapping[str, Kind] = {
    "mlp": Kind(Mlp, (6,), "x", "stack.3"),
    "resnet": Kind(ResNet18, (3, 12, 12), "image", "layer2.0.conv2", passes=(("layer1.0.relu", 2),)),
    "gru": Kind(Memory, (7,), "tokens", "memory", whole=True, output=0),
    "encoder": Kind(Encoder, (5, 8), "x", "encoder"),
    "twice": Kind(Twice, (6,), "x", "step", passes=(("step", 3), ("act", 3))),
    "ways": Kind(Ways, (6,), "x", "left"),
}
"""The networks that everything must work on."""
