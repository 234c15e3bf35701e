"""The same training by skorch, as its documentation does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier  # type: ignore[import-not-found]
from skorch.callbacks import Callback, EarlyStopping  # type: ignore[import-not-found]
from skorch.dataset import Dataset  # type: ignore[import-not-found]
from skorch.helper import predefined_split  # type: ignore[import-not-found]
from torch import Tensor, nn

from benchmarks.trainers.by_hand import varied
from benchmarks.trainers.work import Mark, Outcome, Trainer, Work, network, serve


class Varied(nn.Module):
    """The network, its images varied while it trains."""

    def __init__(self, name: str, seed: int) -> None:
        super().__init__()
        self.network, self.varies = network(name), name == "xrays"
        self.draw = torch.Generator().manual_seed(seed)

    def forward(self, images: Tensor) -> Any:
        """Return the scores, [batch, classes]."""
        return self.network(varied(images, self.draw) if self.varies and self.training else images)


class Marked(Callback):  # type: ignore[misc]
    """Calls ``mark`` at the end of every epoch."""

    def __init__(self, mark: Mark) -> None:
        self.mark = mark

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        """Say that an epoch is over."""
        self.mark()


@contextmanager
def prepare(work: Work, folder: Path) -> Iterator[Trainer]:
    """Give the trainer; it saves its weights in ``folder``."""

    def train(epochs: int, mark: Mark) -> Outcome:
        said, parts = work.settings, work.parts
        images = work.images[:, None].astype(np.float32) / np.float32(said.divide)
        torch.manual_seed(said.draws["weights"][0])
        best = EarlyStopping(patience=epochs, threshold=0, load_best=True, sink=lambda _: None)
        net = NeuralNetClassifier(
            Varied, module__name=said.name, module__seed=said.draws["draw"][0],
            criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=said.lr, batch_size=said.batch,
            max_epochs=epochs, iterator_train__shuffle=True, verbose=0, callbacks=[best, Marked(mark)],
            classes=list(range(said.classes)),
            train_split=predefined_split(Dataset(images[parts["validation"]], work.labels[parts["validation"]])),
        )  # fmt: skip
        net.fit(images[parts["train"]], work.labels[parts["train"]])
        accuracy = float(net.score(images[parts["test"]], work.labels[parts["test"]]))
        net.save_params(f_params=str(folder / "weights.pt"))
        return Outcome(accuracy, float(min(net.history[:, "valid_loss"])), net.module_.state_dict().values)

    yield train


if __name__ == "__main__":
    serve(prepare, "skorch")
