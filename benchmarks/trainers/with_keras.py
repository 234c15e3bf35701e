"""The same training by Keras 3 on torch, as its documentation does it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

os.environ["KERAS_BACKEND"] = "torch"

import keras  # type: ignore[import-not-found]
from keras import layers

from benchmarks.trainers.work import Mark, Outcome, Trainer, Work, serve


def model(work: Work) -> Any:
    """Return the network of a work, not yet compiled."""
    height, width = work.images.shape[1:]
    start = keras.Input((1, height, width))
    return keras.Sequential([start, *({"digits": digits, "xrays": xrays}[work.settings.name](work))])


def digits(work: Work) -> list[Any]:
    """Return the network of the digits."""
    return [
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(work.settings.classes),
    ]


def xrays(work: Work) -> list[Any]:
    """Return the network of the X-rays, with Keras's own layers of augmentation before it."""
    edge = {"fill_mode": "constant", "interpolation": "bilinear"}
    found = [
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(10 / 360, **edge),
        layers.RandomZoom(0.15, **edge),
        layers.RandomTranslation(2 / 28, 2 / 28, **edge),
        layers.GaussianNoise(0.05),
    ]
    for channels in (16, 32, 64):
        for _ in range(2):
            found += [
                layers.Conv2D(channels, 3, padding="same", use_bias=False),
                layers.BatchNormalization(axis=1, epsilon=1e-5, momentum=0.9),
                layers.ReLU(),
            ]
        found.append(layers.GlobalAveragePooling2D() if channels == 64 else layers.MaxPooling2D(2))
    return [*found, layers.Dropout(0.3), layers.Dense(work.settings.classes)]


class Marked(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls ``mark`` at the end of every epoch."""

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.said = mark

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Say that an epoch is over."""
        self.said()


@contextmanager
def prepare(work: Work, folder: Path) -> Iterator[Trainer]:
    """Give the trainer; it saves its weights in ``folder``."""
    # Torch's own order; the other one would be turned at every convolution.
    keras.config.set_image_data_format("channels_first")

    def train(epochs: int, mark: Mark) -> Outcome:
        said = work.settings
        keras.utils.set_random_seed(said.seed)
        images = work.images[:, None].astype(np.float32) / np.float32(said.divide)
        rows, validation, test = ((images[at], work.labels[at]) for at in work.parts.values())
        net = model(work)
        net.compile(
            optimizer=keras.optimizers.Adam(said.lr, epsilon=1e-8),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        best = keras.callbacks.EarlyStopping(patience=epochs, restore_best_weights=True)
        told = net.fit(
            *rows, batch_size=said.batch, epochs=epochs, validation_data=validation, verbose=0,
            callbacks=[best, Marked(mark)],
        )  # fmt: skip
        _, accuracy = net.evaluate(*test, verbose=0)
        net.save_weights(folder / "net.weights.h5")
        return Outcome(float(accuracy), min(told.history["val_loss"]), lambda: map(torch.as_tensor, net.get_weights()))

    yield train


if __name__ == "__main__":
    serve(prepare, "keras")
