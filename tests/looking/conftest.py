"""Worlds that are trained once for all tests of a file: each test only looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import torch

from tests.support.worlds import World, world


@pytest.fixture(autouse=True)
def one_thread(two_threads: None) -> None:
    """Run torch on one thread: these networks are small, and bits depend on the number."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], World]]:
    """Return a function that gives a world by its name: 24 of its rows are kept, of every layer."""
    made: dict[str, World] = {}
    with ExitStack() as stack:

        def find(name: str) -> World:
            if name not in made:
                folder = tmp_path_factory.mktemp(name)
                made[name] = stack.enter_context(world(folder, name, record="sample:24"))
            return made[name]

        yield find
