"""One warm process for all crash tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """The process that forks children; it starts in some seconds."""
    with Nursery() as warm:
        yield warm


@pytest.fixture
def spoilt(nursery: Nursery) -> Iterator[Nursery]:
    """The same; its children use a store that names before it writes."""
    nursery.spoilt = True
    yield nursery
    nursery.spoilt = False
