"""Object stores that cannot be trusted, in memory: enough of S3's protocol to be asked, and to answer wrongly."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HONEST = "honest"
IGNORES = "ignores the condition"
LIES = "says that it refused, and has written"
FORGETS = "says that it wrote, and has not"
DENIES = "lets nobody write"
LACKS = "does not know the condition"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    guard: threading.Lock
    manner: str

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.guard:
            taken = self.path in self.files and self.headers.get("If-None-Match") == "*"
            if self.manner == DENIES:
                return self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            if self.manner == LACKS and "If-None-Match" in self.headers:
                return self._answer(501, b"<Error><Code>NotImplemented</Code></Error>")
            if self.manner == FORGETS:
                return self._answer(200)
            if not taken or self.manner in (IGNORES, LIES):
                self.files[self.path] = body
            refuse = taken and self.manner != IGNORES
            return self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>") if refuse else self._answer(200)

    def do_GET(self) -> None:
        with self.guard:
            data = self.files.get(self.path)
        if data is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, data)

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        with self.guard:
            self.files.pop(self.path, None)
        self._answer(204)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("Last-Modified", "Sat, 31 Jan 2026 09:30:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def fake(manner: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Run one while the block lasts; give its address and its files by path."""
    files: dict[str, bytes] = {}
    handler = type("Handler", (_Handler,), {"files": files, "guard": threading.Lock(), "manner": manner})
    with serving(handler) as address:
        yield address, files


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve ``handler`` on a free port of this machine while the block lasts; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(timeout=20)
        server.server_close()
