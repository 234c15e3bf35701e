"""A training loop by hand in plain torch, alone and with each peer keeping what left every layer at every step.

The files are the same for all (``Kept``): a peer's own way to disk, where it has one, costs more. Runs in the peers'
environment.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.record_work import BATCH, LR, SEED, Array, Kept, Mark, Net, Outcome, Prepare, Train, serve, trained

Forward: TypeAlias = Callable[[Tensor], Tensor]
Watch: TypeAlias = Callable[[nn.Module, list[str], Kept], Forward]
"""Returns the network's forward pass that also keeps what left its layers."""


def alone(network: nn.Module, layers: list[str], kept: Kept) -> Forward:
    """Return the forward pass, nothing kept."""
    return network


def hooks(network: nn.Module, layers: list[str], kept: Kept) -> Forward:
    """Return the forward pass with a hook on each layer."""

    def keep(layer: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        kept.add(layer, output[0] if isinstance(output, tuple) else output)

    for layer in layers:
        network.get_submodule(layer).register_forward_hook(functools.partial(keep, layer))
    return network


def nnsight(network: nn.Module, layers: list[str], kept: Kept) -> Forward:
    """Return the forward pass traced by nnsight, its cache converting to float16."""
    from nnsight import NNsight  # type: ignore[import-not-found]

    model = NNsight(network)
    wanted = [f"model.{layer}" for layer in layers]

    def forward(rows: Tensor) -> Tensor:
        with model.trace(rows) as tracer:
            cache = tracer.cache(modules=wanted, dtype=torch.float16).save()
            scores = model.output.save()
        for layer, path in zip(layers, wanted, strict=True):
            output = cache[path].output
            kept.add(layer, output[0] if isinstance(output, tuple) else output)
        found: Tensor = scores
        return found

    return forward


def torchlens(network: nn.Module, layers: list[str], kept: Kept) -> Forward:
    """Return the forward pass recorded by TorchLens in its fastest way: ``record``, only these layers saved."""
    import torchlens as tl  # type: ignore[import-not-found]

    wanted = functools.reduce(operator.or_, [tl.module(layer) for layer in layers])

    def forward(rows: Tensor) -> Tensor:
        scores, recording = tl.record(network, rows, save=wanted, return_output=True)
        for record in recording.records:
            if isinstance(record.ram_payload, Tensor) and len(record.ram_payload) == len(rows):
                kept.add(record.ctx.label.replace("/", "_"), record.ram_payload)
        found: Tensor = scores
        return found

    return forward


def trainer(watch: Watch) -> Prepare:
    """Return the trainer whose forward passes are watched so."""

    @contextmanager
    def prepare(net: Net, values: Array, labels: Array, folder: Path) -> Iterator[Train]:
        yield functools.partial(train, watch, net, torch.from_numpy(values), torch.from_numpy(labels), folder)

    return prepare


def train(watch: Watch, net: Net, values: Tensor, labels: Tensor, folder: Path, epochs: int, mark: Mark) -> Outcome:
    """Train; after each epoch take the loss of the validation rows, as ``lw.train`` does, and keep the best weights."""
    count = trained(len(values))
    layers, plain = net.kept(), net.make()
    torch.manual_seed(SEED)
    network = net.make()
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    kept = Kept(folder, count * epochs)
    forward = watch(network, layers, kept)
    best, weights = float("inf"), {}
    for epoch in range(epochs):
        network.train()
        order = torch.randperm(count, generator=torch.Generator().manual_seed(SEED + epoch))
        for rows in torch.split(order, BATCH):
            loss = functional.cross_entropy(forward(values[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        # Validation is not recorded, so it runs on a network that nobody watches.
        plain.load_state_dict(network.state_dict())
        found = validated(plain, values[count:], labels[count:])
        if found < best:
            best = found
            weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        mark()
    return Outcome(weights.values, kept.bytes, len(kept.files))


@torch.inference_mode()
def validated(network: nn.Module, values: Tensor, labels: Tensor) -> float:
    """Return the mean loss of some rows."""
    network.eval()
    scores = torch.cat([network(rows) for rows in torch.split(values, BATCH)])
    return float(functional.cross_entropy(scores, labels))


TRAINERS = {"alone": alone, "hooks": hooks, "nnsight": nnsight, "torchlens": torchlens}

if __name__ == "__main__":
    serve({name: trainer(watch) for name, watch in TRAINERS.items()}, ("nnsight", "torchlens"))
