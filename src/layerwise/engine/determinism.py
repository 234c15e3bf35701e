"""The device of a run, and torch settled so that the same run gives the same bits.

>>> seed_torch(7, torch.device("cpu"))
>>> first = torch.rand(2)
>>> seed_torch(7, torch.device("cpu"))
>>> torch.equal(torch.rand(2), first)
True
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

from layerwise.engine.training import Training
from layerwise.errors import InvalidConfig
from layerwise.words import shorten

_memory: Any = torch.utils.deterministic
"""Torch's module of one setting, which types do not see."""


def choose_device(name: str) -> torch.device:
    """Return the device that is asked for; for ``auto`` CUDA, then MPS, then CPU, whichever is there.

    Raises:
        InvalidConfig: torch does not know it, or it is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:150]
        raise InvalidConfig(f"the device {shorten(name)} is not there ({reason}); use auto or cpu") from None
    if device.type == "meta":
        raise InvalidConfig("the device 'meta' holds no numbers; use auto or cpu")
    return device


@contextlib.contextmanager
def settled_torch(training: Training, device: torch.device) -> Iterator[None]:
    """Hold torch to the run's threads, algorithms and random state, and give back what was there before."""
    threads = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    if training.deterministic and device.type == "cuda":
        # cuBLAS is deterministic only with a workspace of its own, said before it starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), blank_memory(filled=False):
        try:
            if training.threads is not None:
                torch.set_num_threads(training.threads)
            # Not use_deterministic_algorithms: it loads torch's compiler, which takes seconds.
            torch.set_deterministic_debug_mode("error" if training.deterministic else "default")
            yield
        finally:
            torch.set_deterministic_debug_mode(mode)
            torch.set_num_threads(threads)


@contextlib.contextmanager
def blank_memory(*, filled: bool) -> Iterator[None]:
    """Say whether torch, where it is to be deterministic, fills new memory with NaN, and go back to what was before.

    Torch does so by itself, lest a result depend on what was there before: up to a twentieth of a step on the
    processor. No kernel reads what nobody wrote. Weights that a module of the user's never sets would be so read:
    filled while a network is built, they are NaN in every run.
    """
    before = _memory.fill_uninitialized_memory
    _memory.fill_uninitialized_memory = filled
    try:
        yield
    finally:
        _memory.fill_uninitialized_memory = before


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed what layers draw from on ``device``."""
    if device.type == "cpu":
        # For the processor alone: torch.manual_seed also leaves a note, with a stack trace, for devices not there.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
