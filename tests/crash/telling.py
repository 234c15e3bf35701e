"""How a child tells the tests where it is and what was acknowledged to it."""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from layerwise.store.catalog.catalog import Catalog
from layerwise.store.disk import Disk
from layerwise.store.rows import Entry


class Teller:
    """Tells the tests where a child is and what was acknowledged to it: a line each, written at once."""

    def __init__(self, job: int, pipe: int, pause: str = "", stops: int = 1) -> None:
        self._job = job
        self._pipe = pipe
        self._stage = "open"
        self._pause = pause
        self._stops = stops

    def say(self, **words: Any) -> None:
        """Write a line. At most 4,096 bytes, so that the system never mixes it with another child's."""
        line = json.dumps({"job": self._job, **words}).encode() + b"\n"
        assert len(line) <= select.PIPE_BUF, line
        os.write(self._pipe, line)

    def at(self, stage: str) -> None:
        """Say which stage of its work the child has come to."""
        self._stage = stage
        self.say(at=stage)

    def effect(self, name: str) -> None:
        """Say which effect the child is about to have; stop there, where the tests asked for that."""
        place = f"{self._stage}: {name}"
        self.say(at=place)
        if place == self._pause and self._stops:
            self._stops -= 1
            self.say(paused=place)
            # Blocked from the first, so that one that comes early is not lost.
            signal.sigwait([signal.SIGUSR1])

    def acknowledge(self, entry: Entry, **words: Any) -> None:
        """Say that the repository has said that a version is kept."""
        place = [entry.sort, entry.name, entry.number]
        self.at("returned")
        self.say(acked={"place": place, "digest": entry.digest, **words})
        self.at("acknowledged")


def watch(tell: Teller) -> None:
    """Say each effect on files, and each transaction, before it happens."""
    for name in ("write", "append", "rename", "link", "sync_folder", "unlink"):
        setattr(Disk, name, _said(getattr(Disk, name), tell, name))

    def said(name: str) -> Callable[[sa.Connection], None]:
        def heard(connection: sa.Connection) -> None:
            if connection.get_execution_options().get("layerwise_write"):
                tell.effect(name)

        return heard

    sa.event.listen(sa.Engine, "begin", said("in a transaction"))
    sa.event.listen(sa.Engine, "commit", said("transaction's end"))


def _said(act: Callable[..., Any], tell: Teller, name: str) -> Callable[..., Any]:
    @functools.wraps(act)
    def said(*given: Any, **named: Any) -> Any:
        tell.effect(name)
        done = act(*given, **named)
        tell.effect(f"{name} done")
        return done

    return said


def spoil() -> None:
    """Name before writing: the store as it must not be, so that the tests are seen to notice."""
    write, name = Disk.publish, Catalog.publish
    late: list[tuple[Any, ...]] = []

    def put_off(disk: Disk, file: str, chunks: Any) -> None:
        if file.startswith("packs/"):
            late.append((disk, file, chunks))
        else:
            write(disk, file, chunks)

    def named(catalog: Catalog, *given: Any, **words: Any) -> None:
        name(catalog, *given, **words)
        # A slow disk: the tests need not be lucky to find this out.
        time.sleep(0.03)
        while late:
            write(*late.pop())

    Disk.publish = put_off  # type: ignore[method-assign,assignment]
    Catalog.publish = named  # type: ignore[method-assign,assignment]
