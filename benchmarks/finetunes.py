"""Networks that are fine-tuned a little at a time, for `benchmarks.cold`: each version as one state a layer.

>>> first = next(fine_tune("MLP", rate=1e-5, steps=1, versions=1))
>>> sorted(first)
['0', '2', '4']
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from layerwise.store.tensors import RawTensor, frame

PRETRAINED = 400
"""Steps before the first version, Adam at 1e-3, on the digits as they are; then they are moved and noisy."""

BATCH = 64
_TYPES = {torch.float32: "F32", torch.int64: "I64"}


class Transformer(nn.Module):
    """Reads a digit as 8 rows of 8 pixels."""

    def __init__(self, width: int = 160, depth: int = 4) -> None:
        super().__init__()
        self.rows = nn.Linear(8, width)
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.classes = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.classes(self.encoder(self.rows(x.view(-1, 8, 8))).mean(1))
        return found


def network(kind: str) -> nn.Module:
    """Return a network with weights drawn from seed 0: ``MLP``, ``CNN`` or ``transformer``."""
    torch.manual_seed(0)
    if kind == "MLP":
        return nn.Sequential(nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
    if kind == "CNN":
        convolutions: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
        for wide, wider in ((1, 64), (64, 128), (128, 256)):
            convolutions += [nn.Conv2d(wide, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*convolutions[:-1], nn.Flatten(), nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 10))
    return Transformer()


def fine_tune(kind: str, *, rate: float, steps: int, versions: int) -> Iterator[dict[str, memoryview]]:
    """Give the states of the network's layers by name: as pretrained, then after each ``steps`` steps of one Adam."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    model, draw = network(kind), torch.Generator().manual_seed(1)
    _step(model, torch.optim.Adam(model.parameters(), 1e-3), x, y, draw, count=PRETRAINED)
    moved = torch.roll(x.view(-1, 8, 8), 1, 2).reshape(-1, 64)
    moved = moved + 0.1 * torch.randn(moved.shape, generator=draw)
    adam = torch.optim.Adam(model.parameters(), rate)
    yield _states(model)
    for _ in range(versions - 1):
        _step(model, adam, moved, y, draw, count=steps)
        yield _states(model)


def _step(model: nn.Module, adam: torch.optim.Adam, x: Tensor, y: Tensor, draw: torch.Generator, *, count: int) -> None:
    for _ in range(count):
        rows = torch.randint(0, len(x), (BATCH,), generator=draw)
        adam.zero_grad()
        cross_entropy(model(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
        adam.step()


def _states(model: nn.Module) -> dict[str, memoryview]:
    found = {}
    for name, layer in model.named_modules():
        own = dict(layer.named_parameters(recurse=False)) | dict(layer.named_buffers(recurse=False))
        raw = {
            key: RawTensor(_TYPES[value.dtype], tuple(value.shape), value.detach().numpy().tobytes())
            for key, value in own.items()
        }
        if raw:
            found[name] = memoryview(b"".join(frame(raw)))
    return found
