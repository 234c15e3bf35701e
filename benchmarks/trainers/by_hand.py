"""The loop that one writes by hand in plain torch, as fast as one does: tensors made once, no DataLoader.

It does what ``lw.train`` does for the user: the same draws, validation loss and accuracy after each epoch, the best
weights kept, measured on the test rows and saved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.trainers.work import Mark, Outcome, Trainer, Work, network, serve


@contextmanager
def prepare(work: Work, folder: Path) -> Iterator[Trainer]:
    """Give the trainer; it saves its weights in ``folder``."""

    def train(epochs: int, mark: Mark) -> Outcome:
        said = work.settings
        images = torch.from_numpy(work.images).float().unsqueeze(1) / said.divide
        labels = torch.from_numpy(work.labels)
        rows, validation, test = (torch.from_numpy(work.parts[part]) for part in ("train", "validation", "test"))
        torch.manual_seed(said.draws["weights"][0])
        net = network(said.name)
        optimizer = torch.optim.Adam(net.parameters(), lr=said.lr)
        best, kept = float("inf"), {}
        for epoch in range(epochs):
            # Dropout's draws have a seed an epoch, as ours; torch.manual_seed would cost a tenth of a millisecond here.
            torch.default_generator.manual_seed(said.draws["epoch"][epoch])
            draw = torch.Generator().manual_seed(said.draws["draw"][epoch])
            order = torch.Generator().manual_seed(said.draws["order"][epoch])
            net.train()
            total = torch.zeros(())
            for chunk in torch.split(rows[torch.randperm(len(rows), generator=order)], said.batch):
                batch = images[chunk]
                if said.name == "xrays":
                    batch = varied(batch, draw)
                loss = functional.cross_entropy(net(batch), labels[chunk])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += loss.detach() * len(chunk)
            assert (total / len(rows)).isfinite()
            loss_now, _ = measured(net, images, labels, validation)
            if loss_now < best:
                best = loss_now
                kept = {name: tensor.clone() for name, tensor in net.state_dict().items()}
            mark()
        net.load_state_dict(kept)
        _, accuracy = measured(net, images, labels, test)
        torch.save(net.state_dict(), folder / "weights.pt")
        return Outcome(accuracy, best, net.state_dict().values)

    yield train


@torch.inference_mode()
def measured(net: nn.Module, images: Tensor, labels: Tensor, rows: Tensor) -> tuple[float, float]:
    """Return the mean loss and the accuracy of some rows."""
    net.eval()
    scores = torch.cat([net(images[chunk]) for chunk in torch.split(rows, 256)])
    truth = labels[rows]
    return float(functional.cross_entropy(scores, truth)), float((scores.argmax(1) == truth).float().mean())


def varied(x: Tensor, draw: torch.Generator) -> Tensor:
    """Return images [batch, 1, height, width] mirrored, turned, zoomed, moved and made noisy, each in its own way."""
    count, _, height, width = x.shape
    x = torch.where(torch.rand((count, 1, 1, 1), generator=draw) < 0.5, x.flip(-1), x)
    angle = (torch.rand(count, generator=draw) * 2 - 1) * (10 * math.pi / 180)
    size = 1 / (1 + (torch.rand(count, generator=draw) * 2 - 1) * 0.15)
    cosine, sine, zero = torch.cos(angle) * size, torch.sin(angle) * size, torch.zeros_like(angle)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero], dim=1).view(-1, 2, 3)
    grid = functional.affine_grid(turn, list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, align_corners=False)
    windows = functional.pad(x, (2, 2, 2, 2)).unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(0, 5, (2, count), generator=draw)
    x = windows[torch.arange(count), :, down, right]
    return x + 0.05 * torch.randn(x.shape, generator=draw)


if __name__ == "__main__":
    serve(prepare)
