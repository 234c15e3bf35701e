"""The warm process that forks the children of the crash tests; run as a script.

Importing torch takes seconds, so one process imports all that a child will need, opens nothing, and forks a child for
each job; SQLite and locks never cross a fork. It reads lines of JSON, ``{"start": 3, "what": "commit", "path": ...,
"seed": 7}`` and ``{"signal": 9, "to": 3}``; on one pipe it and its children answer, a line of JSON each: where a child
is, what was acknowledged to it, what went wrong in it, how it ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

from tests.crash.children import JOBS, Request
from tests.crash.telling import Teller, spoil, watch

WARM = ("layerwise.engine.run", "pandas", "pyarrow.pandas_compat", "sqlalchemy.dialects.sqlite", "torch._dynamo")
"""What a training imports, and what is imported for it when it is under way."""


class Forker:
    """Forks a child for each job, kills those it is told to, and says how each ended."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests = requests
        self._answers = answers
        self._children: dict[int, int] = {}
        self._awake, self._wake = os.pipe()
        for end in (self._awake, self._wake):
            os.set_blocking(end, False)

    def live(self) -> None:
        """Serve until the tests close their end; then no child is left."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._say(warm=True)
        for request in self._lines():
            if "start" in request:
                self._start(request)
            else:
                self._send(request["to"], request["signal"])
        for job in list(self._children):
            self._send(job, signal.SIGKILL)

    def _lines(self) -> Iterator[Request]:
        buffer = b""
        while True:
            ready, _, _ = select.select([self._requests, self._awake], [], [])
            if self._awake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._awake, 4096)
                self._reap()
            if self._requests in ready:
                data = os.read(self._requests, 65536)
                if not data:
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                yield from map(json.loads, lines)

    def _start(self, request: Request) -> None:
        child = os.fork()
        if child:
            self._children[request["start"]] = child
            return
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        for end in (self._requests, self._awake, self._wake):
            os.close(end)
        work(request, self._answers)

    def _send(self, job: int, number: int) -> None:
        # Not yet waited for, so the process's number is still its own.
        if job in self._children:
            os.kill(self._children[job], number)

    def _reap(self) -> None:
        for job, child in list(self._children.items()):
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                del self._children[job]
                self._say(job=job, ended=os.waitstatus_to_exitcode(status))

    def _say(self, **words: Any) -> None:
        os.write(self._answers, json.dumps(words).encode() + b"\n")


def work(request: Request, pipe: int) -> NoReturn:
    """Do one job, say what went wrong, and end without the clean-up of the process that this is a copy of."""
    tell = Teller(request["start"], pipe, request.get("pause", ""), request.get("stops", 1))
    try:
        tell.at("open")
        watch(tell)
        if request["spoilt"]:
            spoil()
        JOBS[request["what"]](tell, request)
        tell.at("done")
        os._exit(0)
    except BaseException:
        tell.say(failed=traceback.format_exc()[-2500:])
        os._exit(1)


def warm() -> None:
    """Import what the jobs would import on their way."""
    for name in WARM:
        # Not all of it need be there.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    answers = os.dup(1)
    # What a library prints must not come between the answers.
    os.dup2(2, 1)
    warm()
    # Children share these pages as long as nobody counts references in them.
    gc.freeze()
    Forker(0, answers).live()
