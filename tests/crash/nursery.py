"""The tests' end of the process that forks children: start them, kill them, hear what they say."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import layerwise.words

ROOT = Path(__file__).parents[2]
SOURCE = Path(layerwise.words.__file__).parents[1]

PATIENCE = 180.0
"""Seconds of silence after which a child has hung; many of them may share two busy processors."""


@dataclass
class Child:
    """One job.

    Attributes:
        what: which of ``children.JOBS``.
        said: what it told, oldest first.
        place: where it was last seen.
        ended: its exit code; -9 for one that was killed; None while it runs.
        begun, heard: when it was heard of first and last, by ``time.monotonic``.
        lines: how many lines it has written: how far it is with its work.
    """

    job: int
    what: str
    said: list[dict[str, Any]] = field(default_factory=list)
    place: str = "not begun"
    ended: int | None = None
    begun: float | None = None
    heard: float = field(default_factory=time.monotonic)
    lines: int = 0

    @property
    def killed(self) -> bool:
        """Whether the signal found it alive."""
        return self.ended == -signal.SIGKILL

    def all(self, word: str) -> list[Any]:
        """Return what it said under ``word``."""
        return [line[word] for line in self.said if word in line]

    def hear(self, line: dict[str, Any]) -> None:
        """Take in one line of its own, or the one about its end."""
        self.heard = time.monotonic()
        self.begun = self.begun or self.heard
        self.lines += 1
        self.ended = line.get("ended", self.ended)
        self.place = line.get("at", self.place)
        if "at" not in line:
            self.said.append(line)


class Nursery:
    """A warm process and its children. Use it as a context manager: none of them survives the block.

    Attributes:
        spoilt: whether children that are started now use a store that names before it writes.
    """

    def __init__(self) -> None:
        self.spoilt = False
        path = os.pathsep.join([str(SOURCE), str(ROOT)])
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forking.py"))],
            env={**os.environ, **threads, "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0,
        )  # fmt: skip
        self._buffer = b""
        self._warm = False
        self._started = 0
        self._alive: dict[int, Child] = {}

    def __enter__(self) -> Self:
        try:
            self._until(lambda: self._warm, [], "it to be warm")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill all children and end the warm process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def start(self, what: str, path: Path, seed: int = 0, **words: Any) -> Child:
        """Fork a child that does ``what`` in the repository at ``path``."""
        child = Child(self._started, what)
        self._started += 1
        self._alive[child.job] = child
        self._send({"start": child.job, "what": what, "path": str(path), "seed": seed, "spoilt": self.spoilt, **words})
        return child

    def kill(self, child: Child) -> None:
        """Send SIGKILL, unless it has ended."""
        self._send({"signal": signal.SIGKILL, "to": child.job})

    def wake(self, child: Child) -> None:
        """Let a child go on that has stopped where ``pause`` told it to."""
        self._send({"signal": signal.SIGUSR1, "to": child.job})

    def listen(self, until: float) -> None:
        """Take in what the children say until a moment of ``time.monotonic``, or until something was said."""
        for line in self._lines(max(0.0, until - time.monotonic())):
            if "job" not in line:
                self._warm = True
                continue
            self._alive[line["job"]].hear(line)
            if "ended" in line:
                del self._alive[line["job"]]

    def ended(self, children: Iterable[Child]) -> None:
        """Wait until all of them have ended, each of its own accord or by a kill; raise for one that failed."""
        them = list(children)
        self._until(lambda: all(child.ended is not None for child in them), them, "children to end")
        for child in them:
            failed = child.all("failed")
            assert child.killed or (child.ended == 0 and not failed), f"{child.what}: {child.ended}, {failed}"

    def said(self, children: Iterable[Child], word: str, times: int = 1) -> None:
        """Wait until each of them has said ``word``, so many times, or ended."""
        them = list(children)
        self._until(lambda: all(len(c.all(word)) >= times or c.ended is not None for c in them), them, word)

    def _until(self, done: Callable[[], bool], them: Iterable[Child], what: str) -> None:
        started = time.monotonic()
        while not done():
            heard = min((child.heard for child in them if child.ended is None), default=started)
            silent = time.monotonic() - heard
            assert silent < PATIENCE, f"waited {silent:.0f} s for {what}{self._last_words()}"
            self.listen(time.monotonic() + 1.0)

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    def _lines(self, wait: float) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        if not select.select([pipe], [], [], wait)[0]:
            return
        data = os.read(pipe, 1 << 20)
        assert data, f"the process that forks has ended{self._last_words()}"
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        yield from map(json.loads, lines)

    def _last_words(self) -> str:
        self._errors.seek(0)
        running = [f"{child.what} ({child.place})" for child in self._alive.values()]
        return f"; running: {running}; it printed: {self._errors.read().decode(errors='replace')[-2000:]}"
