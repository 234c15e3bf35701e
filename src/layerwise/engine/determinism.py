"""The device of a run, and torch settled so that the same run gives the same bits."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from layerwise.engine.training import Training
from layerwise.errors import InvalidConfig
from layerwise.words import shorten


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
    with torch.random.fork_rng(devices=devices):
        try:
            if training.threads is not None:
                torch.set_num_threads(training.threads)
            # Not use_deterministic_algorithms: it loads torch's compiler, which takes seconds.
            torch.set_deterministic_debug_mode("error" if training.deterministic else "default")
            yield
        finally:
            torch.set_deterministic_debug_mode(mode)
            torch.set_num_threads(threads)
