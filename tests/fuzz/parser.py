"""A parser under test: whole inputs, a way to change them, and what must hold of what it accepts.

``read`` does what a reader of the repository does with bytes whose digest is right: who makes hostile bytes knows their
digest. It ends in one of three ways: it returns (accepted, and what was read stands every check), it raises an error of
ours (refused), or it raises something else, which is a failure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from layerwise.errors import LayerwiseError

Mutate = Callable[[bytes, Sequence[bytes], Random], bytes]


class Wrong(Exception):
    """What was accepted is not what was written, or not what another reader reads."""


@dataclass(frozen=True)
class Parser:
    """One parser.

    Attributes:
        name: how reports call it.
        whole: makes inputs that are accepted.
        mutate: changes one of them, given all.
        read: reads bytes; raises `Wrong` where what it accepted does not hold.
    """

    name: str
    whole: Callable[[], tuple[bytes, ...]]
    mutate: Mutate
    read: Callable[[bytes], None]

    @functools.cached_property
    def inputs(self) -> tuple[bytes, ...]:
        """The whole inputs, made once."""
        return self.whole()

    def input(self, seed: int, number: int) -> bytes:
        """Return one malformed input; the same for the same seed and number."""
        draw = Random(f"{seed} {self.name} {number}")
        return self.mutate(draw.choice(self.inputs or (b"",)), self.inputs, draw)


def hold(true: bool, what: str) -> None:
    """Raise `Wrong` where something does not hold."""
    if not true:
        raise Wrong(what)


@contextmanager
def accepted(what: str) -> Iterator[None]:
    """Raise `Wrong` where ours refuses what it accepted before."""
    try:
        yield
    except LayerwiseError as error:
        raise Wrong(f"{what}: {error}") from error
