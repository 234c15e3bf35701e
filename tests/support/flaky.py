"""A proxy that fails as networks and object stores do: it loses answers, resets, delays, repeats, and answers wrongly.

What it does to each request is drawn from a seed; of each kind of fault it counts how many it made.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.support.fake_s3 import serving

FAULTS = (
    "reset before",  # the request never arrives
    "reset after",  # it arrives, and the answer is lost
    "closed after",  # the same, politely
    "late",  # the connection breaks, and the request arrives later
    "twice",  # the request arrives twice, and the second answer is given
    "cut off",  # half of the answer's body
    "slow",  # the answer takes a while
    "409 before", "412 before", "500 before", "503 before",  # an answer that is none, and nothing arrives
    "409 after", "412 after", "500 after", "503 after",  # the request arrives, and the answer is another
)  # fmt: skip
_CODES = {"409": "ConditionalRequestConflict", "412": "PreconditionFailed", "500": "InternalError", "503": "SlowDown"}


class Flaky:
    """What the proxy does: each request fails with probability ``rate``, how is drawn from ``seed``.

    Attributes:
        rate: 0 lets everything pass.
        made: how many faults of each kind were made.
    """

    def __init__(self, upstream: str, seed: int, rate: float) -> None:
        parts = urlsplit(upstream)
        self.host, self.port = str(parts.hostname), int(parts.port or 80)
        self.rate = rate
        self.made: Counter[str] = Counter()
        self.pending: list[threading.Thread] = []
        self._random = random.Random(seed)
        self._guard = threading.Lock()

    def draw(self) -> str:
        """Return what happens to the next request: a fault, or nothing."""
        with self._guard:
            if self._random.random() >= self.rate:
                return ""
            fault = self._random.choice(FAULTS)
            self.made[fault] += 1
            return fault

    def settle(self) -> None:
        """Wait for what is still on its way."""
        for thread in self.pending:
            thread.join(timeout=30)

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the store itself."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def flaky(upstream: str, seed: int, rate: float) -> Iterator[tuple[str, Flaky]]:
    """Run a proxy in front of ``upstream`` while the block lasts; give its address, and what it does."""
    does = Flaky(upstream, seed, rate)
    with serving(type("Proxy", (_Proxy,), {"does": does})) as address:
        yield address, does
        does.settle()


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    does: Flaky

    def handle_one_request(self) -> None:
        # A connection that we or the client broke is no failure of the test.
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        ask = (self.command, self.path, headers, body)
        fault = self.does.draw()
        kind, _, when = fault.partition(" ")
        if fault == "late":
            thread = threading.Thread(target=self._later, args=ask, daemon=True)
            self.does.pending.append(thread)
            thread.start()
        if fault in ("reset before", "late"):
            return self._reset()
        if kind in _CODES and when == "before":
            return self._refuse(kind)
        answer = self.does.forward(*ask)
        if fault == "reset after":
            return self._reset()
        if fault == "closed after":
            self.close_connection = True
            return None
        if fault == "twice":
            answer = self.does.forward(*ask)
        if fault == "slow":
            time.sleep(0.05)
        if kind in _CODES:
            return self._refuse(kind)
        return self._answer(*answer, cut=fault == "cut off")

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve

    def _later(self, *ask: object) -> None:
        time.sleep(0.02)
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.does.forward(*ask)  # type: ignore[arg-type]

    def _reset(self) -> None:
        # With this, closing sends RST: what the client has not read is gone.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _refuse(self, status: str) -> None:
        body = f"<Error><Code>{_CODES[status]}</Code></Error>".encode()
        self._answer(int(status), [("Content-Length", str(len(body)))], body)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length", str(len(body)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
